-- Keys of this installation, made at its first start. They belong to the links: without the key
-- of check characters, existing codes would be refused; so a backup has them too.

CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
