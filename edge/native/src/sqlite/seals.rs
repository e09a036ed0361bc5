//! Which keys a database needs, and sealing what is in it anew.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow};
use waypost_service::listing::{open_text, searched_text};
use waypost_service::model::LinkId;
use waypost_service::seal::fields::{FieldFault, FieldProblem, Fields, Sealing};
use waypost_service::seal::reseal::{Change, Row, Rows, SealedLinks};
use waypost_service::seal::{NONCE_BYTES, OpenFault, SealKeys, sealed_with};
use waypost_service::seams::StoreError;

use super::error::{damaged, exhausted};
use super::rows::{self, row_id};
use super::{Db, OpenError};

/// The random number of one sealing.
pub(crate) fn nonce() -> Option<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    Some(nonce)
}

/// A fault of sealing as SQLite would tell it.
pub(crate) fn unsealable(fault: &FieldFault) -> rusqlite::Error {
    match fault.problem() {
        FieldProblem::NoRandomness => exhausted(fault.to_string()),
        _ => damaged(fault.to_string()),
    }
}

/// The numbers of the keys that the database needs.
pub(crate) fn numbers(connection: &Connection) -> rusqlite::Result<Vec<u32>> {
    let mut numbers = connection.prepare("SELECT number FROM seal_keys ORDER BY number")?;
    numbers.query_map([], |row| row.get(0))?.collect()
}

/// Refuses a database that is sealed with a key that is not here, before anything of it is used.
pub(crate) fn check(
    connection: &Connection,
    path: &Path,
    sealing: &Sealing,
) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::sqlite(path, source);
    let mut values = connection
        .prepare("SELECT number, value FROM seal_keys ORDER BY number")
        .map_err(sqlite)?;
    let read = |row: &SqlRow<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?));
    for pair in values.query_map([], read).map_err(sqlite)? {
        let (number, value) = pair.map_err(sqlite)?;
        let path = || path.into();
        match sealing.check(&value).map_err(|fault| fault.problem()) {
            Ok(()) => {}
            Err(FieldProblem::Open(OpenFault::Forged)) => {
                return Err(OpenError::OtherSealKey { path: path(), number });
            }
            Err(_) => return Err(OpenError::NoSealKey { path: path(), number }),
        }
    }
    Ok(())
}

/// Notes the key that seals from now on, before anything is sealed with it. What lies in a page
/// beside something that is removed is overwritten from now on.
pub(super) fn begin(
    connection: &Connection,
    path: &Path,
    sealing: &Sealing,
) -> Result<(), OpenError> {
    check(connection, path, sealing)?;
    let Some(keys) = sealing.keys() else { return Ok(()) };
    let note = || -> rusqlite::Result<()> {
        // Of pages that are written anyway; pages that get free as a whole are left to `sweep`.
        connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
        let value = sealing.check_value(&nonce).map_err(|fault| unsealable(&fault))?;
        let insert = "INSERT OR IGNORE INTO seal_keys (number, value) VALUES (?1, ?2)";
        connection.execute(insert, (keys.current(), value)).map(drop)
    };
    note().map_err(|source| OpenError::sqlite(path, source))
}

impl SealedLinks for Db {
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError> {
        // Ids are positive.
        let after = after.map_or(Ok(i64::MIN), row_id);
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let mut page = connection.prepare_cached(PAGE)?;
            let rows = page.query_map((after?, most), raw)?;
            let rows = rows.collect::<rusqlite::Result<Vec<Row>>>()?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id);
            Ok(Rows { rows, next })
        })
        .await
    }

    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError> {
        self.read(move |connection| {
            connection.prepare_cached(ONE)?.query_row([row_id(id)?], raw).optional()
        })
        .await
    }

    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let changes = changes.to_vec();
        self.write(move |connection| {
            changes.iter().map(|change| replace(connection, change)).collect()
        })
        .await
    }
}

macro_rules! raw_links {
    ($rest:literal) => {
        concat!(
            "SELECT id, key, version, ifnull(sealed, CAST(doc AS BLOB)), record FROM links ",
            $rest
        )
    };
}

const PAGE: &str = raw_links!("WHERE id > ?1 ORDER BY id LIMIT ?2");
const ONE: &str = raw_links!("WHERE id = ?1");

fn raw(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Row {
        id: LinkId(number(0)?),
        key: row.get(1)?,
        version: number(2)?,
        fields: Fields { document: row.get(3)?, record: row.get(4)? },
    })
}

/// Replaces what lies in a row, and what the search index knows of it; whether it lay there.
fn replace(connection: &Connection, change: &Change) -> rusqlite::Result<bool> {
    let Change { row, fields, link } = change;
    let id = row_id(row.id)?;
    if connection.prepare_cached(ONE)?.query_row([id], raw).optional()?.as_ref() != Some(row) {
        return Ok(false);
    }
    let (doc, sealed) = rows::columns(fields)?;
    connection
        .prepare_cached("UPDATE links SET record = ?2, doc = ?3, sealed = ?4 WHERE id = ?1")?
        .execute((id, &fields.record, doc, sealed))?;
    let was_plain = row.fields.keys()[0].is_none();
    let (before, after) = (searched_text(link), open_text(link));
    if was_plain && sealed.is_some() && before != after {
        rows::replace_text(connection, id, &after)?;
    }
    Ok(true)
}

/// What a database holds when it was swept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The numbers of the keys that something is sealed with, the first key among them.
    pub in_use: Vec<u32>,
    /// Whether what lay in the file before was overwritten now.
    pub is_rewritten: bool,
}

/// The end of sealing anew: remembered answers too, what is left of deleted rows overwritten, and
/// keys that nothing needs any more forgotten. No process may serve the database.
///
/// # Errors
/// If it cannot be opened or written.
pub fn sweep(path: &Path, sealing: &Sealing) -> Result<Swept, OpenError> {
    let _lock = super::open::lock(path)?;
    let options = super::DbOptions { sealing: sealing.clone(), ..super::DbOptions::default() };
    let connection = super::open::open_writer(path, &options)?;
    swept(&connection, sealing).map_err(|source| OpenError::sqlite(path, source))
}

fn swept(connection: &Connection, sealing: &Sealing) -> rusqlite::Result<Swept> {
    let transaction = connection.unchecked_transaction()?;
    seal_answers(&transaction, sealing)?;
    let current = sealing.keys().map(SealKeys::current);
    let mut in_use = numbers_in_rows(&transaction)?;
    in_use.extend(current);
    in_use.sort_unstable();
    in_use.dedup();
    for number in numbers(&transaction)? {
        if !in_use.contains(&number) {
            transaction.execute("DELETE FROM seal_keys WHERE number = ?1", [number])?;
        }
    }
    let is_plain: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM links WHERE sealed IS NULL)",
        [],
        |row| row.get(0),
    )?;
    let is_swept = "SELECT EXISTS (SELECT 1 FROM seal_keys WHERE number = ?1 AND is_swept = 1)";
    let is_swept: bool = transaction.query_row(is_swept, [current], |row| row.get(0))?;
    transaction.commit()?;
    let is_rewritten = !is_swept && !is_plain && current.is_some();
    if is_rewritten {
        // The index keeps the words of removed entries until it is merged; the file keeps the bytes
        // of free pages until it is made anew.
        connection.execute_batch(
            "PRAGMA secure_delete = on;
             INSERT INTO link_texts (link_texts) VALUES ('optimize');
             VACUUM;",
        )?;
        let swept = "UPDATE seal_keys SET is_swept = 1 WHERE number = ?1";
        connection.execute(swept, [current])?;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(Swept { in_use, is_rewritten })
}

/// The numbers of the keys in rows, by reading all of them.
fn numbers_in_rows(connection: &Connection) -> rusqlite::Result<Vec<u32>> {
    const NUMBERS: &str = "
        SELECT substr(sealed, 1, 5) FROM links WHERE sealed IS NOT NULL
        UNION SELECT substr(record, 1, 5) FROM links WHERE substr(record, 1, 1) = x'e1'
        UNION SELECT substr(answer, 1, 5) FROM idempotency WHERE substr(answer, 1, 1) = x'e1'";
    let mut heads = connection.prepare(NUMBERS)?;
    let heads = heads.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    let numbers = heads.map(|head| Ok(sealed_with(&head?)));
    numbers.filter_map(Result::transpose).collect()
}

/// Seals remembered answers with the first key.
fn seal_answers(connection: &Connection, sealing: &Sealing) -> rusqlite::Result<()> {
    const PAGE: &str =
        "SELECT rowid, key, answer FROM idempotency WHERE rowid > ?1 ORDER BY rowid LIMIT 500";
    let Some(keys) = sealing.keys() else { return Ok(()) };
    let fault = |fault: FieldFault| unsealable(&fault);
    let mut page = connection.prepare(PAGE)?;
    let mut update = connection.prepare("UPDATE idempotency SET answer = ?2 WHERE rowid = ?1")?;
    let mut last = i64::MIN;
    loop {
        let read = |row: &SqlRow<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let answers = page.query_map([last], read)?;
        let answers = answers.collect::<rusqlite::Result<Vec<(i64, String, Vec<u8>)>>>()?;
        let Some((end, ..)) = answers.last() else { return Ok(()) };
        last = *end;
        for (row, key, answer) in answers {
            if sealed_with(&answer) != Some(keys.current()) {
                let answer = sealing.open_answer(&key, answer).map_err(fault)?;
                let answer = sealing.seal_answer(&key, &answer, &nonce).map_err(fault)?;
                update.execute((row, answer))?;
            }
        }
    }
}
