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

use crate::store::Store;

/// Enough that threads seldom meet, few enough that each part stays worth having.
const SHARDS: usize = 16;

/// The records of one store, cached.
#[derive(Debug)]
pub struct Records<C> {
    db: Store,
    clock: C,
    hasher: RandomState,
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    cache: Mutex<RecordCache<Arc<[u8]>>>,
    /// Held while a record of this shard is read, so that a crowd at one cold link reads once.
    reading: tokio::sync::Mutex<()>,
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
    pub fn new(db: impl Into<Store>, clock: C, limits: CacheLimits) -> Self {
        let share = CacheLimits { bytes_max: limits.bytes_max / SHARDS, ..limits };
        let shard = || Shard {
            cache: Mutex::new(RecordCache::new(share)),
            reading: tokio::sync::Mutex::new(()),
            counts: Counts::default(),
        };
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self { db: db.into(), clock, hasher: RandomState::new(), shards }
    }

    /// The record under a key.
    ///
    /// # Errors
    /// If the database could not be read.
    pub async fn record(&self, key: &str, now: Timestamp) -> Result<Option<Arc<[u8]>>, StoreError> {
        let shard = self.shard(key);
        if let Some(known) = shard.known(key, now) {
            return Ok(known);
        }
        let _one_at_a_time = shard.reading.lock().await;
        // Not in the condition: the lock would be held while the record is read.
        let known = lock(&shard.cache).lookup(key, now);
        let ticket = match known {
            Cached::Found(record) => return Ok(count(&shard.counts.hits, Some(record))),
            Cached::Missing => return Ok(count(&shard.counts.missing_hits, None)),
            Cached::Unknown(ticket) => ticket,
        };
        let record: Option<Arc<[u8]>> = self.db.record(key, now).await?.map(Arc::from);
        lock(&shard.cache).fill(ticket, key, record.clone(), now);
        Ok(count(&shard.counts.misses, record))
    }

    /// Reads records ahead of being asked for.
    ///
    /// # Errors
    /// At the first record that could not be read.
    pub async fn warm<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        for key in keys {
            let shard = self.shard(key);
            // Not in the condition below: the lock would be held while the record is read and kept.
            let known = lock(&shard.cache).lookup(key, now);
            if let Cached::Unknown(ticket) = known {
                let record = self.db.record(key, now).await?.map(Arc::from);
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

impl Shard {
    /// What memory knows of a key, counted; `None` if nothing.
    fn known(&self, key: &str, now: Timestamp) -> Option<Option<Arc<[u8]>>> {
        match lock(&self.cache).lookup(key, now) {
            Cached::Found(record) => Some(count(&self.counts.hits, Some(record))),
            Cached::Missing => Some(count(&self.counts.missing_hits, None)),
            Cached::Unknown(_) => None,
        }
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::{Db, DbOptions};
    use waypost_host::ambient::Ambient;

    async fn records(directory: &TempDir) -> Records<Ambient> {
        let db = Db::open(&directory.path().join("a.db"), &DbOptions::default()).expect("opened");
        let insert = "INSERT INTO links
             (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
             VALUES (1, 's.example/a', x'01', 's.example', 'active', 1, 0, 0, 0, '{}')";
        db.write(|connection| connection.execute(insert, ())).await.expect("written");
        let limits =
            CacheLimits { bytes_max: 1 << 20, missing_ttl_ms: 1_000, age_max_ms: i64::MAX };
        Records::new(db, Ambient::with_clock(|| Timestamp(0)), limits)
    }

    #[tokio::test]
    async fn what_was_read_once_comes_from_memory() {
        let directory = TempDir::new().expect("directory");
        let records = records(&directory).await;
        for _ in 0..3 {
            let found = records.record("s.example/a", Timestamp(0)).await.expect("a record");
            assert_eq!(found.as_deref(), Some(&[1][..]));
            assert_eq!(records.record("s.example/b", Timestamp(0)).await, Ok(None));
        }
        let report = records.report();
        assert_eq!((report.hits, report.missing_hits, report.misses, report.entries), (2, 2, 2, 2));
        records.removed(&LinkKey::new("s.example", "a", false));
        records.record("s.example/a", Timestamp(0)).await.expect("a record");
        assert_eq!(records.report().misses, 3);
    }

    #[tokio::test]
    async fn warm_records_are_read_before_anybody_asks() {
        let directory = TempDir::new().expect("directory");
        let records = records(&directory).await;
        records.warm(["s.example/a", "s.example/a", "s.example/gone"]).await.expect("read");
        records.record("s.example/a", Timestamp(0)).await.expect("a record");
        let report = records.report();
        assert_eq!((report.hits, report.misses, report.entries), (1, 0, 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_at_a_cold_link_reads_once() {
        let directory = TempDir::new().expect("directory");
        let records = Arc::new(records(&directory).await);
        let crowd: Vec<_> = (0..16)
            .map(|_| {
                let records = Arc::clone(&records);
                tokio::spawn(async move { records.record("s.example/a", Timestamp(0)).await })
            })
            .collect();
        for visitor in crowd {
            assert!(visitor.await.expect("an answer").is_ok_and(|record| record.is_some()));
        }
        let report = records.report();
        assert_eq!((report.hits, report.misses), (15, 1));
    }
}
