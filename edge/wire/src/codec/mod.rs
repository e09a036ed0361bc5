//! Link records as bytes.
//!
//! The first byte is the version. A new field needs a new version; the decoder of an old one is
//! never removed, and golden bytes per version (`tests/cases/records`) prove that it still reads
//! them. Version 1, after the version byte:
//!
//! | what | how |
//! | --- | --- |
//! | flags | number; one bit per optional field and switch |
//! | state, status | one byte each |
//! | id, version | numbers |
//! | created_at | signed number, ms |
//! | destination | text |
//! | optional fields | in the order of their flags |
//! | rules | count; conditions and variants of each |

mod read;
mod rules;
mod write;

pub use read::{decode, generation};
pub use write::encode;

use crate::bytes::ReadError;

/// The version [`encode`] writes.
pub const VERSION: u8 = 1;

/// Longest record Waypost writes; far below every store's limit, so that any record can be moved
/// between all of them (the tightest is a DynamoDB item at 400 KB), and small enough to read fast.
pub const RECORD_MAX_BYTES: usize = 16 * 1024;

/// Deepest nesting of `not` conditions, in writing and in reading.
pub const NESTING_MAX: usize = 4;

/// Why bytes are no link record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// There is not even a version byte.
    Empty,
    /// Written by a newer Waypost, or not a record at all.
    UnknownVersion(u8),
    /// A flag, state, status or tag that version 1 does not have.
    UnknownValue,
    /// A destination that could not stand in a `Location` header.
    BadDestination,
    /// Conditions nested deeper than [`NESTING_MAX`].
    TooDeep,
    /// Bytes behind the end of the record.
    TrailingBytes,
    /// A value could not be read.
    Value(ReadError),
}

impl From<ReadError> for DecodeError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

mod flag {
    pub(super) const STARTS_AT: u64 = 1;
    pub(super) const EXPIRES_AT: u64 = 1 << 1;
    pub(super) const EXPIRED_DESTINATION: u64 = 1 << 2;
    pub(super) const IOS: u64 = 1 << 3;
    pub(super) const ANDROID: u64 = 1 << 4;
    pub(super) const PASSWORD: u64 = 1 << 5;
    pub(super) const TITLE: u64 = 1 << 6;
    pub(super) const PREVIEW_TITLE: u64 = 1 << 7;
    pub(super) const PREVIEW_DESCRIPTION: u64 = 1 << 8;
    pub(super) const PREVIEW_IMAGE: u64 = 1 << 9;
    pub(super) const RULES: u64 = 1 << 10;
    pub(super) const LIMITED: u64 = 1 << 11;
    pub(super) const USED_UP: u64 = 1 << 12;
    pub(super) const FORWARD_QUERY: u64 = 1 << 13;
    pub(super) const FORWARD_PATH: u64 = 1 << 14;
    /// A preview card is there, even if all of its fields are empty.
    pub(super) const PREVIEW: u64 = 1 << 15;
    pub(super) const READABLE: u64 = 1 << 16;
    pub(super) const ALL: u64 = (1 << 17) - 1;
}

#[cfg(test)]
mod tests;
