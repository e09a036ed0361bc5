//! The keys of an installation: what its origin and its edges share, and nobody else knows.

use std::fmt;

use hex::FromHex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Fewest characters of a secret that keys are derived from.
pub const SECRET_MIN_CHARS: usize = 32;

/// The keys of an installation. Debug shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Of check characters.
    pub check: [u8; 16],
    /// Of the cookies that remember a password.
    pub cookie: [u8; 32],
    /// Of signatures between edges and this installation as their origin.
    pub origin: [u8; 32],
    /// Of the scrambling of sequence codes.
    pub sequence: [u8; 16],
    /// Of the choice between weighted destinations.
    pub sticky: [u8; 16],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// A text that no keys can be had from. Says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// A key is missing, there twice, unknown or of another length.
    #[error(
        "it must have the keys check, cookie, origin, sequence and sticky once each, as NAME:HEX \
         with 32 hex digits, of cookie and origin 64"
    )]
    Malformed,
    /// Too easy to guess.
    #[error("a secret has at least {SECRET_MIN_CHARS} characters")]
    TooShort,
}

impl Keys {
    /// Reads keys from a text: either each of them, as [`Keys::to_line`] writes them, or a secret
    /// of at least [`SECRET_MIN_CHARS`] random characters that all are derived from.
    ///
    /// # Errors
    /// See [`KeysFault`].
    pub fn read(text: &str) -> Result<Self, KeysFault> {
        let text = text.trim();
        match text.contains(':') {
            true => Self::from_line(text).ok_or(KeysFault::Malformed),
            false if text.chars().count() < SECRET_MIN_CHARS => Err(KeysFault::TooShort),
            false => Ok(Self::derived(text)),
        }
    }

    /// One line with all of them; [`Keys::read`] reads it.
    pub fn to_line(&self) -> String {
        let sequence = hex::encode(self.sequence);
        format!("{} sequence:{sequence}", self.to_edge_line())
    }

    /// The line that edges are given: without what only codes are made with.
    pub fn to_edge_line(&self) -> String {
        let [check, sticky] = [self.check, self.sticky].map(hex::encode);
        let [cookie, origin] = [self.cookie, self.origin].map(hex::encode);
        format!("check:{check} cookie:{cookie} origin:{origin} sticky:{sticky}")
    }

    /// HMAC-SHA-256 of each key's name under the secret, as in the expansion step of HKDF
    /// (RFC 5869 2.3) with one block.
    fn derived(secret: &str) -> Self {
        let derive = |name: &str| -> [u8; 32] {
            // A key of any length will do; an empty one could not have come this far.
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
            mac.map(|mac| {
                let mac = mac.chain_update(b"waypost key ").chain_update(name);
                mac.finalize().into_bytes().into()
            })
            .unwrap_or_default()
        };
        Self {
            check: half(derive("check")),
            cookie: derive("cookie"),
            origin: derive("origin"),
            sequence: half(derive("sequence")),
            sticky: half(derive("sticky")),
        }
    }

    fn from_line(line: &str) -> Option<Self> {
        let words: Vec<(&str, &str)> =
            line.split_whitespace().map(|word| word.split_once(':')).collect::<Option<_>>()?;
        let value = |name: &str| {
            let mut found = words.iter().filter(|(word, _)| *word == name);
            let (_, value) = found.next()?;
            found.next().is_none().then_some(*value)
        };
        (words.len() == 5).then_some(())?;
        Some(Self {
            check: FromHex::from_hex(value("check")?).ok()?,
            cookie: FromHex::from_hex(value("cookie")?).ok()?,
            origin: FromHex::from_hex(value("origin")?).ok()?,
            sequence: FromHex::from_hex(value("sequence")?).ok()?,
            sticky: FromHex::from_hex(value("sticky")?).ok()?,
        })
    }
}

fn half(bytes: [u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&bytes[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

    #[test]
    fn a_secret_gives_the_same_keys_for_ever() {
        let keys = Keys::read(SECRET).expect("a secret");
        // OpenSSL: printf 'waypost key check' | openssl dgst -sha256 -hmac 0123...xyz
        assert_eq!(hex::encode(keys.check), CHECK);
        assert_eq!(Keys::read(&format!(" {SECRET}\n")), Ok(keys.clone()));
        let all = [hex::encode(keys.check), hex::encode(keys.sequence), hex::encode(keys.sticky)];
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_ne!(keys.cookie, keys.origin);
        assert_ne!(Keys::read(&SECRET.replace('0', "1")), Ok(keys));
    }

    const CHECK: &str = "dffc99f6645714321580f8861a6fb167";

    #[test]
    fn a_line_is_read_back() {
        let keys = Keys::read(SECRET).expect("a secret");
        assert_eq!(Keys::read(&keys.to_line()), Ok(keys.clone()));
        assert!(keys.to_line().starts_with(&keys.to_edge_line()));
        assert!(!keys.to_edge_line().contains("sequence"));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let line = Keys::read(SECRET).expect("a secret").to_line();
        for text in [
            line.replace("check:", "chuck:"),
            line.replace("check:", "cookie:"),
            format!("{line} check:00"),
            line[..line.len() - 1].to_owned(),
            format!("{}x", &line[..line.len() - 1]),
            line.replace(':', " :"),
        ] {
            assert_eq!(Keys::read(&text), Err(KeysFault::Malformed), "{text}");
        }
        for text in ["", "short", &"ä".repeat(31)] {
            assert_eq!(Keys::read(text), Err(KeysFault::TooShort), "{text}");
        }
        assert_eq!(format!("{:?}", Keys::read(SECRET)), "Ok(Keys)");
    }
}
