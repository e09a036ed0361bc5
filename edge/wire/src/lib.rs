//! The formats two Waypost processes must agree on.
//!
//! In scope: link records and their bytes, the keys they are stored under, click batches and
//! their bytes, the check character of generated slugs, the words shared by rules, clicks and
//! statistics (device, operating system, browser), what an edge asks of its origin, signed, the
//! state that all edges share, and what is put to an edge that fills its own store.
//!
//! Out of scope: I/O, clocks, randomness, HTTP, JSON, and any decision about a request.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod agent;
pub mod bytes;
pub mod check;
pub mod click;
pub mod codec;
pub mod key;
pub mod origin;
pub mod record;
pub mod state;
pub mod sync;
pub mod time;
