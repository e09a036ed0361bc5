//! Waypost as one binary: redirects, API, counting and clean-up in one process, with an embedded
//! database.
//!
//! In scope: sockets, threads, files, the operating system's clock and randomness, and the wiring
//! of everything else. Out of scope: what is decided about a request, a link or a click.

pub mod app;
pub mod attempts;
pub mod backup;
pub mod cli;
pub mod clicks;
pub mod counting;
pub mod edge;
pub mod export;
pub mod facts;
pub mod follow;
pub mod geo;
pub mod health;
pub mod host;
pub mod jobs;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod records;
pub mod salts;
pub mod serve;
pub mod server;
#[cfg(feature = "aws")]
pub mod shared;
pub mod sqlite;
pub mod store;
#[cfg(feature = "aws")]
pub mod worker;
