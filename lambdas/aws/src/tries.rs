//! Trying again what somebody else was in the way of: how often, and how long to wait in between.
//!
//! The SDK has its own layer below: it repeats a call that got no answer or was throttled. What is
//! tried again here was answered: it met another write, was done in part, or what was read before it
//! is outdated.

use std::time::Duration;

use waypost_service::seams::StoreError;

use crate::calls::random;

/// How often something is tried, and how long to wait before each further try: a random time, up to
/// a bound that doubles with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries, the first one included.
    pub tries: u32,
    /// Longest wait before the second try.
    pub first: Duration,
    /// Longest wait of all.
    pub longest: Duration,
}

/// For links and what is about callers: with all tries, whoever waits for an answer waits 2 s on
/// average.
pub const ANSWERING: Patience =
    Patience { tries: 10, first: Duration::from_millis(10), longest: Duration::from_millis(800) };

/// For counting, where few meet: 0.3 s on average.
pub const COUNTING: Patience = Patience {
    tries: 10,
    first: Duration::from_micros(6_250),
    longest: Duration::from_millis(100),
};

impl Patience {
    /// Begins a try, numbered from 0: the first one at once, others after a wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there are no more tries; `what` says of what.
    pub async fn begin(self, number: u32, what: &str) -> Result<(), StoreError> {
        let Self { tries, first, longest } = self;
        if number == 0 {
            return Ok(());
        }
        if number >= tries {
            let text = format!("{what}: {tries} tries met other writes or throttles");
            return Err(StoreError::Unavailable(text));
        }
        // Twenty doublings are longer than anybody waits.
        let bound = first.saturating_mul(1 << (number - 1).min(20)).min(longest);
        // All of the wait is random: who met once must not meet again.
        let share = f64::from(u32::from_be_bytes(random()?)) / f64::from(u32::MAX);
        tokio::time::sleep(bound.mul_f64(share)).await;
        Ok(())
    }
}

/// The tries of one piece of work whose first one has begun.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    patience: Patience,
    /// Tries that were begun.
    begun: u32,
}

impl Tries {
    /// For an answer that somebody waits for.
    pub const fn new() -> Self {
        Self::of(ANSWERING)
    }

    /// With this patience.
    pub const fn of(patience: Patience) -> Self {
        Self { patience, begun: 1 }
    }

    /// Begins another one, after a wait.
    ///
    /// # Errors
    /// See [`Patience::begin`].
    pub async fn again(&mut self, what: &str) -> Result<(), StoreError> {
        self.patience.begin(self.begun, what).await?;
        self.begun += 1;
        Ok(())
    }
}

impl Default for Tries {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_as_many_tries_as_there_may_be() {
        for patience in [ANSWERING, COUNTING, Patience { tries: 60, ..COUNTING }] {
            let quick = Patience { first: Duration::ZERO, ..patience };
            let mut tries = Tries::of(quick);
            for _ in 1..patience.tries {
                assert_eq!(tries.again("work").await, Ok(()));
            }
            let text = format!("work: {} tries met other writes or throttles", patience.tries);
            let over = Err(StoreError::Unavailable(text));
            assert_eq!(tries.again("work").await, over);
            assert_eq!(quick.begin(patience.tries, "work").await, over);
            assert_eq!(quick.begin(patience.tries - 1, "work").await, Ok(()));
        }
    }
}
