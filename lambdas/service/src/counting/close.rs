//! Closing windows: counting them once, for good, and proving it later.

use sha2::{Digest, Sha256};
use waypost_wire::time::Timestamp;

use super::compact;
use super::store::{Closed, ClosingWindow, CounterStore, WindowRecord};
use super::tally::{Counted, WindowTally};
use super::window::{Span, WINDOW_MS, Window};
use crate::seams::StoreError;

/// Batches read at a time.
const PAGE: usize = 64;

/// Closes every window with clicks that is due at `now`, the oldest first, and after them at most
/// one window without clicks: if the clock is wrong by years, the damage is not. Answers how many
/// windows were closed. Stopped anywhere, it goes on where it was.
///
/// # Errors
/// If the store fails; windows closed before stay closed.
pub async fn close_due(store: &impl CounterStore, now: Timestamp) -> Result<usize, StoreError> {
    let mut closed = 0;
    loop {
        let open = store.open().await?;
        let nothing_ever = open.closed_until == Window::FIRST && open.oldest.is_none();
        let window = open.oldest.unwrap_or(open.closed_until);
        if nothing_ever || !window.is_due(now) {
            return Ok(closed);
        }
        if open.sealed_until <= window {
            // Then look again: until now, clicks of an older window could still arrive.
            store.seal(window.next()).await?;
            continue;
        }
        let (counted, batches) = count(store, window).await?;
        let digest = digest(&counted);
        let record = WindowRecord { batches, digest, revision: 1, closed_at: now };
        match store.close_window(&ClosingWindow { window, counted, record }).await? {
            Closed::Already => {}
            Closed::Closed => closed += 1,
        }
        if open.oldest.is_none() {
            return Ok(closed);
        }
    }
}

/// What became of proving a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Counted again, it comes to other numbers than it was closed with.
    Differs,
    /// Its batches were removed since.
    Gone,
    /// It is not closed, or had no clicks.
    NotClosed,
    /// Counted again, it comes to the same bytes.
    Same,
}

/// Counts a closed window again and compares.
///
/// # Errors
/// If the store fails.
pub async fn verify(store: &impl CounterStore, window: Window) -> Result<Proof, StoreError> {
    let Some(record) = store.closed_window(window).await? else {
        return Ok(Proof::NotClosed);
    };
    let (counted, batches) = count(store, window).await?;
    Ok(match batches == record.batches {
        false => Proof::Gone,
        true if digest(&counted) == record.digest => Proof::Same,
        true => Proof::Differs,
    })
}

/// What became of counting an hour again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recounted {
    /// Its batches were removed since.
    Gone,
    /// It is not closed, or kept by day only.
    NotPossible,
    /// Durable.
    Recounted {
        /// How many of its windows came to other numbers than before.
        changed: usize,
    },
}

/// Counts the closed hour that starts at `hour` again, by the rules of today, and writes that over
/// what it was closed with. Only on the explicit wish of an operator: closed windows do not change
/// otherwise. Every window that changed has its revision raised.
///
/// # Errors
/// If the store fails.
pub async fn recount_hour(
    store: &impl CounterStore,
    hour: Timestamp,
    now: Timestamp,
) -> Result<Recounted, StoreError> {
    let hour = Span::Hour.start(hour);
    // Before its windows are looked at: those that are not closed now would be left out.
    if store.open().await?.closed_until.start() < hour.plus_ms(Span::Hour.ms()) {
        return Ok(Recounted::NotPossible);
    }
    let mut changed = Vec::new();
    let mut parts = Vec::new();
    let starts = (0..Span::Hour.ms()).step_by(WINDOW_MS as usize);
    for window in starts.map(|ms| Window::of(hour.plus_ms(ms))) {
        let Some(record) = store.closed_window(window).await? else {
            continue;
        };
        let (counted, batches) = count(store, window).await?;
        if batches != record.batches {
            return Ok(Recounted::Gone);
        }
        let digest = digest(&counted);
        if digest != record.digest {
            let revision = record.revision + 1;
            changed.push((window, WindowRecord { batches, digest, revision, closed_at: now }));
        }
        parts.push(counted);
    }
    let counted = compact::merge_windows(parts);
    Ok(match store.rewrite_hour(hour, &changed, &counted).await? {
        true => Recounted::Recounted { changed: changed.len() },
        false => Recounted::NotPossible,
    })
}

/// SHA-256 over the rollups of a window.
pub fn digest(counted: &Counted) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (subject, rollup) in &counted.rollups {
        let bytes = rollup.encode();
        hasher.update(subject.code().to_be_bytes());
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().into()
}

/// Counts a window from the batches that are stored, and answers how many those are.
async fn count(store: &impl CounterStore, window: Window) -> Result<(Counted, u64), StoreError> {
    let mut tally = WindowTally::new(window);
    let (mut batches, mut after_row) = (0, 0);
    loop {
        let page = store.batches_of(window, after_row, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok((tally.finish(), batches));
        };
        after_row = last.row;
        batches += page.len() as u64;
        for batch in page {
            batch.each(|source, sequence, click, counted_in| {
                if counted_in == window {
                    tally.add(source, sequence, click);
                }
            })?;
        }
    }
}
