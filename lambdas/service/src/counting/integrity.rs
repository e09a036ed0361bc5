//! The account of clicks: what was accepted, and what became of it.

use serde::Serialize;
use waypost_wire::time::Timestamp;

use super::ledger::{LOST_AFTER_MS, Ledger};
use super::store::CounterStore;
use crate::seams::StoreError;

/// Every accepted click is in one of three numbers: `counted + lost + in_flight = accepted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Clicks that hosts gave a number.
    pub accepted: u64,
    /// Clicks that are in the statistics, each once.
    pub counted: u64,
    /// Clicks that have not arrived for 15 minutes. If they still do, they are counted then.
    pub lost: u64,
    /// Clicks that have not arrived yet.
    pub in_flight: u64,
    /// Clicks that arrived again, and were not counted again.
    pub duplicate: u64,
    /// Counted clicks that arrived after their window had closed, and count in a later one.
    pub late: u64,
}

/// The account as of `now`.
///
/// # Errors
/// If the store fails.
pub async fn integrity(store: &impl CounterStore, now: Timestamp) -> Result<Integrity, StoreError> {
    let account = store.account(now.plus_ms(-LOST_AFTER_MS)).await?;
    let in_flight = account.recent.iter().map(|ledger: &Ledger| ledger.in_flight(now)).sum();
    let missing = account.accepted.saturating_sub(account.stored);
    Ok(Integrity {
        accepted: account.accepted,
        counted: account.stored,
        lost: missing.saturating_sub(in_flight),
        in_flight,
        duplicate: account.duplicate,
        late: account.late,
    })
}
