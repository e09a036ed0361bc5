//! Sealed fields: what a store keeps of links that not everybody who can read the store should be
//! able to read. AES-256-GCM, so that a sealed field can neither be read nor changed nor moved to
//! another link without the key.
//!
//! A sealed field names its key, so keys can be replaced: new fields are sealed with the first key,
//! old ones are opened with theirs, and every write of a link seals it anew.
//!
//! [`fields`] says what of a link is sealed, for every store alike; [`reseal`] brings all links to
//! the first key; [`mod@file`] reads and extends files of keys.

pub mod fields;
pub mod file;
pub mod reseal;

use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hex::FromHex;

use crate::model::LinkId;

/// First byte of a sealed field; JSON and records never begin with it.
const VERSION: u8 = 0xe1;
/// Bytes of the random number that no two fields under a key share. NIST SP 800-38D 8.3 allows
/// 2^32 random ones a key; a key is to be replaced long before.
pub const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// The keys of an installation, by their numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKeys {
    current: u32,
    keys: BTreeMap<u32, [u8; 32]>,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKeys")
    }
}

/// The text holds no keys. Says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be keys as NUMBER:HEX with 64 hex digits, no number twice, the one to seal with first"
)]
pub struct SealKeysFault;

/// Why a field could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// It was sealed with a key that is not among the keys.
    #[error("it is sealed with key {0}, which is not among the keys")]
    UnknownKey(u32),
    /// It was cut, changed, or taken from another link or field.
    #[error("it was changed, or belongs elsewhere")]
    Forged,
}

/// The runtime would not seal: the plain text is beyond all bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be sealed")]
pub struct SealFault;

impl SealKeys {
    /// Reads `NUMBER:HEX` pairs with spaces between them; the first seals. Hex digits alone are
    /// key 1.
    ///
    /// # Errors
    /// If they are none.
    pub fn read(text: &str) -> Result<Self, SealKeysFault> {
        let mut keys = BTreeMap::new();
        let mut current = None;
        for pair in text.split_whitespace() {
            let (number, hex) = pair.split_once(':').unwrap_or(("1", pair));
            let number: u32 = number.parse().map_err(|_| SealKeysFault)?;
            let key = <[u8; 32]>::from_hex(hex).map_err(|_| SealKeysFault)?;
            if keys.insert(number, key).is_some() {
                return Err(SealKeysFault);
            }
            current.get_or_insert(number);
        }
        Ok(Self { current: current.ok_or(SealKeysFault)?, keys })
    }

    /// The number of the key that seals.
    pub const fn current(&self) -> u32 {
        self.current
    }

    /// The numbers of all keys, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.keys.keys().copied()
    }

    /// The highest number of a key.
    pub fn highest(&self) -> u32 {
        self.keys.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Seals the field `name` of a link; `nonce` is random and used once.
    ///
    /// # Errors
    /// If there is more of it than AES-GCM takes (64 GiB).
    pub fn seal(
        &self,
        link: LinkId,
        name: &str,
        plain: &[u8],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, SealFault> {
        let key = self.keys.get(&self.current).ok_or(SealFault)?;
        let associated = associated(link, name, self.current);
        let payload = Payload { msg: plain, aad: &associated };
        let cipher = Aes256Gcm::new(key.into());
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealFault)?;
        let mut field = Vec::with_capacity(HEADER_BYTES + sealed.len());
        field.push(VERSION);
        field.extend_from_slice(&self.current.to_be_bytes());
        field.extend_from_slice(&nonce);
        field.extend_from_slice(&sealed);
        Ok(field)
    }

    /// Opens the field `name` of a link.
    ///
    /// # Errors
    /// See [`OpenFault`].
    pub fn open(&self, link: LinkId, name: &str, field: &[u8]) -> Result<Vec<u8>, OpenFault> {
        let number = sealed_with(field).ok_or(OpenFault::Forged)?;
        let (header, sealed) = field.split_at_checked(HEADER_BYTES).ok_or(OpenFault::Forged)?;
        let key = self.keys.get(&number).ok_or(OpenFault::UnknownKey(number))?;
        let associated = associated(link, name, number);
        let payload = Payload { msg: sealed, aad: &associated };
        let nonce: [u8; NONCE_BYTES] = header[5..].try_into().map_err(|_| OpenFault::Forged)?;
        let cipher = Aes256Gcm::new(key.into());
        cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| OpenFault::Forged)
    }
}

/// The number of the key that a field is sealed with; `None` if it is not sealed.
pub fn sealed_with(field: &[u8]) -> Option<u32> {
    let (version, rest) = field.split_first()?;
    let number = rest.first_chunk::<4>()?;
    (*version == VERSION).then(|| u32::from_be_bytes(*number))
}

/// What a sealed field is bound to: the link, the field, the key.
fn associated(link: LinkId, name: &str, key: u32) -> Vec<u8> {
    let mut bytes = link.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
    const NEW: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";
    const LINK: LinkId = LinkId(7);
    const NONCE: [u8; 12] = [9; 12];

    fn keys(text: &str) -> SealKeys {
        SealKeys::read(text).expect("keys")
    }

    fn sealed(keys: &SealKeys) -> Vec<u8> {
        keys.seal(LINK, "notes", b"between us", NONCE).expect("sealed")
    }

    #[test]
    fn a_field_is_opened_with_the_key_it_names() {
        let field = sealed(&keys(OLD));
        assert_eq!(sealed_with(&field), Some(1));
        assert!(!field.windows(7).any(|part| part == b"between"));
        let both = keys(&format!("{NEW} {OLD}"));
        assert_eq!(both.open(LINK, "notes", &field), Ok(b"between us".to_vec()));
        assert_eq!(sealed_with(&sealed(&both)), Some(2), "the first key seals");
        assert_eq!(keys(NEW).open(LINK, "notes", &field), Err(OpenFault::UnknownKey(1)));
    }

    #[test]
    fn the_format_stays() {
        // Python: AESGCM(b"\x01" * 32).encrypt(b"\x09" * 12, b"between us", aad), where aad is the
        // link's and the key's number and the field's name.
        let expected = "e100000001090909090909090909090909a66a53b9ab5568e10a27f9fc078aeab22a40bc67d06617b85eea";
        let hex = hex::encode(sealed(&keys(OLD)));
        assert_eq!(hex, expected);
    }

    #[test]
    fn a_field_is_of_one_link_and_name_and_unchanged() {
        let keys = keys(OLD);
        let field = sealed(&keys);
        assert_eq!(keys.open(LinkId(8), "notes", &field), Err(OpenFault::Forged));
        assert_eq!(keys.open(LINK, "title", &field), Err(OpenFault::Forged));
        for at in 0..field.len() {
            let mut changed = field.clone();
            changed[at] ^= 1;
            assert!(keys.open(LINK, "notes", &changed).is_err(), "byte {at}");
            assert!(keys.open(LINK, "notes", &field[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        let twice = format!("{OLD} {OLD}");
        let short = &OLD[..60];
        let bare = &OLD[2..];
        assert_eq!(sealed(&keys(bare)), sealed(&keys(OLD)), "one key needs no number");
        let with_bare = format!("{OLD} {bare}");
        for text in [
            "",
            "1",
            "1:00",
            &twice,
            &with_bare,
            short,
            &OLD.replace('1', "g"),
            &OLD.replace(':', " "),
        ] {
            assert_eq!(SealKeys::read(text).err(), Some(SealKeysFault), "{text}");
        }
        assert_eq!(format!("{:?}", keys(OLD)), "SealKeys");
    }

    #[test]
    fn what_is_not_sealed_is_told_apart() {
        for field in [&b"{}"[..], b"", b"\xe1", b"\xe1\0\0\0"] {
            assert_eq!(sealed_with(field), None);
        }
    }
}
