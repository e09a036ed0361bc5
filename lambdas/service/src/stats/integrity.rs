//! How the account of clicks looks in the API.

use serde::Serialize;
use waypost_wire::time::Timestamp;

use crate::counting::integrity::Integrity;
use crate::time::rfc3339;

/// The account with what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IntegrityView {
    /// When it was drawn up.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// The numbers.
    #[serde(flatten)]
    pub account: Integrity,
    /// What is always true of them.
    pub identity: &'static str,
}

impl IntegrityView {
    /// The account as of `at`.
    pub const fn new(account: Integrity, at: Timestamp) -> Self {
        Self { at, account, identity: "accepted = counted + lost + in_flight" }
    }
}
