//! Counting: raw clicks in, numbers out, each accepted click exactly once.
//!
//! In scope: storing batches once, windows, classes, rollups, closing, compaction, reading, and
//! the account of what was lost. Out of scope: how statistics look in the API, and where batches
//! come from.
//!
//! What makes it exact: a batch is stored together with which of its clicks were not stored
//! before, found out in the same transaction, so every `(source, sequence)` belongs to one stored
//! batch and one window for ever. A window's rollups are a pure function of the stored batches
//! that touch it, and they are written, and added to the sums of links, in the transaction that
//! closes the window, which happens once.

pub mod batch;
pub mod classify;
pub mod close;
pub mod compact;
pub mod inbox;
pub mod ingest;
pub mod integrity;
pub mod ledger;
pub mod levels;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod open;
pub mod read;
pub mod rollup;
pub mod salts;
pub mod sketch;
pub mod store;
pub mod tally;
pub mod window;
