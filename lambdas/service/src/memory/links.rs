use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use waypost_wire::key::LinkKey;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::lock;
use crate::listing::{Filters, LIMIT_MAX, Position};
use crate::model::{Link, LinkId};
use crate::seal::fields::{FieldFault, Fields, Sealing};
use crate::seal::reseal::{Change, Row, Rows, SealedLinks};
use crate::seal::{NONCE_BYTES, SealKeys};
use crate::seams::{
    Changed, Created, Due, Idempotency, LinkStore, ListQuery, Page, Sort, StoreError, StoredLink,
    Updated, Use,
};

/// Links in memory.
#[derive(Debug, Default)]
pub struct MemoryLinks {
    state: Arc<Mutex<State>>,
    sealing: Sealing,
}

#[derive(Debug, Default)]
struct State {
    links: BTreeMap<LinkId, Entry>,
    idempotency: BTreeMap<String, Idempotency>,
    leases: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Entry {
    stored: StoredLink,
    /// What would lie in a store that is made of bytes.
    fields: Fields,
    next_transition_at: Option<Timestamp>,
    used: u64,
}

impl Entry {
    fn new(stored: &StoredLink, used: u64, sealing: &Sealing) -> Result<Self, FieldFault> {
        let next_transition_at = stored.link.next_transition(stored.link.updated_at);
        let fields = sealing.fields(&stored.link, &stored.record, &nonce)?;
        Ok(Self { stored: stored.clone(), fields, next_transition_at, used })
    }

    /// The link as it is read out of its bytes.
    fn opened(&self, sealing: &Sealing) -> Result<StoredLink, FieldFault> {
        let id = self.stored.link.id;
        Ok(StoredLink {
            link: sealing.document(id, &self.fields.document)?,
            record: sealing.record(id, self.fields.record.clone())?,
            ..self.stored.clone()
        })
    }

    fn row(&self) -> Row {
        let StoredLink { link, key, .. } = &self.stored;
        let key = key.as_str().to_owned();
        Row { id: link.id, key, version: link.version, fields: self.fields.clone() }
    }

    /// When the link is due for a kind of attention.
    fn due_at(&self, kind: Due) -> Option<Timestamp> {
        let link = &self.stored.link;
        let deleted = link.deleted_at.is_some();
        match kind {
            Due::Expired => link.expires_at.filter(|_| !deleted),
            Due::QuarantineEnded => link.quarantine_until.filter(|_| deleted),
            Due::Recompile => self.stored.recompile_at,
            Due::Transition => self.next_transition_at.filter(|_| !deleted),
            // Nothing in memory counts clicks.
            Due::Unused => Some(link.created_at).filter(|_| !link.keep && !deleted),
        }
    }
}

impl State {
    fn by_key(&self, key: &LinkKey) -> Option<&Entry> {
        self.links.values().find(|entry| entry.stored.key == *key)
    }

    /// Whether a link that is not deleted, and is not `link`, has the external id of `link`.
    fn external_id_taken(&self, link: &Link) -> bool {
        link.external_id.is_some()
            && link.deleted_at.is_none()
            && self.links.values().map(|entry| &entry.stored.link).any(|other| {
                other.id != link.id
                    && other.deleted_at.is_none()
                    && other.external_id == link.external_id
            })
    }

    fn remembered(&self, key: &str, now: Timestamp) -> Option<Idempotency> {
        self.idempotency.get(key).filter(|found| now < found.expires_at).cloned()
    }
}

impl MemoryLinks {
    /// The same links, seen with these keys.
    #[must_use]
    pub fn sealed_with(&self, keys: Option<SealKeys>) -> Self {
        Self { state: Arc::clone(&self.state), sealing: Sealing::with(keys) }
    }
}

/// Another one each time, and the same ones in each run.
fn nonce() -> Option<[u8; NONCE_BYTES]> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut nonce = [0; NONCE_BYTES];
    nonce[4..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Some(nonce)
}

impl SealedLinks for MemoryLinks {
    async fn rows(&self, after: Option<LinkId>, limit: usize) -> Result<Rows, StoreError> {
        let state = lock(&self.state);
        let behind = state.links.values().filter(|entry| after < Some(entry.stored.link.id));
        let rows: Vec<Row> = behind.take(limit).map(Entry::row).collect();
        let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id);
        Ok(Rows { rows, next })
    }

    async fn row(&self, id: LinkId) -> Result<Option<Row>, StoreError> {
        Ok(lock(&self.state).links.get(&id).map(Entry::row))
    }

    async fn replace_fields(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let mut state = lock(&self.state);
        let replace = |Change { row, fields, .. }: &Change| match state.links.get_mut(&row.id) {
            Some(entry) if entry.row() == *row => {
                entry.fields = fields.clone();
                true
            }
            _ => false,
        };
        Ok(changes.iter().map(replace).collect())
    }
}

impl LinkStore for MemoryLinks {
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let mut state = lock(&self.state);
        if let Some(found) = idempotency.and_then(|wanted| state.remembered(&wanted.key, now)) {
            return Ok(Created::Replayed(found));
        }
        if state.external_id_taken(&link.link) {
            return Ok(Created::ExternalIdTaken);
        }
        if let Some(Entry { stored: StoredLink { link: holder, .. }, .. }) = state.by_key(&link.key)
        {
            let deleted = holder.deleted_at.is_some();
            if !(deleted && replace_deleted) {
                let quarantine_until = deleted.then(|| holder.quarantine_until.unwrap_or(now));
                return Ok(Created::SlugTaken { quarantine_until });
            }
            let holder = holder.id;
            state.links.remove(&holder);
        }
        if state.links.contains_key(&link.link.id) {
            return Err(StoreError::Damaged(format!("link {} exists", link.link.id)));
        }
        state.links.insert(link.link.id, Entry::new(link, 0, &self.sealing)?);
        if let Some(answer) = idempotency {
            state.idempotency.insert(answer.key.clone(), answer.clone());
        }
        Ok(Created::Created)
    }

    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        Ok(lock(&self.state).remembered(key, now))
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError> {
        let state = lock(&self.state);
        Ok(state.by_key(key).map(|entry| entry.opened(&self.sealing)).transpose()?)
    }

    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError> {
        let state = lock(&self.state);
        Ok(state.links.get(&id).map(|entry| entry.opened(&self.sealing)).transpose()?)
    }

    async fn update(
        &self,
        link: &StoredLink,
        expected_version: u64,
    ) -> Result<Updated, StoreError> {
        let mut state = lock(&self.state);
        let used = match state.links.get(&link.link.id) {
            Some(Entry { stored, used, .. })
                if stored.key == link.key && stored.link.version == expected_version =>
            {
                *used
            }
            _ => return Ok(Updated::Stale),
        };
        if state.external_id_taken(&link.link) {
            return Ok(Updated::ExternalIdTaken);
        }
        state.links.insert(link.link.id, Entry::new(link, used, &self.sealing)?);
        Ok(Updated::Updated)
    }

    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError> {
        let mut state = lock(&self.state);
        let purgeable = |link: &Link| link.version == expected_version && link.deleted_at.is_some();
        if !state.links.get(&id).is_some_and(|entry| purgeable(&entry.stored.link)) {
            return Ok(Updated::Stale);
        }
        state.links.remove(&id);
        Ok(Updated::Updated)
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
        let from = Position::from_cursor(query)?;
        let filters = Filters::new(query, now);
        let state = lock(&self.state);
        let mut links: Vec<&Link> = state.links.values().map(|entry| &entry.stored.link).collect();
        let updated = |link: &Link| (link.updated_at, link.id);
        match query.sort {
            Sort::CreatedAscending => {}
            Sort::CreatedDescending => links.reverse(),
            Sort::UpdatedDescending => {
                links.sort_by_key(|link| updated(link));
                links.reverse();
            }
        }
        links.retain(|link| {
            filters.match_link(link)
                && from.is_none_or(|from| match query.sort {
                    Sort::CreatedAscending => from.id < link.id,
                    Sort::CreatedDescending => link.id < from.id,
                    Sort::UpdatedDescending => updated(link) < (from.updated_at, from.id),
                })
        });
        let limit = query.limit.clamp(1, LIMIT_MAX);
        let more = limit < links.len();
        links.truncate(limit);
        let next_cursor = links.last().filter(|_| more);
        let next_cursor = next_cursor.map(|last| Position::of(last).to_cursor(query));
        Ok(Page { links: links.into_iter().cloned().collect(), next_cursor })
    }

    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError> {
        let state = lock(&self.state);
        let mut due: Vec<(Timestamp, &StoredLink)> = state
            .links
            .values()
            .filter_map(|entry| Some((entry.due_at(kind)?, &entry.stored)))
            .filter(|(at, stored)| *at <= until && after < Some((*at, stored.link.id)))
            .collect();
        due.sort_by_key(|(at, stored)| (*at, stored.link.id));
        due.truncate(limit);
        Ok(due.into_iter().map(|(at, stored)| (at, stored.clone())).collect())
    }

    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError> {
        let state = lock(&self.state);
        let mut written: Vec<&StoredLink> = state.links.values().map(|e| &e.stored).collect();
        written.retain(|stored| after < stored.link.updated_at);
        written.sort_by_key(|stored| Reverse((stored.link.updated_at, stored.link.id)));
        let changed = |StoredLink { link, key, .. }: &StoredLink| Changed {
            at: link.updated_at,
            key: key.clone(),
            generation: Generation { link_id: link.id.0, version: link.version },
            stopped: link.is_stopped(),
        };
        Ok(written.into_iter().take(limit).map(changed).collect())
    }

    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
        if let Some(entry) = lock(&self.state).links.get_mut(&id) {
            entry.next_transition_at = entry.stored.link.next_transition(now);
        }
        Ok(())
    }

    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError> {
        match lock(&self.state).links.get_mut(&id) {
            Some(entry) if entry.used < max_clicks => {
                entry.used += 1;
                Ok(Use::Taken { left: max_clicks - entry.used })
            }
            _ => Ok(Use::Exhausted),
        }
    }

    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError> {
        let mut state = lock(&self.state);
        let next = state.leases.entry(counter.into()).or_default();
        let first = *next;
        *next += u64::from(count);
        Ok(first)
    }

    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let remembered = &mut lock(&self.state).idempotency;
        let expired = |found: &Idempotency| found.expires_at <= now;
        let keys =
            remembered.values().filter(|found| expired(found)).map(|found| found.key.clone());
        let keys: Vec<String> = keys.take(limit).collect();
        keys.iter().for_each(|key| drop(remembered.remove(key)));
        Ok(keys.len())
    }
}
