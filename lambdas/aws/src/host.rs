//! What a process over AWS brings to the control plane.

use waypost_host::ambient::Ambient;
use waypost_service::links::{Host, RecordSink};
use waypost_wire::key::LinkKey;

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
}

impl AwsHost {
    /// A host over tables.
    pub const fn new(ambient: Ambient, store: AwsStore) -> Self {
        Self { ambient, store, records: Untold }
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

    fn links(&self) -> &AwsStore {
        &self.store
    }

    fn records(&self) -> &Untold {
        &self.records
    }
}
