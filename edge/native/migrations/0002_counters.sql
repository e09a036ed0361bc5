-- Clicks and statistics. Times are Unix milliseconds, windows their starts. Numbers of 64 bits
-- lie here as signed ones of the same bits.

-- The one row of marks and sums. The earliest time stands for "nothing yet".
CREATE TABLE counting (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    sealed_until INTEGER NOT NULL,
    closed_until INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    stored       INTEGER NOT NULL,
    duplicate    INTEGER NOT NULL,
    late         INTEGER NOT NULL
) STRICT;

INSERT INTO counting VALUES (1, -9223372036854600000, -9223372036854600000, 0, 0, 0, 0);

-- Raw clicks, in the order of storing; a number is never used twice, even if all rows went.
CREATE TABLE batches (
    row         INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    -- The oldest and the youngest window its clicks can be counted in.
    floor       INTEGER NOT NULL,
    ceil        INTEGER NOT NULL,
    -- Which of its clicks were not stored before: ranges of numbers.
    fresh       BLOB    NOT NULL,
    bytes       BLOB    NOT NULL
) STRICT;

CREATE INDEX batches_received ON batches (received_at);

-- The windows that a batch has clicks in.
CREATE TABLE batch_windows (
    window INTEGER NOT NULL,
    batch  INTEGER NOT NULL REFERENCES batches (row) ON DELETE CASCADE,
    PRIMARY KEY (window, batch)
) STRICT, WITHOUT ROWID;

CREATE INDEX batch_windows_batch ON batch_windows (batch);

-- Which clicks of a source arrived: kept for ever, so that none is ever counted again.
CREATE TABLE sources (
    source   INTEGER PRIMARY KEY,
    heard_at INTEGER NOT NULL,
    ledger   BLOB    NOT NULL
) STRICT;

CREATE INDEX sources_heard ON sources (heard_at);

-- Closed windows that had clicks.
CREATE TABLE windows (
    window    INTEGER PRIMARY KEY,
    batches   INTEGER NOT NULL,
    digest    BLOB    NOT NULL,
    revision  INTEGER NOT NULL,
    closed_at INTEGER NOT NULL
) STRICT;

-- What was counted. `subject`: 0 all links, -1 slugs that are not there, else a link. `span`: 0 a
-- window, 1 an hour, 2 a day.
CREATE TABLE rollups (
    row     INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    span    INTEGER NOT NULL,
    rollup  BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX rollups_subject ON rollups (subject, start, span);
-- What will be compacted.
CREATE INDEX rollups_span ON rollups (span, start, subject) WHERE span < 2;

-- Clicks of each link in all closed windows, by class.
CREATE TABLE link_totals (
    link         INTEGER PRIMARY KEY,
    head         INTEGER NOT NULL,
    prefetch     INTEGER NOT NULL,
    link_preview INTEGER NOT NULL,
    bot          INTEGER NOT NULL,
    datacentre   INTEGER NOT NULL,
    burst        INTEGER NOT NULL,
    human        INTEGER NOT NULL
) STRICT;

-- Links whose numbers were removed, while there may still be clicks of them in batches.
CREATE TABLE forgotten_links (
    link INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT;

-- The keys of visitor hashes, by day; none is kept for more than two.
CREATE TABLE salts (
    day  INTEGER PRIMARY KEY,
    salt BLOB NOT NULL
) STRICT;
