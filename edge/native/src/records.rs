//! Records as the redirect path reads them: memory first, then the database, one reader a key at
//! a time.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use waypost_service::ambient::Clock;
use waypost_service::links::RecordSink;
use waypost_service::seams::StoreError;
use waypost_shell::cache::{CacheLimits, Cached, RecordCache};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::sqlite::Db;

/// Enough that threads seldom meet, few enough that each part stays worth having.
const SHARDS: usize = 16;

/// The records of one database, cached.
#[derive(Debug)]
pub struct Records<C> {
    db: Db,
    clock: C,
    hasher: RandomState,
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    cache: Mutex<RecordCache<Arc<[u8]>>>,
    /// Held while a record of this shard is read, so that a crowd at one cold link reads once.
    reading: Mutex<()>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    missing_hits: AtomicU64,
    misses: AtomicU64,
}

/// What the cache has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheReport {
    /// Answered with a record from memory.
    pub hits: u64,
    /// Answered with a remembered absence.
    pub missing_hits: u64,
    /// Asked of the database.
    pub misses: u64,
    /// Entries now.
    pub entries: u64,
    /// Bytes now.
    pub bytes: u64,
}

impl<C: Clock> Records<C> {
    /// Caches the records of `db` within `limits`.
    pub fn new(db: Db, clock: C, limits: CacheLimits) -> Self {
        let share = CacheLimits { bytes_max: limits.bytes_max / SHARDS, ..limits };
        let shard = || Shard {
            cache: Mutex::new(RecordCache::new(share)),
            reading: Mutex::new(()),
            counts: Counts::default(),
        };
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self { db, clock, hasher: RandomState::new(), shards }
    }

    /// The record under a key.
    ///
    /// # Errors
    /// If the database could not be read.
    pub fn record(&self, key: &str, now: Timestamp) -> Result<Option<Arc<[u8]>>, StoreError> {
        let shard = self.shard(key);
        match lock(&shard.cache).lookup(key, now) {
            Cached::Found(record) => return Ok(count(&shard.counts.hits, Some(record))),
            Cached::Missing => return Ok(count(&shard.counts.missing_hits, None)),
            Cached::Unknown(_) => {}
        }
        let _one_at_a_time = lock(&shard.reading);
        let ticket = match lock(&shard.cache).lookup(key, now) {
            Cached::Found(record) => return Ok(count(&shard.counts.hits, Some(record))),
            Cached::Missing => return Ok(count(&shard.counts.missing_hits, None)),
            Cached::Unknown(ticket) => ticket,
        };
        let record: Option<Arc<[u8]>> = self.db.record(key)?.map(Arc::from);
        lock(&shard.cache).fill(ticket, key, record.clone(), now);
        Ok(count(&shard.counts.misses, record))
    }

    /// Reads records ahead of being asked for.
    ///
    /// # Errors
    /// At the first record that could not be read.
    pub fn warm<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Result<(), StoreError> {
        let now = self.clock.now();
        for key in keys {
            let shard = self.shard(key);
            if let Cached::Unknown(ticket) = lock(&shard.cache).lookup(key, now) {
                let record = self.db.record(key)?.map(Arc::from);
                lock(&shard.cache).fill(ticket, key, record, now);
            }
        }
        Ok(())
    }

    /// What the cache has done.
    pub fn report(&self) -> CacheReport {
        self.shards.iter().fold(CacheReport::default(), |all, shard| {
            let cache = lock(&shard.cache);
            CacheReport {
                hits: all.hits + shard.counts.hits.load(Ordering::Relaxed),
                missing_hits: all.missing_hits + shard.counts.missing_hits.load(Ordering::Relaxed),
                misses: all.misses + shard.counts.misses.load(Ordering::Relaxed),
                entries: all.entries + cache.len() as u64,
                bytes: all.bytes + cache.bytes() as u64,
            }
        })
    }

    fn shard(&self, key: &str) -> &Shard {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        &self.shards[at]
    }
}

/// Told after a write is durable and before it is acknowledged, so the next visitor sees it.
impl<C: Clock> RecordSink for Records<C> {
    fn changed(&self, key: &LinkKey, _version: u64, _record: &[u8]) {
        self.removed(key);
    }

    fn removed(&self, key: &LinkKey) {
        lock(&self.shard(key.as_str()).cache).forget(key.as_str());
    }
}

fn count<T>(counter: &AtomicU64, answer: T) -> T {
    counter.fetch_add(1, Ordering::Relaxed);
    answer
}

/// A panic while a lock was held leaves nothing half done that matters: entries are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
