//! How often passwords may be tried, counted in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use waypost_service::limits::attempts::{AttemptCounters, Counter, Decision, Who, decide};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

/// Counters kept; past that the eldest spans go, and if all are young nobody gets a new one.
const COUNTERS_MAX: usize = 100_000;

/// Counts attempts in memory.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<(String, Who), Counter>>);

impl AttemptCounters for Attempts {
    async fn count_attempt(
        &self,
        link: &str,
        who: Who,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= COUNTERS_MAX {
            counters.retain(|_, counter| !counter.is_over(now));
        }
        if counters.len() >= COUNTERS_MAX {
            return Ok(false);
        }
        let fresh = Counter { since: now, attempts: 0 };
        let counter = counters.entry((link.to_owned(), who)).or_insert(fresh);
        match decide(Some(*counter), most, now) {
            Decision::Add => counter.attempts += 1,
            Decision::Begin => *counter = Counter { since: now, attempts: 1 },
            Decision::Refuse => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use waypost_service::limits::attempts::{PER_CLIENT, PER_LINK, admits};

    use super::*;

    const V6: u128 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;

    async fn granted(attempts: &Attempts, client: u128, now: i64, tries: u32) -> u32 {
        let mut granted = 0;
        for _ in 0..tries {
            let admitted = admits(attempts, "s/a", Some(client), Timestamp(now)).await;
            granted += u32::from(admitted.expect("memory answers"));
        }
        granted
    }

    #[tokio::test]
    async fn a_client_gets_a_few_tries_a_minute() {
        let attempts = Attempts::default();
        assert_eq!(granted(&attempts, V6, 0, 20).await, PER_CLIENT);
        assert_eq!(granted(&attempts, V6 + 1, 59_999, 1).await, 0, "the same /64");
        assert_eq!(granted(&attempts, V6 + (1 << 64), 59_999, 1).await, 1);
        assert_eq!(granted(&attempts, V6, 60_000, 20).await, PER_CLIENT);
        let other = admits(&attempts, "s/b", Some(V6), Timestamp(60_000)).await;
        assert_eq!(other, Ok(true), "another link");
    }

    #[tokio::test]
    async fn all_clients_together_are_limited_too() {
        let attempts = Attempts::default();
        let mut all = 0;
        for client in 0..1_000_u128 {
            all += granted(&attempts, client << 64, 0, 1).await;
        }
        assert_eq!(all, PER_LINK);
    }

    #[tokio::test]
    async fn a_clock_set_back_starts_a_new_span() {
        let attempts = Attempts::default();
        assert_eq!(granted(&attempts, V6, 1_000, 20).await, PER_CLIENT);
        assert_eq!(granted(&attempts, V6, 999, 1).await, 1);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_nobody_guesses_because_it_is_full() {
        let attempts = Attempts::default();
        for link in 0..COUNTERS_MAX / 2 {
            let admitted = admits(&attempts, &link.to_string(), Some(V6), Timestamp(0)).await;
            assert_eq!(admitted, Ok(true));
        }
        assert_eq!(granted(&attempts, V6, 59_999, 1).await, 0);
        assert_eq!(granted(&attempts, V6, 60_000, 1).await, 1);
        assert_eq!(attempts.0.lock().expect("a lock").len(), 2);
    }
}
