//! Where links, keys and numbers are: the embedded database of this process, or tables that it
//! shares with others. Everything that tells them apart is here.

use waypost_service::ambient::Clock;
use waypost_service::counting::batch::{Admission, ReceivedBatch, StoredBatch};
use waypost_service::counting::ingest::{IngestError, ingest};
use waypost_service::counting::rollup::{Subject, Totals};
use waypost_service::counting::store::{
    Account, Closed, ClosingWindow, CounterStore, Open, Reading, WindowRecord,
};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::keys::{ApiKey, KeyStore};
use waypost_service::limits::attempts::admits;
use waypost_service::model::LinkId;
use waypost_service::seams::{
    Changed, Created, Due, Idempotency, LinkStore, ListQuery, Page, StoreError, StoredLink,
    Updated, Use,
};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::attempts::Attempts;
use crate::sqlite::{Db, Written};

/// A store. Clones share it.
#[derive(Clone, Debug)]
pub enum Store {
    /// Of this process alone.
    Embedded(Db),
    /// Of many.
    #[cfg(feature = "aws")]
    Shared(crate::shared::Shared),
}

/// The same call on whichever store it is.
macro_rules! on {
    ($store:expr, $inner:ident => $call:expr) => {
        match $store {
            Self::Embedded($inner) => $call.await,
            #[cfg(feature = "aws")]
            Self::Shared(shared) => {
                let $inner = &shared.tables;
                // On the heap: calls over the network are large, and the embedded database's are not.
                Box::pin($call).await
            }
        }
    };
}

impl Store {
    /// Whether other processes write here too: what was read may be outdated at any moment, and
    /// background work is somebody else's: `waypost worker`, or functions.
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            #[cfg(feature = "aws")]
            Self::Shared(_) => true,
        }
    }

    /// The record stored under a key; of an embedded database read here and now, without a wait.
    ///
    /// # Errors
    /// If it could not be read.
    #[cfg_attr(
        not(feature = "aws"),
        expect(
            clippy::unused_async,
            unused_variables,
            reason = "a shared store is asked over the network"
        )
    )]
    pub async fn record(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Embedded(db) => db.record(key),
            #[cfg(feature = "aws")]
            Self::Shared(shared) => {
                waypost_service::edge::Gate::record(&shared.tables, key, now).await
            }
        }
    }

    /// Brings a batch of clicks to where it is counted; durable when it answers.
    ///
    /// # Errors
    /// See [`IngestError`].
    pub async fn deliver(&self, bytes: Vec<u8>, now: Timestamp) -> Result<(), IngestError> {
        match self {
            Self::Embedded(db) => ingest(db, bytes, now).await.map(drop),
            #[cfg(feature = "aws")]
            Self::Shared(shared) => Ok(shared.send(&bytes).await?),
        }
    }

    /// Whether one more password may be tried at a link; counts the try, in `attempts` if nobody
    /// else counts too.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn admits_attempt(
        &self,
        attempts: &Attempts,
        key: &LinkKey,
        client_ip: Option<u128>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(_) => admits(attempts, key.as_str(), client_ip, now).await,
            #[cfg(feature = "aws")]
            Self::Shared(shared) => {
                waypost_service::edge::Gate::admits_attempt(&shared.tables, key, client_ip, now)
                    .await
            }
        }
    }

    /// The keys of links that were followed lately, to read ahead; nobody knows them of a shared
    /// store.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn keys_followed_last(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Embedded(db) => db.keys_followed_last(limit).await,
            #[cfg(feature = "aws")]
            Self::Shared(_) => Ok(Vec::new()),
        }
    }

    /// Does nothing, where writes go; fails if writing would.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn touch(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(db) => db.write(|_| Ok(())).await,
            #[cfg(feature = "aws")]
            Self::Shared(shared) => shared.tables.open().await.map(drop),
        }
    }

    /// Jobs that wait for the writer of an embedded database, and what it has done.
    pub fn written(&self) -> Option<(usize, Written)> {
        match self {
            Self::Embedded(db) => Some((db.queued(), db.written())),
            #[cfg(feature = "aws")]
            Self::Shared(_) => None,
        }
    }

    /// The number by which this process's ids differ from others' now; `None` if there are no others.
    ///
    /// # Errors
    /// If there is no number to be had; whoever asks next tries again.
    #[cfg_attr(
        not(feature = "aws"),
        expect(
            clippy::unused_async,
            unused_variables,
            reason = "a shared store is asked over the network"
        )
    )]
    pub async fn machine(&self, clock: &impl Clock) -> Result<Option<u16>, StoreError> {
        match self {
            Self::Embedded(_) => Ok(None),
            #[cfg(feature = "aws")]
            Self::Shared(shared) => shared.machine(clock).await.map(Some),
        }
    }

    /// Ends the use of the store.
    #[cfg_attr(
        not(feature = "aws"),
        expect(unused_variables, reason = "a shared store is asked over the network")
    )]
    pub async fn close(&self, now: Timestamp) {
        match self {
            Self::Embedded(db) => db.close().await,
            #[cfg(feature = "aws")]
            Self::Shared(shared) => shared.close(now).await,
        }
    }
}

impl From<Db> for Store {
    fn from(db: Db) -> Self {
        Self::Embedded(db)
    }
}

impl LinkStore for Store {
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        on!(self, store => store.create(link, idempotency, replace_deleted, now))
    }

    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        on!(self, store => store.replay(key, now))
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError> {
        on!(self, store => store.link(key))
    }

    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError> {
        on!(self, store => store.link_by_id(id))
    }

    async fn update(
        &self,
        link: &StoredLink,
        expected_version: u64,
    ) -> Result<Updated, StoreError> {
        on!(self, store => store.update(link, expected_version))
    }

    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError> {
        on!(self, store => store.purge(id, expected_version))
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
        on!(self, store => store.list(query, now))
    }

    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError> {
        on!(self, store => store.due(kind, until, after, limit))
    }

    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError> {
        on!(self, store => store.changed(after, limit))
    }

    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
        on!(self, store => store.settle(id, now))
    }

    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError> {
        on!(self, store => store.take_use(id, max_clicks))
    }

    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError> {
        on!(self, store => store.lease(counter, count))
    }

    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        on!(self, store => store.forget_idempotency(now, limit))
    }
}

impl KeyStore for Store {
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        on!(self, store => store.insert_key(key))
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        on!(self, store => store.key_by_hash(hash))
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        on!(self, store => store.list_keys())
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        on!(self, store => store.revoke_key(id, now))
    }

    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        on!(self, store => store.touch_key(id, now))
    }
}

impl CounterStore for Store {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        on!(self, store => store.store_batch(batch, now))
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        on!(self, store => store.report(source, accepted, now))
    }

    async fn open(&self) -> Result<Open, StoreError> {
        on!(self, store => store.open())
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        on!(self, store => store.batches_after(after_row, limit))
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        on!(self, store => store.batches_of(window, after_row, limit))
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        on!(self, store => store.seal(until))
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        on!(self, store => store.close_window(closing))
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        on!(self, store => store.closed_window(window))
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        on!(self, store => store.rewrite_hour(hour, windows, rollups))
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        on!(self, store => store.compact(into, before, limit))
    }

    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        on!(self, store => store.delete_hours(before, limit))
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        on!(self, store => CounterStore::read(store, subject, from, until, by))
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        on!(self, store => store.link_totals(ids))
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        on!(self, store => store.delete_link_statistics(link, now))
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        on!(self, store => store.delete_batches(before, limit))
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        on!(self, store => store.account(since))
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        on!(self, store => store.salt(day, candidate))
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        on!(self, store => store.delete_salts(until))
    }
}
