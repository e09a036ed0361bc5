//! What a redirect asks of its host.

use waypost_core::flow::Source;
use waypost_wire::key::LinkKey;

/// The store, or the way to it, failed. What exactly is for the host to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Reads link records.
pub trait LinkReader {
    /// The bytes of a record; cheap to keep for the time of one request.
    type Bytes: AsRef<[u8]>;

    /// The record under a key; `None` if the source says there is none.
    ///
    /// # Errors
    /// [`Failed`] if the source did not answer in the host's time limit.
    async fn read(&self, source: Source, key: &LinkKey) -> Result<Option<Self::Bytes>, Failed>;
}

/// What only the place where links are written can answer.
pub trait Origin {
    /// Takes one use of a link with a click limit; durable before it answers.
    ///
    /// # Errors
    /// [`Failed`] if it is unknown whether a use was taken.
    async fn take_use(&self, link_id: u64) -> Result<Use, Failed>;

    /// Checks the password of the link under `key`.
    ///
    /// # Errors
    /// [`Failed`] if it could not be checked.
    async fn unlock(
        &self,
        key: &LinkKey,
        password: &str,
        client_ip: Option<u128>,
    ) -> Result<Unlock, Failed>;
}

/// Whether a use was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The limit was reached before.
    Exhausted,
    /// This request has it.
    Taken,
}

/// How a password fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// It is the link's password.
    Right,
    /// Too many attempts for this link or from this address; nothing was compared.
    TooMany,
    /// It is not.
    Wrong,
}
