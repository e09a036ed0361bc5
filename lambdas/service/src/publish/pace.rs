//! How fast a store is called. Pure: the time comes in.

use std::collections::HashMap;

use waypost_wire::time::Timestamp;

use super::store::LimitedCalls;

/// Calls within a bound: in any time of `per_ms` at most `burst + refill`.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    limit: LimitedCalls,
    /// Calls that may be made now, times `per_ms`: whole numbers lose nothing.
    credit: u64,
    at: Timestamp,
    /// The store asked to be left alone until then.
    blocked_until: Option<Timestamp>,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(limit: LimitedCalls, now: Timestamp) -> Self {
        let credit = u64::from(limit.burst) * u64::from(limit.per_ms);
        Self { limit, credit, at: now, blocked_until: None }
    }

    /// Takes `count` calls (more than `burst` count as `burst`).
    ///
    /// # Errors
    /// The milliseconds to wait before asking again; nothing was taken.
    pub fn take(&mut self, count: u32, now: Timestamp) -> Result<(), u64> {
        match self.wait_ms(count, now) {
            0 => {
                self.credit = self.credit.saturating_sub(self.cost(count));
                Ok(())
            }
            ms => Err(ms),
        }
    }

    /// How many milliseconds to wait before `count` calls may be taken; 0: they may.
    pub fn wait_ms(&mut self, count: u32, now: Timestamp) -> u64 {
        if let Some(ms) = self.blocked_ms(now) {
            return ms;
        }
        // A clock that was set back gives nothing, and does not stop time until it has caught up.
        let elapsed_ms = now.ms_since(self.at).max(0).unsigned_abs();
        self.at = now;
        let gained = elapsed_ms.saturating_mul(self.limit.refill.into());
        self.credit = self.credit.saturating_add(gained).min(self.cost(self.limit.burst));
        let lacking = self.cost(count).saturating_sub(self.credit);
        lacking.div_ceil(u64::from(self.limit.refill).max(1))
    }

    fn cost(&self, count: u32) -> u64 {
        u64::from(count.min(self.limit.burst)) * u64::from(self.limit.per_ms)
    }

    /// The store asked to be left alone for so long.
    pub fn block(&mut self, seconds: u32, now: Timestamp) {
        let until = now.plus_ms(i64::from(seconds) * 1_000);
        self.blocked_until = Some(self.blocked_until.map_or(until, |known| known.max(until)));
    }

    /// How many milliseconds the store still wants to be left alone.
    pub fn blocked_ms(&mut self, now: Timestamp) -> Option<u64> {
        let left = self.blocked_until?.ms_since(now);
        match u64::try_from(left) {
            // However the clock was set meanwhile: nobody is asked to wait longer than this.
            Ok(left) if left > 0 => Some(left.min(BLOCK_MAX_MS)),
            _ => {
                self.blocked_until = None;
                None
            }
        }
    }
}

/// Longest wait a store may ask for: an hour. Cloudflare's is five minutes.
const BLOCK_MAX_MS: u64 = 60 * 60 * 1_000;

/// Least time between two writes of one key.
#[derive(Clone, Debug, Default)]
pub struct KeyPace {
    written: HashMap<Box<str>, Timestamp>,
}

impl KeyPace {
    /// How many milliseconds to wait until all of `keys` may be written; never more than
    /// `apart_ms`, however the clock is set.
    pub fn wait_ms<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        apart_ms: u32,
        now: Timestamp,
    ) -> u64 {
        let left = |key: &str| {
            let written = self.written.get(key)?;
            let since = now.ms_since(*written).max(0).unsigned_abs();
            u64::from(apart_ms).checked_sub(since)
        };
        keys.into_iter().filter_map(left).max().unwrap_or(0)
    }

    /// Notes that `keys` were written, and forgets what does not matter any more.
    pub fn wrote<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a str>,
        apart_ms: u32,
        now: Timestamp,
    ) {
        let matters = |at: &Timestamp| (0..i64::from(apart_ms)).contains(&now.ms_since(*at));
        self.written.retain(|_, at| matters(at));
        if apart_ms > 0 {
            self.written.extend(keys.into_iter().map(|key| (key.into(), now)));
        }
    }
}

/// How often and after which pauses a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Calls in all.
    pub attempts: u32,
    /// The first pause in milliseconds; each is twice the one before.
    pub first_ms: u64,
    /// Longest pause in milliseconds.
    pub longest_ms: u64,
}

impl Default for Backoff {
    /// Four calls within about 4 s: what takes longer is for the next event or pass.
    fn default() -> Self {
        Self { attempts: 4, first_ms: 500, longest_ms: 8_000 }
    }
}

impl Backoff {
    /// The pause behind the failed call number `attempt` (from 1 on), in milliseconds; `None`: that
    /// was the last one.
    pub fn pause_ms(&self, attempt: u32) -> Option<u64> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = self.first_ms.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        Some(doubled.min(self.longest_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the publisher may call Cloudflare.
    const LIMIT: LimitedCalls = LimitedCalls { burst: 60, refill: 660, per_ms: 300_000 };

    const START: Timestamp = Timestamp(1_795_244_400_000);

    #[test]
    fn no_five_minutes_have_more_calls_than_allowed() {
        // As fast as the bucket lets, and with pauses that fill it in between.
        for idle_ms in [0, 1, 999, 40_000, 400_000] {
            let (mut bucket, mut now, mut calls) = (TokenBucket::new(LIMIT, START), START, vec![]);
            for call in 0..5_000_u64 {
                if call % 100 == 99 {
                    now = now.plus_ms(idle_ms);
                }
                while let Err(ms) = bucket.take(1, now) {
                    assert!(ms > 0 && ms <= 455, "{ms}");
                    now = now.plus_ms(i64::try_from(ms).unwrap());
                }
                calls.push(now);
            }
            for (at, first) in calls.iter().enumerate() {
                let within = calls[at..].iter().take_while(|c| c.ms_since(*first) < 300_000);
                assert!(within.count() <= 720, "{idle_ms}");
            }
        }
    }

    #[test]
    fn a_bucket_gives_what_it_has_and_says_how_long_the_rest_takes() {
        let limit = LimitedCalls { burst: 10, refill: 4, per_ms: 1_000 };
        let mut bucket = TokenBucket::new(limit, START);
        assert_eq!(bucket.take(8, START), Ok(()));
        assert_eq!(bucket.take(3, START), Err(250));
        assert_eq!(bucket.take(3, START.plus_ms(249)), Err(1));
        assert_eq!(bucket.take(3, START.plus_ms(250)), Ok(()));
        // More than fits is as much as fits.
        assert_eq!(bucket.take(1_000, START.plus_ms(250)), Err(2_500));
        assert_eq!(bucket.take(1_000, START.plus_ms(2_750)), Ok(()));
        // It never holds more than the burst.
        assert_eq!(bucket.take(10, START.plus_ms(10_000_000)), Ok(()));
        assert_eq!(bucket.take(1, START.plus_ms(10_000_000)), Err(250));
    }

    #[test]
    fn a_clock_set_back_gives_nothing_and_stops_nothing() {
        let limit = LimitedCalls { burst: 1, refill: 1, per_ms: 1_000 };
        let mut bucket = TokenBucket::new(limit, START);
        assert_eq!(bucket.take(1, START), Ok(()));
        let back = START.plus_ms(-3_600_000);
        assert_eq!(bucket.take(1, back), Err(1_000));
        assert_eq!(bucket.take(1, back.plus_ms(1_000)), Ok(()));
    }

    #[test]
    fn a_store_that_asks_for_peace_gets_it() {
        let mut bucket = TokenBucket::new(LIMIT, START);
        bucket.block(300, START);
        bucket.block(2, START);
        assert_eq!(bucket.take(1, START.plus_ms(1_000)), Err(299_000));
        assert_eq!(bucket.blocked_ms(START.plus_ms(299_999)), Some(1));
        assert_eq!(bucket.take(1, START.plus_ms(300_000)), Ok(()));
        bucket.block(u32::MAX, START);
        assert_eq!(bucket.blocked_ms(START), Some(BLOCK_MAX_MS));
    }

    #[test]
    fn one_key_is_written_once_a_second() {
        let mut pace = KeyPace::default();
        pace.wrote(["a", "b"], 1_000, START);
        pace.wrote(["b"], 1_000, START.plus_ms(400));
        let at = |ms| START.plus_ms(ms);
        assert_eq!(pace.wait_ms(["a"], 1_000, at(400)), 600);
        assert_eq!(pace.wait_ms(["a", "b", "c"], 1_000, at(400)), 1_000);
        assert_eq!(pace.wait_ms(["c"], 1_000, at(400)), 0);
        assert_eq!(pace.wait_ms(["a", "b"], 1_000, at(1_400)), 0);
        assert_eq!(pace.wait_ms(["a"], 1_000, at(-50_000)), 1_000, "a clock set back");
        pace.wrote(["c"], 1_000, at(1_399));
        assert_eq!(pace.written.len(), 2, "only b and c matter");
        pace.wrote(["d"], 0, at(5_000));
        assert!(pace.written.is_empty());
    }

    #[test]
    fn pauses_double_and_end() {
        let backoff = Backoff { attempts: 5, first_ms: 500, longest_ms: 3_000 };
        let pauses: Vec<_> = (1..=5).map(|attempt| backoff.pause_ms(attempt)).collect();
        assert_eq!(pauses, [Some(500), Some(1_000), Some(2_000), Some(3_000), None]);
        let many = Backoff { attempts: u32::MAX, first_ms: 1, longest_ms: 9 };
        assert_eq!(many.pause_ms(200), Some(9));
    }
}
