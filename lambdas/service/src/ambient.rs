//! Time and randomness as the surroundings supply them. A host asks once per request, at its
//! outermost line; everything below works with the values.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use waypost_wire::time::Timestamp;

use crate::codes::Random;

/// The characters of [`Draws::base62`], in the order of the `base62` crate.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What time it is.
pub trait Clock {
    /// The time now. May run backwards; nothing here relies on order between two calls.
    fn now(&self) -> Timestamp;
}

/// Unpredictable bytes: the operating system's generator, or one as good.
pub trait Entropy {
    /// Overwrites all of `into`.
    fn fill(&self, into: &mut [u8]);
}

/// Lets time pass, so that background work leaves room for others.
pub trait Pause {
    /// Answers after about `ms` milliseconds.
    async fn pause_ms(&self, ms: u64);
}

/// The randomness of one request: as much as it needs, from one seed asked for at its start.
pub struct Draws(ChaCha20Rng);

impl Draws {
    /// Takes a seed of 32 bytes.
    pub fn new(entropy: &impl Entropy) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// `count` characters of `[0-9A-Za-z]`, all equally likely.
    pub fn base62(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        while text.len() < count {
            // Six bits at a time; the two values beyond 61 are drawn again, not folded.
            let index = (self.0.next_u32() & 63) as usize;
            if let Some(character) = BASE62.get(index) {
                text.push(char::from(*character));
            }
        }
        text
    }
}

impl Random for Draws {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// A clock that shows what it was set to.
#[cfg(any(test, feature = "testing"))]
pub struct FixedClock(std::sync::atomic::AtomicI64);

#[cfg(any(test, feature = "testing"))]
impl FixedClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(std::sync::atomic::AtomicI64::new(now.0))
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

/// Bytes that follow from a number: the same number, the same bytes.
#[cfg(any(test, feature = "testing"))]
pub struct SeededEntropy(std::sync::Mutex<ChaCha20Rng>);

#[cfg(any(test, feature = "testing"))]
impl SeededEntropy {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Entropy for SeededEntropy {
    fn fill(&self, into: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_two_requests_draw_different() {
        let entropy = SeededEntropy::new(7);
        let (mut first, mut second) = (Draws::new(&entropy), Draws::new(&entropy));
        let mut again = Draws::new(&SeededEntropy::new(7));
        let (a, b, c) = (first.bytes::<8>(), second.bytes::<8>(), again.bytes::<8>());
        assert_ne!(a, b);
        assert_eq!(a, c);
    }

    #[test]
    fn every_byte_is_overwritten() {
        let mut bytes = [0_u8; 1_000];
        Draws::new(&SeededEntropy::new(2)).fill(&mut bytes);
        assert!(bytes.windows(8).all(|window| window != [0; 8]));
    }

    #[test]
    fn base62_uses_every_character_and_no_other() {
        let text = Draws::new(&SeededEntropy::new(1)).base62(20_000);
        let mut seen: Vec<u8> = text.bytes().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(text.len(), 20_000);
        assert_eq!(seen, BASE62);
    }
}
