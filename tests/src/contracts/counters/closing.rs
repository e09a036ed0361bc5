//! Closing windows and reading them.

use std::collections::BTreeMap;

use waypost_service::counting::batch::ReceivedBatch;
use waypost_service::counting::classify::Class;
use waypost_service::counting::close::{Proof, close_due, verify};
use waypost_service::counting::levels::Levels;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::{Dimension, Rollup, Subject, Totals};
use waypost_service::counting::store::{
    Closed, ClosingWindow, CounterStore, Open, Reading, Row, WindowRecord,
};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

use super::super::ok;
use crate::clicks::{MIDNIGHT, at, batch, click};

/// Long after all of it.
const FUTURE: Timestamp = at(10_000, 0);

pub(super) fn people(clicks: u64) -> Totals {
    let mut totals = Totals::default();
    totals.add(Class::Human, clicks);
    totals
}

pub(super) async fn bring(store: &impl CounterStore, batch: &ReceivedBatch, now: Timestamp) {
    ok(store.store_batch(batch, now).await);
}

/// Clicks of a subject by window, hour or day, as fine as they are stored.
pub(super) async fn stored(
    store: &impl CounterStore,
    subject: Subject,
) -> Vec<(Timestamp, Span, u64)> {
    let Reading { rows, .. } =
        ok(store.read(subject, Timestamp(i64::MIN), FUTURE, Span::Hour).await);
    let all = |row: Row| (row.start, row.span, row.rollup.totals.all());
    rows.into_iter().map(all).collect()
}

fn closing(window: Window, clicks: u64) -> ClosingWindow {
    let rollup = Rollup { totals: people(clicks), ..Rollup::default() };
    let link = LinkId(7);
    ClosingWindow {
        window,
        counted: Counted {
            rollups: BTreeMap::from([
                (Subject::Site, rollup.clone()),
                (Subject::Orphans, rollup.clone()),
                (Subject::Link(link), rollup),
            ]),
            last_clicks: BTreeMap::from([(link, window.start())]),
        },
        record: WindowRecord {
            batches: 1,
            digest: [clicks as u8; 32],
            revision: 1,
            closed_at: FUTURE,
        },
    }
}

/// A window is closed once; closing it again, with whatever numbers, changes nothing.
pub async fn a_window_is_closed_once(store: &impl CounterStore) {
    let window = Window::of(at(0, 0));
    ok(store.seal(window.next()).await);
    assert_eq!(store.closed_window(window).await, Ok(None));
    let first = closing(window, 3);
    assert_eq!(store.close_window(&first).await, Ok(Closed::Closed));
    for again in [first.clone(), closing(window, 9), closing(Window::of(at(-60, 0)), 9)] {
        assert_eq!(store.close_window(&again).await, Ok(Closed::Already));
    }
    let rollup = Rollup { totals: people(3), ..Rollup::default() };
    let row = Row { start: window.start(), span: Span::Window, rollup };
    let reading = Reading { closed_until: window.next(), rows: vec![row] };
    for subject in [Subject::Site, Subject::Orphans, Subject::Link(LinkId(7))] {
        let read = store.read(subject, window.start(), window.end(), Span::Hour).await;
        assert_eq!(read, Ok(reading.clone()));
    }
    assert_eq!(store.closed_window(window).await, Ok(Some(first.record)));
    let totals = store.link_totals(&[LinkId(8), LinkId(7)]).await;
    assert_eq!(totals, Ok((window.next(), vec![Totals::default(), people(3)])));
    let open = Open {
        sealed_until: window.next(),
        closed_until: window.next(),
        oldest: None,
        after_row: 0,
        levels: Levels::NONE,
    };
    assert_eq!(store.open().await, Ok(open));
}

/// A closed window without batches moves the mark and leaves no record.
pub async fn an_empty_window_leaves_no_record(store: &impl CounterStore) {
    let window = Window::of(at(0, 0));
    let mut empty = closing(window, 0);
    empty.counted = Counted::default();
    empty.record.batches = 0;
    assert_eq!(store.close_window(&empty).await, Ok(Closed::Closed));
    assert_eq!(store.closed_window(window).await, Ok(None));
    assert_eq!(ok(store.open().await).closed_until, window.next());
}

/// A reading is from the first moment on and before the last.
pub async fn a_reading_has_its_limits(store: &impl CounterStore) {
    for minute in [0, 10, 20] {
        let window = Window::of(at(minute, 0));
        assert_eq!(store.close_window(&closing(window, 1)).await, Ok(Closed::Closed));
    }
    let starts = async |from, until| {
        let reading = ok(store.read(Subject::Site, from, until, Span::Hour).await);
        reading.rows.iter().map(|row| row.start).collect::<Vec<_>>()
    };
    assert_eq!(starts(at(10, 0), at(20, 0)).await, [at(10, 0)]);
    assert_eq!(starts(at(0, 1), at(20, 1)).await, [at(10, 0), at(20, 0)]);
    assert_eq!(starts(at(20, 0), at(0, 0)).await, []);
    assert_eq!(stored(store, Subject::Link(LinkId(8))).await, []);
}

/// Clicks end where they belong, and what a person made of them is the same before and after.
pub async fn clicks_show_at_once_and_stay(store: &impl CounterStore) {
    let open = OpenWindows::new();
    let orphan = Click { link_id: 0, slug: "typo", ..click(0, at(3, 0)) };
    let head = Click { head: true, ..click(7, at(4, 0)) };
    let clicks = [click(7, at(1, 0)), orphan, click(8, at(2, 0)), head, click(7, at(12, 0))];
    bring(store, &batch(1, 0, &clicks), at(12, 30)).await;

    let mut both = people(1);
    both.add(Class::Head, 1);
    let both_windows = {
        let mut sum = both;
        sum.merge(&people(1));
        sum
    };
    let mut seen = Vec::new();
    for now in [at(12, 30), at(13, 0), at(30, 0), at(30, 0)] {
        ok(close_due(store, now).await);
        let of =
            async |subject| ok(rollups(store, &open, subject, MIDNIGHT, FUTURE, Span::Hour).await);
        let link = of(Subject::Link(LinkId(7))).await;
        let site = of(Subject::Site).await;
        let orphans = of(Subject::Orphans).await;
        assert_eq!(link.len(), 1);
        assert_eq!((link[0].start, link[0].span), (MIDNIGHT, Span::Hour));
        assert_eq!(link[0].rollup.totals, both_windows);
        assert_eq!(site[0].rollup.totals.all(), 4);
        assert_eq!(orphans[0].rollup.totals, people(1));
        let slugs = orphans[0].rollup.breakdown(Dimension::Slug);
        assert_eq!(slugs, &BTreeMap::from([("typo".to_owned(), 1)]));
        let totals = ok(link_totals(store, &open, &[LinkId(7), LinkId(8)]).await);
        assert_eq!(totals, [both_windows, people(1)]);
        seen.push((link, site, orphans));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    let windows = stored(store, Subject::Link(LinkId(7))).await;
    assert_eq!(windows, [(at(0, 0), Span::Window, 2), (at(10, 0), Span::Window, 1)]);
}

/// What is due is closed, oldest first, and nothing else; repeating it changes nothing.
pub async fn what_is_due_is_closed(store: &impl CounterStore) {
    assert_eq!(close_due(store, at(600, 0)).await, Ok(0), "nothing was ever stored");
    let clicks = [0, 10, 40, 50].map(|minute| click(7, at(minute, 0)));
    bring(store, &batch(1, 0, &clicks), at(50, 0)).await;
    let marks = async || {
        let Open { sealed_until, closed_until, oldest, .. } = ok(store.open().await);
        (sealed_until, closed_until, oldest)
    };
    assert_eq!(close_due(store, at(11, 59)).await, Ok(0));
    assert_eq!(close_due(store, at(12, 0)).await, Ok(1));
    let second = Window::of(at(10, 0));
    assert_eq!(marks().await, (second, second, Some(second)));
    assert_eq!(close_due(store, at(52, 0)).await, Ok(2));
    let last = Window::of(at(50, 0));
    assert_eq!(marks().await, (last, last, Some(last)));
    assert_eq!(close_due(store, at(62, 0)).await, Ok(1));
    assert_eq!(marks().await, (last.next(), last.next(), None));
    // A wrong clock closes one empty window at a time.
    assert_eq!(close_due(store, at(9_000, 0)).await, Ok(1));
    assert_eq!(ok(store.open().await).closed_until, last.next().next());
}

/// A late click counts in the oldest open window, and in the number of late ones.
pub async fn a_late_click_counts_in_the_oldest_open_window(store: &impl CounterStore) {
    bring(store, &batch(1, 0, &[click(7, at(0, 0))]), at(1, 0)).await;
    ok(close_due(store, at(12, 0)).await);
    bring(store, &batch(1, 1, &[click(7, at(1, 0))]), at(13, 0)).await;
    ok(close_due(store, at(30, 0)).await);
    let windows = stored(store, Subject::Link(LinkId(7))).await;
    assert_eq!(windows, [(at(0, 0), Span::Window, 1), (at(10, 0), Span::Window, 1)]);
    assert_eq!(ok(store.account(Timestamp(0)).await).late, 1);
    // The same clicks, cut otherwise, after all of it.
    let both = batch(1, 0, &[click(7, at(0, 0)), click(7, at(1, 0))]);
    bring(store, &both, at(31, 0)).await;
    ok(close_due(store, at(60, 0)).await);
    assert_eq!(stored(store, Subject::Link(LinkId(7))).await, windows);
}

/// A closed window proves itself for as long as its batches are kept.
pub async fn a_closed_window_proves_itself(store: &impl CounterStore) {
    let window = Window::of(at(0, 0));
    bring(store, &batch(1, 0, &[click(7, at(0, 0)), click(8, at(1, 0))]), at(1, 0)).await;
    assert_eq!(verify(store, window).await, Ok(Proof::NotClosed));
    ok(close_due(store, at(12, 0)).await);
    assert_eq!(verify(store, window).await, Ok(Proof::Same));
    assert_eq!(store.delete_batches(at(1, 1), 10).await, Ok(1));
    assert_eq!(verify(store, window).await, Ok(Proof::Gone));
    let wrong = window.next();
    bring(store, &batch(1, 2, &[click(7, at(12, 0))]), at(12, 0)).await;
    ok(store.seal(wrong.next()).await);
    assert_eq!(store.close_window(&closing(wrong, 5)).await, Ok(Closed::Closed));
    assert_eq!(verify(store, wrong).await, Ok(Proof::Differs));
}
