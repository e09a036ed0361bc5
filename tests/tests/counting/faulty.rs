//! A store that pauses and fails before and after everything it does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use waypost_service::counting::batch::{Admission, ReceivedBatch, StoredBatch};
use waypost_service::counting::memory::MemoryCounters;
use waypost_service::counting::rollup::{Subject, Totals};
use waypost_service::counting::store::{
    Account, Closed, ClosingWindow, CounterStore, Open, Reading, WindowRecord,
};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::account::Account as Naive;
use crate::draws::Draws;

/// The store of a world.
pub(crate) struct Faulty {
    /// Does what it should.
    pub(crate) inner: MemoryCounters,
    /// Every batch as it was admitted, by row.
    pub(crate) admitted: RefCell<BTreeMap<u64, StoredBatch>>,
    /// How many clicks on each link those are; link 0 are the orphans.
    pub(crate) by_link: RefCell<BTreeMap<u64, u64>>,
    /// The account, kept in the plainest way.
    pub(crate) account: RefCell<Naive>,
    /// Of a hundred calls, so many fail; half of them after they were done.
    pub(crate) failures_percent: Cell<u64>,
    /// Calls that failed before, and after they were done.
    pub(crate) failed: Cell<(usize, usize)>,
    draws: RefCell<Draws>,
}

impl Faulty {
    /// A store whose troubles follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            inner: MemoryCounters::default(),
            admitted: RefCell::default(),
            by_link: RefCell::default(),
            account: RefCell::default(),
            failures_percent: Cell::new(0),
            failed: Cell::default(),
            draws: RefCell::new(Draws::new(seed)),
        }
    }

    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pause().await;
        let (before, after) = self.failed.get();
        let trouble = self.draw(200);
        if trouble < self.failures_percent.get() {
            self.failed.set((before + 1, after));
            return Err(StoreError::Unavailable("not done".into()));
        }
        let result = work.await;
        self.pause().await;
        if 200 - self.failures_percent.get() <= trouble {
            self.failed.set((before, after + 1));
            return Err(StoreError::Unavailable("done, but nobody will know".into()));
        }
        result
    }

    /// Lets others go first, at times.
    async fn pause(&self) {
        for _ in 0..self.draw(3) {
            let mut paused = false;
            poll_fn(|_| match std::mem::replace(&mut paused, true) {
                false => Poll::Pending,
                true => Poll::Ready(()),
            })
            .await;
        }
    }

    fn draw(&self, end: u64) -> u64 {
        self.draws.borrow_mut().below(end)
    }

    /// Notes what the real store admitted, whatever the caller hears of it.
    async fn admit(&self, batch: &ReceivedBatch, now: Timestamp) -> Result<Admission, StoreError> {
        let admission = self.inner.store_batch(batch, now).await?;
        self.account.borrow_mut().store(&batch.bytes, admission.floor, now);
        if !admission.fresh.is_empty() {
            let mut admitted = self.admitted.borrow_mut();
            let row = admitted.last_key_value().map_or(0, |(row, _)| *row) + 1;
            let stored = StoredBatch {
                row,
                fresh: admission.fresh.clone(),
                floor: admission.floor,
                ceil: admission.ceil,
                bytes: batch.bytes.clone(),
            };
            let mut by_link = self.by_link.borrow_mut();
            stored.each(|_, _, click, _| *by_link.entry(click.link_id).or_default() += 1)?;
            admitted.insert(row, stored);
        }
        Ok(admission)
    }
}

impl CounterStore for Faulty {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        self.call(self.admit(batch, now)).await
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        let report = async {
            self.account.borrow_mut().report(source, accepted, now);
            self.inner.report(source, accepted, now).await
        };
        self.call(report).await
    }

    async fn open(&self) -> Result<Open, StoreError> {
        self.call(self.inner.open()).await
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        self.call(self.inner.batches_after(after_row, limit)).await
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        self.call(self.inner.batches_of(window, after_row, limit.min(2))).await
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        self.call(self.inner.seal(until)).await
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        self.call(self.inner.close_window(closing)).await
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        self.call(self.inner.closed_window(window)).await
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        self.call(self.inner.rewrite_hour(hour, windows, rollups)).await
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        _limit: usize,
    ) -> Result<usize, StoreError> {
        self.call(self.inner.compact(into, before, 2)).await
    }

    async fn delete_hours(&self, before: Timestamp, _limit: usize) -> Result<usize, StoreError> {
        self.call(self.inner.delete_hours(before, 3)).await
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        self.call(self.inner.read(subject, from, until, by)).await
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        self.call(self.inner.link_totals(ids)).await
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        self.call(self.inner.delete_link_statistics(link, now)).await
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.call(self.inner.delete_batches(before, limit)).await
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        self.call(self.inner.account(since)).await
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        self.call(self.inner.salt(day, candidate)).await
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.call(self.inner.delete_salts(until)).await
    }
}
