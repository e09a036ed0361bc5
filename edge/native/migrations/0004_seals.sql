-- Sealed links. A record is sealed in its own column, as is a remembered answer: the first byte
-- tells.

-- The document of a link, sealed; `doc` is empty then.
ALTER TABLE links ADD COLUMN sealed BLOB;

-- The numbers of the keys that something here is sealed with, and what tells each key from others.
-- `is_swept`: since it seals, all links were sealed anew, and what was deleted was overwritten.
CREATE TABLE seal_keys (
    number   INTEGER PRIMARY KEY,
    value    BLOB    NOT NULL,
    is_swept INTEGER NOT NULL DEFAULT 0
) STRICT;
