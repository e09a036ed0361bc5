//! Hours, days and months as a named zone has them: days of 23 and 25 hours, midnights that do
//! not exist, days that a country skipped.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use waypost_wire::time::Timestamp;

use super::query::Interval;
use crate::counting::window::Span;
use crate::time;
use crate::zone::{instant, zone};

const HOUR_MS: i64 = Span::Hour.ms();

/// The calendar of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar(TimeZone);

impl Calendar {
    /// The calendar of a zone, by any name the tz database has for it.
    pub(super) fn new(name: &str) -> Option<Self> {
        zone(name).map(Self)
    }

    /// The calendar of UTC.
    pub(super) const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone's name in the database's spelling.
    pub(super) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The time with the zone's offset at that time; `Z` if there is none.
    pub(super) fn format(&self, at: Timestamp) -> String {
        let offset = self.0.to_offset(instant(at));
        match offset.seconds() {
            0 => time::format(at),
            _ => instant(at).display_with_offset(offset).to_string(),
        }
    }

    /// The date of a time.
    pub(super) fn date(&self, at: Timestamp) -> Date {
        self.0.to_datetime(instant(at)).date()
    }

    /// The first moment of a date: usually midnight. A date that the zone skipped starts when the
    /// next one does. `None` at the end of the calendar, 9999-12-30.
    pub(super) fn start(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_zoned(self.0.clone()).ok()?;
        Some(Timestamp(start.timestamp().as_millisecond()))
    }

    /// The last full hour on the zone's clocks, before or at a time; or when they were changed
    /// since.
    pub(super) fn hour_start(&self, at: Timestamp) -> Timestamp {
        let offset = self.0.to_offset(instant(at));
        let local = at.plus_ms(i64::from(offset.seconds()) * 1_000);
        let start = at.plus_ms(-local.0.rem_euclid(HOUR_MS));
        let change = self.0.preceding(instant(at.plus_ms(1))).next();
        match change.map(|change| Timestamp(change.timestamp().as_millisecond())) {
            Some(change) if start < change => change,
            _ => start,
        }
    }

    /// The next full hour on the zone's clocks, after or at a time.
    pub(super) fn hour_end(&self, at: Timestamp) -> Timestamp {
        match self.hour_start(at) {
            start if start == at => at,
            start => start.plus_ms(HOUR_MS),
        }
    }

    /// Day of the week, 0 for Monday, and hour of the day.
    pub(super) fn hour_of_week(&self, at: Timestamp) -> (usize, usize) {
        let local = self.0.to_datetime(instant(at));
        let day = local.weekday().to_monday_zero_offset();
        (usize::try_from(day).unwrap_or(0), usize::try_from(local.hour()).unwrap_or(0))
    }

    /// Where the points of a series start: at `from`, and then at every start of an `interval`
    /// before `to`. None is empty. `None` if they are more than `max`.
    pub(super) fn points(
        &self,
        from: Timestamp,
        to: Timestamp,
        interval: Interval,
        max: usize,
    ) -> Option<Vec<Timestamp>> {
        if to <= from {
            return Some(Vec::new());
        }
        match interval {
            Interval::Hour => self.hours(from, to, max),
            Interval::Day => self.dates(from, to, max, |date| date.tomorrow().ok()),
            Interval::Month => {
                let next = |date: Date| date.first_of_month().checked_add(1.month()).ok();
                self.dates(from, to, max, next)
            }
        }
    }

    /// One point for every hour of UTC: the full hour on the zone's clocks in which it starts.
    fn hours(&self, from: Timestamp, to: Timestamp, max: usize) -> Option<Vec<Timestamp>> {
        let mut points = Vec::new();
        let mut hour = Self::utc().hour_end(from);
        while points.len() <= max && hour < to {
            points.push(self.hour_start(hour));
            hour = hour.plus_ms(HOUR_MS);
        }
        (points.len() <= max).then_some(points)
    }

    fn dates(
        &self,
        from: Timestamp,
        to: Timestamp,
        max: usize,
        next: impl Fn(Date) -> Option<Date>,
    ) -> Option<Vec<Timestamp>> {
        let mut points = vec![from];
        let mut date = self.date(from);
        while points.len() <= max
            && let Some(later) = next(date)
            && let Some(start) = self.start(later)
            && start < to
        {
            date = later;
            // A date that was skipped is no point.
            if points.last().is_none_or(|last| *last < start) {
                points.push(start);
            }
        }
        (points.len() <= max).then_some(points)
    }
}

/// A date as `YYYY-MM-DD`, and nothing else.
pub(super) fn date(text: &str) -> Option<Date> {
    let is_date = text.len() == 10
        && text.bytes().enumerate().all(|(position, byte)| match position {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(zone: &str, interval: Interval, from: &str, to: &str) -> Vec<String> {
        let calendar = Calendar::new(zone).unwrap();
        let end = |text| calendar.start(date(text).unwrap()).unwrap();
        let points = calendar.points(end(from), end(to), interval, 100).unwrap();
        points.into_iter().map(|at| calendar.format(at)).collect()
    }

    #[test]
    fn days_are_as_long_as_the_zone_has_them() {
        for (zone, from, to, expected) in [
            (
                "UTC",
                "2026-02-28",
                "2026-03-02",
                &["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"][..],
            ),
            (
                "Europe/Berlin",
                "2026-03-28",
                "2026-03-31",
                &[
                    "2026-03-28T00:00:00+01:00",
                    "2026-03-29T00:00:00+01:00",
                    "2026-03-30T00:00:00+02:00",
                ],
            ),
            (
                "Europe/Berlin",
                "2026-10-25",
                "2026-10-27",
                &["2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"],
            ),
            // Midnight does not exist: 2026-09-06 starts at one o'clock.
            (
                "America/Santiago",
                "2026-09-05",
                "2026-09-08",
                &[
                    "2026-09-05T00:00:00-04:00",
                    "2026-09-06T01:00:00-03:00",
                    "2026-09-07T00:00:00-03:00",
                ],
            ),
            // Midnight is there twice: the first one counts.
            (
                "America/Havana",
                "2026-10-31",
                "2026-11-03",
                &[
                    "2026-10-31T00:00:00-04:00",
                    "2026-11-01T00:00:00-04:00",
                    "2026-11-02T00:00:00-05:00",
                ],
            ),
            // Samoa skipped a day to change to the other side of the date line.
            (
                "Pacific/Apia",
                "2011-12-29",
                "2012-01-01",
                &["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"],
            ),
            ("Pacific/Apia", "2011-12-30", "2011-12-31", &[]),
            ("UTC", "2026-11-21", "2026-11-21", &[]),
            ("UTC", "2026-11-21", "2026-11-20", &[]),
        ] {
            assert_eq!(points(zone, Interval::Day, from, to), expected, "{zone} {from}");
        }
    }

    #[test]
    fn months_are_calendar_months_and_the_first_may_be_a_part() {
        let expected = [
            "2026-01-31T00:00:00+01:00",
            "2026-02-01T00:00:00+01:00",
            "2026-03-01T00:00:00+01:00",
            "2026-04-01T00:00:00+02:00",
        ];
        assert_eq!(points("Europe/Berlin", Interval::Month, "2026-01-31", "2026-04-02"), expected);
    }

    #[test]
    fn hours_are_those_of_utc_by_the_clocks_of_the_zone() {
        let of = |zone, from, to| {
            let hours = points(zone, Interval::Hour, from, to);
            let first = hours.first().cloned().unwrap_or_default();
            (hours.len(), first, hours.get(2).cloned().unwrap_or_default())
        };
        let hours = |count, first: &str, third: &str| (count, first.into(), third.into());
        assert_eq!(
            of("Europe/Berlin", "2026-03-29", "2026-03-30"),
            hours(23, "2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00")
        );
        assert_eq!(
            of("Europe/Berlin", "2026-10-25", "2026-10-26"),
            hours(25, "2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00")
        );
        assert_eq!(
            of("Asia/Kolkata", "2026-11-21", "2026-11-22"),
            hours(24, "2026-11-21T00:00:00+05:30", "2026-11-21T02:00:00+05:30")
        );
        // Half an hour of summer time: 01:30 to 02:00 is there twice, and the day has 25 starts of
        // hours of UTC, or 23.
        assert_eq!(
            of("Australia/Lord_Howe", "2026-04-05", "2026-04-06"),
            hours(25, "2026-04-05T00:00:00+11:00", "2026-04-05T01:30:00+10:30")
        );
        assert_eq!(
            of("Australia/Lord_Howe", "2026-10-04", "2026-10-05"),
            hours(23, "2026-10-04T00:00:00+10:30", "2026-10-04T03:00:00+11:00")
        );
    }

    #[test]
    fn too_many_points_are_none() {
        let calendar = Calendar::utc();
        let end = |text| calendar.start(date(text).unwrap()).unwrap();
        let (from, to) = (end("2026-01-01"), end("2026-01-11"));
        for (interval, count) in [(Interval::Hour, 240), (Interval::Day, 10), (Interval::Month, 1)]
        {
            let points = |max| calendar.points(from, to, interval, max).map(|points| points.len());
            assert_eq!(points(count), Some(count), "{interval:?}");
            assert_eq!(points(count - 1), None, "{interval:?}");
            let all = calendar.points(Timestamp(i64::MIN), Timestamp(i64::MAX), interval, 2_000);
            assert_eq!(all, None, "{interval:?}");
        }
    }

    #[test]
    fn full_hours_are_those_on_the_clocks() {
        for (zone, at, start, end) in [
            ("UTC", "2026-11-21T07:10:00Z", "2026-11-21T07:00:00Z", "2026-11-21T08:00:00Z"),
            ("UTC", "2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z"),
            (
                "Asia/Kolkata",
                "2026-11-21T07:10:00Z",
                "2026-11-21T06:30:00Z",
                "2026-11-21T07:30:00Z",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-21T07:15:00Z",
                "2026-11-21T07:15:00Z",
                "2026-11-21T07:15:00Z",
            ),
            (
                "America/St_Johns",
                "1950-01-01T00:00:00Z",
                "1949-12-31T23:30:00Z",
                "1950-01-01T00:30:00Z",
            ),
        ] {
            let calendar = Calendar::new(zone).unwrap();
            let at = time::parse(at).unwrap();
            let found = (calendar.hour_start(at), calendar.hour_end(at));
            assert_eq!((time::format(found.0), time::format(found.1)), (start.into(), end.into()));
        }
    }

    #[test]
    fn hours_of_the_week_start_on_monday() {
        let berlin = Calendar::new("Europe/Berlin").unwrap();
        for (at, expected) in [
            ("2026-11-22T22:59:59Z", (6, 23)),
            ("2026-11-22T23:00:00Z", (0, 0)),
            ("2026-03-29T01:00:00Z", (6, 3)),
        ] {
            assert_eq!(berlin.hour_of_week(time::parse(at).unwrap()), expected, "{at}");
        }
    }

    #[test]
    fn dates_are_written_in_one_way() {
        assert_eq!(date("2028-02-29"), Some(jiff::civil::date(2028, 2, 29)));
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "20261121",
            "2026-11-21T00",
            "26-11-21",
            "2026-1-1",
            "+026-11-21",
            "2026/11/21",
            " 2026-11-21",
            "2026-11-21 ",
            "2026-W47-6",
            "2026-11-2１",
            "today",
        ] {
            assert_eq!(date(text), None, "{text:?}");
        }
    }
}
