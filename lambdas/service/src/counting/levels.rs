//! Levels: the same clicks by window, by hour and by day, and which of their rows an answer is made
//! of.
//!
//! Windows become hours and go. Hours are added up to days as soon as a day is over, and stay: for
//! questions by hour, and for zones whose days are others. When they are old they go too. Two marks,
//! which only ever rise, tell readers what there is:
//!
//! - Before `days_until`, every subject with clicks on a day has its row of that day, so a question
//!   by day needs nothing finer.
//! - Before `hours_from`, rows of hours are on their way out, so a question by hour gets days.
//!   It is never ahead of `days_until`, and moves before the first of those rows goes.
//!
//! Beyond the marks a row holds all that finer rows in its span hold, and counts instead of them
//! ([`covered`]): so whoever reads while rows are made or go misses nothing and counts nothing
//! twice, if the coarser rows are written before the finer ones go, and read after them.

use std::collections::BTreeSet;

use waypost_wire::time::Timestamp;

use super::store::Row;
use super::window::{Span, Window};

/// Rows of days read at once: of a year, and as much as is asked for beside it.
const DAYS_READ_MS: i64 = 400 * Span::Day.ms();

/// Finer rows read at once: at most 240 hours, so that no answer holds a year of them in memory.
const HOURS_READ_MS: i64 = 10 * Span::Day.ms();

/// The marks of the levels. Both are starts of days, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Days that end until then have their rows.
    pub days_until: Timestamp,
    /// Hours that start before may be gone.
    pub hours_from: Timestamp,
}

impl Levels {
    /// Nothing was made yet.
    pub const NONE: Self =
        Self { days_until: Window::FIRST.start(), hours_from: Window::FIRST.start() };

    /// From when on rows of windows and hours are needed for an answer by `by`.
    pub fn finer_from(self, by: Span) -> Timestamp {
        match by {
            Span::Day => self.days_until,
            // An older version may have ended in the middle of a day that it made.
            Span::Window | Span::Hour => self.days_until.min(self.hours_from),
        }
    }

    /// Until when rows of days are needed for an answer by `by`.
    pub const fn days_to(self, by: Span) -> Timestamp {
        match by {
            Span::Day => Timestamp(i64::MAX),
            Span::Window | Span::Hour => self.hours_from,
        }
    }

    /// Of all rows there are between two times, those that an answer by `by` is made of, the oldest
    /// first.
    pub fn chosen(self, rows: Vec<Row>, by: Span) -> Vec<Row> {
        let needed = |row: &Row| row.span < Span::Day || row.end() <= self.days_to(by);
        let rows = rows.into_iter().filter(needed).collect();
        let (mut rows, _) = covered(rows, |row| (row.span, row.start));
        rows.sort_by_key(|row| (row.start, row.span));
        rows
    }

    /// Where to end a reading that starts at `from` and would go on to `until`: a year of days and
    /// the few hours behind them are read at once, hours of more than some days are not.
    pub fn part(self, from: Timestamp, until: Timestamp, by: Span) -> Timestamp {
        let hours_read = self.finer_from(by).max(from).plus_ms(HOURS_READ_MS);
        match by {
            Span::Day => until.min(from.plus_ms(DAYS_READ_MS)).min(hours_read),
            Span::Window | Span::Hour => until.min(from.plus_ms(HOURS_READ_MS)),
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self::NONE
    }
}

impl Row {
    /// The first moment behind it.
    pub const fn end(&self) -> Timestamp {
        self.start.plus_ms(self.span.ms())
    }
}

/// A span of time as it is answered by `by`: in whole days, if by day.
pub fn whole(from: Timestamp, until: Timestamp, by: Span) -> (Timestamp, Timestamp) {
    match by {
        Span::Day if from < until => {
            let last = Span::Day.start(until.plus_ms(-1));
            (Span::Day.start(from), last.plus_ms(Span::Day.ms()))
        }
        _ => (from, until),
    }
}

/// Splits rows, told apart by spans and starts, into those that count and those that a coarser row
/// covers.
pub fn covered<T>(rows: Vec<T>, of: impl Fn(&T) -> (Span, Timestamp)) -> (Vec<T>, Vec<T>) {
    let coarse: BTreeSet<(Span, Timestamp)> = rows.iter().map(&of).collect();
    rows.into_iter().partition(|row| {
        let (span, start) = of(row);
        let mut coarser = [Span::Hour, Span::Day].into_iter().filter(|by| span < *by);
        coarser.all(|by| !coarse.contains(&(by, by.start(start))))
    })
}

/// Until when days can be made that end at or before `before`: none that is not closed, nor one of
/// which windows are left that are not part of hours yet, the first of them at `window`.
pub fn days_due(before: Timestamp, closed_until: Window, window: Option<Timestamp>) -> Timestamp {
    let until = before.min(closed_until.start());
    Span::Day.start(window.map_or(until, |start| start.min(until)))
}

#[cfg(test)]
mod tests {
    use super::super::rollup::Rollup;
    use super::*;

    const DAY_MS: i64 = Span::Day.ms();
    const HOUR_MS: i64 = Span::Hour.ms();

    fn day(number: i64) -> Timestamp {
        Timestamp(number * DAY_MS)
    }

    fn row(start: i64, span: Span) -> Row {
        Row { start: Timestamp(start), span, rollup: Rollup::default() }
    }

    fn chosen(levels: Levels, rows: &[Row], by: Span) -> Vec<(i64, Span)> {
        let rows = levels.chosen(rows.to_vec(), by);
        rows.into_iter().map(|row| (row.start.0, row.span)).collect()
    }

    #[test]
    fn every_click_is_in_one_row_whatever_is_there() {
        let (first, second, third) = (0, DAY_MS, 2 * DAY_MS);
        let rows = [
            row(third + HOUR_MS, Span::Window),
            row(third, Span::Hour),
            row(third + 600_000, Span::Window),
            row(second, Span::Day),
            row(second + HOUR_MS, Span::Hour),
            row(first + HOUR_MS, Span::Hour),
            row(first, Span::Day),
        ];
        let levels = Levels { days_until: day(2), hours_from: day(1) };
        let last = [(third, Span::Hour), (third + HOUR_MS, Span::Window)];
        let by_day = [&[(first, Span::Day), (second, Span::Day)][..], &last].concat();
        assert_eq!(chosen(levels, &rows, Span::Day), by_day);
        let by_hour = [&[(first, Span::Day), (second + HOUR_MS, Span::Hour)][..], &last].concat();
        assert_eq!(chosen(levels, &rows, Span::Hour), by_hour);
        // While they are being made, and where an older version left a day half made.
        assert_eq!(chosen(Levels::NONE, &rows, Span::Day), by_day);
        let half_made = Levels { days_until: day(0), hours_from: day(1) };
        assert_eq!(half_made.finer_from(Span::Hour), day(0));
        let unmade = [row(first + HOUR_MS, Span::Hour)];
        assert_eq!(chosen(half_made, &unmade, Span::Hour), [(first + HOUR_MS, Span::Hour)]);
    }

    #[test]
    fn a_year_is_read_at_once_if_it_has_days() {
        let levels = Levels { days_until: day(700), hours_from: day(310) };
        let until = day(702);
        assert_eq!(levels.part(day(336), until, Span::Day), until);
        assert_eq!(levels.part(day(0), until, Span::Day), day(400));
        assert_eq!(levels.part(day(400), until, Span::Day), until);
        assert_eq!(levels.part(day(400), until, Span::Hour), day(410));
        assert_eq!(levels.part(day(699), until, Span::Hour), until);
        // Not made yet: as many as hours.
        assert_eq!(Levels::NONE.part(day(336), until, Span::Day), day(346));
        let some = Levels { days_until: day(340), ..levels };
        assert_eq!(some.part(day(336), until, Span::Day), day(350));
        assert_eq!(some.part(day(350), until, Span::Day), day(360));
    }

    #[test]
    fn days_are_made_of_hours_only() {
        let closed = Window::of(day(3).plus_ms(-1)).next();
        assert_eq!(days_due(day(9), closed, None), day(3));
        assert_eq!(days_due(day(2).plus_ms(-1), closed, None), day(1));
        assert_eq!(days_due(day(9), closed, Some(day(2).plus_ms(-600_000))), day(1));
        assert_eq!(days_due(day(9), closed, Some(day(8))), day(3));
        assert_eq!(days_due(day(9), Window::FIRST, None), Span::Day.start(Window::FIRST.start()));
    }

    #[test]
    fn days_are_answered_whole() {
        let (from, until) = (day(1).plus_ms(5), day(2).plus_ms(1));
        assert_eq!(whole(from, until, Span::Day), (day(1), day(3)));
        assert_eq!(whole(day(1), day(2), Span::Day), (day(1), day(2)));
        assert_eq!(whole(from, until, Span::Hour), (from, until));
        assert_eq!(whole(until, from, Span::Day), (until, from));
    }
}
