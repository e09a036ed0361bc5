//! How a stored link lies in its row, and in the tables beside it.

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use waypost_service::listing::{open_text, searched_text};
use waypost_service::model::{Link, LinkId, LinkState};
use waypost_service::seal::fields::{Fields, Sealing};
use waypost_service::seal::sealed_with;
use waypost_service::seams::StoredLink;
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::error::damaged;
use super::seals::{nonce, unsealable};

/// What [`stored`] reads, in its order.
macro_rules! stored_columns {
    () => {
        "key, record, recompile_at, id, ifnull(sealed, doc)"
    };
}
pub(super) use stored_columns;

/// Reads a stored link from the columns of [`stored_columns`], the first of them at `first`.
pub(super) fn stored(
    row: &Row<'_>,
    first: usize,
    sealing: &Sealing,
) -> rusqlite::Result<StoredLink> {
    let link = link(row, first + 3, sealing)?;
    let record = sealing.record(link.id, row.get(first + 1)?);
    Ok(StoredLink {
        key: key(row, first)?,
        record: record.map_err(|fault| unsealable(&fault))?,
        recompile_at: row.get::<_, Option<i64>>(first + 2)?.map(Timestamp),
        link,
    })
}

/// Reads the key of a record.
pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<LinkKey> {
    let key: String = row.get(column)?;
    let (domain, slug) =
        key.split_once('/').ok_or_else(|| damaged(format!("key {key:?} has no slash")))?;
    Ok(LinkKey::new(domain, slug, false))
}

/// Reads a link from its id, in the column `at`, and its document in the next.
pub(super) fn link(row: &Row<'_>, at: usize, sealing: &Sealing) -> rusqlite::Result<Link> {
    let id = LinkId(row.get::<_, i64>(at)?.cast_unsigned());
    let document = row.get_ref(at + 1)?.as_bytes()?;
    sealing.document(id, document).map_err(|fault| unsealable(&fault))
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
pub(super) fn by_id(
    connection: &Connection,
    id: i64,
    sealing: &Sealing,
) -> rusqlite::Result<Option<StoredLink>> {
    connection
        .prepare_cached(concat!("SELECT ", stored_columns!(), " FROM links WHERE id = ?1"))?
        .query_row([id], |row| stored(row, 0, sealing))
        .optional()
}

/// The link of a key.
pub(super) fn by_key(
    connection: &Connection,
    key: &str,
    sealing: &Sealing,
) -> rusqlite::Result<Option<StoredLink>> {
    connection
        .prepare_cached(concat!("SELECT ", stored_columns!(), " FROM links WHERE key = ?1"))?
        .query_row([key], |row| stored(row, 0, sealing))
        .optional()
}

/// Writes a new link.
pub(super) fn insert(
    connection: &Connection,
    stored: &StoredLink,
    sealing: &Sealing,
) -> rusqlite::Result<()> {
    let StoredLink { link, key, recompile_at, .. } = stored;
    let id = row_id(link.id)?;
    let fields = fields(stored, sealing)?;
    let (doc, sealed) = columns(&fields)?;
    connection
        .prepare_cached(
            "INSERT INTO links (
                 id, key, record, domain, state, version, keep, updated_at, last_used_at,
                 expires_at, quarantine_until, recompile_at, next_transition_at, external_id, doc,
                 sealed)
             VALUES (
                 :id, :key, :record, :domain, :state, :version, :keep, :updated_at, :last_used_at,
                 :expires_at, :quarantine_until, :recompile_at, :next_transition_at, :external_id,
                 :doc, :sealed)",
        )?
        .execute(named_params! {
            ":id": id,
            ":key": key.as_str(),
            ":record": fields.record,
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
            ":doc": doc,
            ":sealed": sealed,
        })?;
    insert_tags(connection, link, id)?;
    insert_text(connection, &text_for(sealing.is_on())(link), id)
}

/// Writes a link over `old`, which is the same link as stored.
pub(super) fn replace(
    connection: &Connection,
    old: &Link,
    stored: &StoredLink,
    sealing: &Sealing,
) -> rusqlite::Result<()> {
    let StoredLink { link, recompile_at, .. } = stored;
    let id = row_id(link.id)?;
    // What was written before there were keys is in the index with all its text.
    let was_sealed = sealing.is_on() && is_sealed(connection, id)?;
    let fields = fields(stored, sealing)?;
    let (doc, sealed) = columns(&fields)?;
    connection
        .prepare_cached(
            "UPDATE links SET
                 record = :record, state = :state, version = :version, keep = :keep,
                 updated_at = :updated_at, expires_at = :expires_at,
                 quarantine_until = :quarantine_until, recompile_at = :recompile_at,
                 next_transition_at = :next_transition_at, external_id = :external_id, doc = :doc,
                 sealed = :sealed
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":record": fields.record,
            ":state": state_name(link.state(link.updated_at)),
            ":version": version(link.version)?,
            ":keep": link.keep,
            ":updated_at": link.updated_at.0,
            ":expires_at": ms(link.expires_at),
            ":quarantine_until": ms(link.quarantine_until),
            ":recompile_at": ms(*recompile_at),
            ":next_transition_at": next_transition(link, link.updated_at),
            ":external_id": link.external_id,
            ":doc": doc,
            ":sealed": sealed,
        })?;
    delete_tags(connection, old, id)?;
    insert_tags(connection, link, id)?;
    let text = text_for(sealing.is_on())(link);
    match text == text_for(was_sealed)(old) {
        true => Ok(()),
        false => replace_text(connection, id, &text),
    }
}

/// Puts another text of a link into the index.
pub(super) fn replace_text(connection: &Connection, id: i64, text: &str) -> rusqlite::Result<()> {
    delete_text(connection, id)?;
    insert_text(connection, text, id)
}

/// What of a link is in the index.
pub(super) fn text_for(is_sealed: bool) -> fn(&Link) -> String {
    if is_sealed { open_text } else { searched_text }
}

fn is_sealed(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT sealed IS NOT NULL FROM links WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
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

fn fields(stored: &StoredLink, sealing: &Sealing) -> rusqlite::Result<Fields> {
    let fields = sealing.fields(&stored.link, &stored.record, &nonce);
    fields.map_err(|fault| unsealable(&fault))
}

/// The columns `doc` and `sealed` of a link: one is empty.
pub(super) fn columns(fields: &Fields) -> rusqlite::Result<(&str, Option<&[u8]>)> {
    match sealed_with(&fields.document) {
        Some(_) => Ok(("", Some(&fields.document))),
        None => {
            let doc = std::str::from_utf8(&fields.document);
            doc.map(|doc| (doc, None)).map_err(|fault| damaged(format!("a document: {fault}")))
        }
    }
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
