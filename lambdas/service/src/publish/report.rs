//! What became of changes.

use std::collections::BTreeSet;

use super::store::StoreFault;
use crate::seams::StoreError;

/// What was not done for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The key.
    pub key: String,
    /// The store; `None`: it failed before any was asked.
    pub store: Option<String>,
    /// Why.
    pub fault: Fault,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The table could not be read.
    #[error(transparent)]
    Table(StoreError),
    /// The clean-up of statistics could not be ordered.
    #[error("statistics: {0}")]
    Statistics(StoreError),
    /// The store could not be written.
    #[error(transparent)]
    Store(StoreFault),
    /// The store took others of the same call, but not this one.
    #[error("the store did not take it")]
    NotTaken,
    /// The store never takes it.
    #[error("the store does not take such a key or record")]
    NeverTaken,
}

impl Fault {
    /// Whether the same may go better later, without anybody doing anything.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Table(fault) | Self::Statistics(fault) => {
                matches!(fault, StoreError::Unavailable(_))
            }
            Self::Store(fault) => fault.may_pass(),
            Self::NotTaken => true,
            Self::NeverTaken => false,
        }
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Different keys the events told of.
    pub keys: usize,
    /// Records written, over all stores.
    pub written: usize,
    /// Keys removed, over all stores.
    pub removed: usize,
    /// Keys of which a store has something newer, over all stores.
    pub newer: usize,
    /// Links whose statistics will be deleted.
    pub statistics: usize,
    /// What was not done, key by key and store by store.
    pub failures: Vec<Failure>,
    /// The stores that did not get the state.
    pub state_failures: Vec<(String, Fault)>,
}

impl Published {
    /// The keys that are worth another try.
    pub fn retry(&self) -> BTreeSet<&str> {
        let worth = self.failures.iter().filter(|failure| failure.fault.may_pass());
        worth.map(|failure| failure.key.as_str()).collect()
    }

    /// Whether the state is worth another try in some store.
    pub fn retry_state(&self) -> bool {
        self.state_failures.iter().any(|(_, fault)| fault.may_pass())
    }

    pub(super) fn add(&mut self, other: Self) {
        self.written += other.written;
        self.removed += other.removed;
        self.newer += other.newer;
        self.failures.extend(other.failures);
        self.state_failures.extend(other.state_failures);
    }
}
