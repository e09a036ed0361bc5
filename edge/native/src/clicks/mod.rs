//! Clicks on their way from a redirect to the aggregator. Following a link never waits for them.
//!
//! A redirect leaves its click, numbered, in a buffer in memory. A thread of its own moves the
//! buffer into a journal file, which outlives the process but not the machine's power, and packs
//! full batches for the store; a batch's journal is removed once the store has it. What a former
//! process left in its journal is delivered at the next start; the aggregator counts every number
//! once, however often it comes.

mod collect;
mod journal;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;
use waypost_wire::click::{BatchWriter, Click};

pub use journal::{Batch, leftovers};

/// Clicks wait here at most this much memory long; beyond it they are numbered and dropped, which
/// the aggregator sees as lost.
const BUFFER_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Batches that may wait for the store before the collector waits for it.
const BATCHES_WAITING_MAX: usize = 64;

/// Accepts the clicks of this process.
#[derive(Debug)]
pub struct Clicks {
    shared: Arc<Shared>,
    collector: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    source: u64,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the next click.
    next_sequence: u64,
    /// Numbered clicks that the collector has not fetched, as journal entries.
    entries: Vec<u8>,
    /// Clicks numbered and dropped because the buffer was full.
    dropped: u64,
    /// All clicks numbered below this are in the journal, were handed on, or were dropped.
    journaled: u64,
    closed: bool,
}

/// Where clicks are on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Given a number.
    pub accepted: u64,
    /// Given a number and dropped.
    pub dropped: u64,
    /// Numbered below this, and in the journal, beyond it, or dropped.
    pub journaled: u64,
}

impl Clicks {
    /// Starts the collector with a journal in `directory`; `source` names this process in every
    /// batch and must never be used twice. Full batches come out of the receiver.
    ///
    /// # Errors
    /// If the thread could not be started.
    pub fn start(source: u64, directory: &Path) -> std::io::Result<(Self, mpsc::Receiver<Batch>)> {
        let (batches, received) = mpsc::channel(BATCHES_WAITING_MAX);
        let shared = Arc::new(Shared { source, state: Mutex::default(), wake: Condvar::new() });
        let collector = collect::Collector::new(Arc::clone(&shared), directory, batches);
        let thread =
            thread::Builder::new().name("waypost-clicks".into()).spawn(move || collector.run())?;
        let clicks = Self { shared, collector: Mutex::new(Some(thread)) };
        Ok((clicks, received))
    }

    /// The name of this process in its batches.
    pub fn source(&self) -> u64 {
        self.shared.source
    }

    /// Takes a click. Never waits but for another thread that is here for well under a
    /// microsecond.
    pub fn accept(&self, click: &Click<'_>) {
        let mut state = self.shared.lock();
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        if state.entries.len() > BUFFER_MAX_BYTES {
            state.dropped += 1;
            return;
        }
        let was_empty = state.entries.is_empty();
        let mut entry = BatchWriter::new(self.shared.source, sequence);
        entry.push(click);
        journal::put_entry(&mut state.entries, &entry.finish());
        drop(state);
        if was_empty {
            self.shared.wake.notify_one();
        }
    }

    /// How far clicks have come.
    pub fn progress(&self) -> Progress {
        let state = self.shared.lock();
        Progress {
            accepted: state.next_sequence,
            dropped: state.dropped,
            journaled: state.journaled,
        }
    }

    /// Takes no more clicks, hands on what there is and answers the number after the last click.
    /// Waits for the collector: not for async threads.
    pub fn close(&self) -> u64 {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        let collector = lock(&self.collector).take();
        if let Some(collector) = collector {
            // It reports its own failures; a panic there leaves the journal for the next start.
            let _ = collector.join();
        }
        self.shared.lock().next_sequence
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
