//! A store and a table in memory, which fail when told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::mark::Mark;
use super::seams::{Bookmarks, Current, LinkTable, StatisticsQueue, TablePage};
use super::store::{Budget, EdgeStore, Kept, Limits, Listed, Put, Removal, StoreFault, Ways};
use crate::model::LinkId;
use crate::seams::StoreError;

/// What a call does instead of what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upset {
    /// It fails and nothing was done.
    Before(StoreFault),
    /// It is done and fails.
    After(StoreFault),
    /// Every other key is left out.
    Half,
}

/// A store of an edge in memory. One that can only be written to compares, and keeps what is newer.
#[derive(Debug)]
pub struct MemoryEdge {
    name: String,
    limits: Limits,
    ways: Ways,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<String, Vec<u8>>,
    state: Option<Vec<u8>>,
    upsets: Vec<Option<Upset>>,
    calls: Vec<Call>,
}

impl Inner {
    fn generation(&self, key: &str) -> Generation {
        let mark = self.records.get(key).and_then(|record| Mark::of(record).ok());
        mark.map(|mark| mark.generation).unwrap_or_default()
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// These keys got these generations.
    Put(Vec<(String, Generation)>),
    /// These keys were removed.
    Remove(Vec<String>),
    /// The state was put.
    State,
    /// A page was listed.
    List,
    /// Marks of so many keys were read.
    Marks(usize),
}

impl MemoryEdge {
    /// An empty store.
    pub fn new(name: &str, limits: Limits, ways: Ways) -> Self {
        Self { name: name.to_owned(), limits, ways, inner: Mutex::default() }
    }

    /// No bounds worth mentioning.
    pub const LIMITS: Limits = Limits {
        puts_max: 1_000,
        bytes_max: 1 << 20,
        removals_max: 1_000,
        marks_max: 100,
        calls: None,
        writes: None,
        same_key_ms: 0,
    };

    /// What the next calls do, in their order; `None`: what they should.
    pub fn upset(&self, upsets: impl IntoIterator<Item = Option<Upset>>) {
        self.lock().upsets = upsets.into_iter().collect();
    }

    /// What it has.
    pub fn records(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().records.clone()
    }

    /// The state it has.
    pub fn state(&self) -> Option<Vec<u8>> {
        self.lock().state.clone()
    }

    /// Calls since the last time this was asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Sets or removes a record behind everybody's back.
    pub fn tamper(&self, key: &str, record: Option<&[u8]>) {
        let mut inner = self.lock();
        match record {
            Some(record) => inner.records.insert(key.to_owned(), record.to_vec()),
            None => inner.records.remove(key),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut Inner, bool) -> T,
    ) -> Result<T, StoreFault> {
        let mut inner = self.lock();
        let upset = match inner.upsets.is_empty() {
            true => None,
            false => inner.upsets.remove(0),
        };
        if let Some(Upset::Before(fault)) = upset {
            return Err(fault);
        }
        inner.calls.push(call);
        let answer = act(&mut inner, upset == Some(Upset::Half));
        match upset {
            Some(Upset::After(fault)) => Err(fault),
            _ => Ok(answer),
        }
    }
}

/// Pages of a list.
const PAGE: usize = 3;

impl EdgeStore for &MemoryEdge {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self, _: Budget) -> Limits {
        self.limits
    }

    fn ways(&self) -> Ways {
        self.ways
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let told = records.iter().map(|put| (put.key.to_owned(), put.mark.generation)).collect();
        self.call(Call::Put(told), |inner, half| {
            let mut kept = Vec::new();
            for (at, put) in records.iter().enumerate() {
                if half && at % 2 == 1 {
                    kept.push(Kept::Failed);
                    continue;
                }
                if self.ways == Ways::Writes && put.mark.generation < inner.generation(put.key) {
                    kept.push(Kept::Newer);
                    continue;
                }
                inner.records.insert(put.key.to_owned(), put.record.to_vec());
                kept.push(Kept::Stored);
            }
            kept
        })
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let told = removals.iter().map(|removal| removal.key.to_owned()).collect();
        self.call(Call::Remove(told), |inner, half| {
            let mut kept = Vec::new();
            for (at, removal) in removals.iter().enumerate() {
                if half && at % 2 == 1 {
                    kept.push(Kept::Failed);
                    continue;
                }
                if self.ways == Ways::Writes && removal.generation < inner.generation(removal.key) {
                    kept.push(Kept::Newer);
                    continue;
                }
                inner.records.remove(removal.key);
                kept.push(Kept::Stored);
            }
            kept
        })
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        self.call(Call::State, |inner, half| {
            if half {
                return Kept::Failed;
            }
            inner.state = Some(state.to_vec());
            Kept::Stored
        })
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        let after = cursor.unwrap_or_default();
        self.call(Call::List, |inner, _| {
            let mut rest = inner.records.iter().filter(|(key, _)| key.as_str() > after);
            let keys: Vec<_> = rest
                .by_ref()
                .take(PAGE)
                .map(|(key, record)| (key.clone(), Mark::of(record).ok()))
                .collect();
            let next_cursor = rest.next().and(keys.last()).map(|(key, _)| key.clone());
            Listed { keys, next_cursor }
        })
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        self.call(Call::Marks(keys.len()), |inner, _| {
            let mark = |key: &&str| inner.records.get(*key).map(|record| Mark::of(record).ok());
            keys.iter().map(mark).collect()
        })
    }
}

/// A table in memory.
#[derive(Debug, Default)]
pub struct MemoryTable(Mutex<TableInner>);

#[derive(Debug, Default)]
struct TableInner {
    links: BTreeMap<String, Current>,
    damaged: Vec<String>,
    unavailable: u32,
    deleted: Vec<LinkId>,
    bookmarks: BTreeMap<String, String>,
}

impl MemoryTable {
    /// Puts a link, or takes it out.
    pub fn set(&self, key: &str, current: Option<Current>) {
        let mut inner = self.lock();
        match current {
            Some(current) => inner.links.insert(key.to_owned(), current),
            None => inner.links.remove(key),
        };
    }

    /// What there is.
    pub fn links(&self) -> BTreeMap<String, Current> {
        self.lock().links.clone()
    }

    /// The item of a key cannot be read.
    pub fn damage(&self, key: &str) {
        self.lock().damaged.push(key.to_owned());
    }

    /// The next calls fail.
    pub fn fail(&self, calls: u32) {
        self.lock().unavailable = calls;
    }

    /// Whose statistics were to be deleted since the last time this was asked.
    pub fn deleted(&self) -> Vec<LinkId> {
        std::mem::take(&mut self.lock().deleted)
    }

    fn lock(&self) -> MutexGuard<'_, TableInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> Result<MutexGuard<'_, TableInner>, StoreError> {
        let mut inner = self.lock();
        match inner.unavailable.checked_sub(1) {
            Some(left) => {
                inner.unavailable = left;
                Err(StoreError::Unavailable("told to".to_owned()))
            }
            None => Ok(inner),
        }
    }
}

impl LinkTable for MemoryTable {
    async fn current(&self, keys: &[&str]) -> Vec<Result<Option<Current>, StoreError>> {
        let inner = match self.answered() {
            Ok(inner) => inner,
            Err(fault) => return keys.iter().map(|_| Err(fault.clone())).collect(),
        };
        let current = |key: &&str| match inner.damaged.iter().any(|damaged| damaged == key) {
            true => Err(StoreError::Damaged(format!("{key} was damaged"))),
            false => Ok(inner.links.get(*key).cloned()),
        };
        keys.iter().map(current).collect()
    }

    async fn page(&self, cursor: Option<&str>) -> Result<TablePage, StoreError> {
        // In the order of creation, as ids are.
        let inner = self.answered()?;
        let after = cursor.map_or(0, |cursor| cursor.parse().unwrap_or(0));
        let mut links: Vec<_> =
            inner.links.iter().map(|(k, c)| (c.generation.link_id, k)).collect();
        links.sort_unstable();
        let mut rest = links.into_iter().filter(|(id, _)| *id > after);
        let page: Vec<_> = rest.by_ref().take(PAGE).collect();
        let next_cursor = rest.next().and(page.last()).map(|(id, _)| id.to_string());
        Ok(TablePage { keys: page.into_iter().map(|(_, key)| key.clone()).collect(), next_cursor })
    }
}

impl StatisticsQueue for MemoryTable {
    async fn delete_statistics(&self, links: &[LinkId]) -> Result<(), StoreError> {
        self.answered()?.deleted.extend(links);
        Ok(())
    }
}

impl Bookmarks for MemoryTable {
    async fn load(&self, store: &str) -> Result<Option<String>, StoreError> {
        Ok(self.answered()?.bookmarks.get(store).cloned())
    }

    async fn save(&self, store: &str, bookmark: Option<&str>) -> Result<(), StoreError> {
        let mut inner = self.answered()?;
        match bookmark {
            Some(bookmark) => inner.bookmarks.insert(store.to_owned(), bookmark.to_owned()),
            None => inner.bookmarks.remove(store),
        };
        Ok(())
    }
}

/// A record of a link, as short as can be, under its generation.
pub fn current(generation: Generation, stopped: bool, updated_at: Timestamp) -> Current {
    use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
    let record = waypost_wire::codec::encode(&LinkRecord {
        id: generation.link_id,
        version: generation.version,
        state: if stopped { LinkState::Deleted } else { LinkState::Live },
        created_at: updated_at,
        destination: "https://example.com/",
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        limited: false,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: None,
        preview: None,
        rules: Vec::new(),
    });
    Current { record, generation, stopped, updated_at }
}
