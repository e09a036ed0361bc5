//! placeholder

pub mod contracts;
