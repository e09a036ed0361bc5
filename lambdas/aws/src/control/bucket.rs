//! Rate limits over all processes.
//!
//! A token bucket, kept as the one number that says all of it (GCRA; ITU-T I.371, "virtual
//! scheduling"): the time at which it will be full again. Taking moves that time on by what the
//! tokens take to come back, and may not move it further than a full bucket from now. So one
//! conditional increment takes, and tokens taken at the same moment are all counted.

use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, number, pair};
use crate::store::AwsStore;

/// Clocks of processes differ by less. A bucket that is to be full later than an empty one and this
/// was written under a wrong clock, and begins anew.
const SKEW_MAX_US: i64 = 60_000_000;
/// Buckets stay for so long after they are full, in seconds.
const KEPT_SECONDS: i64 = 3_600;

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

/// How taking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Taken, durably.
    Granted,
    /// Nothing was taken.
    Refused {
        /// By then there will be enough, if nobody else takes.
        retry_after_ms: u64,
    },
}

impl Rate {
    /// The time that `tokens` take to come back, in microseconds, rounded up.
    fn cost_us(self, tokens: u32) -> i64 {
        let per_us = u128::from(self.per_ms) * 1_000;
        let us = (u128::from(tokens) * per_us).div_ceil(u128::from(self.refill.max(1)));
        i64::try_from(us).unwrap_or(i64::MAX / 4)
    }
}

impl AwsStore {
    /// Takes `count` tokens (more than a full bucket has count as that many) from a bucket, which
    /// is full when it is first asked for.
    ///
    /// # Errors
    /// The store's fault. Whether a request passes then is for the caller to say.
    pub async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let key = pair(format!("bucket#{bucket}"), "tokens");
        let control = &self.names.control;
        let now_us = now.0.saturating_mul(1_000);
        let (full_us, cost_us) =
            (rate.cost_us(rate.capacity), rate.cost_us(count.min(rate.capacity)));
        // Up to here, the bucket has as many tokens.
        let latest_us = now_us.saturating_add(full_us).saturating_sub(cost_us);
        let absurd_us = now_us.saturating_add(full_us).saturating_add(SKEW_MAX_US);
        let full_seconds = now_us.saturating_add(full_us).div_euclid(1_000_000);
        let ttl = number(full_seconds.saturating_add(KEPT_SECONDS));
        let take = "SET full_at = full_at + :cost, #ttl = :ttl";
        let mut tries = Tries::new();
        loop {
            let busy = Write::update(control, key.clone(), take)
                .naming("#ttl", "ttl")
                .with(":ttl", ttl.clone())
                .only_if("full_at BETWEEN :now AND :latest")
                .with(":cost", number(cost_us))
                .with(":now", number(now_us))
                .with(":latest", number(latest_us));
            match busy.alone(self).await? {
                Written::Done(_) => return Ok(Taken::Granted),
                Written::Refused(Some(found)) => {
                    let full_at: i64 = found.number("full_at")?;
                    if latest_us < full_at && full_at <= absurd_us {
                        let wait_us = full_at.saturating_sub(latest_us).unsigned_abs();
                        return Ok(Taken::Refused { retry_after_ms: wait_us.div_ceil(1_000) });
                    }
                }
                Written::Refused(None) => {}
                Written::Met => {
                    tries.again("taking from a bucket").await?;
                    continue;
                }
            }
            // It is full, or was never asked for.
            let mut fresh = key.clone();
            fresh.insert("full_at".to_owned(), number(now_us.saturating_add(cost_us)));
            fresh.insert("ttl".to_owned(), ttl.clone());
            let begin = Write::put(control, fresh)
                .only_if("attribute_not_exists(pk) OR full_at < :now OR full_at > :absurd")
                .with(":now", number(now_us))
                .with(":absurd", number(absurd_us));
            if let Written::Done(_) = begin.alone(self).await? {
                return Ok(Taken::Granted);
            }
            // Another was first.
            tries.again("taking from a bucket").await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_the_time_they_take_to_come_back() {
        let rate = Rate { capacity: 10, refill: 3, per_ms: 1_000 };
        assert_eq!(
            [0, 1, 3, 10].map(|tokens| rate.cost_us(tokens)),
            [0, 333_334, 1_000_000, 3_333_334]
        );
        let endless = Rate { capacity: u32::MAX, refill: 0, per_ms: u32::MAX };
        assert!(endless.cost_us(u32::MAX) > 0);
    }
}
