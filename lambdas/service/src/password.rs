//! Passwords of links: Argon2id, kept as PHC strings.
//!
//! Both functions take tens of milliseconds of one core and 19 MiB; a host with an event loop
//! calls them from a thread that may block.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};

/// Memory in KiB, passes and lanes: the floor OWASP's Password Storage Cheat Sheet names.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of salt (RFC 9106 3.1 recommends 16).
pub const SALT_BYTES: usize = 16;

/// A password could not be hashed, or a stored hash could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("password hash: {0}")]
pub struct HashError(String);

/// The PHC string of a password. `salt` is random.
pub fn hash(password: &str, salt: [u8; SALT_BYTES]) -> Result<String, HashError> {
    let hashed = hasher()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| HashError(error.to_string()))?;
    Ok(hashed.to_string())
}

/// Whether `password` is the one `stored` was made from. Without a stored hash (no such link, or
/// no password on it) the answer is no, after the same work: the time does not tell which.
pub fn verify(password: &str, stored: Option<&str>) -> Result<bool, HashError> {
    let Some(stored) = stored else {
        black_box(hash(password, [0; SALT_BYTES])?);
        return Ok(false);
    };
    let parsed = PasswordHash::new(stored).map_err(|error| HashError(error.to_string()))?;
    match hasher()?.verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(HashError(error.to_string())),
    }
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| HashError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_says_how_it_was_made_and_verifies_only_its_password() {
        let stored = hash("hunter2 ü", [7; SALT_BYTES]).unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"),
            "{stored}"
        );
        assert_eq!(verify("hunter2 ü", Some(&stored)), Ok(true));
        for wrong in ["", "hunter2", "hunter2 u\u{308}", "Hunter2 ü", "hunter2 ü "] {
            assert_eq!(verify(wrong, Some(&stored)), Ok(false), "{wrong:?}");
        }
    }

    #[test]
    fn salts_make_equal_passwords_differ() {
        assert_ne!(hash("x", [1; SALT_BYTES]), hash("x", [2; SALT_BYTES]));
    }

    #[test]
    fn nothing_matches_where_there_is_no_password() {
        assert_eq!(verify("", None), Ok(false));
        assert_eq!(verify("x", None), Ok(false));
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_no_match() {
        for stored in
            ["", "x", "$argon2id$v=19$m=1,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(verify("x", Some(stored)).is_err(), "{stored:?}");
        }
    }
}
