//! Compaction: windows become hours, hours are added up to days; the same numbers in less space, and
//! in fewer rows where a question goes over months.

use std::collections::BTreeMap;

use waypost_wire::time::Timestamp;

use super::rollup::{Rollup, Subject};
use super::store::CounterStore;
use super::tally::Counted;
use super::window::Span;
use crate::seams::StoreError;

/// Merges made in one transaction: few enough that other writes do not wait for long.
const MERGES: usize = 100;

/// Rows removed in one transaction.
const REMOVED: usize = 1_000;

/// Hours stay beside their days for a good year, so that a year can be compared with the one before
/// by hour and in any time zone.
pub const HOURS_KEPT_MS: i64 = 400 * 24 * 60 * 60 * 1_000;

/// What was compacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Rollups of hours written.
    pub hours: usize,
    /// Rollups of days written.
    pub days: usize,
    /// Rollups of hours removed.
    pub hours_removed: usize,
}

/// Makes hours of the windows of every closed hour, adds the hours of every closed day up, and
/// removes the hours of days that ended `hours_kept_ms` ago or more. Statistics by hour, by hour of
/// the week and in time zones are exact only as far back as hours are kept.
///
/// # Errors
/// If the store fails; what was compacted before stays so.
pub async fn compact(
    store: &impl CounterStore,
    now: Timestamp,
    hours_kept_ms: i64,
) -> Result<Compacted, StoreError> {
    compact_until(store, now, hours_kept_ms, || false).await
}

/// The same until `is_over` says so, which is asked between steps; the next run goes on.
///
/// # Errors
/// If the store fails; what was compacted before stays so.
pub async fn compact_until(
    store: &impl CounterStore,
    now: Timestamp,
    hours_kept_ms: i64,
    is_over: impl Fn() -> bool,
) -> Result<Compacted, StoreError> {
    let mut compacted = Compacted::default();
    for (into, made) in [(Span::Hour, &mut compacted.hours), (Span::Day, &mut compacted.days)] {
        while !is_over() {
            match store.compact(into, now, MERGES).await? {
                0 => break,
                merges => *made += merges,
            }
        }
    }
    while !is_over() {
        match store.delete_hours(now.plus_ms(-hours_kept_ms), REMOVED).await? {
            0 => break,
            removed => compacted.hours_removed += removed,
        }
    }
    Ok(compacted)
}

/// One rollup of several. Their order matters where values are folded, so it is that of time.
pub fn merge<'a>(rollups: impl IntoIterator<Item = &'a Rollup>) -> Rollup {
    let mut merged = Rollup::default();
    for rollup in rollups {
        merged.merge(rollup);
    }
    merged.fold();
    merged
}

/// The same for everything that several windows come to.
pub(super) fn merge_windows(windows: Vec<Counted>) -> Counted {
    let mut parts: BTreeMap<Subject, Vec<Rollup>> = BTreeMap::new();
    let mut merged = Counted::default();
    for window in windows {
        for (subject, rollup) in window.rollups {
            parts.entry(subject).or_default().push(rollup);
        }
        // Of later windows, later clicks.
        merged.last_clicks.extend(window.last_clicks);
    }
    for (subject, rollups) in parts {
        merged.rollups.insert(subject, merge(&rollups));
    }
    merged
}
