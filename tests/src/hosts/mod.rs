//! The hosts that run the cases.

pub mod core;
pub mod native;
