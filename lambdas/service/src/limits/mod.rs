//! How much may be asked: token buckets, over all processes that share a store, and how often
//! passwords may be tried ([`attempts`]).
//!
//! A bucket is kept as the one number that says all of it (GCRA; ITU-T I.371, "virtual
//! scheduling"): the time at which it will be full again. Taking moves that time on by what the
//! tokens take to come back, and may not move it further than a full bucket from now. So one
//! conditional increment takes, and tokens taken at the same moment are all counted. What is decided
//! is here, in [`Taking`]; stores only keep the number.

pub mod attempts;
mod memory;

use waypost_wire::time::Timestamp;

use crate::seams::StoreError;

pub use memory::MemoryLimits;

/// Clocks of processes differ by less. A bucket that is to be full later than an empty one and this
/// was written under a wrong clock, and begins anew.
const SKEW_MAX_US: i64 = 60_000_000;

/// How much may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens of a full bucket: the most at once.
    pub capacity: u32,
    /// Tokens that come back in `per_ms`.
    pub refill: u32,
    /// Milliseconds.
    pub per_ms: u32,
}

impl Rate {
    /// A full bucket comes back in `per_ms`.
    pub const fn full_in(capacity: u32, per_ms: u32) -> Self {
        Self { capacity, refill: capacity, per_ms }
    }

    /// The time that a token takes to come back, in microseconds, rounded up, so that as many come
    /// back as were promised and no more.
    fn token_us(self) -> i64 {
        let per_us = u64::from(self.per_ms).saturating_mul(1_000);
        let us = per_us.div_ceil(u64::from(self.refill.max(1))).max(1);
        i64::try_from(us).unwrap_or(i64::MAX)
    }

    /// The time that `tokens` take to come back.
    fn cost_us(self, tokens: u32) -> i64 {
        // Sums of a few of these and the time of day must not overflow.
        self.token_us().saturating_mul(i64::from(tokens)).min(i64::MAX / 4)
    }

    /// How long an empty bucket takes to be full, in seconds, rounded up.
    pub fn window_seconds(self) -> u64 {
        self.cost_us(self.capacity).unsigned_abs().div_ceil(1_000_000)
    }
}

/// How taking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Taken, durably.
    Granted {
        /// Tokens that are left.
        remaining: u32,
        /// When it will be full, if nobody takes.
        full_at: Timestamp,
    },
    /// Nothing was taken.
    Refused {
        /// By then there will be enough, if nobody else takes.
        retry_after_ms: u64,
        /// When it will be full, if nobody takes.
        full_at: Timestamp,
    },
}

/// What taking means for the number that a bucket is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The bucket is in use and has enough: add [`Taking::cost_us`].
    Add,
    /// It is full, was never asked for or makes no sense: set it to [`Taking::begun_us`].
    Begin,
    /// It has not enough.
    Refuse(Taken),
}

/// Taking tokens at a moment. Times are in Unix microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    rate: Rate,
    now_us: i64,
    cost_us: i64,
    full_us: i64,
}

impl Taking {
    /// Takes `count` tokens; more than a full bucket has count as that many.
    pub fn new(rate: Rate, count: u32, now: Timestamp) -> Self {
        let now_us = now.0.saturating_mul(1_000).clamp(-i64::MAX / 4, i64::MAX / 4);
        let cost_us = rate.cost_us(count.min(rate.capacity));
        Self { rate, now_us, cost_us, full_us: rate.cost_us(rate.capacity) }
    }

    /// Now. A bucket that was to be full before is.
    pub const fn now_us(self) -> i64 {
        self.now_us
    }

    /// What the tokens take to come back.
    pub const fn cost_us(self) -> i64 {
        self.cost_us
    }

    /// A bucket to be full by then has enough.
    pub const fn latest_us(self) -> i64 {
        self.now_us.saturating_add(self.full_us).saturating_sub(self.cost_us)
    }

    /// No bucket is to be full later.
    pub const fn absurd_us(self) -> i64 {
        self.now_us.saturating_add(self.full_us).saturating_add(SKEW_MAX_US)
    }

    /// When a bucket will be full that was full.
    pub const fn begun_us(self) -> i64 {
        self.now_us.saturating_add(self.cost_us)
    }

    /// When an empty bucket would be full.
    pub const fn emptied_us(self) -> i64 {
        self.now_us.saturating_add(self.full_us)
    }

    /// What is to be done about a bucket to be full at this time; `None`: there is no such bucket.
    pub fn decide(self, full_at_us: Option<i64>) -> Decision {
        match full_at_us {
            Some(at) if (self.now_us..=self.latest_us()).contains(&at) => Decision::Add,
            Some(at) if self.latest_us() < at && at <= self.absurd_us() => {
                let wait_us = at.saturating_sub(self.latest_us()).unsigned_abs();
                let retry_after_ms = wait_us.div_ceil(1_000);
                Decision::Refuse(Taken::Refused { retry_after_ms, full_at: rounded_up(at) })
            }
            _ => Decision::Begin,
        }
    }

    /// The answer once the bucket is to be full at this time.
    pub fn granted(self, full_at_us: i64) -> Taken {
        let left_us = self.emptied_us().saturating_sub(full_at_us).max(0);
        let remaining = left_us / self.rate.token_us();
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX).min(self.rate.capacity);
        Taken::Granted { remaining, full_at: rounded_up(full_at_us) }
    }

    /// How a bucket stands, if nothing is taken.
    pub fn seen(self, full_at_us: Option<i64>) -> Taken {
        match self.decide(full_at_us) {
            Decision::Refuse(refused) => refused,
            Decision::Add => self.granted(full_at_us.unwrap_or(self.now_us)),
            Decision::Begin => self.granted(self.now_us),
        }
    }
}

fn rounded_up(us: i64) -> Timestamp {
    Timestamp(us.div_euclid(1_000) + i64::from(us.rem_euclid(1_000) > 0))
}

/// Where buckets are kept.
pub trait Limits {
    /// Takes `count` tokens (more than a full bucket has count as that many) from a bucket, which
    /// is full when it is first asked for.
    ///
    /// # Errors
    /// The store's fault. Whether a request passes then is for the caller to say.
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError>;

    /// Whether one token could be taken, without taking it: [`Taken::Granted`] says what is there.
    /// The answer may be older than what was taken at this very moment.
    ///
    /// # Errors
    /// The store's fault.
    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const NOW_US: i64 = NOW.0 * 1_000;

    #[test]
    fn tokens_cost_the_time_they_take_to_come_back() {
        let rate = Rate { capacity: 10, refill: 3, per_ms: 1_000 };
        assert_eq!(
            [0, 1, 3, 10].map(|tokens| rate.cost_us(tokens)),
            [0, 333_334, 1_000_002, 3_333_340]
        );
        assert_eq!(rate.window_seconds(), 4);
        assert_eq!(Rate::full_in(1_000, 60_000).window_seconds(), 60);
        assert_eq!(Rate::full_in(7, 900_000).window_seconds(), 901);
    }

    /// However the rate divides, a full bucket gives as many tokens as it says, one by one, and
    /// counts them down.
    #[test]
    fn a_full_bucket_gives_what_it_says() {
        for rate in [
            Rate::full_in(1, 60_000),
            Rate::full_in(7, 60_000),
            Rate::full_in(9, 1_000),
            Rate::full_in(1_000_000, 60_000),
            Rate { capacity: 9, refill: 3, per_ms: 1_000 },
            Rate { capacity: 3, refill: u32::MAX, per_ms: 1 },
        ] {
            let taking = Taking::new(rate, 1, NOW);
            assert_eq!(taking.decide(None), Decision::Begin);
            let mut full_at = taking.begun_us();
            for left in (0..rate.capacity.min(2_000)).map(|taken| rate.capacity - 1 - taken) {
                let Taken::Granted { remaining, .. } = taking.granted(full_at) else {
                    panic!("refused");
                };
                assert_eq!(remaining, left, "{rate:?}");
                if left > 0 {
                    assert_eq!(taking.decide(Some(full_at)), Decision::Add, "{rate:?} {left}");
                    full_at += taking.cost_us();
                }
            }
            if rate.capacity <= 2_000 {
                assert!(matches!(taking.decide(Some(full_at)), Decision::Refuse(_)), "{rate:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_when_there_is_enough() {
        // Ten tokens, one a second.
        let rate = Rate { capacity: 10, refill: 1, per_ms: 1_000 };
        let full_at = NOW_US + 9_000_001;
        let refused = |count| Taking::new(rate, count, NOW).decide(Some(full_at));
        assert_eq!(refused(0), Decision::Add);
        let full_at = Timestamp(NOW.0 + 9_001);
        let taken = |retry_after_ms| Decision::Refuse(Taken::Refused { retry_after_ms, full_at });
        assert_eq!(refused(1), taken(1));
        assert_eq!(refused(2), taken(1_001));
        assert_eq!(refused(10), taken(9_001));
        assert_eq!(refused(99), taken(9_001), "as many as it can have");
    }

    #[test]
    fn what_makes_no_sense_begins_anew() {
        let rate = Rate::full_in(60, 60_000);
        let taking = Taking::new(rate, 1, NOW);
        for (full_at, expected) in [
            (NOW_US - 1, Decision::Begin),
            (NOW_US, Decision::Add),
            (NOW_US + 59_000_000, Decision::Add),
            (NOW_US + 120_000_001, Decision::Begin),
            (i64::MIN, Decision::Begin),
            (i64::MAX, Decision::Begin),
        ] {
            assert_eq!(taking.decide(Some(full_at)), expected, "{full_at}");
        }
        assert!(matches!(taking.decide(Some(NOW_US + 120_000_000)), Decision::Refuse(_)));
    }

    #[test]
    fn looking_takes_nothing() {
        let rate = Rate::full_in(60, 60_000);
        let taking = Taking::new(rate, 1, NOW);
        let granted = |remaining, full_at| Taken::Granted { remaining, full_at };
        assert_eq!(taking.seen(None), granted(60, NOW));
        assert_eq!(taking.seen(Some(NOW_US - 5)), granted(60, NOW));
        assert_eq!(taking.seen(Some(NOW_US + 500_000)), granted(59, NOW.plus_ms(500)));
        let refused = Taken::Refused { retry_after_ms: 1, full_at: NOW.plus_ms(59_001) };
        assert_eq!(taking.seen(Some(NOW_US + 59_000_001)), refused);
    }

    #[test]
    fn no_rate_and_no_time_overflows() {
        for rate in [
            Rate { capacity: u32::MAX, refill: 0, per_ms: u32::MAX },
            Rate { capacity: 0, refill: 0, per_ms: 0 },
            Rate { capacity: u32::MAX, refill: 1, per_ms: 1 },
        ] {
            for now in [Timestamp(i64::MIN), Timestamp(0), Timestamp(i64::MAX)] {
                for count in [0, 1, u32::MAX] {
                    let taking = Taking::new(rate, count, now);
                    taking.seen(None);
                    taking.seen(Some(taking.latest_us()));
                    taking.granted(taking.begun_us());
                }
            }
        }
    }
}
