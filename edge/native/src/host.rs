//! What this process brings to the control plane.

use std::sync::Arc;

use waypost_service::links::Host;

use crate::records::Records;
use crate::sqlite::Db;
use waypost_host::ambient::Ambient;

/// The embedded database, the cache in front of it, and the operating system.
#[derive(Clone, Debug)]
pub struct NativeHost {
    /// Time, randomness, sleep.
    pub ambient: Ambient,
    /// Links, keys and numbers of clicks.
    pub db: Db,
    /// The cache.
    pub records: Arc<Records<Ambient>>,
}

impl Host for NativeHost {
    type Ambient = Ambient;
    type Counters = Db;
    type Keys = Db;
    type Links = Db;
    type Records = Records<Ambient>;

    fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    fn counters(&self) -> &Db {
        &self.db
    }

    fn keys(&self) -> &Db {
        &self.db
    }

    fn links(&self) -> &Db {
        &self.db
    }

    fn records(&self) -> &Records<Ambient> {
        &self.records
    }
}
