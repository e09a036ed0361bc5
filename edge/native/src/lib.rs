//! placeholder

pub mod sqlite;
