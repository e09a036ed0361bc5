//! The machine number of a process: taken when its first id is made, and not before. Most processes
//! make none: a function that answers reads or cleans up pays nothing for what it does not need.
//!
//! Asked for each id, so that none is made with a number whose lease has ended, however long the
//! process was frozen meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use waypost_service::ambient::Clock;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::machine::Machine;
use crate::store::AwsStore;

/// The number of this process, if it has one. Clones are the same process.
#[derive(Clone, Debug, Default)]
pub struct OwnMachine(Arc<Own>);

#[derive(Debug, Default)]
struct Own {
    held: Mutex<Option<Machine>>,
    /// Whoever takes or renews the number has this; the others wait for what comes of it.
    turn: tokio::sync::Mutex<()>,
}

impl OwnMachine {
    /// The number that ids may be made with now. Taken or renewed if need be, once for all who ask
    /// at the same time.
    ///
    /// # Errors
    /// If there is no number to be had; whoever asks next tries again.
    pub async fn number(&self, store: &AwsStore, clock: &impl Clock) -> Result<u16, StoreError> {
        let now = clock.now();
        if let Some(machine) = self.held().filter(|machine| machine.is_usable(now)) {
            // Whoever is first renews it, and nobody waits for that one.
            if machine.wants_renewal(now)
                && let Ok(_turn) = self.0.turn.try_lock()
            {
                return Box::pin(self.renewed(store, machine, now)).await;
            }
            return Ok(machine.number);
        }
        let _turn = self.0.turn.lock().await;
        let now = clock.now();
        match self.held() {
            // Of whoever had the turn before.
            Some(machine) if machine.is_usable(now) => Ok(machine.number),
            Some(machine) => Box::pin(self.renewed(store, machine, now)).await,
            None => Box::pin(self.taken(store, now)).await,
        }
    }

    /// Gives the number back, at the end of the process.
    ///
    /// # Errors
    /// The store's fault; then it becomes free by itself.
    pub async fn end(&self, store: &AwsStore, now: Timestamp) -> Result<(), StoreError> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        match held {
            Some(machine) => store.end_machine(&machine, now).await,
            None => Ok(()),
        }
    }

    async fn renewed(
        &self,
        store: &AwsStore,
        machine: Machine,
        now: Timestamp,
    ) -> Result<u16, StoreError> {
        match store.renew_machine(&machine, now).await {
            Ok(Some(renewed)) => Ok(self.hold(renewed)),
            // Another process has it by now.
            Ok(None) => self.taken(store, now).await,
            // There is time left, and whoever comes next tries again.
            Err(_) if machine.is_usable(now) => Ok(machine.number),
            Err(error) => Err(error),
        }
    }

    async fn taken(&self, store: &AwsStore, now: Timestamp) -> Result<u16, StoreError> {
        store.lease_machine(now).await.map(|machine| self.hold(machine))
    }

    fn held(&self) -> Option<Machine> {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, machine: Machine) -> u16 {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine);
        machine.number
    }
}
