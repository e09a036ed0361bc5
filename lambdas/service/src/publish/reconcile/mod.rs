//! Finds where the store of an edge differs from the table, and repairs it.
//!
//! A pass compares in both directions: what the store lists with what the table has (outdated,
//! foreign), and the keys of the table with what the store has (missing). Stores differ in what
//! they can be asked for ([`Ways`]):
//!
//! - One that only lists, in the order of keys (Workers KV), is compared slice by slice: some keys
//!   are listed, then all keys of the table between the first and the last of them are looked for
//!   among those listed. The keys of the table are read from an index alone, a page for thousands.
//! - One that can be read key by key is walked once by its own list, once by the table's.
//! - One that can only be written to gets every record, and keeps what it has newer.
//!
//! A pass can stop at any page and go on later ([`Cursor`]). Nothing is repaired on the word of
//! what was listed or compared: the table is read again right before a write, and once more behind
//! it, until both agree. Records written within [`Options::settle_ms`] are the publisher's.

mod compare;
mod cursor;
mod repair;
mod slices;
#[cfg(test)]
mod tests;
mod walk;

use serde::Serialize;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

pub use cursor::{Cursor, NoCursor};

use super::pace::Backoff;
use super::seams::LinkTable;
use super::store::{Budget, EdgeStore, StoreFault, Ways};
use super::writer::Writer;
use crate::ambient::{Clock, Pause};
use crate::seams::StoreError;

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Only count.
    pub dry_run: bool,
    /// No page is begun after this.
    pub deadline: Timestamp,
    /// Links written so lately are left to the publisher, in milliseconds.
    pub settle_ms: i64,
    /// Most foreign keys that one run removes. More than that is no drift but a mistake: another
    /// table, another store.
    pub foreign_max: u64,
    /// Most keys of a slice: 8 bytes of memory each.
    pub slice_keys_max: usize,
    /// How calls are tried again.
    pub backoff: Backoff,
}

impl Options {
    /// Until `deadline`, with what suits most.
    pub fn until(deadline: Timestamp) -> Self {
        Self {
            dry_run: false,
            deadline,
            settle_ms: 60_000,
            foreign_max: 1_000,
            slice_keys_max: 2_000_000,
            backoff: Backoff::default(),
        }
    }
}

/// What was found and done. Counts are those of this run, not of the pass it is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`EdgeStore::name`].
    pub store: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Keys compared: listed by the store, or of the table and looked for in the store.
    pub checked: u64,
    /// Links of the table that the store does not have.
    pub missing: u64,
    /// Records of the store that are not the table's.
    pub outdated: u64,
    /// Keys of the store that the table does not have.
    pub foreign: u64,
    /// Foreign keys that stay: no keys of links, or more than [`Options::foreign_max`].
    pub held_back: u64,
    /// Differences left to the publisher because the link was just written.
    pub young: u64,
    /// Differences that are no more.
    pub repaired: u64,
    /// Records sent to a store that does not tell what it has.
    pub sent: u64,
    /// Keys that could not be compared or repaired; the next pass tries them again.
    pub failed: u64,
    /// The first keys that differed or failed, each with a word; for the log.
    pub examples: Vec<String>,
    /// Why it ended early.
    pub fault: Option<String>,
    /// Where to go on. `None`: the pass is complete, or with a fault, that the next one begins anew.
    pub next_cursor: Option<String>,
}

const EXAMPLES_MAX: usize = 10;

impl Report {
    /// Differences found, whether they were repaired or not.
    pub const fn drift(&self) -> u64 {
        self.missing + self.outdated + self.foreign
    }

    fn example(&mut self, word: &str, key: &str) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{word}: {}", key.escape_debug()));
        }
    }
}

/// A store that is reconciled. Keep it as long as the process: it keeps the pace.
#[derive(Debug)]
pub struct Reconciler<S, A> {
    writer: Writer<S>,
    ambient: A,
}

impl<S: EdgeStore, A: Clock + Pause> Reconciler<S, A> {
    /// A reconciler of `store`.
    pub fn new(store: S, ambient: A) -> Self {
        Self { writer: Writer::new(store, Budget::Reconcile), ambient }
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        self.writer.store.name()
    }

    /// Runs a pass from `cursor` on, to its end or the deadline. Never fails as a whole: the report
    /// says how far it came, and where to go on.
    pub async fn run(
        &self,
        table: &impl LinkTable,
        options: &Options,
        cursor: Option<Cursor>,
    ) -> Report {
        let report =
            Report { store: self.name().to_owned(), dry_run: options.dry_run, ..Report::default() };
        let started = self.ambient.now();
        let (writer, ambient) = (&self.writer, &self.ambient);
        let mut run = Run { writer, ambient, table, options, started, report };
        // Boxed: what lies within is deep, and compilers and stacks have their limits.
        let ended = match (writer.store.ways(), cursor.unwrap_or_default()) {
            (Ways::Lists, cursor) => Box::pin(run.slices(cursor)).await,
            (Ways::ListsAndReads, Cursor::List { from, .. }) => Box::pin(run.both(from)).await,
            (_, Cursor::Walk { table, .. }) => Box::pin(run.walk_reading(table)).await,
            (_, Cursor::List { .. }) => Box::pin(run.walk_reading(None)).await,
        };
        let Stopped { cursor, fault } = match ended {
            Ok(()) => Stopped { cursor: None, fault: None },
            Err(stopped) => stopped,
        };
        run.report.next_cursor = cursor.map(|cursor| cursor.to_string());
        run.report.fault = fault;
        run.report
    }
}

/// Why a run ended before its pass, and where to go on.
struct Stopped {
    cursor: Option<Cursor>,
    fault: Option<String>,
}

impl Stopped {
    /// The time is over.
    const fn at(cursor: Cursor) -> Self {
        Self { cursor: Some(cursor), fault: None }
    }

    /// A store's fault. If it does not pass by itself the cursor may be to blame, which the store
    /// may not keep for ever: the next run begins anew.
    fn by(fault: &StoreFault, cursor: Cursor) -> Self {
        let text = fault.to_string();
        Self { cursor: fault.may_pass().then_some(cursor), fault: Some(text) }
    }

    /// The table's fault.
    fn unread(fault: &StoreError, cursor: Cursor) -> Self {
        let is_passing = matches!(fault, StoreError::Unavailable(_));
        Self { cursor: is_passing.then_some(cursor), fault: Some(fault.to_string()) }
    }
}

/// A run under way.
struct Run<'a, S, A, T> {
    writer: &'a Writer<S>,
    ambient: &'a A,
    table: &'a T,
    options: &'a Options,
    started: Timestamp,
    report: Report,
}

/// A key whose record in the store is not the table's.
struct Difference {
    key: String,
    /// What the store has, if that is known.
    generation: Generation,
}

impl<S: EdgeStore, A: Clock + Pause, T: LinkTable> Run<'_, S, A, T> {
    fn is_over(&self) -> bool {
        self.options.deadline <= self.ambient.now()
    }

    /// Listing has the first half of the time, so that the keys listed can be used.
    fn is_half_over(&self) -> bool {
        let all_ms = self.options.deadline.ms_since(self.started);
        all_ms / 2 <= self.ambient.now().ms_since(self.started)
    }
}
