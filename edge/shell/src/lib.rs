//! Runs a redirect on any host: reads what the flow asks for, decides, renders.
//!
//! In scope: the order of reads, grants and decisions; a bounded cache of records. Out of scope:
//! host types, runtimes, spawning, clocks: nothing here asks what time it is.
#![warn(missing_docs)]
#![expect(async_fn_in_trait, reason = "hosts prove Send for their own types where they spawn")]

pub mod cache;
pub mod seams;
mod serve;

pub use serve::{Outcome, serve};
