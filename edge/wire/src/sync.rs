//! What is put to an edge whose store nobody but itself can write to: records, removals and the
//! state, and what became of each.
//!
//! Whoever fills the store (`waypost edge push`, one at a time) puts a [`Sync`] to [`PATH`], signed
//! like the question of an edge ([`crate::origin::sign`]) over that path and the body. The edge
//! answers 200 and [`encode_outcomes`], signed as the answer to it; any other answer means that
//! nothing was understood. At most [`ENTRIES_MAX`] entries, [`BODY_MAX_BYTES`] in all.
//!
//! Both begin with a version byte, now 1; what has another one is refused as a whole, so edges are
//! brought up to date before whoever fills their stores. Numbers and texts are as in
//! [`crate::bytes`].
//!
//! A synchronisation: the number of entries; each a key (text) and one byte: 0, then a record (its
//! length, its bytes), or 1, then the generation that is removed (link id, version; numbers).
//! Behind the entries one byte: 0, or 1 and the state of all edges (its length, its bytes;
//! [`crate::state`]).
//!
//! The answer: the number of outcomes, and one byte for each entry in their order: 0 failed,
//! 1 outdated, 2 refused, 3 stored; the state's is the last, if there was one.

use alloc::vec;
use alloc::vec::Vec;

use crate::bytes::{ReadError, Reader, put_number, put_text};
use crate::record::Generation;

/// Where a synchronisation is put, and what its signature covers beside the body.
pub const PATH: &str = "/_/sync";

/// Longest body.
pub const BODY_MAX_BYTES: usize = 512 * 1024;

/// Most entries: managed stores take 50 writes a second, and end a request after 30 s
/// (Akamai Functions, 2026).
pub const ENTRIES_MAX: usize = 100;

const VERSION: u8 = 1;

/// What is to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sync<'a> {
    /// Records and removals; of two under one key the second is tried after the first.
    pub entries: Vec<Entry<'a>>,
    /// The bytes of the state of all edges.
    pub state: Option<&'a [u8]>,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// [`crate::key::LinkKey`].
    pub key: &'a str,
    /// What becomes of it.
    pub change: Change<'a>,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It gets this record.
    Put(&'a [u8]),
    /// It loses its record, if that is of this generation or an older one.
    Remove(Generation),
}

/// What became of an entry, or of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store failed: try again.
    Failed,
    /// The store has something newer, which stays.
    Outdated,
    /// It is no record, no state, or no key of a link.
    Refused,
    /// The store has it, or did before.
    Stored,
}

/// Why bytes are no synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// Written by a newer Waypost, or by something else.
    UnknownVersion,
    /// A value that version 1 does not have, or bytes behind the end.
    UnknownValue,
    /// More than [`ENTRIES_MAX`].
    TooMany,
    /// A value could not be read.
    Value(ReadError),
}

impl From<ReadError> for FormatError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

impl<'a> Sync<'a> {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = vec![VERSION];
        put_number(&mut to, self.entries.len() as u64);
        for entry in &self.entries {
            put_text(&mut to, entry.key);
            match entry.change {
                Change::Put(record) => {
                    to.push(0);
                    put_bytes(&mut to, record);
                }
                Change::Remove(generation) => {
                    to.push(1);
                    put_number(&mut to, generation.link_id);
                    put_number(&mut to, generation.version);
                }
            }
        }
        to.push(self.state.is_some().into());
        if let Some(state) = self.state {
            put_bytes(&mut to, state);
        }
        to
    }

    /// Reads one.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut from = Reader::new(bytes);
        if from.byte()? != VERSION {
            return Err(FormatError::UnknownVersion);
        }
        let count = from.number()?;
        if count > ENTRIES_MAX as u64 {
            return Err(FormatError::TooMany);
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = from.text()?;
            let change = match from.byte()? {
                0 => Change::Put(take_bytes(&mut from)?),
                1 => {
                    Change::Remove(Generation { link_id: from.number()?, version: from.number()? })
                }
                _ => return Err(FormatError::UnknownValue),
            };
            entries.push(Entry { key, change });
        }
        let state = match from.byte()? {
            0 => None,
            1 => Some(take_bytes(&mut from)?),
            _ => return Err(FormatError::UnknownValue),
        };
        match from.remaining() {
            0 => Ok(Self { entries, state }),
            _ => Err(FormatError::UnknownValue),
        }
    }
}

/// The bytes of an answer.
pub fn encode_outcomes(outcomes: &[Outcome]) -> Vec<u8> {
    let mut to = vec![VERSION];
    put_number(&mut to, outcomes.len() as u64);
    to.extend(outcomes.iter().map(|outcome| match outcome {
        Outcome::Failed => 0,
        Outcome::Outdated => 1,
        Outcome::Refused => 2,
        Outcome::Stored => 3,
    }));
    to
}

/// Reads an answer.
///
/// # Errors
/// See [`FormatError`].
pub fn decode_outcomes(bytes: &[u8]) -> Result<Vec<Outcome>, FormatError> {
    let mut from = Reader::new(bytes);
    if from.byte()? != VERSION {
        return Err(FormatError::UnknownVersion);
    }
    let mut outcomes = Vec::new();
    for _ in 0..from.number()? {
        outcomes.push(match from.byte()? {
            0 => Outcome::Failed,
            1 => Outcome::Outdated,
            2 => Outcome::Refused,
            3 => Outcome::Stored,
            _ => return Err(FormatError::UnknownValue),
        });
    }
    match from.remaining() {
        0 => Ok(outcomes),
        _ => Err(FormatError::UnknownValue),
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn take_bytes<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], FormatError> {
    let length = usize::try_from(from.number()?).map_err(|_| ReadError::Truncated)?;
    Ok(from.take(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync() -> Sync<'static> {
        let generation = Generation { link_id: u64::MAX, version: 300 };
        Sync {
            entries: vec![
                Entry { key: "s.example/é", change: Change::Put(b"record") },
                Entry { key: "", change: Change::Put(b"") },
                Entry { key: "s.example/b", change: Change::Remove(generation) },
            ],
            state: Some(b"state"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for sync in [sync(), Sync::default(), Sync { state: Some(b""), ..Sync::default() }] {
            assert_eq!(Sync::decode(&sync.encode()), Ok(sync));
        }
        let outcomes = [Outcome::Failed, Outcome::Outdated, Outcome::Refused, Outcome::Stored];
        assert_eq!(decode_outcomes(&encode_outcomes(&outcomes)), Ok(outcomes.to_vec()));
    }

    #[test]
    fn every_shortened_lengthened_or_foreign_one_is_refused() {
        let (mut sync, mut outcomes) = (sync().encode(), encode_outcomes(&[Outcome::Stored]));
        for length in 0..sync.len() {
            assert!(Sync::decode(&sync[..length]).is_err(), "{length}");
        }
        for length in 0..outcomes.len() {
            assert!(decode_outcomes(&outcomes[..length]).is_err(), "{length}");
        }
        sync.push(0);
        outcomes.push(0);
        assert_eq!(Sync::decode(&sync), Err(FormatError::UnknownValue));
        assert_eq!(decode_outcomes(&outcomes), Err(FormatError::UnknownValue));
        assert_eq!(Sync::decode(b"[]"), Err(FormatError::UnknownVersion));
        assert_eq!(Sync::decode(&[1, 1, 0, 2]), Err(FormatError::UnknownValue));
        assert_eq!(Sync::decode(&[1, 0, 2]), Err(FormatError::UnknownValue));
        assert_eq!(decode_outcomes(&[1, 1, 4]), Err(FormatError::UnknownValue));
    }

    #[test]
    fn entries_are_bounded() {
        let entry = Entry { key: "k", change: Change::Put(b"") };
        let many = |count| Sync { entries: vec![entry; count], state: None }.encode();
        assert!(Sync::decode(&many(ENTRIES_MAX)).is_ok());
        assert_eq!(Sync::decode(&many(ENTRIES_MAX + 1)), Err(FormatError::TooMany));
        assert_eq!(Sync::decode(&[1, 0xff, 0xff, 0xff, 0x7f]), Err(FormatError::TooMany));
    }
}
