//! Batches and the accounts of their sources.

use rusqlite::{Connection, OptionalExtension, Row};
use waypost_service::counting::batch::{
    Admission, ReceivedBatch, StoredBatch, decode_ranges, encode_ranges,
};
use waypost_service::counting::ledger::Ledger;
use waypost_service::counting::store::Account;
use waypost_service::counting::window::Window;
use waypost_wire::bytes::ReadError;
use waypost_wire::time::Timestamp;

use super::super::error::damaged;
use super::{at_most, window};

pub(super) const AFTER: &str = "SELECT row, fresh, floor, ceil, bytes FROM batches
    WHERE row > ?1 ORDER BY row LIMIT ?2";

pub(super) const OF_WINDOW: &str = "SELECT row, fresh, floor, ceil, bytes
    FROM batch_windows JOIN batches ON row = batch
    WHERE window = ?1 AND batch > ?2 ORDER BY batch LIMIT ?3";

pub(super) const DELETE: &str = "DELETE FROM batches WHERE row IN (
        SELECT row FROM batches
        WHERE received_at < ?1 AND NOT EXISTS (
            SELECT 1 FROM batch_windows, counting
            WHERE batch = batches.row AND window >= closed_until)
        ORDER BY received_at LIMIT ?2)";

pub(super) const RECENT: &str = "SELECT ledger FROM sources WHERE heard_at > ?1";

pub(super) fn store(
    connection: &Connection,
    batch: &ReceivedBatch,
    now: Timestamp,
) -> rusqlite::Result<Admission> {
    let source = batch.id.source;
    let mut ledger = ledger(connection, source)?;
    let sealed_until = connection
        .prepare_cached("SELECT sealed_until FROM counting")?
        .query_row([], |row| window(row, 0))?;
    let admission = Admission::decide(batch, &mut ledger, sealed_until, now);
    keep_ledger(connection, source, &ledger, now)?;
    connection
        .prepare_cached(
            "UPDATE counting SET accepted = accepted + ?1, stored = stored + ?2,
                 duplicate = duplicate + ?3, late = late + ?4",
        )?
        .execute([
            admission.accepted.cast_signed(),
            admission.stored().cast_signed(),
            admission.duplicate.cast_signed(),
            admission.late.cast_signed(),
        ])?;
    if !admission.fresh.is_empty() {
        insert(connection, batch, &admission, now)?;
    }
    Ok(admission)
}

fn insert(
    connection: &Connection,
    batch: &ReceivedBatch,
    admission: &Admission,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let row = connection
        .prepare_cached(
            "INSERT INTO batches (received_at, floor, ceil, fresh, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert((
            now.0,
            admission.floor.start().0,
            admission.ceil.start().0,
            encode_ranges(&admission.fresh),
            &batch.bytes,
        ))?;
    let mut insert =
        connection.prepare_cached("INSERT INTO batch_windows (window, batch) VALUES (?1, ?2)")?;
    for window in &admission.windows {
        insert.execute((window.start().0, row))?;
    }
    Ok(())
}

pub(super) fn report(
    connection: &Connection,
    source: u64,
    accepted: u64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut ledger = ledger(connection, source)?;
    let before = ledger.accepted();
    ledger.report(accepted, now);
    keep_ledger(connection, source, &ledger, now)?;
    connection
        .prepare_cached("UPDATE counting SET accepted = accepted + ?1")?
        .execute([(ledger.accepted() - before).cast_signed()])?;
    Ok(())
}

pub(super) fn after(
    connection: &Connection,
    after_row: u64,
    limit: usize,
) -> rusqlite::Result<Vec<StoredBatch>> {
    connection
        .prepare_cached(AFTER)?
        .query_map((after_row.cast_signed(), at_most(limit)), stored_batch)?
        .collect()
}

pub(super) fn of_window(
    connection: &Connection,
    window: Window,
    after_row: u64,
    limit: usize,
) -> rusqlite::Result<Vec<StoredBatch>> {
    connection
        .prepare_cached(OF_WINDOW)?
        .query_map((window.start().0, after_row.cast_signed(), at_most(limit)), stored_batch)?
        .collect()
}

pub(super) fn delete(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM forgotten_links WHERE at < ?1")?.execute([before.0])?;
    connection.prepare_cached(DELETE)?.execute((before.0, at_most(limit)))
}

pub(super) fn account(connection: &Connection, since: Timestamp) -> rusqlite::Result<Account> {
    let recent = connection
        .prepare_cached(RECENT)?
        .query_map([since.0], |row| decode_ledger(row.get_ref(0)?.as_blob()?))?
        .collect::<Result<_, _>>()?;
    connection.prepare_cached("SELECT accepted, stored, duplicate, late FROM counting")?.query_row(
        [],
        |row| {
            Ok(Account {
                accepted: row.get::<_, i64>(0)?.cast_unsigned(),
                stored: row.get::<_, i64>(1)?.cast_unsigned(),
                duplicate: row.get::<_, i64>(2)?.cast_unsigned(),
                late: row.get::<_, i64>(3)?.cast_unsigned(),
                recent,
            })
        },
    )
}

fn ledger(connection: &Connection, source: u64) -> rusqlite::Result<Ledger> {
    let known = connection
        .prepare_cached("SELECT ledger FROM sources WHERE source = ?1")?
        .query_row([source.cast_signed()], |row| decode_ledger(row.get_ref(0)?.as_blob()?))
        .optional()?;
    Ok(known.unwrap_or_default())
}

fn keep_ledger(
    connection: &Connection,
    source: u64,
    ledger: &Ledger,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sources (source, heard_at, ledger) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET
                 heard_at = max(heard_at, excluded.heard_at), ledger = excluded.ledger",
        )?
        .execute((source.cast_signed(), now.0, ledger.encode()))?;
    Ok(())
}

fn decode_ledger(bytes: &[u8]) -> rusqlite::Result<Ledger> {
    Ledger::decode(bytes).map_err(|fault| unreadable("ledger", fault))
}

fn stored_batch(row: &Row<'_>) -> rusqlite::Result<StoredBatch> {
    let fresh = row.get_ref(1)?.as_blob()?;
    Ok(StoredBatch {
        row: row.get::<_, i64>(0)?.cast_unsigned(),
        fresh: decode_ranges(fresh).map_err(|fault| unreadable("ranges", fault))?,
        floor: window(row, 2)?,
        ceil: window(row, 3)?,
        bytes: row.get(4)?,
    })
}

fn unreadable(what: &str, fault: ReadError) -> rusqlite::Error {
    damaged(format!("the {what} cannot be read: {fault:?}"))
}
