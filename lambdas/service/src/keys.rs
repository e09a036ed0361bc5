//! API keys: how they look, who may do what, and where they live.
//!
//! A key is `wp_`, 30 random base62 characters (178 bits) and the CRC-32 of those characters in 6
//! more, as GitHub's tokens are built: a fake is refused without reading anything, and scanners
//! of leaked secrets find keys without false alarms. Only the SHA-256 of a key is kept; with 178
//! bits there is nothing to guess, so a slow hash would add nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use waypost_wire::time::Timestamp;

use crate::ambient::Draws;
use crate::seams::StoreError;

/// What every key starts with.
pub const PREFIX: &str = "wp_";

/// Fewest characters of an admin key given by setting.
pub const ADMIN_KEY_MIN_CHARS: usize = 20;

const RANDOM_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;
const ID_CHARS: usize = 10;

/// What a key may do. Each role may also do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads links and statistics.
    Viewer,
    /// Writes links.
    Editor,
    /// Manages keys, blocks links, cleans up.
    Admin,
}

impl Role {
    /// The name as the API and stores write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// A key as it is stored: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public identity: 10 base62 characters.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Requests that may be made with it in a minute; 0: any number; `None`: as many as the operator
    /// says of all keys.
    pub requests_per_minute: Option<u32>,
    /// SHA-256 of the secret; unique.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to within [`TOUCH_AFTER_MS`].
    pub last_used_at: Option<Timestamp>,
    /// From when on it is refused.
    pub revoked_at: Option<Timestamp>,
}

/// `last_used_at` is written when it is older than this (10 minutes), so that reading does not
/// cost a write per request.
pub const TOUCH_AFTER_MS: i64 = 600_000;

impl ApiKey {
    /// Whether a use at `now` is to be written down.
    pub fn wants_touch(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|at| now.ms_since(at) >= TOUCH_AFTER_MS)
    }
}

/// The text of a key, shown once. Never logged: its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Draws a new key.
    pub fn draw(draws: &mut Draws) -> Self {
        let random = draws.base62(RANDOM_CHARS);
        let checksum = checksum(&random);
        Self(format!("{PREFIX}{random}{checksum}"))
    }

    /// The text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A new key and its secret, with the limit that the operator sets for all keys.
pub fn generate(name: String, role: Role, draws: &mut Draws, now: Timestamp) -> (ApiKey, Secret) {
    let secret = Secret::draw(draws);
    let key = ApiKey {
        id: draws.base62(ID_CHARS),
        name,
        role,
        requests_per_minute: None,
        hash: sha256(secret.reveal().as_bytes()),
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    (key, secret)
}

/// The hash a key is looked up by; `None` if the text cannot be a key of Waypost.
pub fn hash(text: &str) -> Option<[u8; 32]> {
    let body = text.strip_prefix(PREFIX)?;
    if body.len() != RANDOM_CHARS + CHECKSUM_CHARS || !body.is_ascii() {
        return None;
    }
    let (random, check) = body.split_at(RANDOM_CHARS);
    let genuine =
        body.bytes().all(|byte| byte.is_ascii_alphanumeric()) && check == checksum(random);
    genuine.then(|| sha256(text.as_bytes()))
}

/// CRC-32 (ISO-HDLC) in base62, led by zeros: 62^6 is above 2^32.
fn checksum(random: &str) -> String {
    format!("{:0>CHECKSUM_CHARS$}", base62::encode(crc32fast::hash(random.as_bytes())))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The admin key given by setting: only its hash is kept.
#[derive(Clone)]
pub struct AdminKey([u8; 32]);

/// The text will not do as an admin key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an admin key is at least {ADMIN_KEY_MIN_CHARS} visible ASCII characters without spaces")]
pub struct WeakAdminKey;

impl AdminKey {
    /// Takes the setting; any text will do that cannot be guessed and fits a header.
    pub fn new(text: &str) -> Result<Self, WeakAdminKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match visible && text.len() >= ADMIN_KEY_MIN_CHARS {
            true => Ok(Self(sha256(text.as_bytes()))),
            false => Err(WeakAdminKey),
        }
    }

    /// Whether `text` is the key; takes as long whatever the text is.
    pub fn is(&self, text: &str) -> bool {
        bool::from(self.0.ct_eq(&sha256(text.as_bytes())))
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(..)")
    }
}

/// Where keys live.
pub trait KeyStore {
    /// Writes a new key; durable when it answers.
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// The key with this hash, revoked ones included.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// All keys, revoked ones included, oldest first, then by id.
    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Refuses a key from `now` on; whether there was such a key that was not revoked before.
    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Writes down that a key was used; never moves `last_used_at` back.
    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SeededEntropy;

    fn draws(seed: u64) -> Draws {
        Draws::new(&SeededEntropy::new(seed))
    }

    #[test]
    fn a_generated_key_is_found_by_its_hash() {
        let now = Timestamp(1_000);
        let (key, secret) = generate("ci".into(), Role::Editor, &mut draws(1), now);
        assert_eq!(secret.reveal().len(), 39);
        assert_eq!(hash(secret.reveal()), Some(key.hash));
        assert_eq!(key.id.len(), 10);
        assert_eq!((key.created_at, key.last_used_at, key.revoked_at), (now, None, None));
    }

    #[test]
    fn the_checksum_is_the_published_crc_with_leading_zeros() {
        // The check value of CRC-32/ISO-HDLC is 0xCBF43926.
        assert_eq!(checksum("123456789"), format!("{:0>6}", base62::encode(0xCBF4_3926_u32)));
        for seed in 0..200 {
            assert_eq!(checksum(&draws(seed).base62(30)).len(), 6);
        }
    }

    #[test]
    fn any_changed_character_is_refused_offline() {
        let secret = Secret::draw(&mut draws(3));
        for at in 0..secret.reveal().len() {
            for other in ['x', 'Q', '7', '_', 'ü'] {
                let mut text: Vec<char> = secret.reveal().chars().collect();
                if text[at] == other {
                    continue;
                }
                text[at] = other;
                assert_eq!(hash(&text.iter().collect::<String>()), None, "{at} {other}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        let real = Secret::draw(&mut draws(4)).reveal().to_owned();
        for text in ["", "wp_", "Bearer", &real[1..], &format!("{real}0"), &format!(" {real}")] {
            assert_eq!(hash(text), None, "{text:?}");
        }
        let spaces = format!("wp_{}{}", " ".repeat(30), checksum(&" ".repeat(30)));
        assert_eq!(hash(&spaces), None);
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let secret = Secret::draw(&mut draws(5));
        let admin = AdminKey::new("correct-horse-battery").unwrap();
        assert_eq!(format!("{secret:?} {admin:?}"), "Secret(..) AdminKey(..)");
    }

    #[test]
    fn the_admin_key_is_compared_whole() {
        let admin = AdminKey::new("correct-horse-battery").unwrap();
        assert!(admin.is("correct-horse-battery"));
        for other in ["", "correct-horse-batterY", "correct-horse-battery "] {
            assert!(!admin.is(other), "{other:?}");
        }
        for weak in [
            "",
            "short",
            "with a space in the middle",
            "nineteen-characters",
            "unsichtbar-grün-blau-rot",
        ] {
            assert!(AdminKey::new(weak).is_err(), "{weak:?}");
        }
    }

    #[test]
    fn roles_are_ordered_and_named() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Admin);
        for role in [Role::Viewer, Role::Editor, Role::Admin] {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
        assert_eq!(Role::from_name("Admin"), None);
    }

    #[test]
    fn uses_are_written_down_every_ten_minutes() {
        let (mut key, _) = generate("k".into(), Role::Viewer, &mut draws(6), Timestamp(0));
        assert!(key.wants_touch(Timestamp(1)));
        key.last_used_at = Some(Timestamp(1_000));
        assert!(!key.wants_touch(Timestamp(600_999)));
        assert!(key.wants_touch(Timestamp(601_000)));
    }
}
