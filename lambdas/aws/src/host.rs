//! What a process over AWS brings to the control plane.

use waypost_host::ambient::Ambient;
use waypost_service::links::{Host, RecordSink};
use waypost_service::seams::StoreError;
use waypost_wire::key::LinkKey;

use crate::control::own::OwnMachine;
use crate::store::AwsStore;

/// Tables, and the operating system.
#[derive(Clone, Debug)]
pub struct AwsHost {
    /// Time, randomness, sleep.
    pub ambient: Ambient,
    /// Everything that is kept.
    pub store: AwsStore,
    /// Who is told of records.
    pub records: Untold,
    /// By what its ids differ from those of others.
    pub machine: OwnMachine,
}

impl AwsHost {
    /// A host over tables, which has no machine number before it makes an id.
    pub fn new(ambient: Ambient, store: AwsStore) -> Self {
        Self { ambient, store, records: Untold, machine: OwnMachine::default() }
    }
}

/// Nobody: edges hear of changes by the stream of the table.
#[derive(Clone, Copy, Debug)]
pub struct Untold;

impl RecordSink for Untold {
    fn changed(&self, _: &LinkKey, _: u64, _: &[u8]) {}
    fn removed(&self, _: &LinkKey) {}
}

impl Host for AwsHost {
    type Ambient = Ambient;
    type Counters = AwsStore;
    type Keys = AwsStore;
    type Limits = AwsStore;
    type Links = AwsStore;
    type Records = Untold;

    fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    fn counters(&self) -> &AwsStore {
        &self.store
    }

    fn keys(&self) -> &AwsStore {
        &self.store
    }

    fn limits(&self) -> &AwsStore {
        &self.store
    }

    fn links(&self) -> &AwsStore {
        &self.store
    }

    fn records(&self) -> &Untold {
        &self.records
    }

    async fn machine(&self) -> Result<Option<u16>, StoreError> {
        self.machine.number(&self.store, &self.ambient).await.map(Some)
    }
}
