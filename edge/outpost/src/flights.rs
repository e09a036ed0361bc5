use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use crate::Platform;

/// Reads under way, one a key.
#[derive(Debug, Default)]
pub(crate) struct Flights(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    by_key: HashMap<Box<str>, u32>,
    next: u32,
    /// The last flights that found nothing out. Whoever waited for one looks at once.
    failed: VecDeque<u32>,
}

const FAILED_KEPT: usize = 256;

impl Flights {
    /// The flight for a key, if there is one.
    pub(crate) fn of(&self, key: &str) -> Option<u32> {
        self.0.borrow().by_key.get(key).copied()
    }

    /// Begins a flight. It lands when it is dropped.
    pub(crate) fn begin<'a, P: Platform>(&'a self, key: &str, platform: &'a P) -> Flight<'a, P> {
        let mut state = self.0.borrow_mut();
        state.next = state.next.wrapping_add(1);
        let number = state.next;
        state.by_key.insert(key.into(), number);
        Flight { flights: self, platform, key: key.into(), number }
    }

    /// Whether a flight that has landed asked everybody there is, and nobody answered.
    pub(crate) fn has_failed(&self, number: u32) -> bool {
        self.0.borrow().failed.contains(&number)
    }
}

/// A read under way. Ended by the host half way, it lands too, and the next request reads anew.
pub(crate) struct Flight<'a, P: Platform> {
    flights: &'a Flights,
    platform: &'a P,
    key: Box<str>,
    number: u32,
}

impl<P: Platform> Flight<'_, P> {
    /// Nobody answered: those who wait shall not ask again, one after the other.
    pub(crate) fn fail(self) {
        let mut state = self.flights.0.borrow_mut();
        if state.failed.len() == FAILED_KEPT {
            state.failed.pop_front();
        }
        state.failed.push_back(self.number);
    }
}

impl<P: Platform> Drop for Flight<'_, P> {
    fn drop(&mut self) {
        let mut state = self.flights.0.borrow_mut();
        // Another one may have begun for the same key after a wait that took too long.
        if state.by_key.get(&self.key) == Some(&self.number) {
            state.by_key.remove(&self.key);
        }
        drop(state);
        self.platform.landed(self.number);
    }
}
