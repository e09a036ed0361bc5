//! The hosts that run the cases.

pub mod core;
pub mod edge;
pub mod native;
