use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use waypost_wire::click::{Batch as Packed, BatchWriter};

use super::Shared;
use super::journal::{Batch, Segment, split_entry};

/// A batch is handed on at this age even if it is not full: statistics are that far behind.
const BATCH_AGE_MAX: Duration = Duration::from_millis(1_000);

/// Moves clicks from memory to the journal and into batches; the work of one thread.
pub(super) struct Collector {
    shared: Arc<Shared>,
    directory: PathBuf,
    batches: mpsc::Sender<Batch>,
    open: Option<Open>,
    journal_failed: bool,
}

/// The batch in the making.
struct Open {
    writer: BatchWriter,
    next_sequence: u64,
    since: Instant,
    segment: Option<Segment>,
    /// Entries that are not in the segment yet.
    unwritten: Vec<u8>,
}

impl Collector {
    pub(super) fn new(shared: Arc<Shared>, directory: &Path, batches: mpsc::Sender<Batch>) -> Self {
        Self { shared, directory: directory.to_owned(), batches, open: None, journal_failed: false }
    }

    pub(super) fn run(mut self) {
        let mut entries = Vec::new();
        loop {
            let closed = self.wait(&mut entries);
            self.take(&entries);
            let is_old = |open: &Open| open.since.elapsed() >= BATCH_AGE_MAX;
            if closed || self.open.as_ref().is_some_and(is_old) {
                self.hand_on();
            }
            if closed {
                return;
            }
        }
    }

    /// Waits for clicks, for the open batch to grow old, or for the end; fetches all clicks.
    fn wait(&self, entries: &mut Vec<u8>) -> bool {
        entries.clear();
        let mut state = self.shared.lock();
        while state.entries.is_empty() && !state.closed {
            let left = match &self.open {
                None => Duration::MAX,
                Some(open) => BATCH_AGE_MAX.saturating_sub(open.since.elapsed()),
            };
            if left.is_zero() {
                break;
            }
            let waited = self.shared.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        std::mem::swap(entries, &mut state.entries);
        state.closed
    }

    fn take(&mut self, mut entries: &[u8]) {
        while let Some((entry, rest)) = split_entry(entries) {
            let (whole, _) = entries.split_at(entries.len() - rest.len());
            self.take_entry(entry, whole);
            entries = rest;
        }
        self.write();
    }

    fn take_entry(&mut self, entry: &[u8], whole: &[u8]) {
        let Ok(one) = Packed::parse(entry) else {
            return;
        };
        let Some((sequence, click)) = one.clicks().next() else {
            return;
        };
        // Numbers of one batch follow each other; where clicks were dropped, the next one starts.
        if self.open.as_ref().is_some_and(|open| open.next_sequence != sequence) {
            self.hand_on();
        }
        let mut open = self.open.take().unwrap_or_else(|| self.start(sequence));
        open.writer.push(&click);
        open.next_sequence = sequence + 1;
        open.unwritten.extend_from_slice(whole);
        let is_full = open.writer.is_full();
        self.open = Some(open);
        if is_full {
            self.hand_on();
        }
    }

    fn start(&mut self, first_sequence: u64) -> Open {
        let source = self.shared.source;
        let segment = match Segment::create(&self.directory, source, first_sequence) {
            Ok(segment) => Some(segment),
            Err(error) => {
                self.report(&error);
                None
            }
        };
        Open {
            writer: BatchWriter::new(source, first_sequence),
            next_sequence: first_sequence,
            since: Instant::now(),
            segment,
            unwritten: Vec::new(),
        }
    }

    /// One write for all clicks that came together.
    fn write(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let written = match &mut open.segment {
            Some(segment) => segment.append(&open.unwritten),
            None => Ok(()),
        };
        open.unwritten.clear();
        self.shared.lock().journaled = open.next_sequence;
        if let Err(error) = written {
            self.report(&error);
        }
    }

    fn hand_on(&mut self) {
        self.write();
        let Some(open) = self.open.take() else {
            return;
        };
        let journal = open.segment.map(Segment::into_path);
        // Whoever fetches batches goes away only at the end, and then the journal has them.
        let _ = self.batches.blocking_send(Batch::of(open.writer, journal));
    }

    /// Without a journal clicks are still delivered; only a crash would lose some. Said once.
    fn report(&mut self, error: &std::io::Error) {
        if !self.journal_failed {
            tracing::error!(%error, directory = %self.directory.display(), "the click journal cannot be written");
        }
        self.journal_failed = true;
    }
}
