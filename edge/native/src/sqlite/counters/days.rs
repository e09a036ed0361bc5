//! Days: hours added up, beside which the hours stay until they are old.

use std::collections::BTreeSet;

use rusqlite::Connection;
use waypost_service::counting::compact::merge;
use waypost_service::counting::levels::{Levels, days_due};
use waypost_service::counting::rollup::{Rollup, Subject};
use waypost_service::counting::store::Row;
use waypost_service::counting::window::Span;
use waypost_wire::time::Timestamp;

use super::rollups::{decode, insert};
use super::{at_most, marks};

// SQLite might else choose the index in which hours lie between days.
pub(super) const OF_SUBJECT: &str = "SELECT start, rollup FROM rollups INDEXED BY rollups_days
    WHERE subject = ?1 AND start >= ?2 AND start < ?3 AND span = 2";

pub(super) const HOURS: &str = "SELECT rollup FROM rollups
    WHERE subject = ?1 AND start >= ?2 AND start < ?3 AND span = 1 ORDER BY start";

pub(super) const DUE: &str =
    "SELECT day, subject FROM days_due WHERE day < ?1 ORDER BY day, subject LIMIT ?2";

pub(super) const FIRST_DUE: &str = "SELECT min(day) FROM days_due";

pub(super) const FIRST_WINDOW: &str = "SELECT min(start) FROM rollups WHERE span = 0 AND span < 2";

pub(super) const OLD_HOURS: &str = "DELETE FROM rollups WHERE row IN (
    SELECT row FROM rollups WHERE span = 1 AND span < 2 AND start < ?1
    ORDER BY start, subject LIMIT ?2)";

/// Notes that an hour was written, and its day is to be made.
pub(super) fn note(connection: &Connection, hour: Timestamp, subject: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO days_due (day, subject) VALUES (?1, ?2)")?
        .execute((Span::Day.start(hour).0, subject))?;
    Ok(())
}

/// Makes the oldest days that are due, at most `limit`; how many.
pub(super) fn make(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let (closed_until, _) = marks(connection)?;
    let until = days_due(before, closed_until, first(connection, FIRST_WINDOW)?);
    let due: Vec<(i64, i64)> = connection
        .prepare_cached(DUE)?
        .query_map((until.0, at_most(limit)), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (day, subject) in &due {
        make_day(connection, Timestamp(*day), *subject)?;
    }
    let left = first(connection, FIRST_DUE)?.map_or(until, |day| day.min(until));
    connection
        .prepare_cached("UPDATE counting SET days_until = ?1 WHERE days_until < ?1")?
        .execute([left.0])?;
    Ok(due.len())
}

/// Makes days again of which an hour was written anew, if they were made.
pub(super) fn make_again(
    connection: &Connection,
    hour: Timestamp,
    subjects: BTreeSet<i64>,
    levels: Levels,
) -> rusqlite::Result<()> {
    let day = Span::Day.start(hour);
    for code in subjects {
        let rows = of_subject(connection, Subject::from_code(code), day, day.plus_ms(1))?;
        if day < levels.days_until || !rows.is_empty() {
            make_day(connection, day, code)?;
        }
    }
    Ok(())
}

fn make_day(connection: &Connection, day: Timestamp, subject: i64) -> rusqlite::Result<()> {
    let hours: Vec<Rollup> = connection
        .prepare_cached(HOURS)?
        .query_map((subject, day.0, day.plus_ms(Span::Day.ms()).0), |row| {
            decode(row.get_ref(0)?.as_blob()?)
        })?
        .collect::<Result<_, _>>()?;
    connection
        .prepare_cached("DELETE FROM rollups WHERE subject = ?1 AND start = ?2 AND span = 2")?
        .execute((subject, day.0))?;
    if !hours.is_empty() {
        insert(connection, subject, day, Span::Day, &merge(&hours))?;
    }
    connection
        .prepare_cached("DELETE FROM days_due WHERE day = ?1 AND subject = ?2")?
        .execute((day.0, subject))?;
    Ok(())
}

/// Removes rows of hours that are old, after saying so; how many.
pub(super) fn delete_hours(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let (_, Levels { days_until, hours_from }) = marks(connection)?;
    let hours_from = Span::Day.start(before).min(days_until).max(hours_from);
    connection
        .prepare_cached("UPDATE counting SET hours_from = ?1 WHERE hours_from < ?1")?
        .execute([hours_from.0])?;
    let until = hours_from.min(days_until);
    connection.prepare_cached(OLD_HOURS)?.execute((until.0, at_most(limit)))
}

/// Rows of days.
pub(super) fn of_subject(
    connection: &Connection,
    subject: Subject,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<Row>> {
    connection
        .prepare_cached(OF_SUBJECT)?
        .query_map([subject.code(), from.0, until.0], |row| {
            Ok(Row {
                start: Timestamp(row.get(0)?),
                span: Span::Day,
                rollup: decode(row.get_ref(1)?.as_blob()?)?,
            })
        })?
        .collect()
}

fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.map(Timestamp)))
}

#[cfg(test)]
mod tests {
    use waypost_service::counting::classify::Class;
    use waypost_service::counting::compact::compact;
    use waypost_service::counting::rollup::Totals;
    use waypost_service::counting::store::CounterStore;
    use waypost_service::model::LinkId;

    use super::*;
    use crate::sqlite::{Db, DbOptions};

    const DAY_MS: i64 = Span::Day.ms();
    const HOUR_MS: i64 = Span::Hour.ms();
    const LINK: Subject = Subject::Link(LinkId(7));

    fn row(connection: &Connection, subject: Subject, start: i64, span: Span, clicks: u64) {
        let mut totals = Totals::default();
        totals.add(Class::Human, clicks);
        let rollup = Rollup { totals, ..Rollup::default() };
        connection
            .execute(
                "INSERT INTO rollups (subject, start, span, rollup) VALUES (?1, ?2, ?3, ?4)",
                (subject.code(), start, span.code(), rollup.encode()),
            )
            .expect("a row");
    }

    /// As it was before days stood beside their hours, ended in the middle of making a day: the
    /// site has it, the link does not.
    fn older(path: &std::path::Path) {
        let connection = Connection::open(path).expect("it opens");
        connection
            .execute_batch(
                "DROP TABLE days_due; DROP INDEX rollups_days;
                 ALTER TABLE counting DROP COLUMN days_until;
                 ALTER TABLE counting DROP COLUMN hours_from;
                 PRAGMA user_version = 5;",
            )
            .expect("an older schema");
        row(&connection, Subject::Site, 0, Span::Day, 9);
        row(&connection, LINK, HOUR_MS, Span::Hour, 4);
        row(&connection, LINK, 2 * HOUR_MS, Span::Hour, 5);
        for subject in [Subject::Site, LINK] {
            row(&connection, subject, DAY_MS + HOUR_MS, Span::Hour, 3);
            row(&connection, subject, 2 * DAY_MS, Span::Window, 1);
            row(&connection, subject, 2 * DAY_MS + 600_000, Span::Window, 1);
        }
        connection.execute("UPDATE counting SET closed_until = ?1", [3 * DAY_MS]).expect("a mark");
    }

    async fn clicks(db: &Db, subject: Subject, by: Span) -> Vec<(i64, Span, u64)> {
        let reading = CounterStore::read(db, subject, Timestamp(0), Timestamp(9 * DAY_MS), by);
        let rows = reading.await.expect("it reads").rows.into_iter();
        rows.map(|row| (row.start.0, row.span, row.rollup.totals.all())).collect()
    }

    #[tokio::test]
    async fn an_older_database_is_read_right_and_gets_its_days() {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let path = directory.path().join("waypost.db");
        let open = || Db::open(&path, &DbOptions::default()).expect("it opens");
        open().close().await;
        older(&path);
        let db = open();
        let levels = Levels { days_until: Timestamp(0), hours_from: Timestamp(DAY_MS) };
        assert_eq!(db.open().await.map(|open| open.levels), Ok(levels));
        let (first, second) = ((0, Span::Day, 9), (DAY_MS + HOUR_MS, Span::Hour, 3));
        let windows = [0, 600_000].map(|ms| (2 * DAY_MS + ms, Span::Window, 1));
        let of_site = [&[first, second][..], &windows].concat();
        let hours = [(HOUR_MS, Span::Hour, 4), (2 * HOUR_MS, Span::Hour, 5), second];
        let of_link = [&hours[..], &windows].concat();
        for by in [Span::Day, Span::Hour] {
            assert_eq!(clicks(&db, Subject::Site, by).await, of_site);
            assert_eq!(clicks(&db, LINK, by).await, of_link);
        }
        let now = Timestamp(3 * DAY_MS);
        let compacted = compact(&db, now, 2 * DAY_MS).await.expect("compacted");
        assert_eq!((compacted.hours, compacted.days, compacted.hours_removed), (2, 5, 2));
        let levels = Levels { days_until: now, ..levels };
        assert_eq!(db.open().await.map(|open| open.levels), Ok(levels));
        let days = [first, (DAY_MS, Span::Day, 3), (2 * DAY_MS, Span::Day, 2)];
        let by_hour = [first, second, (2 * DAY_MS, Span::Hour, 2)];
        for subject in [Subject::Site, LINK] {
            assert_eq!(clicks(&db, subject, Span::Day).await, days);
            assert_eq!(clicks(&db, subject, Span::Hour).await, by_hour);
        }
    }
}
