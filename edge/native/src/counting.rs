//! The clicks of this process on their way into the store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use waypost_service::ambient::Clock;
use waypost_service::counting::ingest::IngestError;
use waypost_service::counting::integrity::integrity;
use waypost_service::counting::store::CounterStore;
use waypost_service::seams::StoreError;

use crate::clicks::Batch;
use crate::store::Store;
use waypost_host::ambient::Ambient;

/// Waits between tries at a store that does not take a batch.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Delivers the clicks of this process.
#[derive(Debug)]
pub struct Counting {
    db: Store,
    source: u64,
    delivered: AtomicU64,
    /// The number last reported.
    reported: AtomicU64,
    /// The store has what former processes left.
    recovered: AtomicBool,
    /// When the batch that waits for the store began to wait.
    waiting_since: Mutex<Option<Instant>>,
    ambient: Ambient,
}

impl Counting {
    /// Delivers to `db`, in the name of `source`.
    pub fn new(db: Store, source: u64, ambient: Ambient) -> Self {
        Self {
            db,
            source,
            delivered: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            recovered: AtomicBool::new(false),
            waiting_since: Mutex::new(None),
            ambient,
        }
    }

    /// Clicks of this process that the store has.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Whether what former processes left is stored. Until then no window may close: their clicks
    /// would count as late.
    pub fn has_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// How long the eldest batch has been waiting for the store.
    pub fn waiting_seconds(&self) -> f64 {
        let since = *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(0.0, |since| since.elapsed().as_secs_f64())
    }

    /// Stores what former processes left, then batches as they come, until there are no more.
    /// A batch is tried again until the store takes it: its journal outlives this process.
    pub async fn deliver_all(
        self: Arc<Self>,
        leftovers: Vec<Batch>,
        mut batches: mpsc::Receiver<Batch>,
    ) {
        for batch in leftovers {
            self.deliver(batch).await;
        }
        self.recovered.store(true, Ordering::Release);
        while let Some(batch) = batches.recv().await {
            let count = batch.count as u64;
            self.deliver(batch).await;
            self.delivered.fetch_add(count, Ordering::Relaxed);
        }
    }

    async fn deliver(&self, batch: Batch) {
        self.set_waiting(Some(Instant::now()));
        let mut pause = RETRY_MIN;
        loop {
            match self.db.deliver(batch.bytes.clone(), self.ambient.now()).await {
                Ok(()) => break,
                Err(IngestError::Batch(error)) => {
                    // Made by this program: a bug. Trying again would block all others for ever.
                    tracing::error!(?error, "a batch of clicks is malformed and is given up");
                    break;
                }
                Err(IngestError::Store(error)) => {
                    tracing::warn!(%error, "clicks wait for the store");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
        self.set_waiting(None);
        if let Err(error) = batch.delivered() {
            tracing::warn!(%error, "a journal could not be removed; its clicks stay counted once");
        }
    }

    fn set_waiting(&self, since: Option<Instant>) {
        *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Whether a report says anything new: numbers were given since the last one, or some are still
    /// on their way, which must not become lost for want of news.
    pub fn wants_report(&self, accepted: u64, dropped: u64) -> bool {
        accepted != self.reported.load(Ordering::Relaxed) || self.delivered() + dropped < accepted
    }

    /// Notes how many numbers this process has given so far, so that what does not arrive counts
    /// as lost.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn report(&self, accepted: u64) -> Result<(), StoreError> {
        self.db.report(self.source, accepted, self.ambient.now()).await?;
        self.reported.store(accepted, Ordering::Relaxed);
        Ok(())
    }

    /// The account, for metrics; nothing if the store fails, which shows elsewhere.
    pub async fn readings(&self) -> Vec<(&'static str, f64)> {
        let Ok(account) = integrity(&self.db, self.ambient.now()).await else {
            return Vec::new();
        };
        vec![
            ("clicks_accepted", account.accepted as f64),
            ("clicks_counted", account.counted as f64),
            ("clicks_duplicate", account.duplicate as f64),
            ("clicks_late", account.late as f64),
            ("clicks_lost", account.lost as f64),
        ]
    }
}
