//! Answers from a store.

use waypost_wire::time::Timestamp;

use super::answer::{StatsFacts, Sums};
use super::integrity::IntegrityView;
use super::query::StatsQuery;
use super::statistics::Statistics;
use crate::counting::open::OpenWindows;
use crate::counting::read::rollups;
use crate::counting::rollup::Subject;
use crate::counting::store::CounterStore;
use crate::counting::window::Span;
use crate::model::Link;
use crate::problem::Problem;
use crate::seams::StoreError;

/// Read at once: at most 240 hours, so that no answer holds a year of them in memory.
const PART_MS: i64 = 10 * Span::Day.ms();

/// Statistics of a link.
///
/// # Errors
/// As [`super::answer`], or the store's fault.
pub async fn link(
    store: &impl CounterStore,
    open: &OpenWindows,
    query: &StatsQuery,
    link: &Link,
    fold_under: u64,
) -> Result<Statistics, Problem> {
    let sealed_until = sealed_until(store).await?;
    let facts = StatsFacts { fold_under, sealed_until, link: Some(link) };
    sums(store, open, query, Subject::Link(link.id)).await?.finish(&facts)
}

/// Statistics of all links, and of visits to slugs that are not there.
///
/// # Errors
/// As [`super::answer`], or the store's fault.
pub async fn site(
    store: &impl CounterStore,
    open: &OpenWindows,
    query: &StatsQuery,
    fold_under: u64,
) -> Result<Statistics, Problem> {
    let sealed_until = sealed_until(store).await?;
    let facts = StatsFacts { fold_under, sealed_until, link: None };
    let statistics = sums(store, open, query, Subject::Site).await?.finish(&facts)?;
    let by_slug = query.by_slug();
    let orphans = sums(store, open, &by_slug, Subject::Orphans).await?.orphans(&facts);
    Ok(Statistics { orphans: Some(orphans), ..statistics })
}

/// The account of clicks as of `now`.
///
/// # Errors
/// If the store fails.
pub async fn integrity(
    store: &impl CounterStore,
    now: Timestamp,
) -> Result<IntegrityView, StoreError> {
    let account = crate::counting::integrity::integrity(store, now).await?;
    Ok(IntegrityView::new(account, now))
}

/// Read before the clicks are: what it promises then holds for them.
async fn sealed_until(store: &impl CounterStore) -> Result<Timestamp, StoreError> {
    Ok(store.open().await?.sealed_until.start())
}

async fn sums<'a>(
    store: &impl CounterStore,
    open: &OpenWindows,
    query: &'a StatsQuery,
    subject: Subject,
) -> Result<Sums<'a>, StoreError> {
    let mut sums = Sums::new(query);
    // Whole days of UTC: an hour or day may count in the span and yet start or end outside of it.
    // Nobody counted clicks before 1970, and none is counted in the future.
    let mut from = Span::Day.start(query.from.max(Timestamp(0)));
    let until = query.to.min(query.now.plus_ms(Span::Day.ms()));
    let until = Span::Day.start(until.plus_ms(Span::Day.ms() - 1));
    while from < until {
        let end = from.plus_ms(PART_MS).min(until);
        for row in rollups(store, open, subject, from, end, query.granularity()).await? {
            sums.add(&row);
        }
        from = end;
    }
    Ok(sums)
}

