//! Waypost as one binary: redirects, API, counting and clean-up in one process, with an embedded
//! database.
//!
//! In scope: sockets, threads, files, the operating system's clock and randomness, and the wiring
//! of everything else. Out of scope: what is decided about a request, a link or a click.

pub mod backup;
pub mod clicks;
pub mod facts;
pub mod geo;
pub mod settings;
pub mod sqlite;
pub mod logs;
pub mod metrics;
pub mod server;
pub mod ambient;
pub mod app;
pub mod attempts;
pub mod counting;
pub mod follow;
pub mod health;
pub mod host;
pub mod jobs;
pub mod plan;
pub mod records;
pub mod salts;
pub mod serve;
