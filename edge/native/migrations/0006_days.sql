-- Hours are added up to days as soon as a day is over, and stay beside them for a while: statistics
-- of a year by day are then a few hundred rows.

-- Days that end at `days_until` or before have their rows, for every subject. Hours that start
-- before `hours_from` may be gone.
ALTER TABLE counting ADD COLUMN days_until INTEGER NOT NULL DEFAULT -9223372036854600000;
ALTER TABLE counting ADD COLUMN hours_from INTEGER NOT NULL DEFAULT -9223372036854600000;

-- Days of which hours were written since they were last added up.
CREATE TABLE days_due (
    day     INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    PRIMARY KEY (day, subject)
) STRICT, WITHOUT ROWID;

INSERT INTO days_due
    SELECT DISTINCT start - ((start % 86400000) + 86400000) % 86400000, subject
    FROM rollups WHERE span = 1 AND span < 2;

CREATE UNIQUE INDEX rollups_days ON rollups (subject, start) WHERE span = 2;

-- Days were made of old hours alone, which went at once. What is finer and older than the last of
-- them is what that was interrupted at.
UPDATE counting SET hours_from = max(hours_from, ifnull(
    (SELECT max(start) + 86400000 FROM rollups WHERE span = 2), hours_from));
UPDATE counting SET days_until = min(
    hours_from,
    ifnull((SELECT min(day) FROM days_due), hours_from),
    ifnull(
        (SELECT min(start) - ((min(start) % 86400000) + 86400000) % 86400000
            FROM rollups WHERE span = 0 AND span < 2),
        hours_from));
