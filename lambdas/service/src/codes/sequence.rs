//! Codes from a counter: short, unique without asking, and in no order that others can follow.

use std::collections::VecDeque;
use std::fmt;

use waypost_wire::check::CheckKey;

use super::permutation::Permutation;
use super::{CodeFault, is_presentable, padded, power_of_62};

/// Shortest code: 62^6 = 56.8 billion of them.
const CHARACTERS_MIN: u32 = 6;

/// Longest code: the last power of 62 that fits into 64 bits, 8.4 * 10^17.
const CHARACTERS_MAX: u32 = 10;

/// Values of the counter that this process may use, leased from the store: no other process gets
/// them. Values unused when the process ends are lost, which costs nothing but numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first value.
    pub first: u64,
    /// How many.
    pub len: u32,
}

/// What asking for a code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next code.
    Code(String),
    /// All leased values are used.
    NeedBlock,
}

/// Codes from leased blocks of a counter.
///
/// The first 62^6 values give codes of 6 characters, the next 62^7 codes of 7, and so on; within a
/// length, a keyed permutation picks the code. Distinct values give distinct codes, as long as the
/// key stays the same.
pub struct Sequence {
    key: [u8; 16],
    blocks: VecDeque<Block>,
}

impl Sequence {
    /// A sequence without values yet. `key` is 16 random bytes, secret, and never changes.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key, blocks: VecDeque::new() }
    }

    /// Adds a leased block behind those not used up yet.
    pub fn lease(&mut self, block: Block) {
        self.blocks.push_back(block);
    }

    /// The next code that can be given out. Values whose code is offensive, reserved or refused by
    /// `check` are skipped, by every process in the same way.
    ///
    /// Fails with [`CodeFault::Exhausted`] once the counter has left the codes of 10 characters.
    pub fn next(&mut self, check: Option<&CheckKey>) -> Result<Next, CodeFault> {
        while let Some(value) = self.next_value() {
            let code = self.encode(value).ok_or(CodeFault::Exhausted)?;
            if is_presentable(&code, check) {
                return Ok(Next::Code(code));
            }
        }
        Ok(Next::NeedBlock)
    }

    /// The code of a value of the counter; `None` beyond 10 characters.
    pub fn encode(&self, value: u64) -> Option<String> {
        let mut offset = value;
        for characters in CHARACTERS_MIN..=CHARACTERS_MAX {
            let size = power_of_62(characters);
            if offset < size {
                let image = Permutation::new(&self.key, size).forward(offset);
                return Some(padded(image, characters as usize));
            }
            offset -= size;
        }
        None
    }

    /// The value of the counter that gave `code`; `None` if no value does.
    pub fn decode(&self, code: &str) -> Option<u64> {
        let characters = u32::try_from(code.len()).ok()?;
        if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&characters) {
            return None;
        }
        let image = u64::try_from(base62::decode(code).ok()?).ok()?;
        let shorter: u64 = (CHARACTERS_MIN..characters).map(power_of_62).sum();
        let size = power_of_62(characters);
        Some(shorter + Permutation::new(&self.key, size).backward(image))
    }

    fn next_value(&mut self) -> Option<u64> {
        while let Some(block) = self.blocks.front_mut() {
            let value = block.first;
            let Some(left) = block.len.checked_sub(1) else {
                self.blocks.pop_front();
                continue;
            };
            // Saturates only at values that have no code.
            *block = Block { first: value.saturating_add(1), len: left };
            return Some(value);
        }
        None
    }
}

/// Never shows the key: it would make codes predictable.
impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KEY: [u8; 16] = *b"sixteen byte key";
    const SIXES: u64 = 56_800_235_584;
    const SEVENS: u64 = 3_521_614_606_208;

    fn codes(sequence: &mut Sequence) -> Vec<String> {
        std::iter::from_fn(|| match sequence.next(None) {
            Ok(Next::Code(code)) => Some(code),
            Ok(Next::NeedBlock) | Err(_) => None,
        })
        .collect()
    }

    #[test]
    fn the_codes_of_a_key_are_frozen() {
        let sequence = Sequence::new(KEY);
        let codes: Vec<_> = [0, 1, 2, 1_000_000, SIXES - 1, SIXES, SIXES + 1, SIXES + SEVENS]
            .into_iter()
            .map(|value| sequence.encode(value).expect("in range"))
            .collect();
        assert_eq!(
            codes,
            ["WPCMXh", "9sU88F", "tP79yB", "BuF5N8", "AIuHgJ", "DjsqV59", "xjlb6xz", "zN20bVjJ"]
        );
    }

    #[test]
    fn codes_grow_when_a_length_is_used_up() {
        let sequence = Sequence::new(KEY);
        for (value, characters) in [
            (0, 6),
            (SIXES - 1, 6),
            (SIXES, 7),
            (SIXES + SEVENS - 1, 7),
            (SIXES + SEVENS, 8),
            ((6..10).map(power_of_62).sum::<u64>(), 10),
            ((6..11).map(power_of_62).sum::<u64>() - 1, 10),
        ] {
            let code = sequence.encode(value).expect("in range");
            assert_eq!(code.len(), characters, "{value} is {code}");
            assert_eq!(sequence.decode(&code), Some(value), "{code}");
        }
        assert_eq!(sequence.encode((6..11).map(power_of_62).sum()), None);
        assert_eq!(sequence.encode(u64::MAX), None);
    }

    #[test]
    fn codes_round_trip_and_never_repeat() {
        let sequence = Sequence::new(KEY);
        let start = SIXES - 10_000;
        let codes: BTreeSet<_> = (start..start + 20_000)
            .map(|value| {
                let code = sequence.encode(value).expect("in range");
                assert_eq!(sequence.decode(&code), Some(value), "{code}");
                code
            })
            .collect();
        assert_eq!(codes.len(), 20_000);
    }

    #[test]
    fn what_is_no_code_has_no_value() {
        let sequence = Sequence::new(KEY);
        for code in ["", "abcde", "abcde-", "abcdefghijk", "ünicod", "ab cde"] {
            assert_eq!(sequence.decode(code), None, "{code}");
        }
    }

    #[test]
    fn another_key_gives_other_codes() {
        let (one, other) = (Sequence::new(KEY), Sequence::new([0; 16]));
        let same = (0..1_000).filter(|&value| one.encode(value) == other.encode(value)).count();
        assert_eq!(same, 0);
    }

    #[test]
    fn blocks_are_used_one_after_the_other() {
        let mut sequence = Sequence::new(KEY);
        assert_eq!(sequence.next(None), Ok(Next::NeedBlock));
        sequence.lease(Block { first: 10, len: 0 });
        sequence.lease(Block { first: 100, len: 2 });
        sequence.lease(Block { first: 7, len: 1 });
        let expected: Vec<_> =
            [100, 101, 7].into_iter().filter_map(|value| sequence.encode(value)).collect();
        assert_eq!(codes(&mut sequence), expected);
        assert_eq!(sequence.next(None), Ok(Next::NeedBlock));
    }

    #[test]
    fn unpresentable_codes_are_skipped_and_everything_else_is_given_out() {
        let mut sequence = Sequence::new(KEY);
        sequence.lease(Block { first: 0, len: 20_000 });
        let given = codes(&mut sequence);
        let all: Vec<_> = (0..20_000).filter_map(|value| sequence.encode(value)).collect();
        let expected: Vec<_> =
            all.iter().filter(|code| is_presentable(code, None)).cloned().collect();
        assert_eq!(given, expected);
        assert!((1..200).contains(&(all.len() - given.len())), "{}", given.len());
    }

    #[test]
    fn codes_the_edge_would_refuse_are_skipped() {
        let check = CheckKey::new(KEY);
        let mut sequence = Sequence::new(KEY);
        sequence.lease(Block { first: SIXES + SEVENS, len: 1_000 });
        let mut given = 0;
        while let Ok(Next::Code(code)) = sequence.next(Some(&check)) {
            assert!(code.len() == 8 && !check.refuses(&code), "{code}");
            given += 1;
        }
        assert!((300..500).contains(&given), "{given}");
    }

    #[test]
    fn the_end_of_the_sequence_is_an_error() {
        let mut sequence = Sequence::new(KEY);
        sequence.lease(Block { first: u64::MAX - 1, len: 5 });
        for _ in 0..5 {
            assert_eq!(sequence.next(None), Err(CodeFault::Exhausted));
        }
        assert_eq!(sequence.next(None), Ok(Next::NeedBlock));
    }

    #[test]
    fn the_key_is_not_shown() {
        let mut sequence = Sequence::new(KEY);
        sequence.lease(Block { first: 3, len: 4 });
        let shown = "Sequence { blocks: [Block { first: 3, len: 4 }], .. }";
        assert_eq!(format!("{sequence:?}"), shown);
    }
}
