//! What counting asks of a store. Every method is one transaction: all of it happens or nothing,
//! and what was answered is durable.

use waypost_wire::time::Timestamp;

use super::batch::{Admission, ReceivedBatch, StoredBatch};
use super::ledger::Ledger;
use super::levels::Levels;
use super::rollup::{Rollup, Subject, Totals};
use super::tally::Counted;
use super::window::{Span, Window};
use crate::model::LinkId;
use crate::seams::StoreError;

/// Where clicks and rollups live.
///
/// Two marks only ever rise. No click is counted in a window before `sealed_until`, as it was when
/// the click was stored; so what is counted in such a window is settled. The windows before
/// `closed_until` are closed: they have been counted, for good.
pub trait CounterStore {
    /// Stores what is new in a batch: books it in its source's ledger with
    /// [`Admission::decide`], and keeps the batch if any of its clicks is fresh.
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError>;

    /// Books how many numbers a source has given ([`Ledger::report`]).
    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError>;

    /// Which windows are open.
    async fn open(&self) -> Result<Open, StoreError>;

    /// Batches in the order of their rows, from the one behind `after_row` on, at most `limit`.
    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError>;

    /// The same of those batches that have clicks in a window.
    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError>;

    /// Moves `sealed_until` to `until`, unless it is there or further.
    async fn seal(&self, until: Window) -> Result<(), StoreError>;

    /// Closes a sealed window, the oldest that is open and has clicks: writes its rollups, its
    /// record if it has clicks, adds to the totals of its links, moves their last use forward, and
    /// moves `closed_until` behind the window.
    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError>;

    /// What is known of a closed window; `None` if it is not closed, or had no clicks.
    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError>;

    /// Replaces all rollups of the hour that starts at `hour` by `rollups` and the records of its
    /// windows by `windows`, corrects the totals of the links by the difference, and adds the
    /// hours of the day up again where it has rows already; if `closed_until` is not before the
    /// end of the hour and `hours_from` not behind its start; whether it is so.
    ///
    /// It writes knowingly what a window was closed with: only for counting history again.
    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError>;

    /// Writes rows of the span `into` with the merge of those of the next finer span
    /// ([`Rollup::merge`] in the order of time, then [`Rollup::fold`]), subject by subject, for
    /// whole closed spans that end at or before `before`; at most `limit` merges, the oldest first.
    /// Answers how many it made.
    ///
    /// Windows are replaced by their hours. Hours stay beside their days, which are made when all
    /// windows of the day are hours ([`super::levels::days_due`]); `days_until` moves behind the
    /// last day that every subject has.
    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError>;

    /// Removes rows of hours of days that end at or before `before` and `days_until`, after moving
    /// `hours_from` there; about `limit` at most, the oldest first. Answers how many it removed.
    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// The rollups of a subject that start from `from` on and before `until`, oldest first, as
    /// coarse as an answer by `by` allows: by [`Span::Day`] whole days as days
    /// ([`super::levels::whole`]), if they are made, else nothing coarser than hours, if those are
    /// kept ([`Levels::chosen`]).
    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError>;

    /// The clicks of each link in all closed windows, in the order of `ids`, and `closed_until`.
    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError>;

    /// Removes all numbers of a link. Until batches that arrived before `now` are removed
    /// ([`CounterStore::delete_batches`]), no window writes new ones.
    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError>;

    /// Removes batches that arrived before `before` and have no clicks in an open window, at most
    /// `limit`; how many.
    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// The account of all sources, and of those heard of after `since` one by one.
    async fn account(&self, since: Timestamp) -> Result<Account, StoreError>;

    /// The salt of the day that starts at `day`: `candidate`, unless it has one already.
    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError>;

    /// Removes the salts of the days that start before or at `until`; how many.
    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError>;
}

/// Which windows are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// No click is stored in a window before this one any more.
    pub sealed_until: Window,
    /// The first window that is not closed.
    pub closed_until: Window,
    /// The oldest open window that has clicks.
    pub oldest: Option<Window>,
    /// All batches with clicks in open windows are behind this row.
    pub after_row: u64,
    /// What there is of closed ones.
    pub levels: Levels,
}

/// What a window is closed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingWindow {
    /// The window.
    pub window: Window,
    /// Its rollups.
    pub counted: Counted,
    /// What stays known of it.
    pub record: WindowRecord,
}

/// What stays known of a closed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRecord {
    /// Batches that have clicks in it.
    pub batches: u64,
    /// SHA-256 over its rollups: see [`super::close::digest`].
    pub digest: [u8; 32],
    /// 1, and one more each time it was counted again by other rules.
    pub revision: u32,
    /// When it was closed, or last counted again.
    pub closed_at: Timestamp,
}

/// How closing a window ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was closed before; nothing was written.
    Already,
    /// Durable.
    Closed,
}

/// The rollups of a subject, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The first window that was not closed: none of its clicks is in `rows`.
    pub closed_until: Window,
    /// Every closed click of the span of time is in exactly one of them.
    pub rows: Vec<Row>,
}

/// A stored rollup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When the span it covers starts.
    pub start: Timestamp,
    /// How long that is.
    pub span: Span,
    /// What is in it.
    pub rollup: Rollup,
}

/// The account of all sources, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Numbers given.
    pub accepted: u64,
    /// Clicks stored, each once.
    pub stored: u64,
    /// Clicks that arrived again.
    pub duplicate: u64,
    /// Clicks that arrived after their window had closed.
    pub late: u64,
    /// The sources heard of lately.
    pub recent: Vec<Ledger>,
}
