//! Random codes.

use waypost_wire::check::{CODE_CHARACTERS, CheckKey, looks_generated};

use super::{CodeFault, is_presentable, padded, power_of_62};

/// A source of random bytes that nobody can predict.
pub trait Random {
    /// Overwrites all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Half of all draws fail, so a source that fails this often gives no random bytes: it is broken.
const DRAWS_MAX: u32 = 256;

/// A code of 8 random characters. With a check key the last one is the check character, and the
/// code is drawn until it has the shape that the edge checks: 41 random bits. Without, all 8 are
/// random: 47.6 bits.
pub fn random_code(check: Option<&CheckKey>, random: &mut dyn Random) -> Result<String, CodeFault> {
    for _ in 0..DRAWS_MAX {
        match draw(check, random) {
            Some(code) if is_presentable(&code, check) => return Ok(code),
            _ => {}
        }
    }
    Err(CodeFault::Randomness)
}

/// One attempt; fails if the bits drawn are no number of the range, or the code lacks the shape.
fn draw(check: Option<&CheckKey>, random: &mut dyn Random) -> Option<String> {
    let Some(key) = check else {
        return Some(padded(below(power_of_62(8), random)?, CODE_CHARACTERS));
    };
    let mut code = padded(below(power_of_62(7), random)?, CODE_CHARACTERS - 1);
    code.push(key.character(&code));
    looks_generated(&code).then_some(code)
}

/// A number below `bound`, all equally likely, or nothing: folding a larger one in would make
/// some likelier.
fn below(bound: u64, random: &mut dyn Random) -> Option<u64> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let number = u64::from_le_bytes(bytes) & (bound.next_power_of_two() - 1);
    (number < bound).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ambient::{Draws, SeededEntropy};

    fn draws(seed: u64) -> Draws {
        Draws::new(&SeededEntropy::new(seed))
    }

    #[test]
    fn checked_codes_have_the_shape_and_pass_the_check() {
        let key = CheckKey::new(*b"sixteen byte key");
        let mut draws = draws(1);
        let codes: BTreeSet<_> =
            (0..20_000).filter_map(|_| random_code(Some(&key), &mut draws).ok()).collect();
        assert_eq!(codes.len(), 20_000);
        for code in codes {
            assert!(looks_generated(&code) && !key.refuses(&code), "{code}");
        }
    }

    #[test]
    fn unchecked_codes_use_every_character_in_every_place() {
        let mut draws = draws(2);
        let codes: Vec<_> =
            (0..20_000).filter_map(|_| random_code(None, &mut draws).ok()).collect();
        for place in 0..CODE_CHARACTERS {
            let seen: BTreeSet<_> = codes.iter().map(|code| code.as_bytes()[place]).collect();
            assert_eq!(seen.len(), 62, "place {place}");
        }
        assert!(codes.iter().all(|code| code.len() == CODE_CHARACTERS));
    }

    #[test]
    fn no_code_is_offensive() {
        let mut draws = draws(3);
        for _ in 0..50_000 {
            let code = random_code(None, &mut draws).expect("a code");
            assert!(is_presentable(&code, None), "{code}");
        }
    }

    #[test]
    fn a_broken_source_is_an_error() {
        struct Stuck(u8);
        impl Random for Stuck {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(self.0);
            }
        }
        let key = CheckKey::new(*b"sixteen byte key");
        assert_eq!(random_code(Some(&key), &mut Stuck(0)), Err(CodeFault::Randomness));
        assert_eq!(random_code(None, &mut Stuck(0xff)), Err(CodeFault::Randomness));
    }
}
