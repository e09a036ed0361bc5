//! Stores whose calls need a runtime with clock and sockets, for contracts that run on threads
//! without one.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::runtime::Runtime;
use waypost_service::keys::{ApiKey, KeyStore};
use waypost_service::limits::{Limits, Rate, Taken};
use waypost_service::model::LinkId;
use waypost_service::seams::{
    Changed, Created, Due, Idempotency, LinkStore, ListQuery, Page, StoreError, StoredLink,
    Updated, Use,
};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// A store whose connections and timers live on a runtime of the whole program: a connection
/// outlives the test, or the thread, that opened it.
#[derive(Clone, Debug)]
pub struct Driven<S>(pub S);

/// Runs a future with the program's runtime around it, whatever polls it.
struct Entered<F>(Pin<Box<F>>);

impl<F: Future> Future for Entered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = runtime().enter();
        self.0.as_mut().poll(context)
    }
}

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// Runs a future with the program's runtime around it.
pub fn driven<F: Future>(future: F) -> impl Future<Output = F::Output> {
    Entered(Box::pin(future))
}

impl<S: LinkStore> LinkStore for Driven<S> {
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        driven(self.0.create(link, idempotency, replace_deleted, now)).await
    }

    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        driven(self.0.replay(key, now)).await
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError> {
        driven(self.0.link(key)).await
    }

    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError> {
        driven(self.0.link_by_id(id)).await
    }

    async fn update(
        &self,
        link: &StoredLink,
        expected_version: u64,
    ) -> Result<Updated, StoreError> {
        driven(self.0.update(link, expected_version)).await
    }

    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError> {
        driven(self.0.purge(id, expected_version)).await
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
        driven(self.0.list(query, now)).await
    }

    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError> {
        driven(self.0.due(kind, until, after, limit)).await
    }

    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError> {
        driven(self.0.changed(after, limit)).await
    }

    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
        driven(self.0.settle(id, now)).await
    }

    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError> {
        driven(self.0.take_use(id, max_clicks)).await
    }

    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError> {
        driven(self.0.lease(counter, count)).await
    }

    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        driven(self.0.forget_idempotency(now, limit)).await
    }
}

impl<S: KeyStore> KeyStore for Driven<S> {
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        driven(self.0.insert_key(key)).await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        driven(self.0.key_by_hash(hash)).await
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        driven(self.0.list_keys()).await
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        driven(self.0.revoke_key(id, now)).await
    }

    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        driven(self.0.touch_key(id, now)).await
    }
}

impl<S: Limits> Limits for Driven<S> {
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        driven(self.0.take_tokens(bucket, rate, count, now)).await
    }

    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        driven(self.0.peek_tokens(bucket, rate, now)).await
    }
}
