//! Codes: the slugs Waypost makes. Three strategies behind one seam:
//!
//! - random: 8 characters that nobody can guess or count. The default.
//! - sequence: the shortest, unique without asking: a counter, scrambled by a secret key.
//! - snowflake: 10 or 11 characters from clock and machine; needs no store and no secret, but
//!   shows when a link was made.
//!
//! No strategy returns an offensive or a reserved word, or a code that the domain's own check
//! would refuse. The conditional write of the link guards all of them: a code may be taken by a
//! custom slug, and on domains that ignore case two codes may differ in case alone.

mod offensive;
mod permutation;
mod random;
mod sequence;
mod snowflake;

use waypost_wire::check::CheckKey;

pub use random::{Random, random_code};
pub use sequence::{Block, Next, Sequence};
pub use snowflake::{EPOCH_MS, MACHINES, NoMachine, Snowflake, SnowflakeFault, SnowflakeId};

use crate::slug::is_reserved;

/// How codes are made. The states (a leased block, the last millisecond) are part of it: one
/// value per process, behind a lock.
#[derive(Debug)]
pub enum Strategy {
    /// See [`random_code`].
    Random,
    /// See [`Sequence`].
    Sequence(Sequence),
    /// See [`Snowflake`].
    Snowflake(Snowflake),
}

/// What making a code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Try to create the link with it; if it is taken, ask for another one.
    Code(String),
    /// Lease a block of the counter, give it to [`Sequence::lease`], and ask again.
    NeedBlock,
    /// Ask again after this time.
    Wait {
        /// In milliseconds.
        ms: u32,
    },
}

/// Why no code can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeFault {
    /// The clock stands further back than the bound that is waited for.
    #[error("the clock went back by {by_ms} ms")]
    ClockBackwards {
        /// Behind the newest id.
        by_ms: i64,
    },
    /// The clock stands outside of the 69 years that Snowflake ids cover.
    #[error("the clock stands before 2026 or after 2095")]
    ClockOutOfRange,
    /// All codes of up to 10 characters are used.
    #[error("the sequence of codes is used up")]
    Exhausted,
    /// The source of randomness keeps giving bytes that make no code.
    #[error("the source of randomness is broken")]
    Randomness,
}

impl Strategy {
    /// Makes codes of another machine from here on, if machines have a part in them.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn move_to(&mut self, machine: u16) -> Result<(), NoMachine> {
        match self {
            Self::Random | Self::Sequence(_) => Ok(()),
            Self::Snowflake(snowflake) => snowflake.move_to(machine),
        }
    }

    /// Makes the next candidate. `check` is the key of the domain's check characters, `None` where
    /// the check is off; `now_ms` is Unix time.
    pub fn candidate(
        &mut self,
        check: Option<&CheckKey>,
        random: &mut dyn Random,
        now_ms: i64,
    ) -> Result<Candidate, CodeFault> {
        match self {
            Self::Random => random_code(check, random).map(Candidate::Code),
            Self::Sequence(sequence) => match sequence.next(check)? {
                Next::Code(code) => Ok(Candidate::Code(code)),
                Next::NeedBlock => Ok(Candidate::NeedBlock),
            },
            Self::Snowflake(snowflake) => snowflake_candidate(snowflake, check, now_ms),
        }
    }
}

fn snowflake_candidate(
    snowflake: &mut Snowflake,
    check: Option<&CheckKey>,
    now_ms: i64,
) -> Result<Candidate, CodeFault> {
    loop {
        match snowflake.next(now_ms) {
            Ok(id) => {
                let code = base62::encode(id.0);
                if is_presentable(&code, check) {
                    return Ok(Candidate::Code(code));
                }
            }
            Err(SnowflakeFault::Wait { ms }) => return Ok(Candidate::Wait { ms }),
            Err(SnowflakeFault::ClockBackwards { by_ms }) => {
                return Err(CodeFault::ClockBackwards { by_ms });
            }
            Err(SnowflakeFault::ClockOutOfRange) => return Err(CodeFault::ClockOutOfRange),
        }
    }
}

/// Whether a code can be given to people, and will be found by them.
fn is_presentable(code: &str, check: Option<&CheckKey>) -> bool {
    !offensive::is_offensive(code)
        && !is_reserved(code)
        && !check.is_some_and(|key| key.refuses(code))
}

/// `value` in base62, filled up with zeros on the left to `characters`.
fn padded(value: u64, characters: usize) -> String {
    format!("{:0>characters$}", base62::encode(value))
}

/// 62 to the power of `exponent`; at most 10 fit.
const fn power_of_62(exponent: u32) -> u64 {
    62_u64.pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::{Draws, SeededEntropy};

    const KEY: [u8; 16] = *b"sixteen byte key";

    fn draws() -> Draws {
        Draws::new(&SeededEntropy::new(1))
    }

    #[test]
    fn random_codes_differ() {
        let mut draws = draws();
        let check = CheckKey::new(KEY);
        let first = Strategy::Random.candidate(Some(&check), &mut draws, 0);
        let second = Strategy::Random.candidate(Some(&check), &mut draws, 0);
        assert!(matches!(&first, Ok(Candidate::Code(code)) if code.len() == 8), "{first:?}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_sequence_asks_for_a_block_first() {
        let mut strategy = Strategy::Sequence(Sequence::new(KEY));
        assert_eq!(strategy.candidate(None, &mut draws(), 0), Ok(Candidate::NeedBlock));
        let Strategy::Sequence(sequence) = &mut strategy else {
            panic!("{strategy:?}");
        };
        sequence.lease(Block { first: 0, len: 1 });
        let expected = sequence.encode(0).expect("in range");
        assert_eq!(strategy.candidate(None, &mut draws(), 0), Ok(Candidate::Code(expected)));
        assert_eq!(strategy.candidate(None, &mut draws(), 0), Ok(Candidate::NeedBlock));
    }

    #[test]
    fn snowflake_codes_wait_and_fail_with_the_clock() {
        let mut strategy = Strategy::Snowflake(Snowflake::new(0, 1, 10).expect("a machine"));
        let now_ms = EPOCH_MS + 28_000_000_000;
        let first = strategy.candidate(None, &mut draws(), now_ms);
        assert_eq!(
            first,
            Ok(Candidate::Code(base62::encode((28_000_000_000_u64 << 22) | 1 << 12)))
        );
        assert_eq!(
            strategy.candidate(None, &mut draws(), now_ms - 4),
            Ok(Candidate::Wait { ms: 4 })
        );
        let back = strategy.candidate(None, &mut draws(), now_ms - 11);
        assert_eq!(back, Err(CodeFault::ClockBackwards { by_ms: 11 }));
        let late = strategy.candidate(None, &mut draws(), EPOCH_MS + (1 << 41));
        assert_eq!(late, Err(CodeFault::ClockOutOfRange));
    }

    #[test]
    fn unpresentable_snowflake_codes_are_passed_over() {
        // Finds a millisecond whose first code is offensive; the candidate is then a later one.
        let mut strategy = Strategy::Snowflake(Snowflake::new(0, 0, 0).expect("a machine"));
        let now_ms = (EPOCH_MS + 28_000_000_000..EPOCH_MS + 28_001_000_000)
            .find(|ms| !is_presentable(&base62::encode(((ms - EPOCH_MS) as u64) << 22), None))
            .expect("one in some thousands");
        let Ok(Candidate::Code(code)) = strategy.candidate(None, &mut draws(), now_ms) else {
            panic!("no code");
        };
        assert!(is_presentable(&code, None));
        assert!(
            base62::decode(&code).expect("base62") > u128::from(((now_ms - EPOCH_MS) as u64) << 22)
        );
    }

    #[test]
    fn reserved_offensive_and_refused_codes_are_not_presentable() {
        let check = CheckKey::new(KEY);
        for code in ["health", "STATIC", "xxsh1txx", "a1B2c3DS"] {
            assert!(!is_presentable(code, Some(&check)), "{code}");
        }
        assert!(is_presentable("a1B2c3DR", Some(&check)));
        assert!(is_presentable("a1B2c3DS", None));
    }

    #[test]
    fn padding_fills_with_zeros() {
        assert_eq!(padded(0, 6), "000000");
        assert_eq!(padded(61, 6), "00000z");
        assert_eq!(padded(power_of_62(6) - 1, 6), "zzzzzz");
        assert_eq!(padded(power_of_62(6), 7), "1000000");
    }
}
