//! Counting on the program's runtime: see [`Driven`].

use waypost_service::counting::batch::{Admission, ReceivedBatch, StoredBatch};
use waypost_service::counting::rollup::{Subject, Totals};
use waypost_service::counting::store::{
    Account, Closed, ClosingWindow, CounterStore, Open, Reading, WindowRecord,
};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::driven::{Driven, driven};

impl<S: CounterStore> CounterStore for Driven<S> {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        driven(self.0.store_batch(batch, now)).await
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        driven(self.0.report(source, accepted, now)).await
    }

    async fn open(&self) -> Result<Open, StoreError> {
        driven(self.0.open()).await
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        driven(self.0.batches_after(after_row, limit)).await
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        driven(self.0.batches_of(window, after_row, limit)).await
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        driven(self.0.seal(until)).await
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        driven(self.0.close_window(closing)).await
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        driven(self.0.closed_window(window)).await
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        driven(self.0.rewrite_hour(hour, windows, rollups)).await
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        driven(self.0.compact(into, before, limit)).await
    }

    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        driven(self.0.delete_hours(before, limit)).await
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        driven(self.0.read(subject, from, until, by)).await
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        driven(self.0.link_totals(ids)).await
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        driven(self.0.delete_link_statistics(link, now)).await
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        driven(self.0.delete_batches(before, limit)).await
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        driven(self.0.account(since)).await
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        driven(self.0.salt(day, candidate)).await
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        driven(self.0.delete_salts(until)).await
    }
}
