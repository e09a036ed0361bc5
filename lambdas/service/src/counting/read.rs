//! Reading statistics: closed windows from the store and open ones from memory, every click once.

use std::collections::BTreeMap;

use waypost_wire::time::Timestamp;

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
/// belongs to the answer if it starts in it, so `from` and `until` should be starts of spans.
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
    loop {
        open.sync(store).await?;
        let Reading { closed_until, mut rows } = store.read(subject, from, until).await?;
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
        // Otherwise a window was closed between the two readings: read again.
        if live.is_some() {
            return Ok(sum_up(rows, granularity));
        }
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

fn sum_up(rows: Vec<Row>, granularity: Span) -> Vec<Row> {
    let mut sums: BTreeMap<(Timestamp, Span), Rollup> = BTreeMap::new();
    for row in rows {
        let span = granularity.max(row.span);
        sums.entry((span.start(row.start), span)).or_default().merge(&row.rollup);
    }
    let row = |((start, span), rollup)| Row { start, span, rollup };
    sums.into_iter().map(row).collect()
}
