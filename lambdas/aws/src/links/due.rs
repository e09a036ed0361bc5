//! What is due, by an index for each kind.

use waypost_service::model::LinkId;
use waypost_service::seams::{Due, StoreError, StoredLink};
use waypost_wire::time::Timestamp;

use super::{last_use, row};
use crate::item::{Fields, Item, pair, sortable};
use crate::store::AwsStore;
use crate::walk::{Entry, HIGHEST, LOWEST, Walk, Way, behind};

/// Items read at a time.
const READ_MAX: usize = 800;

type Found = Vec<(Timestamp, StoredLink)>;

/// A page of what is due. Of an unused link the time is that of its index entry, which is at most
/// a day earlier than its last use; the link is due only if that is early enough.
pub(super) async fn due(
    store: &AwsStore,
    kind: Due,
    until: Timestamp,
    after: Option<(Timestamp, LinkId)>,
    limit: usize,
) -> Result<Found, StoreError> {
    let names = &store.names;
    let (table, index, sort_key) = match kind {
        Due::Expired => (&names.links, "by_expires", "expires"),
        Due::QuarantineEnded => (&names.links, "by_quarantine_end", "quarantine_end"),
        Due::Recompile => (&names.links, "by_recompile", "recompile"),
        Due::Transition => (&names.links, "by_transition", "transition"),
        Due::Unused => (&names.counters, last_use::INDEX, last_use::SORT_KEY),
    };
    let way = Way { table, index, sort_key, is_descending: false };
    let from = after.map_or_else(|| LOWEST.to_owned(), |(at, id)| behind(&row::place(at, id)));
    // Behind every id at that time.
    let until_place = format!("{}#{HIGHEST}", sortable(until));
    let mut walk = Walk::new(store, way, from, until_place);
    let mut due = Vec::new();
    while due.len() < limit {
        let entries = walk.next((limit - due.len()).min(READ_MAX)).await?;
        if entries.is_empty() {
            break;
        }
        match kind {
            Due::Unused => unused(store, &entries, until, &mut due).await?,
            _ => timed(store, sort_key, &entries, &mut due).await?,
        }
    }
    Ok(due)
}

/// Links whose own item is in the index. An entry that the item does not have any more is passed
/// over: if there is a later one, it is met there.
async fn timed(
    store: &AwsStore,
    sort_key: &str,
    entries: &[Entry],
    due: &mut Found,
) -> Result<(), StoreError> {
    let current = store.link_items(entries.iter().map(|entry| entry.pk.as_str()), None).await?;
    for entry in entries {
        if let Some(item) = current.get(&entry.pk)
            && row::says(item, sort_key, &entry.place)
        {
            due.push((row::placed(&entry.place)?.0, row::stored(item, &store.sealing)?));
        }
    }
    Ok(())
}

async fn unused(
    store: &AwsStore,
    entries: &[Entry],
    until: Timestamp,
    due: &mut Found,
) -> Result<(), StoreError> {
    let keys = entries
        .iter()
        .map(|entry| pair(entry.pk.as_str(), entry.sk.as_deref().unwrap_or_default()));
    let uses = store.get_all(&store.names.counters, keys.collect(), None).await?;
    let uses = row::by_pk(uses)?;
    let is_idle = |item: &Item| item.time("last_used_at").map(|at| at <= until);
    let mut idle = Vec::new();
    for entry in entries {
        // Uses of a link that is purged name no key.
        if let Some(item) = uses.get(&entry.pk)
            && row::says(item, last_use::SORT_KEY, &entry.place)
            && item.has("key")
            && is_idle(item)?
        {
            idle.push((row::placed(&entry.place)?, item.text("key")?));
        }
    }
    let current = store.link_items(idle.iter().map(|(_, key)| *key), None).await?;
    for ((at, id), key) in idle {
        let Some(item) = current.get(key) else { continue };
        let stored = row::stored(item, &store.sealing)?;
        if stored.link.id == id && last_use::is_watched(&stored.link) {
            due.push((at, stored));
        }
    }
    Ok(())
}
