//! The contract of `Limits`. Every function is given an empty store.

use waypost_service::limits::{Limits, Rate, Taken};
use waypost_wire::time::Timestamp;

use super::{at_once, ok};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Five at once, two a second.
const RATE: Rate = Rate { capacity: 5, refill: 2, per_ms: 1_000 };

async fn take(limits: &impl Limits, count: u32, ms: i64) -> Taken {
    ok(limits.take_tokens("key/a", RATE, count, NOW.plus_ms(ms)).await)
}

async fn peek(limits: &impl Limits, ms: i64) -> Taken {
    ok(limits.peek_tokens("key/a", RATE, NOW.plus_ms(ms)).await)
}

fn granted(remaining: u32, full_at_ms: i64) -> Taken {
    Taken::Granted { remaining, full_at: NOW.plus_ms(full_at_ms) }
}

fn refused(retry_after_ms: u64, full_at_ms: i64) -> Taken {
    Taken::Refused { retry_after_ms, full_at: NOW.plus_ms(full_at_ms) }
}

/// A bucket gives what it has, and says how much is left and when it will be full.
pub async fn a_bucket_gives_what_it_has_and_fills_again(limits: &impl Limits) {
    for (taken, remaining) in (1..).zip([4, 3, 2, 1, 0]) {
        assert_eq!(take(limits, 1, 0).await, granted(remaining, taken * 500));
    }
    assert_eq!(take(limits, 1, 0).await, refused(500, 2_500));
    assert_eq!(take(limits, 1, 499).await, refused(1, 2_500));
    assert_eq!(take(limits, 1, 500).await, granted(0, 3_000));
    assert_eq!(take(limits, 2, 500).await, refused(1_000, 3_000));
    // Nothing was taken by those that were refused.
    assert_eq!(take(limits, 2, 1_500).await, granted(0, 4_000));
    assert_eq!(take(limits, 1, 3_000).await, granted(2, 4_500));
}

/// However long nobody takes, a bucket is no fuller than full.
pub async fn a_bucket_is_never_fuller_than_full(limits: &impl Limits) {
    assert_eq!(take(limits, 5, 0).await, granted(0, 2_500));
    assert_eq!(take(limits, 5, 3_600_000).await, granted(0, 3_602_500));
    assert_eq!(take(limits, 1, 3_600_000).await, refused(500, 3_602_500));
}

/// More than a bucket can hold counts as all of it; nothing takes nothing.
pub async fn more_than_a_bucket_holds_is_all_of_it(limits: &impl Limits) {
    assert_eq!(take(limits, 9, 0).await, granted(0, 2_500));
    assert_eq!(take(limits, 9, 2_499).await, refused(1, 2_500));
    assert_eq!(take(limits, 0, 2_499).await, granted(4, 2_500));
    assert_eq!(take(limits, u32::MAX, 2_500).await, granted(0, 5_000));
}

/// Looking takes nothing, and says what taking would.
pub async fn looking_takes_nothing(limits: &impl Limits) {
    assert_eq!(peek(limits, 0).await, granted(5, 0));
    assert_eq!(peek(limits, 0).await, granted(5, 0));
    assert_eq!(take(limits, 4, 0).await, granted(1, 2_000));
    assert_eq!(peek(limits, 0).await, granted(1, 2_000));
    assert_eq!(take(limits, 1, 0).await, granted(0, 2_500));
    assert_eq!(peek(limits, 0).await, refused(500, 2_500));
    assert_eq!(peek(limits, 499).await, refused(1, 2_500));
    assert_eq!(peek(limits, 500).await, granted(1, 2_500));
    assert_eq!(peek(limits, 9_000).await, granted(5, 9_000));
}

/// Each name has a bucket of its own.
pub async fn buckets_are_apart(limits: &impl Limits) {
    assert_eq!(take(limits, 5, 0).await, granted(0, 2_500));
    for other in ["key/b", "key/a ", "key/A", "key/\u{1f511}", "key/a#"] {
        let taken = ok(limits.take_tokens(other, RATE, 5, NOW).await);
        assert_eq!(taken, granted(0, 2_500), "{other}");
    }
}

/// A bucket keeps what was taken from it when its rate is set anew.
pub async fn a_new_rate_counts_from_now(limits: &impl Limits) {
    assert_eq!(take(limits, 5, 0).await, granted(0, 2_500));
    // Ten at once, four a second: what takes 2.5 s to come back is all of it.
    let faster = Rate { capacity: 10, refill: 4, per_ms: 1_000 };
    let taken = ok(limits.take_tokens("key/a", faster, 1, NOW).await);
    assert_eq!(taken, refused(250, 2_500));
    let taken = ok(limits.take_tokens("key/a", faster, 1, NOW.plus_ms(250)).await);
    assert_eq!(taken, granted(0, 2_750));
}

/// A clock that was set back by no more than clocks differ changes nothing; one that was set back
/// further shuts nobody out.
pub async fn a_wrong_clock_shuts_nobody_out(limits: &impl Limits) {
    assert_eq!(take(limits, 5, 3_600_000).await, granted(0, 3_602_500));
    assert_eq!(take(limits, 1, 3_599_000).await, refused(1_500, 3_602_500));
    assert_eq!(peek(limits, 0).await, granted(5, 0));
    assert_eq!(take(limits, 5, 0).await, granted(0, 2_500));
}

/// Tokens taken at the same moment are all counted.
pub async fn takers_at_the_same_moment_share_a_bucket(limits: &(impl Limits + Sync)) {
    for moment in [0, 60_000] {
        let taken = at_once(40, |_| take(limits, 1, moment));
        let mut left: Vec<u32> = taken
            .iter()
            .filter_map(|taken| match taken {
                Taken::Granted { remaining, .. } => Some(*remaining),
                Taken::Refused { .. } => None,
            })
            .collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
        let refused = refused(500, moment + 2_500);
        assert_eq!(taken.iter().filter(|taken| **taken == refused).count(), 35);
    }
}

/// Hands the names of all behaviours to a macro that makes tests of them: every implementation is
/// held to the same list.
#[macro_export]
macro_rules! limits_contracts {
    ($kept:ident) => {
        $kept! {
            a_bucket_gives_what_it_has_and_fills_again,
            a_bucket_is_never_fuller_than_full,
            a_new_rate_counts_from_now,
            a_wrong_clock_shuts_nobody_out,
            buckets_are_apart,
            looking_takes_nothing,
            more_than_a_bucket_holds_is_all_of_it,
            takers_at_the_same_moment_share_a_bucket,
        }
    };
}
