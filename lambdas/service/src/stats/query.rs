//! The question: which span, in which steps, broken down by what.

use std::collections::BTreeSet;

use jiff::ToSpan;
use serde::Serialize;
use waypost_wire::time::Timestamp;

use super::calendar::{self, Calendar};
use crate::api::params::Params;
use crate::counting::rollup::Dimension;
use crate::counting::window::Span;
use crate::problem::Problem;
use crate::time;

/// Most points of a series: more than a screen has pixels to show them.
pub const POINTS_MAX: usize = 2_000;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// Days of the span if it is not given.
const DAYS_DEFAULT: i64 = 30;

const HOUR_OF_WEEK: &str = "hour_of_week";

/// Whom a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One link; `domain` says on which domain it is.
    Link,
    /// All links. Breaking them down by destination would mix what has nothing in common.
    Site,
}

/// Steps of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Hours.
    Hour,
    /// Days.
    #[default]
    Day,
    /// Calendar months.
    Month,
}

/// A question that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsQuery {
    /// The link's domain; the default domain if not given.
    pub domain: Option<String>,
    pub(super) from: Timestamp,
    /// The first moment after the span.
    pub(super) to: Timestamp,
    pub(super) interval: Interval,
    pub(super) calendar: Calendar,
    /// Where the points of the series start.
    pub(super) points: Vec<Timestamp>,
    pub(super) by: BTreeSet<Dimension>,
    pub(super) by_hour_of_week: bool,
    pub(super) limit: usize,
    /// When it was asked.
    pub(super) now: Timestamp,
}

impl StatsQuery {
    /// Reads the query part of an address. Without parameters it asks for the last 30 days by day,
    /// in UTC; a date as `to` is the last day of the span. The span is widened to full hours on
    /// the clocks of `tz`.
    ///
    /// # Errors
    /// [`crate::problem::Kind::InvalidParameter`] with all that is wrong.
    pub fn parse(query: Option<&str>, scope: Scope, now: Timestamp) -> Result<Self, Problem> {
        let known = ["from", "to", "interval", "tz", "by", "limit", "domain"];
        let known = match scope {
            Scope::Link => &known[..],
            Scope::Site => &known[..6],
        };
        let mut params = Params::parse(query, known);
        let expected = "the IANA name of a time zone, such as Europe/Berlin";
        let calendar = params.value("tz", expected, Calendar::new).unwrap_or(Calendar::utc());
        let interval = params.value("interval", "hour, day or month", interval);
        let (from, to) = span(&mut params, &calendar, now);
        let (by, by_hour_of_week) = breakdowns(&mut params, scope);
        let limit = params.value("limit", "1 to 500", |text| {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
        });
        let is_misspelt = interval.is_none() && params.text("interval").is_some();
        let interval = interval.unwrap_or_default();
        let points = calendar.points(from, to, interval, POINTS_MAX);
        if points.is_none() && !is_misspelt {
            let (steps, expected) = interval.too_many();
            let detail = format!("the span has more than {POINTS_MAX} {steps}");
            params.fault("interval", detail, expected);
        }
        let domain = params.text("domain").map(str::to_owned);
        params.finish()?;
        Ok(Self {
            domain,
            from,
            to,
            interval,
            calendar,
            points: points.unwrap_or_default(),
            by,
            by_hour_of_week,
            limit: limit.unwrap_or(LIMIT_DEFAULT),
            now,
        })
    }

    /// How finely rollups are needed: by day if all points start with days of UTC.
    pub fn granularity(&self) -> Span {
        match self.is_made_of(Span::Day) && !self.by_hour_of_week {
            true => Span::Day,
            false => Span::Hour,
        }
    }

    /// Whether every point is made of whole spans.
    pub(super) fn is_made_of(&self, span: Span) -> bool {
        self.points.iter().chain([&self.from, &self.to]).all(|at| span.start(*at) == *at)
    }

    /// The point of the series that a time is in.
    pub(super) fn point(&self, at: Timestamp) -> Option<usize> {
        let is_inside = self.from <= at && at < self.to;
        let started = self.points.partition_point(|start| *start <= at);
        started.checked_sub(1).filter(|_| is_inside)
    }

    /// The same question by slug, for visits to slugs that are not there.
    pub(super) fn by_slug(&self) -> Self {
        Self { by: BTreeSet::from([Dimension::Slug]), ..self.clone() }
    }
}

impl Interval {
    const fn too_many(self) -> (&'static str, &'static str) {
        match self {
            Self::Hour => ("hours", "interval=day, or a span of at most 83 days"),
            Self::Day => ("days", "interval=month, or a span of at most 2000 days"),
            Self::Month => ("months", "a span of at most 2000 months"),
        }
    }
}

fn interval(text: &str) -> Option<Interval> {
    match text {
        "hour" => Some(Interval::Hour),
        "day" => Some(Interval::Day),
        "month" => Some(Interval::Month),
        _ => None,
    }
}

/// The span as asked for. If there is a fault in it, it is empty.
fn span(params: &mut Params, calendar: &Calendar, now: Timestamp) -> (Timestamp, Timestamp) {
    let expected = "YYYY-MM-DD, or RFC 3339 with + written as %2B: 2026-11-21T07:00:00Z";
    let given = params.value("to", expected, |text| match calendar::date(text) {
        Some(date) => calendar.start(date.tomorrow().ok()?),
        None => Some(calendar.hour_end(time::parse(text)?)),
    });
    let to_is_given = params.text("to").is_some();
    let tomorrow = || calendar.start(calendar.date(now).tomorrow().ok()?);
    let to = given.or_else(tomorrow).unwrap_or(now);
    let given = params.value("from", expected, |text| match calendar::date(text) {
        Some(date) => calendar.start(date),
        None => Some(calendar.hour_start(time::parse(text)?)),
    });
    let from = given.unwrap_or_else(|| {
        let last = calendar.date(to.plus_ms(-1));
        let first = last.checked_sub((DAYS_DEFAULT - 1).days());
        first.ok().and_then(|first| calendar.start(first)).unwrap_or(to)
    });
    if from <= to {
        return (from, to);
    }
    let default = if to_is_given { "" } else { ", the end of today" };
    let detail = format!("is after to: {}{default}", calendar.format(to));
    params.fault("from", detail, "a time before to");
    (to, to)
}

fn breakdowns(params: &mut Params, scope: Scope) -> (BTreeSet<Dimension>, bool) {
    let offered = |dimension: &Dimension| match dimension {
        Dimension::Slug => false,
        Dimension::Destination => scope == Scope::Link,
        _ => true,
    };
    let mut by = BTreeSet::new();
    let mut by_hour_of_week = false;
    let mut unknown = Vec::new();
    let text = params.text("by").unwrap_or_default();
    for name in text.split(',').filter(|_| !text.is_empty()) {
        match Dimension::from_name(name).filter(offered) {
            Some(dimension) => {
                by.insert(dimension);
            }
            None if name == HOUR_OF_WEEK => by_hour_of_week = true,
            None => unknown.push(name),
        }
    }
    if !unknown.is_empty() {
        let names = Dimension::ALL.iter().filter(|of| offered(of)).map(|of| of.name());
        let names: Vec<_> = names.chain([HOUR_OF_WEEK]).collect();
        let unknown: String = unknown.join(", ").chars().take(64).collect();
        let detail = format!("clicks cannot be broken down by {unknown:?}");
        params.fault("by", detail, &format!("{}, with commas between", names.join(", ")));
    }
    (by, by_hour_of_week)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{FieldFault, Kind};

    /// 2026-11-21T07:00:00Z, 02:00 in New York.
    const NOW: Timestamp = Timestamp(1_795_244_400_000);

    fn parse(query: &str) -> StatsQuery {
        StatsQuery::parse(Some(query), Scope::Link, NOW)
            .unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    fn span_of(query: &str) -> (String, String, usize) {
        let query = parse(query);
        (query.calendar.format(query.from), query.calendar.format(query.to), query.points.len())
    }

    fn faults(query: &str, scope: Scope) -> Vec<FieldFault> {
        let problem = StatsQuery::parse(Some(query), scope, NOW).unwrap_err();
        assert_eq!(problem.kind, Kind::InvalidParameter);
        problem.errors
    }

    #[test]
    fn nothing_asks_for_the_last_30_days() {
        let expected = StatsQuery {
            domain: None,
            from: Timestamp(1_792_713_600_000),
            to: Timestamp(1_795_305_600_000),
            interval: Interval::Day,
            calendar: Calendar::utc(),
            points: (0..30).map(|day| Timestamp(1_792_713_600_000 + day * 86_400_000)).collect(),
            by: BTreeSet::new(),
            by_hour_of_week: false,
            limit: 50,
            now: NOW,
        };
        assert_eq!(StatsQuery::parse(None, Scope::Link, NOW), Ok(expected.clone()));
        assert_eq!(StatsQuery::parse(Some("by="), Scope::Site, NOW), Ok(expected));
    }

    #[test]
    fn spans_are_whole_hours_and_days_of_the_zone() {
        for (query, from, to, points) in [
            ("", "2026-10-23T00:00:00Z", "2026-11-22T00:00:00Z", 30),
            ("tz=america/new_york", "2026-10-23T00:00:00-04:00", "2026-11-22T00:00:00-05:00", 30),
            ("tz=Pacific/Kiritimati", "2026-10-23T00:00:00+14:00", "2026-11-22T00:00:00+14:00", 30),
            ("interval=hour", "2026-10-23T00:00:00Z", "2026-11-22T00:00:00Z", 720),
            ("interval=month", "2026-10-23T00:00:00Z", "2026-11-22T00:00:00Z", 2),
            ("from=2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", 1),
            ("to=2026-11-20", "2026-10-22T00:00:00Z", "2026-11-21T00:00:00Z", 30),
            ("from=2026-11-21&to=2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", 1),
            ("from=2030-01-01&to=2030-01-02", "2030-01-01T00:00:00Z", "2030-01-03T00:00:00Z", 2),
            (
                "from=2026-11-21T07:10:00Z&to=2026-11-21T07:10:00.001Z&interval=hour",
                "2026-11-21T07:00:00Z",
                "2026-11-21T08:00:00Z",
                1,
            ),
            (
                "from=2026-11-21T07:00:00Z&to=2026-11-21T07:00:00Z",
                "2026-11-21T07:00:00Z",
                "2026-11-21T07:00:00Z",
                0,
            ),
            (
                "from=2026-11-21T00:00:00%2B05:30&to=2026-11-21&tz=Asia/Kolkata",
                "2026-11-21T00:00:00+05:30",
                "2026-11-22T00:00:00+05:30",
                1,
            ),
            (
                "from=2026-11-21T00:00:00%2B05:30&to=2026-11-21",
                "2026-11-20T18:00:00Z",
                "2026-11-22T00:00:00Z",
                2,
            ),
            (
                "from=1970-01-01&to=2136-08-31&interval=month",
                "1970-01-01T00:00:00Z",
                "2136-09-01T00:00:00Z",
                2_000,
            ),
            ("from=9999-12-29&to=9999-12-29", "9999-12-29T00:00:00Z", "9999-12-30T00:00:00Z", 1),
        ] {
            assert_eq!(span_of(query), (from.into(), to.into(), points), "{query}");
        }
    }

    #[test]
    fn breakdowns_are_a_set() {
        let query = parse("by=os,hour_of_week,country,os&limit=500&domain=s.example");
        assert_eq!(query.by, BTreeSet::from([Dimension::Country, Dimension::Os]));
        assert_eq!((query.by_hour_of_week, query.limit), (true, 500));
        assert_eq!(query.domain.as_deref(), Some("s.example"));
    }

    #[test]
    fn days_are_enough_if_points_start_with_days_of_utc() {
        for (query, expected) in [
            ("", Span::Day),
            ("interval=month", Span::Day),
            ("tz=Etc/UTC", Span::Day),
            ("tz=Africa/Abidjan", Span::Day),
            ("tz=Europe/London&from=2026-11-01&to=2026-11-20", Span::Day),
            ("tz=Europe/London&from=2026-10-20&to=2026-11-20", Span::Hour),
            ("tz=Europe/Berlin", Span::Hour),
            ("interval=hour", Span::Hour),
            ("from=2026-11-21T07:00:00Z", Span::Hour),
            ("to=2026-11-21T07:00:00Z", Span::Hour),
            ("by=hour_of_week", Span::Hour),
        ] {
            assert_eq!(parse(query).granularity(), expected, "{query}");
        }
    }

    #[test]
    fn every_fault_is_reported() {
        let time = "YYYY-MM-DD, or RFC 3339 with + written as %2B: 2026-11-21T07:00:00Z";
        let zone = "the IANA name of a time zone, such as Europe/Berlin";
        let by = "country, region, city, continent, referrer, browser, os, device, language, \
                  utm_source, utm_medium, utm_campaign, utm_term, utm_content, destination, \
                  hour_of_week, with commas between";
        let expected = [
            ("/format", "is not known here", "from, to, interval, tz, by, limit, domain"),
            ("/tz", "\"Mars\" will not do", zone),
            ("/interval", "\"week\" will not do", "hour, day or month"),
            ("/to", "\"2026-11-21T07:00:00 01:00\" will not do", time),
            ("/from", "\"yesterday\" will not do", time),
            ("/by", "clicks cannot be broken down by \"contry, slug, \"", by),
            ("/limit", "\"501\" will not do", "1 to 500"),
        ];
        let expected = expected.map(|(at, detail, right)| FieldFault::new(at, detail, right));
        let query = "format=csv&tz=Mars&interval=week&to=2026-11-21T07:00:00+01:00&from=yesterday\
                     &by=contry,os,slug,&limit=501";
        assert_eq!(faults(query, Scope::Link), expected);
    }

    #[test]
    fn a_span_does_not_end_before_it_starts() {
        for (query, detail) in [
            ("from=2026-11-21&to=2026-11-19", "is after to: 2026-11-20T00:00:00Z"),
            ("from=2030-01-01", "is after to: 2026-11-22T00:00:00Z, the end of today"),
            (
                "from=2026-11-21&to=2026-11-19&tz=Europe/Berlin",
                "is after to: 2026-11-20T00:00:00+01:00",
            ),
        ] {
            let expected = FieldFault::new("/from", detail, "a time before to");
            assert_eq!(faults(query, Scope::Link), [expected], "{query}");
        }
    }

    #[test]
    fn a_series_is_bounded_and_the_fault_says_what_to_ask_instead() {
        for (query, detail, expected) in [
            (
                "from=2026-01-01&interval=hour",
                "the span has more than 2000 hours",
                "interval=day, or a span of at most 83 days",
            ),
            (
                "from=2020-01-01",
                "the span has more than 2000 days",
                "interval=month, or a span of at most 2000 days",
            ),
            (
                "from=0000-01-01&to=9999-12-29&interval=month",
                "the span has more than 2000 months",
                "a span of at most 2000 months",
            ),
        ] {
            let expected = FieldFault::new("/interval", detail, expected);
            assert_eq!(faults(query, Scope::Site), [expected], "{query}");
        }
    }

    #[test]
    fn all_links_have_no_domain_and_no_destinations() {
        let pointers = |query| -> Vec<String> {
            faults(query, Scope::Site).into_iter().map(|fault| fault.pointer).collect()
        };
        assert_eq!(pointers("domain=s.example&by=destination"), ["/domain", "/by"]);
    }

    #[test]
    fn no_time_breaks_it() {
        for now in [i64::MIN, -1, 0, i64::MAX] {
            for query in ["", "tz=Pacific/Apia&interval=hour", "to=9999-12-31", "from=0000-01-01"] {
                let _ = StatsQuery::parse(Some(query), Scope::Link, Timestamp(now));
            }
        }
    }
}
