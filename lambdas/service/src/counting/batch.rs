//! Batches on their way into the store: which of their clicks are new, and in which window each
//! is counted.

use std::collections::BTreeSet;
use std::ops::Range;

use waypost_wire::bytes::{ReadError, Reader, put_number};
use waypost_wire::click::{Batch, BatchError, BatchId, Click};
use waypost_wire::time::Timestamp;

use super::ledger::Ledger;
use super::window::Window;
use crate::seams::StoreError;

/// A batch that arrived and was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedBatch {
    /// What it is known by.
    pub id: BatchId,
    /// How many clicks it has.
    pub count: u64,
    /// As it arrived.
    pub bytes: Vec<u8>,
    /// The windows its clicks say they are in: how many after each other, and which.
    runs: Vec<(u64, Window)>,
}

impl ReceivedBatch {
    /// Checks a batch.
    ///
    /// # Errors
    /// If the bytes are no batch.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BatchError> {
        let batch = Batch::parse(&bytes)?;
        let (id, count) = (batch.id(), batch.count());
        let mut runs: Vec<(u64, Window)> = Vec::new();
        for (_, click) in batch.clicks() {
            let window = Window::of(click.at);
            match runs.last_mut() {
                Some((clicks, of)) if *of == window => *clicks += 1,
                _ => runs.push((1, window)),
            }
        }
        Ok(Self { id, count, bytes, runs })
    }
}

/// What becomes of a batch. A store works it out and writes it in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The numbers of its clicks that were not stored before, in order.
    pub fresh: Vec<Range<u64>>,
    /// The oldest window its clicks can be counted in.
    pub floor: Window,
    /// The youngest window its clicks can be counted in.
    pub ceil: Window,
    /// The windows its fresh clicks are counted in.
    pub windows: BTreeSet<Window>,
    /// How many clicks were stored before.
    pub duplicate: u64,
    /// How many fresh clicks are counted in `floor` because their own window is sealed.
    pub late: u64,
    /// By how much the accepted numbers of the source grew.
    pub accepted: u64,
}

impl Admission {
    /// Decides on a batch that arrived at `now`, and books it in its source's ledger.
    ///
    /// No click is counted in a window before `sealed_until`.
    pub fn decide(
        batch: &ReceivedBatch,
        ledger: &mut Ledger,
        sealed_until: Window,
        now: Timestamp,
    ) -> Self {
        let floor = sealed_until;
        // A host whose clock is ahead cannot write into the future.
        let ceil = floor.max(Window::of(now));
        let before = ledger.accepted();
        let first = batch.id.first_sequence;
        let fresh = ledger.take(first..first + batch.count, now);
        let mut admission = Self {
            floor,
            ceil,
            windows: BTreeSet::new(),
            duplicate: batch.count,
            late: 0,
            accepted: ledger.accepted() - before,
            fresh,
        };
        let mut start = first;
        for (clicks, window) in &batch.runs {
            let new = overlap(&admission.fresh, start..start + clicks);
            start += clicks;
            if new == 0 {
                continue;
            }
            admission.windows.insert((*window).clamp(floor, ceil));
            admission.duplicate -= new;
            if *window < floor {
                admission.late += new;
            }
        }
        admission
    }

    /// How many clicks were not stored before.
    pub fn stored(&self) -> u64 {
        length(&self.fresh)
    }
}

/// A batch as it was stored: all that counting its clicks depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Position in the order of storing; a batch stored later has a higher one.
    pub row: u64,
    /// See [`Admission::fresh`].
    pub fresh: Vec<Range<u64>>,
    /// See [`Admission::floor`].
    pub floor: Window,
    /// See [`Admission::ceil`].
    pub ceil: Window,
    /// As it arrived.
    pub bytes: Vec<u8>,
}

impl StoredBatch {
    /// Hands every click that this batch stored to `count`, with its source, its number and the
    /// window it is counted in.
    ///
    /// # Errors
    /// If the stored bytes are no batch any more.
    pub fn each(
        &self,
        mut count: impl FnMut(u64, u64, &Click<'_>, Window),
    ) -> Result<(), StoreError> {
        let batch = Batch::parse(&self.bytes).map_err(|error| {
            StoreError::Damaged(format!("batch {} cannot be read: {error:?}", self.row))
        })?;
        let mut fresh = self.fresh.iter();
        let mut range = fresh.next();
        for (sequence, click) in batch.clicks() {
            while range.is_some_and(|range| range.end <= sequence) {
                range = fresh.next();
            }
            if range.is_some_and(|range| range.contains(&sequence)) {
                let window = Window::of(click.at).clamp(self.floor, self.ceil);
                count(batch.id().source, sequence, &click, window);
            }
        }
        Ok(())
    }
}

/// Ranges as bytes.
pub fn encode_ranges(ranges: &[Range<u64>]) -> Vec<u8> {
    let mut to = Vec::new();
    for range in ranges {
        put_number(&mut to, range.start);
        put_number(&mut to, range.end - range.start);
    }
    to
}

/// Reads what [`encode_ranges`] wrote.
///
/// # Errors
/// If the bytes end early.
pub fn decode_ranges(bytes: &[u8]) -> Result<Vec<Range<u64>>, ReadError> {
    let mut from = Reader::new(bytes);
    let mut ranges = Vec::new();
    while from.remaining() > 0 {
        let start = from.number()?;
        let end = start.checked_add(from.number()?).ok_or(ReadError::Overflow)?;
        ranges.push(start..end);
    }
    Ok(ranges)
}

fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

fn overlap(ranges: &[Range<u64>], with: Range<u64>) -> u64 {
    let of = |range: &Range<u64>| {
        let end = range.end.min(with.end);
        end.saturating_sub(range.start.max(with.start))
    };
    ranges.iter().map(of).sum()
}
