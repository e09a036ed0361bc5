//! The contract of `CounterStore`. Every function is given an empty store.

pub mod batches;
pub mod closing;
pub mod history;
