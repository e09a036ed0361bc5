//! Calls of a store at its pace.

use std::sync::{Mutex, MutexGuard, PoisonError};

use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

use super::mark::Mark;
use super::pace::{KeyPace, TokenBucket};
use super::store::{
    Budget, EdgeStore, Kept, LimitedCalls, Limits, Listed, Put, Removal, StoreFault,
};
use crate::ambient::{Clock, Pause};

/// For a store that sets no bound.
const UNLIMITED: LimitedCalls = LimitedCalls { burst: u32::MAX, refill: u32::MAX, per_ms: 1 };

/// A store, and how fast it was called lately. Lives as long as its process, so that one call after
/// the other keeps the pace.
#[derive(Debug)]
pub(super) struct Writer<S> {
    pub(super) store: S,
    pub(super) limits: Limits,
    pace: Mutex<Option<Pace>>,
}

#[derive(Debug)]
struct Pace {
    calls: TokenBucket,
    writes: TokenBucket,
    keys: KeyPace,
}

impl<S: EdgeStore> Writer<S> {
    pub(super) fn new(store: S, budget: Budget) -> Self {
        let mut limits = store.limits(budget);
        // A call must fit what may be written at once.
        if let Some(writes) = limits.writes {
            let burst = usize::try_from(writes.burst).unwrap_or(usize::MAX);
            limits.puts_max = limits.puts_max.min(burst);
            limits.removals_max = limits.removals_max.min(burst);
        }
        // Zero would never end.
        limits.puts_max = limits.puts_max.max(1);
        limits.removals_max = limits.removals_max.max(1);
        limits.marks_max = limits.marks_max.max(1);
        Self { store, limits, pace: Mutex::new(None) }
    }

    /// Lets time pass until a call that writes `keys` may be made, if that is before `deadline`.
    ///
    /// # Errors
    /// [`StoreFault::Limited`]: not in time.
    pub(super) async fn ready<A: Clock + Pause>(
        &self,
        ambient: &A,
        keys: &[&str],
        deadline: Timestamp,
    ) -> Result<(), StoreFault> {
        self.wait(ambient, keys, deadline, false).await
    }

    pub(super) async fn put<A: Clock + Pause>(
        &self,
        ambient: &A,
        records: &[Put<'_>],
        deadline: Timestamp,
    ) -> Result<Vec<Kept>, StoreFault> {
        let keys: Vec<&str> = records.iter().map(|put| put.key).collect();
        self.wait(ambient, &keys, deadline, true).await?;
        let kept = self.store.put(records).await;
        self.wrote(&keys, ambient.now());
        self.judged(kept, ambient.now())
    }

    pub(super) async fn remove<A: Clock + Pause>(
        &self,
        ambient: &A,
        removals: &[Removal<'_>],
        deadline: Timestamp,
    ) -> Result<Vec<Kept>, StoreFault> {
        let keys: Vec<&str> = removals.iter().map(|removal| removal.key).collect();
        self.wait(ambient, &keys, deadline, true).await?;
        let kept = self.store.remove(removals).await;
        self.wrote(&keys, ambient.now());
        self.judged(kept, ambient.now())
    }

    pub(super) async fn put_state<A: Clock + Pause>(
        &self,
        ambient: &A,
        state: &[u8],
        deadline: Timestamp,
    ) -> Result<Kept, StoreFault> {
        self.wait(ambient, &[STATE_KEY], deadline, true).await?;
        let kept = self.store.put_state(state).await;
        self.wrote(&[STATE_KEY], ambient.now());
        self.judged(kept, ambient.now())
    }

    pub(super) async fn list<A: Clock + Pause>(
        &self,
        ambient: &A,
        cursor: Option<&str>,
        deadline: Timestamp,
    ) -> Result<Listed, StoreFault> {
        self.wait(ambient, &[], deadline, true).await?;
        self.judged(self.store.list(cursor).await, ambient.now())
    }

    pub(super) async fn marks<A: Clock + Pause>(
        &self,
        ambient: &A,
        keys: &[&str],
        deadline: Timestamp,
    ) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        self.wait(ambient, &[], deadline, true).await?;
        self.judged(self.store.marks(keys).await, ambient.now())
    }

    async fn wait<A: Clock + Pause>(
        &self,
        ambient: &A,
        keys: &[&str],
        deadline: Timestamp,
        take: bool,
    ) -> Result<(), StoreFault> {
        loop {
            let now = ambient.now();
            let ms = self.wait_ms(keys, now, take);
            if ms == 0 {
                return Ok(());
            }
            if i64::try_from(ms).unwrap_or(i64::MAX) > deadline.ms_since(now) {
                return Err(StoreFault::Limited {
                    text: "not in the time left, at the pace it is called".to_owned(),
                    retry_after_seconds: u32::try_from(ms.div_ceil(1_000)).ok(),
                });
            }
            ambient.pause_ms(ms).await;
        }
    }

    fn wait_ms(&self, keys: &[&str], now: Timestamp, take: bool) -> u64 {
        let mut pace = self.lock();
        let Pace { calls, writes, keys: paced } = self.pace(&mut pace, now);
        let apart_ms = self.limits.same_key_ms;
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let ms = paced
            .wait_ms(keys.iter().copied(), apart_ms, now)
            .max(calls.wait_ms(1, now))
            .max(writes.wait_ms(count, now));
        if ms == 0 && take {
            // Both have enough, so neither refuses.
            let _ = (calls.take(1, now), writes.take(count, now));
        }
        ms
    }

    /// Whether it was done or not: it may have been.
    fn wrote(&self, keys: &[&str], now: Timestamp) {
        let mut pace = self.lock();
        self.pace(&mut pace, now).keys.wrote(keys.iter().copied(), self.limits.same_key_ms, now);
    }

    fn judged<T>(&self, answer: Result<T, StoreFault>, now: Timestamp) -> Result<T, StoreFault> {
        if let Err(StoreFault::Limited { retry_after_seconds: Some(seconds), .. }) = &answer {
            let mut pace = self.lock();
            self.pace(&mut pace, now).calls.block(*seconds, now);
        }
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pace>> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace<'a>(&self, pace: &'a mut Option<Pace>, now: Timestamp) -> &'a mut Pace {
        let bucket =
            |limit: Option<LimitedCalls>| TokenBucket::new(limit.unwrap_or(UNLIMITED), now);
        pace.get_or_insert_with(|| Pace {
            calls: bucket(self.limits.calls),
            writes: bucket(self.limits.writes),
            keys: KeyPace::default(),
        })
    }
}

/// How many of these records go into one call: at most `puts_max` and `bytes_max`, at least one.
pub(super) fn fitting(records: &[Put<'_>], limits: &Limits) -> usize {
    let mut bytes: usize = 0;
    let fits = |put: &&Put<'_>| {
        bytes = bytes.saturating_add(put.key.len() + put.record.len());
        bytes <= limits.bytes_max
    };
    records.iter().take(limits.puts_max).take_while(fits).count().max(1)
}
