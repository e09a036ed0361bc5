-- Links and what belongs to them. Times are Unix milliseconds.

CREATE TABLE links (
    -- Snowflake number: rises with the time of creation, so order by id is order of creation.
    id                 INTEGER PRIMARY KEY,
    -- domain/slug, case folded where the domain folds it.
    key                TEXT    NOT NULL UNIQUE,
    -- The link as the edge reads it. Before `doc`, so that a redirect reads no overflow pages.
    record             BLOB    NOT NULL,
    domain             TEXT    NOT NULL,
    -- As of the last write or settling; the live state is computed from `doc`.
    state              TEXT    NOT NULL,
    version            INTEGER NOT NULL,
    keep               INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    -- Of the last click, or else of the creation.
    last_used_at       INTEGER NOT NULL,
    expires_at         INTEGER,
    quarantine_until   INTEGER,
    recompile_at       INTEGER,
    -- When `state` changes by itself.
    next_transition_at INTEGER,
    external_id        TEXT,
    -- The link as its owner sees it, as JSON.
    doc                TEXT    NOT NULL
) STRICT;

-- SQLite ends every index with the id.

-- A deleted link gives up its external id, while its slug stays in quarantine.
CREATE UNIQUE INDEX links_external_id ON links (external_id) WHERE state <> 'deleted';

-- Lists, in order of creation and of the last write.
CREATE INDEX links_live           ON links (id) WHERE state <> 'deleted';
CREATE INDEX links_live_updated   ON links (updated_at) WHERE state <> 'deleted';
CREATE INDEX links_domain         ON links (domain) WHERE state <> 'deleted';
CREATE INDEX links_domain_updated ON links (domain, updated_at) WHERE state <> 'deleted';
CREATE INDEX links_state          ON links (state);
CREATE INDEX links_state_updated  ON links (state, updated_at);

-- What is due.
CREATE INDEX links_expired    ON links (expires_at)
    WHERE expires_at IS NOT NULL AND state <> 'deleted';
CREATE INDEX links_quarantine ON links (quarantine_until) WHERE state = 'deleted';
CREATE INDEX links_recompile  ON links (recompile_at) WHERE recompile_at IS NOT NULL;
CREATE INDEX links_transition ON links (next_transition_at) WHERE next_transition_at IS NOT NULL;
CREATE INDEX links_unused     ON links (last_used_at) WHERE keep = 0 AND state <> 'deleted';

CREATE TABLE link_tags (
    tag        TEXT    NOT NULL,
    link       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tag, link)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_tags_updated ON link_tags (tag, updated_at, link);

-- What `q` is looked up in, by link id. Only which links hold which three characters: the links
-- themselves are read to see whether the characters stand together.
CREATE VIRTUAL TABLE link_texts USING fts5 (
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram'
);

-- Uses taken of links limited by `max_clicks`.
CREATE TABLE uses (
    link INTEGER PRIMARY KEY REFERENCES links (id) ON DELETE CASCADE,
    used INTEGER NOT NULL
) STRICT;

-- Answers given again for a repeated `Idempotency-Key`.
CREATE TABLE idempotency (
    key        TEXT    NOT NULL PRIMARY KEY,
    body_hash  BLOB    NOT NULL,
    answer     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX idempotency_expires ON idempotency (expires_at);

-- Counters that codes are leased from: the first value not leased yet.
CREATE TABLE leases (
    name TEXT    NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- API keys: only the SHA-256 of a key is known.
CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
