//! What this process brings to the control plane.

use std::sync::Arc;

use waypost_service::links::Host;
use waypost_service::seams::StoreError;

use crate::limits::Buckets;
use crate::records::Records;
use crate::store::Store;
use waypost_host::ambient::Ambient;

/// The store, the cache in front of it, and the operating system.
#[derive(Clone, Debug)]
pub struct NativeHost {
    /// Time, randomness, sleep.
    pub ambient: Ambient,
    /// Links, keys and numbers of clicks.
    pub db: Store,
    /// How much may be asked of the API.
    pub limits: Buckets,
    /// The cache.
    pub records: Arc<Records<Ambient>>,
}

impl Host for NativeHost {
    type Ambient = Ambient;
    type Counters = Store;
    type Keys = Store;
    type Limits = Buckets;
    type Links = Store;
    type Records = Records<Ambient>;

    fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    fn counters(&self) -> &Store {
        &self.db
    }

    fn keys(&self) -> &Store {
        &self.db
    }

    fn limits(&self) -> &Buckets {
        &self.limits
    }

    fn links(&self) -> &Store {
        &self.db
    }

    fn records(&self) -> &Records<Ambient> {
        &self.records
    }

    async fn machine(&self) -> Result<Option<u16>, StoreError> {
        self.db.machine(&self.ambient).await
    }
}
