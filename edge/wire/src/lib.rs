//! The formats two Waypost processes must agree on.
//!
//! In scope: link records and their bytes, the keys they are stored under, click batches and
//! their bytes, the check character of generated slugs, and the words shared by rules, clicks
//! and statistics (device, operating system, browser).
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
pub mod record;
pub mod time;
