//! Runs of background jobs: one of a name at a time. What a run writes must be right without it;
//! it saves the work of doing things twice, and its fencing number can be made a condition.

use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::lease::{Lease, Terms};
use crate::calls::Write;
use crate::item::{Item, number, pair};
use crate::store::AwsStore;

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What runs: `rollup`, `cleanup`.
    pub name: String,
    /// For how long.
    pub lease: Lease,
    lease_ms: i64,
}

impl Run {
    /// A condition for a transaction: nobody else has begun since.
    pub fn is_mine(&self, store: &AwsStore) -> Write {
        Write::check(&store.names.control, item_key(&self.name))
            .only_if("fence = :fence")
            .with(":fence", number(self.lease.fence))
    }

    fn terms(&self) -> Terms {
        terms(self.lease_ms)
    }
}

/// Who was late is fenced off, so the next one need not wait.
const fn terms(lease_ms: i64) -> Terms {
    Terms { lease_ms, safe_ms: 0 }
}

fn item_key(name: &str) -> Item {
    pair(format!("run#{name}"), "lease")
}

impl AwsStore {
    /// Begins a run for `lease_ms` milliseconds. `None`: another is under way.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn begin_run(
        &self,
        name: &str,
        lease_ms: i64,
        now: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        let lease = self.take_lease(&item_key(name), terms(lease_ms), now).await?;
        Ok(lease.map(|lease| Run { name: name.to_owned(), lease, lease_ms }))
    }

    /// Goes on for as long again. `None`: it was too late, and another has begun.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn renew_run(&self, run: &Run, now: Timestamp) -> Result<Option<Run>, StoreError> {
        let key = item_key(&run.name);
        let renewed = self.renew_lease(&key, &run.lease, run.terms(), now).await?;
        Ok(renewed.map(|lease| Run { lease, ..run.clone() }))
    }

    /// Ends a run before its time.
    ///
    /// # Errors
    /// The store's fault; then it ends by itself.
    pub async fn end_run(&self, run: &Run, now: Timestamp) -> Result<(), StoreError> {
        self.end_lease(&item_key(&run.name), &run.lease, now).await
    }
}
