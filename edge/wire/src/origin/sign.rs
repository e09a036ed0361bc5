//! Signatures of questions and answers: HMAC-SHA256 (RFC 2104) under the key that an edge and its
//! origin share.
//!
//! A question's header is `t=<unix seconds>,s=<64 hex digits>`, over time, path and body; an
//! answer's is `s=<64 hex digits>`, over the question's MAC, the status and the body. So neither
//! can be made up, changed, or taken for another; an old question is refused after
//! [`SKEW_MAX_SECONDS`], and an answer fits one question only.

use alloc::format;
use alloc::string::String;

use hex::FromHex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Timestamp;

/// The header that carries a signature, in both directions.
pub const HEADER: &str = "x-waypost-signature";

/// How far the clocks of an edge and its origin may be apart, delivery included.
pub const SKEW_MAX_SECONDS: i64 = 300;

/// The key that an edge and its origin share. Debug does not show it.
#[derive(Clone)]
pub struct OriginKey([u8; 32]);

impl core::fmt::Debug for OriginKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OriginKey")
    }
}

/// A signed question, as far as the signature of its answer needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionMac([u8; 32]);

/// Why a question is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// The header is not of the form above.
    Malformed,
    /// The time is more than [`SKEW_MAX_SECONDS`] away.
    Time,
    /// Another key, path or body.
    Wrong,
}

impl OriginKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Signs a question: the header's value, and what its answer will be checked with.
    pub fn sign_question(&self, path: &str, body: &[u8], now: Timestamp) -> (String, QuestionMac) {
        let seconds = now.seconds();
        let mac = self.question(path, body, seconds).finalize().into_bytes().into();
        (format!("t={seconds},s={}", hex::encode(mac)), QuestionMac(mac))
    }

    /// Checks a question's header.
    ///
    /// # Errors
    /// See [`SignatureFault`].
    pub fn check_question(
        &self,
        header: &str,
        path: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<QuestionMac, SignatureFault> {
        let (time, tag) = header
            .strip_prefix("t=")
            .and_then(|rest| rest.split_once(",s="))
            .ok_or(SignatureFault::Malformed)?;
        let seconds: i64 = time.parse().map_err(|_| SignatureFault::Malformed)?;
        let tag = <[u8; 32]>::from_hex(tag).map_err(|_| SignatureFault::Malformed)?;
        // The signature first: the clock of somebody without the key is nobody's business.
        self.question(path, body, seconds).verify_slice(&tag).map_err(|_| SignatureFault::Wrong)?;
        match now.seconds().abs_diff(seconds) <= SKEW_MAX_SECONDS.unsigned_abs() {
            true => Ok(QuestionMac(tag)),
            false => Err(SignatureFault::Time),
        }
    }

    /// The header of an answer.
    pub fn sign_answer(&self, question: &QuestionMac, status: u16, body: &[u8]) -> String {
        let mac = self.answer(question, status, body).finalize().into_bytes();
        format!("s={}", hex::encode(mac))
    }

    /// Whether an answer is the origin's, and to this question.
    pub fn is_answer(
        &self,
        header: &str,
        question: &QuestionMac,
        status: u16,
        body: &[u8],
    ) -> bool {
        let tag = header.strip_prefix("s=").and_then(|tag| <[u8; 32]>::from_hex(tag).ok());
        tag.is_some_and(|tag| self.answer(question, status, body).verify_slice(&tag).is_ok())
    }

    fn question(&self, path: &str, body: &[u8], seconds: i64) -> Hmac<Sha256> {
        let mut mac = self.mac();
        mac.update(b"waypost question 1\n");
        mac.update(&seconds.to_be_bytes());
        mac.update(path.as_bytes());
        mac.update(b"\n");
        mac.update(body);
        mac
    }

    fn answer(&self, question: &QuestionMac, status: u16, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac();
        mac.update(b"waypost answer 1\n");
        mac.update(&question.0);
        mac.update(&status.to_be_bytes());
        mac.update(body);
        mac
    }

    fn mac(&self) -> Hmac<Sha256> {
        let none = hmac::digest::Key::<Hmac<Sha256>>::default();
        // HMAC takes keys of every length.
        Hmac::new_from_slice(&self.0).unwrap_or_else(|_| Hmac::new(&none))
    }
}
