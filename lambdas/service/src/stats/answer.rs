//! The answer: rollups in, statistics out. Nothing is read here.

use std::collections::BTreeMap;

use waypost_wire::time::Timestamp;

use super::breakdown::{entries, with_destinations};
use super::query::{Interval, StatsQuery};
use super::statistics::{Orphans, Point, Resolution, Statistics, TotalsView, Uniques};
use crate::counting::classify::Class;
use crate::counting::rollup::{Dimension, Rollup, Totals};
use crate::counting::sketch::Sketch;
use crate::counting::store::Row;
use crate::counting::window::Span;
use crate::model::Link;
use crate::problem::Problem;
use crate::time;

/// What an answer depends on beside the question and the clicks.
#[derive(Clone, Copy, Debug)]
pub struct StatsFacts<'a> {
    /// Values with fewer clicks are not told apart, so that no visitor stands alone.
    pub fold_under: u64,
    /// Nothing is counted before this time any more.
    pub sealed_until: Timestamp,
    /// The link, if it is about one.
    pub link: Option<&'a Link>,
}

/// Answers a question with the rollups of its span, in any order. Rollups outside of the span do
/// not count.
///
/// # Errors
/// [`crate::problem::Kind::InvalidParameter`] if it needs hours that are no longer kept.
pub fn answer<'a>(
    query: &StatsQuery,
    facts: &StatsFacts<'_>,
    rows: impl IntoIterator<Item = &'a Row>,
) -> Result<Statistics, Problem> {
    let mut sums = Sums::new(query);
    for row in rows {
        sums.add(row);
    }
    sums.finish(facts)
}

/// Rollups added up.
pub(super) struct Sums<'a> {
    query: &'a StatsQuery,
    totals: Totals,
    uniques: Sketch,
    points: Vec<(Totals, Sketch)>,
    clicks_by_value: BTreeMap<Dimension, BTreeMap<String, u64>>,
    hour_of_week: [[u64; 24]; 7],
    /// Where the last day ends of which hours were needed and not there.
    hours_from: Option<Timestamp>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(query: &'a StatsQuery) -> Self {
        let by = query.by.iter().map(|dimension| (*dimension, BTreeMap::new()));
        Self {
            query,
            totals: Totals::default(),
            uniques: Sketch::new(),
            points: vec![Default::default(); query.points.len()],
            clicks_by_value: by.collect(),
            hour_of_week: [[0; 24]; 7],
            hours_from: None,
        }
    }

    pub(super) fn add(&mut self, row: &Row) {
        let at = place(row);
        let Some(point) = self.query.point(at) else {
            return;
        };
        let Rollup { totals, uniques, .. } = &row.rollup;
        self.totals.merge(totals);
        self.uniques.merge(uniques);
        if let Some((point_totals, point_uniques)) = self.points.get_mut(point) {
            point_totals.merge(totals);
            point_uniques.merge(uniques);
        }
        for (dimension, sums) in &mut self.clicks_by_value {
            for (value, clicks) in row.rollup.breakdown(*dimension) {
                *sums.entry(value.clone()).or_default() += clicks;
            }
        }
        if self.query.by_hour_of_week {
            let (day, hour) = self.query.calendar.hour_of_week(at);
            self.hour_of_week[day][hour] += totals.of(Class::Human);
        }
        if row.span == Span::Day && self.query.granularity() < Span::Day {
            let end = Span::Day.start(row.start).plus_ms(Span::Day.ms());
            self.hours_from = self.hours_from.max(Some(end));
        }
    }

    pub(super) fn finish(self, facts: &StatsFacts<'_>) -> Result<Statistics, Problem> {
        let query = self.query;
        let resolution = match self.hours_from {
            Some(end) if query.interval == Interval::Hour => return Err(no_hours("interval", end)),
            Some(end) if query.by_hour_of_week => return Err(no_hours("by", end)),
            Some(_) => Resolution::UtcDay,
            None if query.is_made_of(Span::Hour) => Resolution::Exact,
            None => Resolution::UtcHour,
        };
        let human = self.totals.of(Class::Human);
        let breakdown = |(dimension, clicks_by_value)| {
            let entries = entries(clicks_by_value, human, query.limit, facts.fold_under);
            match (dimension, facts.link) {
                (Dimension::Destination, Some(link)) => with_destinations(entries, link),
                _ => entries,
            }
        };
        let breakdowns = self.clicks_by_value.into_iter();
        let series = query.points.iter().zip(&self.points);
        let format = |at| query.calendar.format(at);
        // An hour that a point ends within is the point's to its end.
        let complete_until = match resolution {
            Resolution::Exact => facts.sealed_until,
            Resolution::UtcHour | Resolution::UtcDay => Span::Hour.start(facts.sealed_until),
        };
        Ok(Statistics {
            from: format(query.from),
            to: format(query.to),
            interval: query.interval,
            tz: query.calendar.name().to_owned(),
            resolution,
            complete_until: format(complete_until.clamp(query.from, query.to)),
            fold_under: facts.fold_under,
            totals: TotalsView::of(&self.totals),
            uniques: Uniques::of(&self.uniques),
            series: series.map(|(start, sums)| Point::of(format(*start), sums)).collect(),
            breakdowns: breakdowns.map(|of| (of.0.name(), breakdown(of))).collect(),
            hour_of_week: query.by_hour_of_week.then_some(self.hour_of_week),
            orphans: None,
        })
    }

    /// The sums of [`crate::counting::rollup::Subject::Orphans`].
    pub(super) fn orphans(mut self, facts: &StatsFacts<'_>) -> Orphans {
        let by_slug = self.clicks_by_value.remove(&Dimension::Slug).unwrap_or_default();
        let human = self.totals.of(Class::Human);
        Orphans {
            totals: TotalsView::of(&self.totals),
            slugs: entries(by_slug, human, self.query.limit, facts.fold_under),
        }
    }
}

/// The moment at which all of a row's clicks count. Windows count as their hour does, so that no
/// number moves when they become one.
fn place(row: &Row) -> Timestamp {
    match row.span {
        Span::Day => row.start.plus_ms(Span::Day.ms() / 2),
        Span::Window | Span::Hour => Span::Hour.start(row.start),
    }
}

fn no_hours(parameter: &str, end: Timestamp) -> Problem {
    let end = time::format(end);
    let detail = format!("clicks before {end} are no longer kept by hour");
    let expected = format!("from={end} or later; or interval=day without hour_of_week");
    Problem::parameter(parameter, detail, expected)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp as Instant;
    use jiff::tz::TimeZoneDatabase;
    use proptest::prelude::*;

    use super::*;
    use crate::stats::Scope;

    const HOUR_MS: i64 = Span::Hour.ms();

    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "America/Santiago",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
    ];

    /// Around changes of clocks, and Samoa's lost day.
    const STARTS: [&str; 4] = [
        "2026-03-20T00:00:00Z",
        "2026-10-01T00:00:00Z",
        "2011-12-25T00:00:00Z",
        "2026-08-30T00:00:00Z",
    ];

    fn row(start: i64, span: Span, human: u64, bots: u64) -> Row {
        let mut rollup = Rollup::default();
        rollup.totals.add(Class::Human, human);
        rollup.totals.add(Class::Bot, bots);
        for visitor in 0..human.min(9) {
            rollup.uniques.insert(visitor * 7 + bots);
        }
        // Of a third no country is known.
        let countries =
            BTreeMap::from([("DE".to_owned(), human / 3), ("FR".to_owned(), human / 3)]);
        rollup.breakdowns.insert(Dimension::Country, countries);
        Row { start: Timestamp(start), span, rollup }
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let one = (0i64..24 * 40, 0i64..6, any::<bool>(), 0u64..50, 0u64..9);
        let start = prop::sample::select(&STARTS[..]);
        (start, prop::collection::vec(one, 0..60)).prop_map(|(start, ones)| {
            let base = time::parse(start).expect("a time").0;
            let of = |(hour, window, is_window, human, bots)| match is_window {
                true => row(base + hour * HOUR_MS + window * 600_000, Span::Window, human, bots),
                false => row(base + hour * HOUR_MS, Span::Hour, human, bots),
            };
            ones.into_iter().map(of).collect()
        })
    }

    fn facts() -> StatsFacts<'static> {
        StatsFacts { fold_under: 5, sealed_until: Timestamp(0), link: None }
    }

    /// The steps of an interval that a time is in, told by another way than the calendar's.
    fn step(zone: &str, interval: &str, at: i64) -> String {
        let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone");
        let local = Instant::from_millisecond(at).expect("a time").to_zoned(zone);
        match interval {
            "hour" => local.strftime("%F %H %s").to_string(),
            "day" => local.strftime("%F").to_string(),
            _ => local.strftime("%Y-%m").to_string(),
        }
    }

    proptest! {
        #[test]
        fn every_click_is_in_one_point_and_one_entry(
            rows in rows(),
            start in prop::sample::select(&STARTS[..]),
            zone in prop::sample::select(&ZONES[..]),
            interval in prop::sample::select(&["hour", "day", "month"][..]),
            minutes in (-2_000i64..60_000, 0i64..60_000),
        ) {
            let from = time::parse(start).expect("a time").plus_ms(minutes.0 * 60_000);
            let to = from.plus_ms(minutes.1 * 60_000);
            let asked = format!(
                "from={}&to={}&tz={zone}&interval={interval}&by=country,hour_of_week",
                time::format(from), time::format(to),
            );
            let query = StatsQuery::parse(Some(&asked), Scope::Link, to).expect("a question");
            prop_assert!(query.from <= from && to <= query.to);
            let found = answer(&query, &facts(), &rows).expect("an answer");

            let mut expected: BTreeMap<String, [u64; 2]> = BTreeMap::new();
            let mut visitors = Sketch::new();
            for row in &rows {
                let hour = row.start.0 - row.start.0.rem_euclid(HOUR_MS);
                if !(query.from.0..query.to.0).contains(&hour) {
                    continue;
                }
                let sums = expected.entry(step(zone, interval, hour)).or_default();
                *sums = [sums[0] + row.rollup.totals.all(), sums[1] + row.rollup.totals.of(Class::Human)];
                visitors.merge(&row.rollup.uniques);
            }
            let is_empty = |point: &&Point| point.all == 0;
            let points: Vec<[u64; 2]> =
                found.series.iter().filter(|point| !is_empty(point)).map(|point| [point.all, point.human]).collect();
            let expected: Vec<[u64; 2]> = expected.into_values().filter(|sums| sums[0] > 0).collect();
            prop_assert_eq!(&points, &expected);

            let human: u64 = expected.iter().map(|sums| sums[1]).sum();
            prop_assert_eq!(found.totals.human, human);
            prop_assert_eq!(found.totals.all, expected.iter().map(|sums| sums[0]).sum::<u64>());
            prop_assert_eq!(found.totals.by_reason.values().sum::<u64>() + human, found.totals.all);
            prop_assert_eq!(found.uniques.estimate, visitors.estimate());
            let by_country: u64 = found.breakdowns["country"].iter().map(|entry| entry.clicks).sum();
            prop_assert_eq!(by_country, human);
            let by_hour: u64 = found.hour_of_week.iter().flatten().flatten().sum();
            prop_assert_eq!(by_hour, human);

            prop_assert!(query.points.is_sorted_by(|one, next| one < next));
            prop_assert!(query.points.iter().all(|at| (query.from..query.to).contains(at)));
        }

        /// A window that becomes part of an hour, and rows in another order, change nothing.
        #[test]
        fn how_clicks_are_kept_does_not_show(rows in rows(), zone in prop::sample::select(&ZONES[..])) {
            let asked = format!("from=2026-03-20&to=2026-11-20&tz={zone}&by=country,hour_of_week");
            let query = StatsQuery::parse(Some(&asked), Scope::Link, Timestamp(0)).expect("a question");
            let mut hours: BTreeMap<Timestamp, Rollup> = BTreeMap::new();
            for row in &rows {
                hours.entry(Span::Hour.start(row.start)).or_default().merge(&row.rollup);
            }
            let hour = |(start, rollup)| Row { start, span: Span::Hour, rollup };
            let hours: Vec<Row> = hours.into_iter().rev().map(hour).collect();
            prop_assert_eq!(answer(&query, &facts(), &rows), answer(&query, &facts(), &hours));
        }
    }
}
