//! Tables and queues that many nodes share.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waypost_aws::clients::Clients;
use waypost_aws::control::machine::Machine;
use waypost_aws::queue::Queue;
use waypost_aws::schema::Names;
use waypost_aws::store::AwsStore;
use waypost_host::settings::SharedStore;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

/// The shared store, as one node has it. Clones are the same node.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Links, keys, numbers.
    pub tables: AwsStore,
    /// Where clicks go.
    pub clicks: Queue,
    /// The Snowflake machine that this node is.
    machine: Arc<Mutex<Machine>>,
}

impl Shared {
    /// Finds the tables, and takes a machine among the nodes.
    ///
    /// # Errors
    /// If the tables do not answer, or there is no machine to be had.
    pub async fn join(settings: &SharedStore, now: Timestamp) -> Result<Self, StoreError> {
        let clients = Clients::from_environment().await;
        let clicks = Queue::new(&clients, &settings.clicks_queue_url);
        let names = Names {
            links: settings.links_table.clone(),
            control: settings.control_table.clone(),
            counters: settings.counters_table.clone(),
            raw_bucket: settings.raw_bucket.clone(),
        };
        let tables = AwsStore::new(clients, names).sealed_with(settings.seal_keys.clone());
        let machine = Arc::new(Mutex::new(tables.lease_machine(now).await?));
        Ok(Self { tables, clicks, machine })
    }

    /// The number of this node's machine.
    pub fn machine(&self) -> u16 {
        self.held().number
    }

    /// Holds on to the machine if it is time to. `false`: another node has it by now, and this one
    /// must not make ids any more.
    ///
    /// # Errors
    /// If the tables do not answer; there is time left to try again.
    pub async fn renew(&self, now: Timestamp) -> Result<bool, StoreError> {
        let machine = self.held();
        if !machine.wants_renewal(now) {
            return Ok(true);
        }
        let Some(renewed) = self.tables.renew_machine(&machine, now).await? else {
            return Ok(false);
        };
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(true)
    }

    /// Puts a batch of clicks into the queue.
    ///
    /// # Errors
    /// If the queue does not take it.
    pub async fn send(&self, batch: &[u8]) -> Result<(), StoreError> {
        self.clicks.send(&STANDARD.encode(batch)).await
    }

    /// Gives the machine back.
    pub async fn close(&self, now: Timestamp) {
        if let Err(error) = self.tables.end_machine(&self.held(), now).await {
            tracing::warn!(%error, "the machine number could not be given back; it ends by itself");
        }
    }

    fn held(&self) -> Machine {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
