//! What identifies a record without its bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use waypost_wire::codec::{self, DecodeError};
use waypost_wire::record::Generation;

/// A generation, and a digest that tells two writings of one generation apart: a record damaged in
/// the store, or written by a version of Waypost that packs differently.
///
/// As text, 16 hex digits of the link id, the version, 16 hex digits of the digest, with dots:
/// `000000000000002a.7.9f86d081884c7d65`. At most 54 bytes, so that it fits the metadata of every
/// store (Workers KV: 1,024 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which writing of which link.
    pub generation: Generation,
    /// The first 8 bytes of the SHA-256 of the record.
    pub digest: [u8; 8],
}

/// The text is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mark of a record")]
pub struct NoMark;

impl Mark {
    /// The mark of a record's bytes.
    ///
    /// # Errors
    /// If they are no record.
    pub fn of(record: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::with(codec::generation(record)?, record))
    }

    /// The mark of bytes whose generation is known.
    pub fn with(generation: Generation, record: &[u8]) -> Self {
        let sum: [u8; 32] = Sha256::digest(record).into();
        let mut digest = [0; 8];
        digest.copy_from_slice(&sum[..8]);
        Self { generation, digest }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Generation { link_id, version } = self.generation;
        write!(f, "{link_id:016x}.{version}.{:016x}", u64::from_be_bytes(self.digest))
    }
}

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let mut parts = text.split('.');
        let (Some(id), Some(version), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoMark);
        };
        let mark = Self {
            generation: Generation {
                link_id: u64::from_str_radix(id, 16).map_err(|_| NoMark)?,
                version: version.parse().map_err(|_| NoMark)?,
            },
            digest: u64::from_str_radix(digest, 16).map_err(|_| NoMark)?.to_be_bytes(),
        };
        // One text for one mark: no signs, no other lengths.
        if mark.to_string() == text { Ok(mark) } else { Err(NoMark) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let generation = Generation { link_id: 42, version: 7 };
        let mark = Mark::with(generation, b"test");
        assert_eq!(mark.to_string(), "000000000000002a.7.9f86d081884c7d65");
        let longest = Mark {
            generation: Generation { link_id: u64::MAX, version: u64::MAX },
            digest: [255; 8],
        };
        assert_eq!(longest.to_string().len(), 54);
        for mark in [mark, longest, Mark { digest: [0; 8], ..mark }] {
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }

    #[test]
    fn another_text_is_no_mark() {
        for text in [
            "",
            "..",
            "2a.7.9f86d081884c7d65",
            "000000000000002A.7.9f86d081884c7d65",
            "000000000000002a.07.9f86d081884c7d65",
            "000000000000002a.+7.9f86d081884c7d65",
            "000000000000002a.7.9f86d081884c7d65.",
            "000000000000002a.7.9f86d081884c7d6",
            "000000000000002a.7.+f86d081884c7d65",
            "é",
        ] {
            assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text}");
        }
    }
}
