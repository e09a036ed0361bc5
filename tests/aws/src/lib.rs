//! An emulator of AWS for tests, and clients of it.

pub mod emulator;
