use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::{Either, select};
use spin_sdk::key_value;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::random::random;
use waypost_outpost::{Failed, HttpAnswer, HttpRequest, Platform};
use waypost_wire::time::Timestamp;

use super::http;
use crate::log::Log;
use crate::sync;

/// The label of the store, as the manifest has it. Managed platforms know no other.
const STORE: &str = "default";

/// How often a wait for another request's read looks again, and how often at most.
const WAIT_STEP_MS: u32 = 5;
const WAIT_STEPS: u32 = 1_000;

/// The time.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A random number.
pub(super) fn draw() -> u64 {
    random::get_random_u64()
}

/// Waits.
pub(super) async fn pause(ms: u32) {
    monotonic_clock::wait_for(u64::from(ms) * 1_000_000).await;
}

/// What `future` gives in the given time; it is ended if it takes longer.
pub(super) async fn within<T>(ms: u32, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(pause(ms))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Spin's store and its way out.
pub(super) struct SpinPlatform {
    store: RefCell<Option<Rc<key_value::Store>>>,
    store_timeout_ms: u32,
    /// Reads that somebody waits for.
    awaited: RefCell<BTreeSet<u32>>,
    pub(super) log: Log,
}

impl SpinPlatform {
    pub(super) fn new(store_timeout_ms: u32) -> Self {
        Self {
            store: RefCell::new(None),
            store_timeout_ms,
            awaited: RefCell::default(),
            log: Log::default(),
        }
    }

    /// The store, opened once: some back ends are asked for a sign of life each time.
    async fn store(&self) -> Result<Rc<key_value::Store>, key_value::Error> {
        let known = self.store.borrow().clone();
        if let Some(store) = known {
            return Ok(store);
        }
        let store = Rc::new(key_value::Store::open(STORE).await?);
        *self.store.borrow_mut() = Some(Rc::clone(&store));
        Ok(store)
    }

    /// Runs one call of the store within its time. No error of a store ends a request.
    async fn ask<T>(
        &self,
        what: &str,
        call: impl AsyncFnOnce(&key_value::Store) -> Result<T, key_value::Error>,
    ) -> Result<T, Failed> {
        let whole = async { call(&*self.store().await?).await };
        let problem = match within(self.store_timeout_ms, whole).await {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => format!("the store could not {what}: {error}"),
            None => format!("the store could not {what} in {} ms", self.store_timeout_ms),
        };
        self.log.line(self.now(), problem);
        self.store.borrow_mut().take();
        Err(Failed)
    }
}

impl Platform for SpinPlatform {
    async fn read(&self, key: &str, _: u32) -> Result<Option<Vec<u8>>, Failed> {
        self.ask("read", async |store| store.get(key).await).await
    }

    async fn post(&self, request: &HttpRequest) -> Result<HttpAnswer, Failed> {
        let problem = match within(request.timeout_ms, http::post(request)).await {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(problem)) => problem,
            None => format!("no answer in {} ms", request.timeout_ms),
        };
        self.log.line(self.now(), format!("POST {} failed: {problem}", request.url));
        Err(Failed)
    }

    async fn admits_miss(&self) -> bool {
        // Spin knows no limit per client; whoever stands in front may.
        true
    }

    /// An instance has one request at a time, so hardly anybody waits here.
    async fn wait(&self, flight: u32) {
        self.awaited.borrow_mut().insert(flight);
        for _ in 0..WAIT_STEPS {
            if !self.awaited.borrow().contains(&flight) {
                return;
            }
            pause(WAIT_STEP_MS).await;
        }
    }

    fn landed(&self, flight: u32) {
        self.awaited.borrow_mut().remove(&flight);
    }

    async fn pause(&self, ms: u32) {
        pause(ms).await;
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

impl sync::Store for SpinPlatform {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.read(key, 0).await
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed> {
        self.ask("write", async |store| store.set(key, value).await).await
    }

    async fn remove(&self, key: &str) -> Result<(), Failed> {
        self.ask("remove", async |store| store.delete(key).await).await
    }
}
