use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use waypost_wire::time::Timestamp;

use super::{Decision, Limits, Rate, Taken, Taking};
use crate::seams::StoreError;

/// Buckets kept: about 10 MB.
const BUCKETS_MAX: usize = 50_000;

/// The buckets of one process.
#[derive(Debug, Default)]
pub struct MemoryLimits(Mutex<HashMap<Box<str>, i64>>);

impl MemoryLimits {
    /// Takes tokens, and answers at once.
    pub fn take(&self, bucket: &str, rate: Rate, count: u32, now: Timestamp) -> Taken {
        let taking = Taking::new(rate, count, now);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = buckets.get_mut(bucket);
        let full_at = match (taking.decide(found.as_deref().copied()), &found) {
            (Decision::Refuse(refused), _) => return refused,
            (Decision::Add, Some(full_at)) => full_at.saturating_add(taking.cost_us()),
            _ => taking.begun_us(),
        };
        match found {
            Some(found) => *found = full_at,
            None => {
                if buckets.len() >= BUCKETS_MAX {
                    make_room(&mut buckets, taking.now_us());
                }
                buckets.insert(bucket.into(), full_at);
            }
        }
        taking.granted(full_at)
    }

    /// How a bucket stands.
    pub fn peek(&self, bucket: &str, rate: Rate, now: Timestamp) -> Taken {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Taking::new(rate, 1, now).seen(buckets.get(bucket).copied())
    }
}

/// A full bucket is like none. If that is not enough, the half goes that is full soonest: it loses
/// the least, and who emptied a bucket cannot make it go by asking for many others.
fn make_room(buckets: &mut HashMap<Box<str>, i64>, now_us: i64) {
    buckets.retain(|_, full_at| now_us <= *full_at);
    if buckets.len() <= BUCKETS_MAX / 2 {
        return;
    }
    let mut times: Vec<i64> = buckets.values().copied().collect();
    let half = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(half);
    let mut to_go = half;
    buckets.retain(|_, full_at| {
        let goes = *full_at < *median || (*full_at == *median && to_go > 0);
        to_go = to_go.saturating_sub(usize::from(goes));
        !goes
    });
}

impl Limits for MemoryLimits {
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        Ok(self.take(bucket, rate, count, now))
    }

    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        Ok(self.peek(bucket, rate, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn len(limits: &MemoryLimits) -> usize {
        limits.0.lock().unwrap().len()
    }

    #[test]
    fn memory_is_bounded_and_an_empty_bucket_stays_empty() {
        let limits = MemoryLimits::default();
        let rate = Rate::full_in(10, 60_000);
        assert!(matches!(limits.take("mine", rate, 10, NOW), Taken::Granted { .. }));
        for other in 0..2 * BUCKETS_MAX {
            limits.take(&other.to_string(), rate, 1, NOW);
            assert!(len(&limits) <= BUCKETS_MAX);
        }
        assert!(matches!(limits.peek("mine", rate, NOW), Taken::Refused { .. }));
    }

    #[test]
    fn full_buckets_go_first() {
        let limits = MemoryLimits::default();
        let rate = Rate::full_in(10, 60_000);
        for other in 0..BUCKETS_MAX {
            limits.take(&other.to_string(), rate, 1, NOW);
        }
        limits.take("mine", rate, 1, NOW.plus_ms(6_001));
        assert_eq!(len(&limits), 1);
    }
}
