//! What an edge far from its origin needs, the same for every host of its kind: settings, a memory
//! of records, the store nearby, signed questions to the origin, the state that all edges share,
//! and clicks on their way out.
//!
//! In scope: every decision about what is read where, how long it is believed, and what is sent.
//! Out of scope: host types, sockets, clocks, randomness: a host brings a [`Platform`].
//! One instance belongs to one thread; its futures are polled by whatever the host has.
#![warn(missing_docs)]
#![expect(async_fn_in_trait, reason = "edges have one thread; nothing here is Send")]

pub mod clicks;
mod counts;
mod deliver;
mod flights;
mod freshness;
mod json;
mod outpost;
mod platform;
pub mod settings;
mod signature;
mod sqs;
mod visit;

#[cfg(test)]
mod tests;

pub use outpost::{Duties, Outpost};
pub use platform::{HttpAnswer, HttpRequest, Platform};
pub use waypost_shell::seams::Failed;
