//! Waypost as a Spin component (Spin 4.1 or newer: WASI 0.3).
//!
//! In scope: requests and answers as Spin has them, who is believed about clients, settings beside
//! those of every edge, the way in for records where no other is (`PUT /_/sync`). Out of scope:
//! what is answered, read, remembered and sent: `waypost-outpost`, `waypost-core`.
//!
//! Modules that ask Spin for something are below `host`, and are compiled for WASM only.
#![warn(missing_docs)]
#![cfg_attr(
    not(target_family = "wasm"),
    allow(dead_code, reason = "only the component uses what tests do not")
)]

mod answer;
mod facts;
#[cfg(target_family = "wasm")]
mod host;
mod log;
mod settings;
mod sync;
