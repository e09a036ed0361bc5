//! How a stored link lies in its row, and in the tables beside it.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use waypost_service::listing::searched_text;
use waypost_service::model::{Link, LinkId, LinkState};
use waypost_service::seams::StoredLink;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::error::damaged;

/// What [`stored`] reads, in its order.
macro_rules! stored_columns {
    () => {
        "key, record, recompile_at, doc"
    };
}
pub(super) use stored_columns;

/// Reads a stored link from the columns of [`stored_columns`], the first of them at `first`.
pub(super) fn stored(row: &Row<'_>, first: usize) -> rusqlite::Result<StoredLink> {
    Ok(StoredLink {
        key: key(row, first)?,
        record: row.get(first + 1)?,
        recompile_at: row.get::<_, Option<i64>>(first + 2)?.map(Timestamp),
        link: link(row, first + 3)?,
    })
}

/// Reads the key of a record.
pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<LinkKey> {
    let key: String = row.get(column)?;
    let (domain, slug) =
        key.split_once('/').ok_or_else(|| damaged(format!("key {key:?} has no slash")))?;
    Ok(LinkKey::new(domain, slug, false))
}

/// Reads a link from its `doc`.
pub(super) fn link(row: &Row<'_>, doc: usize) -> rusqlite::Result<Link> {
    let doc = row.get_ref(doc)?.as_str()?;
    serde_json::from_str(doc).map_err(|fault| damaged(format!("link {doc:.80}: {fault}")))
}

/// An id as SQLite holds it: a signed number, below the highest of them, which lists start from.
/// Snowflake numbers have 63 bits, and reach it in the last millisecond of their epoch.
pub(super) fn row_id(id: LinkId) -> rusqlite::Result<i64> {
    match i64::try_from(id.0) {
        Ok(number) if number < i64::MAX => Ok(number),
        _ => Err(damaged(format!("link id {} is not below 2^63 - 1", id.0))),
    }
}

/// The link of an id.
pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<StoredLink>> {
    connection
        .prepare_cached(concat!("SELECT ", stored_columns!(), " FROM links WHERE id = ?1"))?
        .query_row([id], |row| stored(row, 0))
        .optional()
}

/// The link of a key.
pub(super) fn by_key(connection: &Connection, key: &str) -> rusqlite::Result<Option<StoredLink>> {
    connection
        .prepare_cached(concat!("SELECT ", stored_columns!(), " FROM links WHERE key = ?1"))?
        .query_row([key], |row| stored(row, 0))
        .optional()
}

/// Writes a new link.
pub(super) fn insert(connection: &Connection, stored: &StoredLink) -> rusqlite::Result<()> {
    let StoredLink { link, key, record, recompile_at } = stored;
    let id = row_id(link.id)?;
    connection
        .prepare_cached(
            "INSERT INTO links (
                 id, key, record, domain, state, version, keep, updated_at, last_used_at,
                 expires_at, quarantine_until, recompile_at, next_transition_at, external_id, doc)
             VALUES (
                 :id, :key, :record, :domain, :state, :version, :keep, :updated_at, :last_used_at,
                 :expires_at, :quarantine_until, :recompile_at, :next_transition_at, :external_id,
                 :doc)",
        )?
        .execute(named_params! {
            ":id": id,
            ":key": key.as_str(),
            ":record": record,
            ":domain": link.domain,
            ":state": state_name(link.state(link.updated_at)),
            ":version": version(link.version)?,
            ":keep": link.keep,
            ":updated_at": link.updated_at.0,
            ":last_used_at": link.created_at.0,
            ":expires_at": ms(link.expires_at),
            ":quarantine_until": ms(link.quarantine_until),
            ":recompile_at": ms(*recompile_at),
            ":next_transition_at": next_transition(link, link.updated_at),
            ":external_id": link.external_id,
            ":doc": doc(link)?,
        })?;
    insert_tags(connection, link, id)?;
    insert_text(connection, &searched_text(link), id)
}

/// Writes a link over `old`, which is the same link as stored.
pub(super) fn replace(
    connection: &Connection,
    old: &Link,
    stored: &StoredLink,
) -> rusqlite::Result<()> {
    let StoredLink { link, record, recompile_at, .. } = stored;
    let id = row_id(link.id)?;
    connection
        .prepare_cached(
            "UPDATE links SET
                 record = :record, state = :state, version = :version, keep = :keep,
                 updated_at = :updated_at, expires_at = :expires_at,
                 quarantine_until = :quarantine_until, recompile_at = :recompile_at,
                 next_transition_at = :next_transition_at, external_id = :external_id, doc = :doc
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":record": record,
            ":state": state_name(link.state(link.updated_at)),
            ":version": version(link.version)?,
            ":keep": link.keep,
            ":updated_at": link.updated_at.0,
            ":expires_at": ms(link.expires_at),
            ":quarantine_until": ms(link.quarantine_until),
            ":recompile_at": ms(*recompile_at),
            ":next_transition_at": next_transition(link, link.updated_at),
            ":external_id": link.external_id,
            ":doc": doc(link)?,
        })?;
    delete_tags(connection, old, id)?;
    insert_tags(connection, link, id)?;
    let text = searched_text(link);
    if text != searched_text(old) {
        delete_text(connection, id)?;
        insert_text(connection, &text, id)?;
    }
    Ok(())
}

/// Removes every trace of a link.
pub(super) fn erase(connection: &Connection, link: &Link) -> rusqlite::Result<()> {
    let id = row_id(link.id)?;
    delete_tags(connection, link, id)?;
    delete_text(connection, id)?;
    connection.prepare_cached("DELETE FROM links WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// A state as the column holds it.
pub(super) const fn state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Active => "active",
        LinkState::Blocked => "blocked",
        LinkState::Deleted => "deleted",
        LinkState::Disabled => "disabled",
        LinkState::Expired => "expired",
        LinkState::Scheduled => "scheduled",
    }
}

/// When the state changes by itself; a deleted link's never does.
pub(super) fn next_transition(link: &Link, now: Timestamp) -> Option<i64> {
    match link.deleted_at {
        Some(_) => None,
        None => ms(link.next_transition(now)),
    }
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.0)
}

fn version(version: u64) -> rusqlite::Result<i64> {
    i64::try_from(version).map_err(|_| damaged(format!("version {version} is above 2^63")))
}

fn doc(link: &Link) -> rusqlite::Result<String> {
    serde_json::to_string(link).map_err(|fault| damaged(format!("link {}: {fault}", link.id)))
}

fn insert_tags(connection: &Connection, link: &Link, id: i64) -> rusqlite::Result<()> {
    // OR IGNORE: a tag given twice is one tag.
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO link_tags (tag, link, updated_at) VALUES (?, ?, ?)",
    )?;
    for tag in &link.tags {
        insert.execute((tag, id, link.updated_at.0))?;
    }
    Ok(())
}

fn delete_tags(connection: &Connection, link: &Link, id: i64) -> rusqlite::Result<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM link_tags WHERE tag = ?1 AND link = ?2")?;
    for tag in &link.tags {
        delete.execute((tag, id))?;
    }
    Ok(())
}

fn insert_text(connection: &Connection, text: &str, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO link_texts (rowid, text) VALUES (?1, ?2)")?
        .execute((id, text))?;
    Ok(())
}

fn delete_text(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM link_texts WHERE rowid = ?1")?.execute([id])?;
    Ok(())
}
