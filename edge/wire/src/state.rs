//! The state that all edges of one installation share: what changed lately, and the salts of
//! visitor hashes. A small value in the store of every edge under [`STATE_KEY`], read again every
//! few seconds; the origin answers the same bytes when it is asked.
//!
//! It makes long memories safe: an edge keeps a record for hours, and learns here within seconds
//! that there is a newer one. Bytes, after a version byte: `published_at`, `since` (signed
//! numbers), salts (count; start of the day, 16 bytes), changes (count; key, link id, version,
//! one byte: 1 if the link stopped).

use alloc::vec::Vec;

use crate::bytes::{ReadError, Reader, put_number, put_signed, put_text};
use crate::record::Generation;
use crate::time::Timestamp;

/// The key of the state in the store of an edge; no link has it, as no domain begins with `!`.
pub const STATE_KEY: &str = "!state";

/// Most changes in a state: with keys of 30 bytes about 200 KB. A publisher that has more raises
/// [`EdgeState::since`] instead.
pub const CHANGES_MAX: usize = 4_096;

const VERSION: u8 = 1;

/// The state, as one publisher saw it at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeState<'a> {
    /// When it was put together. Of two states the later is right.
    pub published_at: Timestamp,
    /// All changes after this time are in `changes`; what was read before it may be outdated.
    pub since: Timestamp,
    /// The keys of visitor hashes, each with the start of its day (UTC).
    pub salts: Vec<(Timestamp, [u8; 16])>,
    /// What was written after `since`, latest first.
    pub changes: Vec<Change<'a>>,
}

/// A link that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The key of its record.
    pub key: &'a str,
    /// The record that was written; older ones are outdated.
    pub generation: Generation,
    /// The link does not redirect any more (disabled, deleted, blocked): an outdated record must
    /// not be used even where nothing newer can be read.
    pub stopped: bool,
}

/// The salt of the day of `now` among `salts`, each with the start of its day.
pub fn salt_of_day(salts: &[(Timestamp, [u8; 16])], now: Timestamp) -> Option<[u8; 16]> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let is_of_day = |start: Timestamp| (0..DAY_MS).contains(&now.ms_since(start));
    salts.iter().find(|(start, _)| is_of_day(*start)).map(|(_, salt)| *salt)
}

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// There is not even a version byte.
    Empty,
    /// Written by a newer Waypost, or no state at all.
    UnknownVersion(u8),
    /// A value that version 1 does not have, or bytes behind the end.
    UnknownValue,
    /// A value could not be read.
    Value(ReadError),
}

impl From<ReadError> for StateError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

/// The bytes of a state.
pub fn encode(state: &EdgeState<'_>) -> Vec<u8> {
    let mut to = Vec::with_capacity(64 + state.changes.len() * 48);
    to.push(VERSION);
    put_signed(&mut to, state.published_at.0);
    put_signed(&mut to, state.since.0);
    put_number(&mut to, state.salts.len() as u64);
    for (day, salt) in &state.salts {
        put_signed(&mut to, day.0);
        to.extend_from_slice(salt);
    }
    put_number(&mut to, state.changes.len() as u64);
    for change in &state.changes {
        put_text(&mut to, change.key);
        put_number(&mut to, change.generation.link_id);
        put_number(&mut to, change.generation.version);
        to.push(change.stopped.into());
    }
    to
}

/// Reads a state; keys are borrowed from `bytes`.
///
/// # Errors
/// See [`StateError`].
pub fn decode(bytes: &[u8]) -> Result<EdgeState<'_>, StateError> {
    let mut from = Reader::new(bytes);
    match from.byte().map_err(|_| StateError::Empty)? {
        VERSION => {}
        version => return Err(StateError::UnknownVersion(version)),
    }
    let published_at = Timestamp(from.signed()?);
    let since = Timestamp(from.signed()?);
    let mut salts = Vec::new();
    for _ in 0..from.number()? {
        let day = Timestamp(from.signed()?);
        let salt = from.take(16)?.try_into().map_err(|_| StateError::UnknownValue)?;
        salts.push((day, salt));
    }
    let mut changes = Vec::new();
    for _ in 0..from.number()? {
        let key = from.text()?;
        let generation = Generation { link_id: from.number()?, version: from.number()? };
        let stopped = match from.byte()? {
            0 => false,
            1 => true,
            _ => return Err(StateError::UnknownValue),
        };
        changes.push(Change { key, generation, stopped });
    }
    match from.remaining() {
        0 => Ok(EdgeState { published_at, since, salts, changes }),
        _ => Err(StateError::UnknownValue),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn state() -> EdgeState<'static> {
        EdgeState {
            published_at: Timestamp(1_780_315_200_000),
            since: Timestamp(-5),
            salts: vec![(Timestamp(0), [7; 16]), (Timestamp(86_400_000), [8; 16])],
            changes: vec![
                Change {
                    key: "s.example/é",
                    generation: Generation { link_id: u64::MAX, version: 3 },
                    stopped: true,
                },
                Change { key: "", generation: Generation::default(), stopped: false },
            ],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for state in [state(), EdgeState::default()] {
            assert_eq!(decode(&encode(&state)), Ok(state));
        }
    }

    #[test]
    fn every_shortened_lengthened_or_foreign_state_is_refused() {
        let mut bytes = encode(&state());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(StateError::UnknownValue));
        bytes.pop();
        *bytes.last_mut().unwrap() = 2;
        assert_eq!(decode(&bytes), Err(StateError::UnknownValue));
        assert_eq!(decode(b"<html>"), Err(StateError::UnknownVersion(b'<')));
        assert_eq!(decode(&[]), Err(StateError::Empty));
    }

    #[test]
    fn each_day_has_its_own_salt() {
        let salts = state().salts;
        assert_eq!(salt_of_day(&salts, Timestamp(86_399_999)), Some([7; 16]));
        assert_eq!(salt_of_day(&salts, Timestamp(86_400_000)), Some([8; 16]));
        assert_eq!(salt_of_day(&salts, Timestamp(-1)), None);
        assert_eq!(salt_of_day(&salts, Timestamp(2 * 86_400_000)), None);
    }

    #[test]
    fn counts_that_lie_take_no_memory() {
        let bytes = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(decode(&bytes), Err(StateError::Value(ReadError::Truncated)));
    }
}
