//! Pages of links, and what was written lately, by the indices of time.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use waypost_service::listing::{Filters, LIMIT_MAX, Position};
use waypost_service::model::Link;
use waypost_service::seams::{Changed, ListQuery, Page, Sort, StoreError};
use waypost_wire::time::Timestamp;

use super::row;
use crate::item::sortable;
use crate::store::AwsStore;
use crate::walk::{Entry, HIGHEST, LOWEST, Walk, Way, before, behind};

/// Entries of an index walked for one page.
const WALK_MAX: usize = 1_000;
/// Items read at a time.
const READ_MAX: usize = 100;

/// A page. Entries come from the index, links from the table: a link is shown as it is, where it
/// was a moment ago. One that was written since the page before has its place in front of it, and
/// is left out.
pub(super) async fn list(
    store: &AwsStore,
    query: &ListQuery,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let start = Position::from_cursor(query)?;
    let filters = Filters::new(query, now);
    let limit = query.limit.clamp(1, LIMIT_MAX);
    let mut walk = walk(store, query.sort, start);
    let (mut page, mut seen, mut walked) = (Page::default(), BTreeSet::new(), 0);
    // Behind the last link of the page, and behind the last entry that was looked at.
    let (mut last_link, mut last_entry) = (None, None);
    while walked < WALK_MAX {
        // One more than fits tells whether there is a next page. Who filters needs more.
        let wanted = if walked == 0 { limit + 1 } else { READ_MAX };
        let entries = walk.next(wanted.min(READ_MAX)).await?;
        if entries.is_empty() {
            return Ok(page);
        }
        walked += entries.len();
        let items = store.link_items(entries.iter().map(|entry| entry.pk.as_str()), None).await?;
        for entry in &entries {
            let position = position(query.sort, entry)?;
            last_entry = Some(position);
            let Some(item) = items.get(&entry.pk) else { continue };
            // A key may belong to another link by now, which has an entry of its own.
            if row::id(item)? != position.id || !seen.insert(position.id) {
                continue;
            }
            let link = row::link(item, &store.sealing)?;
            let is_in_front = start.is_some_and(|start| !is_behind(query.sort, &link, start));
            if is_in_front || !filters.match_link(&link) {
                continue;
            }
            if page.links.len() == limit {
                page.next_cursor = last_link.map(|last: Position| last.to_cursor(query));
                return Ok(page);
            }
            last_link = last_entry;
            page.links.push(link);
        }
    }
    page.next_cursor = last_entry.map(|last| last.to_cursor(query));
    Ok(page)
}

fn walk(store: &AwsStore, sort: Sort, start: Option<Position>) -> Walk<'_> {
    let way = |index, sort_key| Way {
        table: &store.names.links,
        index,
        sort_key,
        is_descending: sort != Sort::CreatedAscending,
    };
    let (created, updated) = (way("by_created", "created"), way("by_updated", "updated"));
    let up_to = |place: Option<String>| place.map_or_else(|| HIGHEST.to_owned(), |at| before(&at));
    let lowest = LOWEST.to_owned();
    match sort {
        Sort::CreatedAscending => {
            let from = start.map_or(lowest, |start| behind(&row::hex(start.id)));
            Walk::new(store, created, from, HIGHEST.to_owned())
        }
        Sort::CreatedDescending => {
            Walk::new(store, created, lowest, up_to(start.map(|start| row::hex(start.id))))
        }
        Sort::UpdatedDescending => {
            let place = |start: Position| row::place(start.updated_at, start.id);
            Walk::new(store, updated, lowest, up_to(start.map(place)))
        }
    }
}

/// The place of an entry. Lists by creation go by the id alone.
fn position(sort: Sort, entry: &Entry) -> Result<Position, StoreError> {
    match sort {
        Sort::CreatedAscending | Sort::CreatedDescending => {
            Ok(Position { updated_at: Timestamp(0), id: row::from_hex(&entry.place)? })
        }
        Sort::UpdatedDescending => {
            let (updated_at, id) = row::placed(&entry.place)?;
            Ok(Position { updated_at, id })
        }
    }
}

fn is_behind(sort: Sort, link: &Link, start: Position) -> bool {
    match sort {
        Sort::CreatedAscending => start.id < link.id,
        Sort::CreatedDescending => link.id < start.id,
        Sort::UpdatedDescending => (link.updated_at, link.id) < (start.updated_at, start.id),
    }
}

/// What was written last, latest first, as the index has it: thousands of links, and for each as much
/// as edges are told. An entry that is outdated names an older version, and nothing else.
pub(super) async fn changed(
    store: &AwsStore,
    after: Timestamp,
    limit: usize,
) -> Result<Vec<Changed>, StoreError> {
    let way = Way {
        table: &store.names.links,
        index: "by_updated",
        sort_key: "updated",
        is_descending: true,
    };
    // Behind every id at that time.
    let from = format!("{}#{HIGHEST}", sortable(after));
    let mut walk = Walk::new(store, way, from, HIGHEST.to_owned());
    let (mut changed, mut seen) = (Vec::new(), BTreeSet::new());
    while changed.len() < limit {
        let entries = walk.next(limit - changed.len()).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            // The first is the latest: while an entry moves, it may be met where it was, too.
            if !seen.contains(&entry.pk) {
                changed.push(row::changed(&entry.held)?);
                seen.insert(entry.pk);
            }
        }
    }
    changed.sort_unstable_by_key(|link: &Changed| Reverse((link.at, link.generation.link_id)));
    Ok(changed)
}
