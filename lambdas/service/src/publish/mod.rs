//! Keeps the stores of edges equal to the table of links.
//!
//! [`Publisher`] follows changes: told of keys, it reads what the table has *now* and writes that,
//! so events may come late, twice or out of order. [`reconcile`] walks store and table, finds what
//! differs and repairs it. Both say what they could not do; neither remembers anything that must
//! not be lost.
//!
//! In scope: what is written when, in which order, how fast, and what is tried again. Out of scope:
//! how a store is called (`waypost-publish`), where links are kept, where events come from.
//!
//! **Order.** One publisher writes a key: events of one key come one after the other, and each
//! reads the table anew. `reconcile` runs beside it, so it leaves what was written lately to the
//! publisher, and looks at the table again behind each write of its own. The edge is the last net:
//! the state tells it which generation is right ([`waypost_wire::state`]).
//!
//! **Deleted links.** The record of a deleted link says so and answers 410 until its quarantine
//! ends; it is a record like any other. Only a purge takes the key out of the table, and out of the
//! stores.

mod changed;
mod mark;
mod pace;
mod recent;
pub mod reconcile;
mod report;
mod seams;
mod state;
mod store;
mod tally;
mod together;
mod writer;

#[cfg(any(test, feature = "testing"))]
pub mod memory;
#[cfg(test)]
mod tests;

pub use changed::{Change, Publisher};
pub use mark::{Mark, NoMark};
pub use pace::{Backoff, KeyPace, TokenBucket};
pub use report::{Failure, Fault, Published};
pub use seams::{Bookmarks, Current, LinkTable, StateSource, StatisticsQueue, TablePage};
pub use state::StateOf;
pub use store::{
    Budget, EdgeStore, Kept, LimitedCalls, Limits, Listed, Put, Removal, StoreFault, Ways,
};
