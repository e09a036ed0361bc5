//! Answers from a store.

use waypost_wire::time::Timestamp;

use super::answer::{StatsFacts, Sums};
use super::integrity::IntegrityView;
use super::query::StatsQuery;
use super::statistics::Statistics;
use crate::counting::open::OpenWindows;
use crate::counting::read::rollups_known;
use crate::counting::rollup::Subject;
use crate::counting::store::{CounterStore, Open};
use crate::counting::window::Span;
use crate::model::Link;
use crate::problem::Problem;
use crate::seams::StoreError;

/// Statistics of a link.
///
/// # Errors
/// As [`super::answer()`], or the store's fault.
pub async fn link(
    store: &impl CounterStore,
    open: &OpenWindows,
    query: &StatsQuery,
    link: &Link,
    fold_under: u64,
) -> Result<Statistics, Problem> {
    // Read before the clicks are: what it promises then holds for them.
    let known = open.sync(store).await?;
    let facts =
        StatsFacts { fold_under, sealed_until: known.sealed_until.start(), link: Some(link) };
    sums(store, open, &known, query, Subject::Link(link.id)).await?.finish(&facts)
}

/// Statistics of all links, and of visits to slugs that are not there.
///
/// # Errors
/// As [`super::answer()`], or the store's fault.
pub async fn site(
    store: &impl CounterStore,
    open: &OpenWindows,
    query: &StatsQuery,
    fold_under: u64,
) -> Result<Statistics, Problem> {
    let known = open.sync(store).await?;
    let facts = StatsFacts { fold_under, sealed_until: known.sealed_until.start(), link: None };
    let statistics = sums(store, open, &known, query, Subject::Site).await?.finish(&facts)?;
    let by_slug = query.by_slug();
    let orphans = sums(store, open, &known, &by_slug, Subject::Orphans).await?.orphans(&facts);
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

async fn sums<'a>(
    store: &impl CounterStore,
    open: &OpenWindows,
    known: &Open,
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
        let granularity = query.granularity();
        let end = known.levels.part(from, until, granularity);
        for row in rollups_known(store, open, subject, from, end, granularity).await? {
            sums.add(&row);
        }
        from = end;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use pollster::block_on;
    use serde_json::{Value, json};
    use waypost_wire::click::{BatchWriter, Click};

    use super::*;
    use crate::counting::close::close_due;
    use crate::counting::compact::compact;
    use crate::counting::ingest::ingest;
    use crate::counting::memory::MemoryCounters;
    use crate::stats::Scope;
    use crate::time;

    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    fn at(text: &str) -> Timestamp {
        time::parse(text).expect("a time")
    }

    fn store(clicks: &[Click<'_>]) -> MemoryCounters {
        let store = MemoryCounters::default();
        for (sequence, click) in clicks.iter().enumerate() {
            let mut batch = BatchWriter::new(7, sequence as u64);
            batch.push(click);
            let bytes = batch.finish();
            block_on(ingest(&store, bytes, click.at)).expect("a batch");
        }
        store
    }

    fn orphan<'a>(slug: &'a str, text: &str) -> Click<'a> {
        Click { slug, at: at(text), user_agent: FIREFOX, ..Click::default() }
    }

    fn followed(link_id: u64, text: &str, visitor: u64) -> Click<'static> {
        let visitor = Some(visitor);
        Click { link_id, at: at(text), user_agent: FIREFOX, visitor, ..Click::default() }
    }

    fn asked(store: &MemoryCounters, query: &str) -> Result<Value, Problem> {
        let now = at("2026-11-21T20:00:00Z");
        let query = StatsQuery::parse(Some(query), Scope::Site, now)?;
        Ok(json!(block_on(site(store, &OpenWindows::new(), &query, 2))?))
    }

    #[test]
    fn clicks_count_at_once_and_the_same_when_windows_close_and_days_are_made() {
        let store = store(&[
            followed(1, "2026-11-20T23:59:59.999Z", 1),
            followed(1, "2026-11-21T00:00:00Z", 1),
            followed(2, "2026-11-21T13:00:00Z", 2),
            orphan("wp-login.php", "2026-11-21T13:01:00Z"),
            orphan("wp-login.php", "2026-11-21T13:02:00Z"),
            orphan("favicon", "2026-11-21T13:03:00Z"),
        ]);
        let none = json!({
            "bot": 0, "burst": 0, "datacentre": 0, "head": 0, "link_preview": 0, "prefetch": 0,
        });
        let expected = |complete_until: &str| {
            json!({
                "from": "2026-11-20T00:00:00Z",
                "to": "2026-11-23T00:00:00Z",
                "interval": "day",
                "tz": "UTC",
                "resolution": "exact",
                "complete_until": complete_until,
                "fold_under": 2,
                "totals": {"all": 3, "human": 3, "by_reason": none},
                "uniques": {"estimate": 2, "error_percent": 0.0},
                "series": [
                    {
                        "start": "2026-11-20T00:00:00Z", "all": 1, "human": 1,
                        "uniques": {"estimate": 1, "error_percent": 0.0},
                    },
                    {
                        "start": "2026-11-21T00:00:00Z", "all": 2, "human": 2,
                        "uniques": {"estimate": 2, "error_percent": 0.0},
                    },
                    {
                        "start": "2026-11-22T00:00:00Z", "all": 0, "human": 0,
                        "uniques": {"estimate": 0, "error_percent": 0.0},
                    },
                ],
                "breakdowns": {"os": [{"value": "linux", "clicks": 3, "share": 1.0}]},
                "orphans": {
                    "totals": {"all": 3, "human": 3, "by_reason": none},
                    "slugs": [
                        {"value": "wp-login.php", "clicks": 2, "share": 0.6667},
                        {"value": null, "clicks": 1, "share": 0.3333, "folded_values": 1},
                    ],
                },
            })
        };
        let query = "from=2026-11-20&to=2026-11-22&by=os";
        assert_eq!(asked(&store, query), Ok(expected("2026-11-20T00:00:00Z")));
        let now = at("2026-11-22T00:05:00Z");
        block_on(close_due(&store, now)).expect("closing");
        assert_eq!(asked(&store, query), Ok(expected("2026-11-21T13:20:00Z")));
        for hours_kept_ms in [i64::MAX, 0] {
            block_on(close_due(&store, at("2026-11-23T00:00:00Z"))).expect("closing");
            block_on(compact(&store, at("2026-11-23T00:00:00Z"), hours_kept_ms))
                .expect("compaction");
        }
        let found = asked(&store, query).expect("an answer");
        let complete_until = found["complete_until"].as_str().expect("a time");
        assert_eq!(found, expected(complete_until));
    }

    #[test]
    fn an_hour_that_a_day_ends_within_counts_where_it_starts() {
        // 18:30 is midnight in Kolkata; the open window from 18:40 belongs to the hour from 18:00.
        let store = store(&[
            followed(1, "2026-11-20T18:45:00Z", 1),
            followed(1, "2026-11-20T19:00:00Z", 1),
        ]);
        for _ in 0..2 {
            for (day, human) in [("2026-11-20", 1), ("2026-11-21", 1), ("2026-11-22", 0)] {
                let query = format!("from={day}&to={day}&tz=Asia/Kolkata");
                let found = asked(&store, &query).expect("an answer");
                assert_eq!(found["totals"]["human"], human, "{day}");
                assert_eq!(found["resolution"], "utc-hour");
            }
            block_on(close_due(&store, at("2026-11-21T20:00:00Z"))).expect("closing");
        }
    }

    #[test]
    fn a_day_that_was_made_counts_where_its_middle_is() {
        let store = store(&[
            followed(1, "2026-11-19T00:00:00Z", 1),
            followed(1, "2026-11-19T23:00:00Z", 2),
            followed(1, "2026-11-20T23:00:00Z", 2),
        ]);
        block_on(close_due(&store, at("2026-11-21T20:00:00Z"))).expect("closing");
        let query = "from=2026-11-18&to=2026-11-21&tz=America/Los_Angeles";
        let days = |found: &Value| -> Vec<Value> {
            let series = found["series"].as_array().expect("a series");
            series.iter().map(|point| point["human"].clone()).collect()
        };
        let before = asked(&store, query).expect("an answer");
        assert_eq!(
            (days(&before), &before["resolution"]),
            (vec![1.into(), 1.into(), 1.into(), 0.into()], &json!("exact"))
        );
        block_on(compact(&store, at("2026-11-21T12:00:00Z"), 24 * 3_600_000)).expect("compaction");
        let after = asked(&store, query).expect("an answer");
        assert_eq!(
            (days(&after), &after["resolution"]),
            (vec![0.into(), 2.into(), 1.into(), 0.into()], &json!("utc-day"))
        );
        // The day starts before the span, and its middle is inside.
        let query = "from=2026-11-19&to=2026-11-19&tz=America/Los_Angeles";
        assert_eq!(days(&asked(&store, query).expect("an answer")), [json!(2)]);
        for (query, parameter) in [("interval=hour", "interval"), ("by=hour_of_week", "by")] {
            let expected = Problem::parameter(
                parameter,
                "clicks before 2026-11-20T00:00:00Z are no longer kept by hour",
                "from=2026-11-20T00:00:00Z or later; or interval=day without hour_of_week",
            );
            assert_eq!(asked(&store, &format!("from=2026-11-18&{query}")), Err(expected));
            assert!(asked(&store, &format!("from=2026-11-20&{query}")).is_ok());
        }
    }

    #[test]
    fn long_spans_are_read_in_parts_without_gap_or_overlap() {
        let clicks: Vec<Click<'_>> = (1..=25)
            .flat_map(|day| [(day, "00:00:00"), (day, "23:59:59")])
            .map(|(day, time)| followed(1, &format!("2026-10-{day:02}T{time}Z"), day))
            .collect();
        let store = store(&clicks);
        let found = asked(&store, "from=2026-10-01&to=2026-10-25").expect("an answer");
        let series = found["series"].as_array().expect("a series");
        assert_eq!(series.len(), 25);
        assert!(series.iter().all(|point| point["human"] == 2), "{series:?}");
    }

    #[test]
    fn spans_far_from_any_click_are_read_quickly_and_are_empty() {
        let store = store(&[followed(1, "2026-11-20T18:45:00Z", 1)]);
        for query in [
            "from=1970-01-01&to=2026-11-19&interval=month",
            "from=1400-01-01&to=1500-01-01&interval=month",
            "from=2027-01-01&to=2150-01-01&interval=month",
            "from=2026-11-20T18:00:00Z&to=2026-11-20T18:00:00Z",
        ] {
            let found = asked(&store, query).expect("an answer");
            assert_eq!(found["totals"]["all"], 0, "{query}");
        }
    }
}
