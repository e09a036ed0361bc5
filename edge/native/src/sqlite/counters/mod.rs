//! Clicks and statistics in SQLite.

mod batches;
mod days;
mod rollups;

use rusqlite::{Connection, OptionalExtension, Row};
use waypost_service::counting::batch::{Admission, ReceivedBatch, StoredBatch};
use waypost_service::counting::levels::{Levels, whole};
use waypost_service::counting::rollup::{Subject, Totals};
use waypost_service::counting::store::{
    Account, Closed, ClosingWindow, CounterStore, Open, Reading, WindowRecord,
};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::Db;

/// The marks, the oldest open window with clicks, and the row before its batches. If there is
/// none, that is the last row there is.
const OPEN: &str = "SELECT sealed_until, closed_until,
        (SELECT min(window) FROM batch_windows WHERE window >= closed_until),
        ifnull(
            (SELECT min(batch) - 1 FROM batch_windows WHERE window >= closed_until),
            ifnull((SELECT max(row) FROM batches), 0)),
        days_until, hours_from
    FROM counting";

// `Db::read` is spelled out: `self.read` could also be the method of the trait.
impl CounterStore for Db {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let batch = batch.clone();
        self.write(move |connection| batches::store(connection, &batch, now)).await
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| batches::report(connection, source, accepted, now)).await
    }

    async fn open(&self) -> Result<Open, StoreError> {
        Db::read(self, |connection| {
            connection.prepare_cached(OPEN)?.query_row([], |row| {
                Ok(Open {
                    sealed_until: window(row, 0)?,
                    closed_until: window(row, 1)?,
                    oldest: row.get::<_, Option<i64>>(2)?.map(|at| Window::of(Timestamp(at))),
                    after_row: row.get::<_, i64>(3)?.cast_unsigned(),
                    levels: levels(row, 4)?,
                })
            })
        })
        .await
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        Db::read(self, move |connection| batches::after(connection, after_row, limit)).await
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        Db::read(self, move |connection| batches::of_window(connection, window, after_row, limit))
            .await
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached("UPDATE counting SET sealed_until = max(sealed_until, ?1)")?
                .execute([until.start().0])?;
            Ok(())
        })
        .await
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        let closing = closing.clone();
        self.write(move |connection| rollups::close(connection, &closing)).await
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        Db::read(self, move |connection| {
            connection
                .prepare_cached(
                    "SELECT batches, digest, revision, closed_at FROM windows WHERE window = ?1",
                )?
                .query_row([window.start().0], |row| {
                    Ok(WindowRecord {
                        batches: row.get::<_, i64>(0)?.cast_unsigned(),
                        digest: row.get(1)?,
                        revision: row.get(2)?,
                        closed_at: Timestamp(row.get(3)?),
                    })
                })
                .optional()
        })
        .await
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        let (windows, counted) = (windows.to_vec(), rollups.clone());
        self.write(move |connection| rollups::rewrite_hour(connection, hour, &windows, &counted))
            .await
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.write(move |connection| rollups::compact(connection, into, before, limit)).await
    }

    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.write(move |connection| days::delete_hours(connection, before, limit)).await
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        let (from, until) = whole(from, until, by);
        let job = move |connection: &Connection| {
            let (closed_until, levels) = marks(connection)?;
            let finer_from = from.max(levels.finer_from(by));
            let days_to = until.min(levels.days_to(by));
            let mut rows = rollups::finer(connection, subject, finer_from, until)?;
            rows.extend(days::of_subject(connection, subject, from, days_to)?);
            Ok(Reading { closed_until, rows: levels.chosen(rows, by) })
        };
        Db::read(self, job).await
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        let ids = ids.to_vec();
        Db::read(self, move |connection| {
            let totals = ids.iter().map(|id| rollups::totals(connection, *id));
            Ok((closed_until(connection)?, totals.collect::<Result<_, _>>()?))
        })
        .await
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| rollups::forget(connection, link, now)).await
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.write(move |connection| batches::delete(connection, before, limit)).await
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        Db::read(self, move |connection| batches::account(connection, since)).await
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached("INSERT INTO salts VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute((day.0, candidate))?;
            connection
                .prepare_cached("SELECT salt FROM salts WHERE day = ?1")?
                .query_row([day.0], |row| row.get(0))
        })
        .await
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM salts WHERE day <= ?1")?.execute([until.0])
        })
        .await
    }
}

fn closed_until(connection: &Connection) -> rusqlite::Result<Window> {
    marks(connection).map(|(closed_until, _)| closed_until)
}

fn marks(connection: &Connection) -> rusqlite::Result<(Window, Levels)> {
    connection
        .prepare_cached("SELECT closed_until, days_until, hours_from FROM counting")?
        .query_row([], |row| Ok((window(row, 0)?, levels(row, 1)?)))
}

fn levels(row: &Row<'_>, column: usize) -> rusqlite::Result<Levels> {
    Ok(Levels {
        days_until: Timestamp(row.get(column)?),
        hours_from: Timestamp(row.get(column + 1)?),
    })
}

fn window(row: &Row<'_>, column: usize) -> rusqlite::Result<Window> {
    Ok(Window::of(Timestamp(row.get(column)?)))
}

fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::plans;
    use super::*;

    /// What runs again and again does not look at every row there ever was.
    #[test]
    fn every_statement_finds_its_rows_by_index() {
        let statements = [
            (OPEN, 0),
            (batches::AFTER, 2),
            (batches::DELETE, 2),
            (batches::OF_WINDOW, 3),
            (batches::RECENT, 1),
            (days::DUE, 2),
            (days::FIRST_DUE, 0),
            (days::FIRST_WINDOW, 0),
            (days::HOURS, 3),
            (days::OF_SUBJECT, 3),
            (days::OLD_HOURS, 2),
            (rollups::FINER, 3),
            (rollups::OF_HOUR, 2),
            (rollups::PARTS_OF_HOUR, 3),
            (rollups::WINDOWS, 2),
        ];
        for (sql, parameters) in statements {
            let plan = plans::of(sql, parameters);
            // `counting` has one row.
            let scans = |step: &&String| step.starts_with("SCAN") && !step.contains("counting");
            assert_eq!(plan.iter().find(scans), None, "{sql}\n{plan:#?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER")), "{plan:#?}");
        }
    }
}
