//! The windows that are not closed yet, counted in memory so that fresh clicks show at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::StoredBatch;
use super::store::{CounterStore, Open};
use super::tally::WindowTally;
use super::window::Window;
use crate::seams::StoreError;

/// Batches read at a time.
const PAGE: usize = 64;

/// The tallies of all open windows: nothing but a view of the stored batches, which it follows row
/// by row. It starts empty and may be thrown away at any time.
#[derive(Debug)]
pub struct OpenWindows(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Windows before this one are not kept: they are closed.
    closed_until: Window,
    /// Every batch up to this row has been added.
    row: u64,
    tallies: BTreeMap<Window, WindowTally>,
}

impl OpenWindows {
    /// Knows of no click until [`OpenWindows::sync`].
    pub const fn new() -> Self {
        Self(Mutex::new(State { closed_until: Window::FIRST, row: 0, tallies: BTreeMap::new() }))
    }

    /// Adds the batches stored since the last time, and lets go of windows closed since. Answers
    /// which were open at its beginning.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn sync(&self, store: &impl CounterStore) -> Result<Open, StoreError> {
        let open = store.open().await?;
        let mut row = self.state().follow(&open);
        loop {
            let batches = store.batches_after(row, PAGE).await?;
            row = self.state().add(&batches)?;
            if batches.len() < PAGE {
                return Ok(open);
            }
        }
    }

    /// Looks at the tallies of the windows from `closed_until` on; `None` if some of them were let
    /// go, because they have been closed: whoever read that mark has to read it again.
    pub fn since<R>(
        &self,
        closed_until: Window,
        look: impl FnOnce(&mut BTreeMap<Window, WindowTally>) -> R,
    ) -> Option<R> {
        let mut state = self.state();
        if closed_until < state.closed_until {
            return None;
        }
        state.let_go(closed_until);
        Some(look(&mut state.tallies))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OpenWindows {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The row to go on from.
    fn follow(&mut self, open: &Open) -> u64 {
        self.let_go(open.closed_until);
        self.row = self.row.max(open.after_row);
        self.row
    }

    fn let_go(&mut self, closed_until: Window) {
        if self.closed_until < closed_until {
            self.closed_until = closed_until;
            self.tallies = self.tallies.split_off(&closed_until);
        }
    }

    /// Adds batches; those that another call has added meanwhile are left out.
    fn add(&mut self, batches: &[StoredBatch]) -> Result<u64, StoreError> {
        for batch in batches {
            if batch.row <= self.row {
                continue;
            }
            batch.each(|source, sequence, click, window| {
                if self.closed_until <= window {
                    let tally = self.tallies.entry(window);
                    let tally = tally.or_insert_with(|| WindowTally::new(window));
                    tally.add(source, sequence, click);
                }
            })?;
            self.row = batch.row;
        }
        Ok(self.row)
    }
}
