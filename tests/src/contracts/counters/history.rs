//! What becomes of closed windows: hours, days, recounts, removal.

use waypost_service::counting::close::{Recounted, close_due, recount_hour};
use waypost_service::counting::compact::{Compacted, compact};
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::{CounterStore, WindowRecord};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

use super::super::ok;
use super::closing::{bring, people, stored};
use crate::clicks::{MIDNIGHT, at, batch, click};

const DAY_MS: i64 = 86_400_000;
const LINK: Subject = Subject::Link(LinkId(7));

/// A click every five minutes from midnight on, each by another visitor, in batches of one.
async fn bring_a_click_every_five_minutes(store: &impl CounterStore, count: u64) {
    for number in 0..count {
        let time = at(number as i64 * 5, 0);
        let one = Click { visitor: Some(number), ..click(7, time) };
        bring(store, &batch(1, number, &[one]), time).await;
    }
}

/// Windows become hours when the hour is closed, days are made when they are, hours go when they are
/// old; the numbers stay, and a second run finds nothing to do.
pub async fn windows_become_hours_and_days(store: &impl CounterStore) {
    let open = OpenWindows::new();
    let by_day = async || ok(rollups(store, &open, LINK, MIDNIGHT, at(3_000, 0), Span::Day).await);
    // A day and a half hour.
    bring_a_click_every_five_minutes(store, 288 + 6).await;
    let before = by_day().await;
    ok(close_due(store, at(24 * 60 + 31, 0)).await);
    assert_eq!(stored(store, LINK).await.len(), 24 * 6 + 2, "the last ten minutes have grace");
    let now = at(24 * 60 + 31, 0);
    let compacted = ok(compact(store, now, DAY_MS).await);
    let expected = Compacted { hours: 2 * 24, days: 2, hours_removed: 0 };
    assert_eq!(compacted, expected, "link and site");
    let rows = stored(store, LINK).await;
    assert_eq!(rows.len(), 24 + 2);
    assert_eq!(rows[0], (MIDNIGHT, Span::Hour, 12));
    assert_eq!(rows[24], (MIDNIGHT.plus_ms(DAY_MS), Span::Window, 2));
    assert_eq!(by_day().await, before);
    let none = Compacted::default();
    assert_eq!(compact(store, now, DAY_MS).await, Ok(none));

    let later = MIDNIGHT.plus_ms(2 * DAY_MS);
    assert_eq!(compact(store, later.plus_ms(-1), DAY_MS).await, Ok(none));
    let removed = Compacted { hours_removed: 2 * 24, ..none };
    assert_eq!(compact(store, later, DAY_MS).await, Ok(removed));
    let rows = stored(store, LINK).await;
    assert_eq!(rows[0], (MIDNIGHT, Span::Day, 288));
    assert_eq!(rows.len(), 3);
    assert_eq!(by_day().await, before);
    assert_eq!(compact(store, later, DAY_MS).await, Ok(none));
    // Whoever asks for hours gets what there is, and is told.
    let by_hour = ok(rollups(store, &open, LINK, MIDNIGHT, at(3_000, 0), Span::Hour).await);
    let spans: Vec<_> = by_hour.iter().map(|row| (row.start, row.span)).collect();
    let tomorrow = MIDNIGHT.plus_ms(DAY_MS);
    assert_eq!(spans, [(MIDNIGHT, Span::Day), (tomorrow, Span::Hour)]);
}

/// Compaction goes in steps of the size asked for, the oldest first.
pub async fn compaction_goes_in_steps(store: &impl CounterStore) {
    bring_a_click_every_five_minutes(store, 36).await;
    ok(close_due(store, at(182, 0)).await);
    let hours = async || {
        let rows = stored(store, Subject::Site).await;
        rows.into_iter().filter(|(_, span, _)| *span == Span::Hour).count()
    };
    assert_eq!(store.compact(Span::Window, at(999, 0), 9).await, Ok(0));
    assert_eq!(store.compact(Span::Hour, MIDNIGHT, 9).await, Ok(0));
    assert_eq!(store.compact(Span::Hour, at(119, 59), 1).await, Ok(1));
    assert_eq!(hours().await, 1);
    assert_eq!(store.compact(Span::Hour, at(119, 59), 9).await, Ok(1), "the link of that hour");
    assert_eq!(store.compact(Span::Hour, at(119, 59), 9).await, Ok(0));
    assert_eq!(hours().await, 1);
    let mut merges = 0;
    loop {
        match ok(store.compact(Span::Hour, at(999, 0), 1).await) {
            0 => break,
            step => merges += step,
        }
    }
    assert_eq!(merges, 4, "two subjects of two hours");
    assert_eq!(hours().await, 3);
}

/// Counting an hour again by the same rules gives the same bytes, compacted or not.
pub async fn recounting_by_the_same_rules_changes_nothing(store: &impl CounterStore) {
    bring_a_click_every_five_minutes(store, 24).await;
    assert_eq!(recount_hour(store, MIDNIGHT, at(62, 0)).await, Ok(Recounted::NotPossible));
    ok(close_due(store, at(123, 0)).await);
    ok(compact(store, at(60, 0), DAY_MS).await);
    let open = OpenWindows::new();
    let by_hour =
        async || ok(rollups(store, &open, LINK, MIDNIGHT, at(3_000, 0), Span::Hour).await);
    let before = by_hour().await;
    for hour in [at(0, 0), at(61, 0)] {
        let recounted = recount_hour(store, hour, at(130, 0)).await;
        assert_eq!(recounted, Ok(Recounted::Recounted { changed: 0 }));
        assert_eq!(by_hour().await, before);
    }
    let totals = ok(link_totals(store, &open, &[LinkId(7)]).await);
    assert_eq!(totals, [people(24)]);
    let record = ok(store.closed_window(Window::of(MIDNIGHT)).await);
    assert_eq!(record.map(|record| record.revision), Some(1));

    ok(store.delete_batches(at(1, 0), 10).await);
    assert_eq!(recount_hour(store, MIDNIGHT, at(130, 0)).await, Ok(Recounted::Gone));
}

/// An hour can be written anew; the totals of its links follow.
pub async fn an_hour_can_be_rewritten(store: &impl CounterStore) {
    bring_a_click_every_five_minutes(store, 24).await;
    ok(close_due(store, at(123, 0)).await);
    let mut counted = Counted::default();
    let rollup = Rollup { totals: people(5), ..Rollup::default() };
    counted.rollups.insert(Subject::Site, rollup.clone());
    counted.rollups.insert(LINK, rollup);
    let record = WindowRecord { batches: 2, digest: [9; 32], revision: 2, closed_at: at(130, 0) };
    let windows = [(Window::of(at(10, 0)), record)];
    assert_eq!(store.rewrite_hour(at(120, 0), &[], &counted).await, Ok(false), "not closed");
    assert_eq!(store.rewrite_hour(MIDNIGHT, &windows, &counted).await, Ok(true));
    let rows = stored(store, LINK).await;
    assert_eq!(rows.len(), 1 + 6);
    assert_eq!(rows[0], (MIDNIGHT, Span::Hour, 5));
    assert_eq!(rows[1], (at(60, 0), Span::Window, 2));
    assert_eq!(ok(store.link_totals(&[LinkId(7)]).await).1, [people(5 + 12)]);
    assert_eq!(store.closed_window(windows[0].0).await, Ok(Some(record)));
    let other = ok(store.closed_window(Window::of(at(20, 0))).await);
    assert_eq!(other.map(|record| record.revision), Some(1));

    // Kept by day only, it is out of reach.
    bring(store, &batch(1, 24, &[click(7, at(1_445, 0))]), at(1_445, 0)).await;
    ok(close_due(store, at(1_462, 0)).await);
    ok(compact(store, at(1_462, 0), 0).await);
    assert_eq!(stored(store, LINK).await[0], (MIDNIGHT, Span::Day, 17));
    assert_eq!(store.rewrite_hour(MIDNIGHT, &windows, &counted).await, Ok(false));
    assert_eq!(stored(store, LINK).await[0], (MIDNIGHT, Span::Day, 17));
}

/// A deleted link loses its numbers, and gets none from windows that close afterwards; the site
/// keeps them.
pub async fn a_deleted_link_has_no_numbers(store: &impl CounterStore) {
    bring_a_click_every_five_minutes(store, 6).await;
    bring(store, &batch(2, 0, &[click(8, at(1, 0))]), at(25, 0)).await;
    ok(close_due(store, at(22, 0)).await);
    let all_of = |rows: Vec<(Timestamp, Span, u64)>| rows.iter().map(|row| row.2).sum::<u64>();
    assert_eq!(all_of(stored(store, LINK).await), 4);
    assert_eq!(store.delete_link_statistics(LinkId(7), at(25, 0)).await, Ok(()));
    assert_eq!(stored(store, LINK).await, []);
    ok(close_due(store, at(40, 0)).await);
    assert_eq!(stored(store, LINK).await, []);
    let totals = ok(store.link_totals(&[LinkId(7), LinkId(8)]).await).1;
    assert_eq!(totals, [Totals::default(), people(1)]);
    assert_eq!(all_of(stored(store, Subject::Site).await), 7);
    // An hour counted again does not bring it back.
    ok(recount_hour(store, MIDNIGHT, at(63, 0)).await);
    assert_eq!(stored(store, LINK).await, []);
    // Nor does removing older batches make it forget.
    ok(store.delete_batches(at(25, 0), 100).await);
    bring(store, &batch(2, 1, &[click(7, at(41, 0))]), at(41, 0)).await;
    ok(close_due(store, at(90, 0)).await);
    assert_eq!(stored(store, LINK).await, []);
}

/// Old batches go, in steps, but never those an open window needs; their rows are not used again,
/// and what they had is still known to have come.
pub async fn old_batches_are_removed(store: &impl CounterStore) {
    bring_a_click_every_five_minutes(store, 6).await;
    assert_eq!(store.delete_batches(at(60, 0), 100).await, Ok(0), "all are open");
    ok(close_due(store, at(22, 0)).await);
    assert_eq!(store.delete_batches(at(10, 0), 100).await, Ok(2));
    assert_eq!(store.delete_batches(at(60, 0), 1).await, Ok(1));
    assert_eq!(store.delete_batches(at(60, 0), 100).await, Ok(1));
    assert_eq!(store.delete_batches(at(60, 0), 100).await, Ok(0));
    let left = ok(store.batches_after(0, 9).await);
    assert_eq!(left.iter().map(|batch| batch.row).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(ok(store.open().await).after_row, 4);
    ok(close_due(store, at(60, 0)).await);
    assert_eq!(store.delete_batches(at(60, 0), 100).await, Ok(2));

    let again = ok(store.store_batch(&batch(1, 5, &[click(7, at(25, 0))]), at(60, 0)).await);
    assert_eq!((again.stored(), again.duplicate), (0, 1));
    bring(store, &batch(1, 6, &[click(7, at(60, 0))]), at(60, 0)).await;
    let new = ok(store.batches_after(0, 9).await);
    assert_eq!(new.iter().map(|batch| batch.row).collect::<Vec<_>>(), [7]);
}
