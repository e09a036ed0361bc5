//! Tables and queues that many nodes share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waypost_aws::clients::Clients;
use waypost_aws::control::own::OwnMachine;
use waypost_aws::queue::Queue;
use waypost_aws::schema::Names;
use waypost_aws::store::AwsStore;
use waypost_host::settings::SharedStore;
use waypost_service::ambient::Clock;
use waypost_service::counting::store::CounterStore;
use waypost_service::seal::SealKeys;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

/// The shared store, as one node has it. Clones are the same node.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Links, keys, numbers.
    pub tables: AwsStore,
    /// Where clicks go.
    pub clicks: Queue,
    /// The Snowflake machine that this node is, once it has made an id.
    machine: OwnMachine,
}

impl Shared {
    /// Finds the tables, whose links are sealed with these keys, if there are any.
    ///
    /// # Errors
    /// If they do not answer.
    pub async fn join(
        settings: &SharedStore,
        seal_keys: Option<SealKeys>,
    ) -> Result<Self, StoreError> {
        let tables = tables(settings, seal_keys).await;
        let clicks = Queue::new(&tables.clients, &settings.clicks_queue_url);
        tables.open().await?;
        Ok(Self { tables, clicks, machine: OwnMachine::default() })
    }

    /// The number of the machine that this node may make ids as now.
    ///
    /// # Errors
    /// If there is none to be had; whoever asks next tries again.
    pub async fn machine(&self, clock: &impl Clock) -> Result<u16, StoreError> {
        self.machine.number(&self.tables, clock).await
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
        if let Err(error) = self.machine.end(&self.tables, now).await {
            tracing::warn!(%error, "the machine number could not be given back; it ends by itself");
        }
    }
}

/// The tables that the settings name, whose links are sealed with these keys, if there are any.
pub(crate) async fn tables(settings: &SharedStore, seal_keys: Option<SealKeys>) -> AwsStore {
    let names = Names {
        links: settings.links_table.clone(),
        control: settings.control_table.clone(),
        counters: settings.counters_table.clone(),
        raw_bucket: settings.raw_bucket.clone(),
    };
    AwsStore::new(Clients::from_environment().await, names).sealed_with(seal_keys)
}
