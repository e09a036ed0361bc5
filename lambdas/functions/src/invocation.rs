//! The time an invocation has.

use waypost_wire::time::Timestamp;

/// When an invocation should stop by itself: what is cut off by the platform is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Timestamp);

/// Left to the platform: for the answer, for log lines, for one slow call that is under way.
const MARGIN_MS: i64 = 10_000;

impl Deadline {
    /// Of an invocation that the platform ends at `ends_at_ms` (Unix milliseconds, as in its
    /// context). Short ones keep half of their time.
    pub fn of(ends_at_ms: u64, now: Timestamp) -> Self {
        let ends_at = Timestamp(i64::try_from(ends_at_ms).unwrap_or(i64::MAX));
        let left_ms = ends_at.ms_since(now).max(0);
        Self(now.plus_ms((left_ms - MARGIN_MS).max(left_ms / 2)))
    }

    /// Whether the time is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_time_left_to_answer() {
        let now = Timestamp(1_000_000);
        for (left_ms, usable_ms) in [(60_000, 50_000), (20_000, 10_000), (4_000, 2_000), (0, 0)] {
            let deadline = Deadline::of((now.0 + left_ms) as u64, now);
            assert!(deadline.is_over(now.plus_ms(usable_ms)), "{left_ms}");
            assert!(!deadline.is_over(now.plus_ms(usable_ms - 1)), "{left_ms}");
        }
        assert!(Deadline::of(0, now).is_over(now), "a deadline in the past");
        assert!(!Deadline::of(u64::MAX, now).is_over(now));
    }
}
