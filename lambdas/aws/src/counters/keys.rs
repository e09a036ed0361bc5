//! What items are called.

use waypost_service::counting::rollup::Subject;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::time::Timestamp;

use super::table::LAST;
use crate::item::{Item, pair, sortable};

/// Partitions of which there is one.
pub(super) const BATCHES: &str = "batches";
pub(super) const FORGOTTEN: &str = "forgotten";
pub(super) const HEARD: &str = "heard";
pub(super) const INBOX: &str = "inbox";
pub(super) const SALTS: &str = "salts";
pub(super) const WIDE: &str = "wide";
pub(super) const WINDOWS: &str = "windows";

/// The marks of counting.
pub(super) fn marks() -> Item {
    pair("counting", "marks")
}

/// Lanes of [`lane`].
pub(super) const LANES: usize = 8;

/// What says a second time until where windows are closed, once for each of those who write side by
/// side: transactions that only check the same item are in each other's way too.
pub(super) fn lane(number: usize) -> Item {
    pair("counting", format!("lane#{}", number % LANES))
}

/// The sums of all sources, and the last row.
pub(super) fn books() -> Item {
    pair("counting", "books")
}

/// The account of a source.
pub(super) fn ledger(source: u64) -> Item {
    pair(format!("source#{source:016x}"), "ledger")
}

/// Where the batches of a window are listed.
pub(super) fn of_window(window: Window) -> String {
    format!("window#{}", sortable(window.start()))
}

/// A row as text that sorts as the row does.
pub(super) fn row_text(row: u64) -> String {
    format!("{row:016x}")
}

/// What is known of a window.
pub(super) fn window(window: Window) -> Item {
    pair(WINDOWS, sortable(window.start()))
}

/// The clicks of a link in closed windows.
pub(super) fn total(link: LinkId) -> Item {
    pair(of_link(link), "total")
}

/// The last use of a link.
pub(super) fn last_use(link: LinkId) -> Item {
    pair(of_link(link), "use")
}

/// Where a link has its total and its last use.
pub(super) fn of_link(LinkId(id): LinkId) -> String {
    format!("link#{id:016x}")
}

/// Where a subject has its rollups.
pub(super) fn rollups(subject: Subject) -> String {
    format!("rollup#{:016x}", subject.code().cast_unsigned())
}

/// A rollup. Windows and hours sort by their ends, hours behind their windows. Days are behind all
/// of them, the latest first: so one range holds what is finer from some time on, and the days from
/// there back to another time.
pub(super) fn rollup(subject: Subject, start: Timestamp, span: Span) -> Item {
    let end = span_end(start, span);
    pair(
        rollups(subject),
        match span {
            Span::Window | Span::Hour => behind(end, span.code()),
            Span::Day => day(end),
        },
    )
}

/// Before every sort key of a day.
const DAYS: &str = "d";

/// The sort key of a day that ends at `end`, and before every one that ends earlier.
pub(super) fn day(end: Timestamp) -> String {
    format!("{DAYS}#{}", sortable(Timestamp(end.0.saturating_neg())))
}

/// Behind every sort key of a window or an hour that ends at or before `until`; before every day,
/// also at the end of time.
pub(super) fn finer_until(at: Timestamp) -> String {
    until(at).min(DAYS.to_owned())
}

/// The first moment behind a span.
pub(super) const fn span_end(start: Timestamp, span: Span) -> Timestamp {
    start.plus_ms(span.ms())
}

/// Before every sort key that begins with a time after `at`.
pub(super) fn after(at: Timestamp) -> String {
    sortable(at.plus_ms(1))
}

/// Behind every sort key that begins with `at` or a time before.
pub(super) fn until(at: Timestamp) -> String {
    sortable(at) + LAST
}

/// A sort key that begins with a time.
pub(super) fn behind(at: Timestamp, name: impl std::fmt::Display) -> String {
    format!("{}#{name}", sortable(at))
}

/// Where it stands which subjects have rows of a span.
pub(super) fn subjects(span: Span) -> String {
    format!("subjects#{}", span.code())
}

/// Where it stands which subjects get rows of a span.
pub(super) fn plan(span: Span) -> String {
    format!("plan#{}", span.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Fields;

    #[test]
    fn rollups_sort_by_their_ends_and_days_are_behind_them_the_latest_first() {
        let hour = Timestamp(1_795_219_200_000);
        let last = hour.plus_ms(Span::Day.ms() - Span::Hour.ms());
        let spans = [
            (hour, Span::Window),
            (hour.plus_ms(Span::Hour.ms() - Span::Window.ms()), Span::Window),
            (hour, Span::Hour),
            (last, Span::Hour),
            (hour.plus_ms(Span::Day.ms()), Span::Window),
            (hour, Span::Day),
            (hour.plus_ms(-Span::Day.ms()), Span::Day),
            (Timestamp(0), Span::Day),
        ];
        let keys = spans.map(|(start, span)| rollup(Subject::Orphans, start, span));
        let sort = keys.each_ref().map(|key| key.text("sk").expect("a text"));
        assert!(sort.is_sorted_by(|one, next| one < next), "{sort:?}");
        let end = hour.plus_ms(Span::Day.ms());
        let found =
            sort.map(|key| (after(hour).as_str()..=finer_until(end).as_str()).contains(&key));
        assert_eq!(found, [true, true, true, true, false, false, false, false]);
        // What is finer and ends after the last hour starts, and days that end after the first one.
        let (from, to) = (after(last), day(hour.plus_ms(1)));
        let found = sort.map(|key| (from.as_str()..=to.as_str()).contains(&key));
        assert_eq!(found, [false, false, false, true, true, true, false, false]);
        let finer = sort.map(|key| key <= finer_until(Timestamp(i64::MAX)).as_str());
        assert_eq!(finer, [true, true, true, true, true, false, false, false]);
        assert_eq!(rollups(Subject::Orphans), "rollup#ffffffffffffffff");
        assert_eq!(rollups(Subject::Site), "rollup#0000000000000000");
    }
}
