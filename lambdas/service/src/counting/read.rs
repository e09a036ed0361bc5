//! Reading statistics: closed windows from the store and open ones from memory, every click once.

use std::collections::BTreeMap;

use waypost_wire::time::Timestamp;

use super::compact::merge;
use super::levels::whole;
use super::open::OpenWindows;
use super::rollup::{Rollup, Subject, Totals};
use super::store::{CounterStore, Reading, Row};
use super::window::Span;
use crate::model::LinkId;
use crate::seams::StoreError;

/// The clicks on a subject that were made from `from` on and before `until`, summed up by
/// `granularity` ([`Span::Hour`] or [`Span::Day`], UTC), oldest first; spans without clicks are
/// left out. Clicks of open windows are there as soon as they are stored.
///
/// What is stored in coarser spans than asked for comes in those: [`Row::span`] tells. A span
/// belongs to the answer if it starts in it, so `from` and `until` should be starts of spans; by
/// day, whole days are answered.
///
/// # Errors
/// If the store fails.
pub async fn rollups(
    store: &impl CounterStore,
    open: &OpenWindows,
    subject: Subject,
    from: Timestamp,
    until: Timestamp,
    granularity: Span,
) -> Result<Vec<Row>, StoreError> {
    open.sync(store).await?;
    rollups_known(store, open, subject, from, until, granularity).await
}

/// The same, with what [`OpenWindows::sync`] knew of open windows: clicks stored since may be
/// missing. Whoever reads several times for one answer looks at the open windows once.
///
/// # Errors
/// If the store fails.
pub async fn rollups_known(
    store: &impl CounterStore,
    open: &OpenWindows,
    subject: Subject,
    from: Timestamp,
    until: Timestamp,
    granularity: Span,
) -> Result<Vec<Row>, StoreError> {
    let (from, until) = whole(from, until, granularity);
    loop {
        let reading = store.read(subject, from, until, granularity).await?;
        let Reading { closed_until, mut rows } = reading;
        if until <= closed_until.start() {
            return Ok(sum_up(rows, granularity));
        }
        let live = open.since(closed_until, |tallies| {
            for (window, tally) in tallies {
                let start = window.start();
                if (from..until).contains(&start)
                    && let Some(rollup) = tally.rollup(subject)
                {
                    rows.push(Row { start, span: Span::Window, rollup });
                }
            }
        });
        if live.is_some() {
            return Ok(sum_up(rows, granularity));
        }
        // A window was closed between the two readings: read again.
        open.sync(store).await?;
    }
}

/// The clicks of each link since it was created, in the order of `ids`, open windows included.
///
/// # Errors
/// If the store fails.
pub async fn link_totals(
    store: &impl CounterStore,
    open: &OpenWindows,
    ids: &[LinkId],
) -> Result<Vec<Totals>, StoreError> {
    loop {
        open.sync(store).await?;
        let (closed_until, mut totals) = store.link_totals(ids).await?;
        let live = open.since(closed_until, |tallies| {
            for tally in tallies.values_mut() {
                for (id, totals) in ids.iter().zip(&mut totals) {
                    totals.merge(&tally.totals(*id));
                }
            }
        });
        if live.is_some() {
            return Ok(totals);
        }
    }
}

/// In the steps in which compaction makes them, so that no number moves when it does.
fn sum_up(mut rows: Vec<Row>, granularity: Span) -> Vec<Row> {
    for span in [Span::Hour, Span::Day] {
        if span <= granularity {
            rows = summed_up(rows, span);
        }
    }
    rows
}

fn summed_up(rows: Vec<Row>, into: Span) -> Vec<Row> {
    let mut parts: BTreeMap<(Timestamp, Span), Vec<Rollup>> = BTreeMap::new();
    for row in rows {
        let span = into.max(row.span);
        parts.entry((span.start(row.start), span)).or_default().push(row.rollup);
    }
    let row = |((start, span), mut parts): (_, Vec<Rollup>)| {
        let rollup = match parts.len() {
            1 => parts.swap_remove(0),
            _ => merge(&parts),
        };
        Row { start, span, rollup }
    };
    parts.into_iter().map(row).collect()
}
