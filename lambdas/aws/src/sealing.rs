//! The randomness of sealed attributes. What is sealed, and how, is the same in every store:
//! [`waypost_service::seal::fields`].

use waypost_service::seal::NONCE_BYTES;

use crate::calls::random;

/// The random number of one sealing.
pub(crate) fn nonce() -> Option<[u8; NONCE_BYTES]> {
    random().ok()
}
