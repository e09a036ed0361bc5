//! Memory implementations of the seams, for tests: simple enough to be right at a glance.

mod keys;
mod links;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use keys::MemoryKeys;
pub use links::MemoryLinks;

/// A test that panicked has shown its fault already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
