//! What the operating system supplies: time, randomness, sleep.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use waypost_service::ambient::{Clock, Entropy, Pause};
use waypost_wire::time::Timestamp;

/// The surroundings of this process. Clones see the same clock.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Ambient {
    /// The system's clock.
    pub fn system() -> Self {
        Self::with_clock(|| {
            let (sign, distance) = match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(after) => (1, after),
                Err(before) => (-1, before.duration()),
            };
            Timestamp(sign * i64::try_from(distance.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// Another clock, for tests.
    pub fn with_clock(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now) }
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}

impl Clock for Ambient {
    fn now(&self) -> Timestamp {
        (self.now)()
    }
}

impl Entropy for Ambient {
    /// # Panics
    /// If the system has no randomness: nothing that follows could be kept secret.
    #[expect(clippy::expect_used, reason = "going on with predictable keys would be worse")]
    fn fill(&self, into: &mut [u8]) {
        getrandom::fill(into).expect("the operating system supplies randomness");
    }
}

impl Pause for Ambient {
    async fn pause_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
