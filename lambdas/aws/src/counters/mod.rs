//! Clicks and statistics: batches in S3, everything else in one table.
//!
//! | pk | sk | what |
//! | --- | --- | --- |
//! | `counting` | `marks` | `sealed_until`, `closed_until`, `days_until`, `hours_from`, `rewrites` |
//! | `counting` | `books` | sums of all sources, last row, version |
//! | `source#<id>` | `ledger` | the account of a source, when it was heard of |
//! | `heard` | `<5 minutes>#<id>` | index of sources by when they were heard of |
//! | `inbox` | `<time>#<SHA-256>` | an object whose batches are to be booked, and how many are |
//! | `batches` | `<row>` | a batch: where its bytes are, which of its clicks are new |
//! | `window#<start>` | `<row>` | the same, by window |
//! | `wide` | `<row>` | the same, of batches with clicks in many windows |
//! | `windows` | `<start>` | first row of a window; its record when it is closed |
//! | `rollup#<subject>` | `<end>#<span>` | a rollup of a window or an hour |
//! | `rollup#<subject>` | `d#<minus end>` | a rollup of a day |
//! | `link#<id>` | `total` | clicks of a link, or that its numbers were removed |
//! | `link#<id>` | `use` | its last use, as long as there is such a link |
//! | `subjects#<span>` | `<end>#..` | subjects with rows of a span |
//! | `plan#<span>` | `<end>#..` | subjects that get rows of a span, and how many have |
//! | `forgotten` | `<time>#<id>` | links whose numbers were removed |
//! | `salts` | `<day>` | the salt of a day |
//! | `part#..` | `<number>` | parts of what has no room in its item |
//!
//! Times are texts that sort ([`crate::item::sortable`]), ids and rows 16 hex digits.
//!
//! What makes many calls look like one:
//!
//! - Booking is one transaction. It holds if the books still have the version that all was read
//!   at, so that of two that meet one begins again, and if no further window was sealed.
//! - Closing writes what readers leave out until one transaction moves the mark: see `closing`.
//! - Compaction writes the coarser row before it deletes finer ones, and readers go from the end
//!   of finer rows to the end of coarser ones: whoever misses a finer row meets the coarser one,
//!   and whoever meets both leaves out the finer. No page of an answer has to be of one moment.
//! - Days stand beside their hours. An hour that is counted again takes its day with it in one
//!   transaction; `days_until` moves only if none was counted again since it was looked for days
//!   that are not made.
//! - Removing the numbers of a link first marks its total, which everything that writes rows of a
//!   link checks in the transaction that does.
//!
//! It relies on what DynamoDB promises: transactions and single current reads are serializable.

mod booking;
mod closing;
mod compact;
mod days;
mod forget;
pub mod inbox;
mod keys;
mod objects;
mod parts;
mod rewrite;
mod rollups;
mod rows;
mod table;
mod totals;
mod windows;

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

use self::objects::Objects;
use self::table::Table;
use crate::store::AwsStore;

/// Counting, over the clients of a store.
#[derive(Clone, Copy, Debug)]
struct Counters<'a> {
    table: Table<'a>,
    objects: Objects<'a>,
}

impl<'a> Counters<'a> {
    fn of(store: &'a AwsStore) -> Self {
        Self {
            table: Table { dynamo: &store.clients.dynamo, name: &store.names.counters },
            objects: Objects { s3: &store.clients.s3, bucket: &store.names.raw_bucket },
        }
    }
}

impl CounterStore for AwsStore {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        Counters::of(self).store_batch(batch, now).await
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        Counters::of(self).report(source, accepted, now).await
    }

    async fn open(&self) -> Result<Open, StoreError> {
        Counters::of(self).open().await
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        Counters::of(self).batches_after(after_row, limit).await
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        Counters::of(self).batches_of(window, after_row, limit).await
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        Counters::of(self).seal(until).await
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        Counters::of(self).close_window(closing).await
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        Counters::of(self).closed_window(window).await
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        Counters::of(self).rewrite_hour(hour, windows, rollups).await
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        Counters::of(self).compact(into, before, limit).await
    }

    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        Counters::of(self).delete_hours(before, limit).await
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        Counters::of(self).read(subject, from, until, by).await
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        Counters::of(self).link_totals(ids).await
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        Counters::of(self).delete_link_statistics(link, now).await
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        Counters::of(self).delete_batches(before, limit).await
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        Counters::of(self).account(since).await
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        Counters::of(self).salt(day, candidate).await
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        Counters::of(self).delete_salts(until).await
    }
}
