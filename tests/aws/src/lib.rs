//! An emulator of AWS for tests, and clients of it.

mod counters;
pub mod driven;
pub mod emulator;
pub mod faults;
