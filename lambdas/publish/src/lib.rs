//! Clients of the stores of edges: Workers KV, Redis, Spin apps.
//!
//! Each is an [`EdgeStore`] of `waypost_service::publish`, which decides what is written when, how
//! fast, and what is tried again; here a call is made once, within a bounded time, and what came of
//! it is told. The store of edges on DynamoDB is in `waypost-aws`, with the SDK.
#![warn(missing_docs)]

mod cloudflare;
mod http;
mod redis;
mod settings;
mod spin;
#[cfg(feature = "testing")]
pub mod testing;

use waypost_service::publish::{
    Budget, EdgeStore, Kept, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};

pub use cloudflare::{Account, CloudflareKv};
pub use redis::RedisStore;
pub use settings::{Setting, SettingsFault, StoreKind, parse};
pub use spin::SpinSync;

/// Any of the stores.
#[derive(Debug)]
pub enum Store {
    /// Workers KV.
    Cloudflare(CloudflareKv),
    /// Redis, Valkey.
    Redis(Box<RedisStore>),
    /// A Spin app.
    Spin(SpinSync),
}

/// The same call of whichever store it is.
macro_rules! each {
    ($store:expr, $it:ident => $call:expr) => {
        match $store {
            Store::Cloudflare($it) => $call,
            Store::Redis($it) => $call,
            Store::Spin($it) => $call,
        }
    };
}

impl EdgeStore for Store {
    fn name(&self) -> &str {
        each!(self, store => store.name())
    }

    fn limits(&self, budget: Budget) -> Limits {
        each!(self, store => store.limits(budget))
    }

    fn ways(&self) -> Ways {
        each!(self, store => store.ways())
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        each!(self, store => store.put(records).await)
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        each!(self, store => store.remove(removals).await)
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        each!(self, store => store.put_state(state).await)
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        each!(self, store => store.list(cursor).await)
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        each!(self, store => store.marks(keys).await)
    }
}
