//! Changing links that are there.

use waypost_service::model::LinkId;
use waypost_service::seams::{StoreError, StoredLink, Updated};
use waypost_wire::time::Timestamp;

use super::create::held_external_id;
use super::{external_key, hex, last_use, pointer_key, row};
use crate::calls::{Transacted, Tries, Write, Written, random};
use crate::item::{Fields, Item, key, number, text};
use crate::store::AwsStore;

/// What keeps a write to the version it was made from.
const UNCHANGED: &str = "link_id = :id AND version = :version";

fn unchanged(write: Write, id: LinkId, version: u64) -> Write {
    write.only_if(UNCHANGED).with(":id", text(hex(id))).with(":version", number(version))
}

/// Replaces a link. An answer that was lost is told by what identifies each writing; if somebody
/// wrote the next version in between, the link is stale for this caller too.
pub(super) async fn update(
    store: &AwsStore,
    stored: &StoredLink,
    expected_version: u64,
) -> Result<Updated, StoreError> {
    let (id, writing) = (stored.link.id, random()?);
    let item = row::item(stored, writing, &store.sealing)?;
    let mut tries = Tries::new();
    loop {
        let Some(found) = store.link_item(stored.key.as_str()).await? else {
            return Ok(Updated::Stale);
        };
        if found.bytes("write") == Ok(&writing) {
            return Ok(Updated::Updated);
        }
        let version: u64 = found.number("version")?;
        if row::id(&found)? != id || version != expected_version {
            return Ok(Updated::Stale);
        }
        let put = Write::put(&store.names.links, item.clone());
        let put = unchanged(put, id, expected_version);
        let Beside::Writes(beside) = beside(store, &found, stored).await? else {
            return Ok(Updated::ExternalIdTaken);
        };
        if write(store, put, beside).await? {
            return Ok(Updated::Updated);
        }
        tries.again("an edit").await?;
    }
}

/// Writes one item, or it and others in a transaction; whether it was done.
async fn write(store: &AwsStore, put: Write, mut beside: Vec<Write>) -> Result<bool, StoreError> {
    if beside.is_empty() {
        return Ok(matches!(put.alone(store).await?, Written::Done(_)));
    }
    beside.push(put);
    let writes = beside.into_iter().map(Write::in_transaction).collect::<Result<_, _>>()?;
    Ok(store.transact(writes).await? == Transacted::Done)
}

/// What must be written beside the item of a link.
enum Beside {
    Taken,
    Writes(Vec<Write>),
}

async fn beside(store: &AwsStore, found: &Item, stored: &StoredLink) -> Result<Beside, StoreError> {
    let (before, after) = (row::link(found, &store.sealing)?, &stored.link);
    let control = &store.names.control;
    let mut writes: Vec<Write> =
        last_use::change(&store.names.counters, &before, after).into_iter().collect();
    let (held, wanted) = (held_external_id(&before), held_external_id(after));
    if held == wanted {
        return Ok(Beside::Writes(writes));
    }
    let own = text(hex(after.id));
    if let Some(external_id) = wanted {
        let mut guard = external_key(external_id);
        if store.get(control, guard.clone()).await?.is_some() {
            return Ok(Beside::Taken);
        }
        guard.insert("link_id".to_owned(), own.clone());
        writes.push(Write::put(control, guard).only_if_new());
    }
    if let Some(external_id) = held {
        let guard = Write::delete(control, external_key(external_id));
        writes.push(guard.only_if("link_id = :id").with(":id", own));
    }
    Ok(Beside::Writes(writes))
}

/// Removes every trace of a deleted link.
pub(super) async fn purge(
    store: &AwsStore,
    id: LinkId,
    expected_version: u64,
) -> Result<Updated, StoreError> {
    let names = &store.names;
    let (mut tries, mut was_there) = (Tries::new(), false);
    loop {
        let Some(found) = store.item_of(id).await? else {
            // If it was there a moment ago, it is this purge that was done, or one as good.
            return Ok(if was_there { Updated::Updated } else { Updated::Stale });
        };
        let link = row::link(&found, &store.sealing)?;
        if link.version != expected_version || link.deleted_at.is_none() {
            return Ok(Updated::Stale);
        }
        was_there = true;
        let writes = [
            unchanged(Write::delete(&names.links, key(found.text("pk")?)), id, expected_version),
            Write::delete(&names.control, pointer_key(id)),
            Write::delete(&names.counters, last_use::item_key(id)),
        ];
        let writes = writes.into_iter().map(Write::in_transaction).collect::<Result<_, _>>()?;
        if store.transact(writes).await? == Transacted::Done {
            return Ok(Updated::Updated);
        }
        tries.again("a purge").await?;
    }
}

/// Takes a transition that has happened off its index.
pub(super) async fn settle(store: &AwsStore, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
    let mut tries = Tries::new();
    while let Some(found) = store.item_of(id).await? {
        let link = row::link(&found, &store.sealing)?;
        let next = row::transition(&link, now).map(|at| super::place(at, id));
        let is_settled = match &next {
            Some(place) => row::says(&found, "transition", place),
            None => !found.has("transition"),
        };
        if is_settled {
            return Ok(());
        }
        let at = key(found.text("pk")?);
        let links = &store.names.links;
        let settled = match next {
            Some(place) => Write::update(links, at, "SET transition = :transition")
                .with(":transition", text(place)),
            None => Write::update(links, at, "REMOVE transition"),
        };
        let settled = unchanged(settled, id, link.version);
        if let Written::Done(_) = settled.alone(store).await? {
            return Ok(());
        }
        tries.again("settling a link").await?;
    }
    Ok(())
}
