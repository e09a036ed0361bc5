//! Days beside hours: what a question by day reads, and that it comes to the same.

use waypost_service::counting::close::{Recounted, close_due, recount_hour};
use waypost_service::counting::compact::{Compacted, compact, compact_until};
use waypost_service::counting::levels::Levels;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::rollups;
use waypost_service::counting::rollup::{Dimension, OTHER, Rollup, Subject, VALUES_MAX};
use waypost_service::counting::store::{CounterStore, Row};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::Span;
use waypost_service::model::LinkId;
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

use super::super::ok;
use super::closing::{bring, people};
use crate::clicks::{MIDNIGHT, at, batch, click};

const DAY: i64 = 24 * 60;
const FUTURE: Timestamp = at(100 * DAY, 0);
const LINK: Subject = Subject::Link(LinkId(7));
/// Longer than all of it.
const EVER: i64 = 400 * DAY * 60_000;

/// Every day three clicks on a link, every second day one on another one; closed to the end.
async fn bring_days(store: &impl CounterStore, count: i64) {
    for day in 0..count {
        let other = if day % 2 == 1 { 8 } else { 7 };
        let minutes = [(7, 5), (other, 12 * 60), (7, DAY - 5)];
        let clicks: Vec<Click<'_>> = (0..)
            .zip(minutes)
            .map(|(visitor, (link, minute))| Click {
                visitor: Some(visitor),
                ..click(link, at(day * DAY + minute, 0))
            })
            .collect();
        bring(store, &batch(1, day as u64 * 3, &clicks), at((day + 1) * DAY, 0)).await;
    }
    ok(close_due(store, at(count * DAY + 2, 0)).await);
}

/// Clicks by span, as they are stored.
async fn stored(
    store: &impl CounterStore,
    subject: Subject,
    by: Span,
) -> Vec<(Timestamp, Span, u64)> {
    let reading = ok(store.read(subject, MIDNIGHT, FUTURE, by).await);
    let row = |row: Row| (row.start, row.span, row.rollup.totals.all());
    reading.rows.into_iter().map(row).collect()
}

/// Everything that is answered, by day and by hour.
async fn answers(store: &impl CounterStore) -> Vec<Vec<Row>> {
    let open = OpenWindows::new();
    let mut answers = Vec::new();
    for subject in [Subject::Site, LINK, Subject::Link(LinkId(8)), Subject::Link(LinkId(9))] {
        for by in [Span::Day, Span::Hour] {
            answers.push(ok(rollups(store, &open, subject, MIDNIGHT, FUTURE, by).await));
        }
    }
    answers
}

async fn levels(store: &impl CounterStore) -> Levels {
    ok(store.open().await).levels
}

async fn days(store: &impl CounterStore, before: Timestamp, limit: usize) -> usize {
    ok(store.compact(Span::Day, before, limit).await)
}

/// Days are made when they are over; their hours stay until they are old. Nothing that is answered
/// changes by that, but that there are no hours when they have gone.
pub async fn days_are_made_beside_hours(store: &impl CounterStore) {
    bring_days(store, 3).await;
    let before = answers(store).await;
    let now = at(3 * DAY + 2, 0);
    let compacted = ok(compact(store, now, EVER).await);
    // Nine of the site, eight of one link, one of the other; three, three and one.
    assert_eq!(compacted, Compacted { hours: 18, days: 7, hours_removed: 0 });
    assert_eq!(answers(store).await, before);
    let start = |day: i64| at(day * DAY, 0);
    let days = [(start(0), Span::Day, 3), (start(1), Span::Day, 2), (start(2), Span::Day, 3)];
    assert_eq!(stored(store, LINK, Span::Day).await, days);
    let hours = stored(store, LINK, Span::Hour).await;
    assert_eq!(hours.len(), 8);
    assert!(hours.iter().all(|(_, span, clicks)| (*span, *clicks) == (Span::Hour, 1)));
    let made = Levels { days_until: start(3), hours_from: start(3 - 400) };
    assert_eq!(levels(store).await, made);
    assert_eq!(compact(store, now, EVER).await, Ok(Compacted::default()));
    assert_eq!(compact_until(store, now, 0, || true).await, Ok(Compacted::default()), "no time");
    // Whole days are answered, whatever is asked for.
    let reading = ok(store.read(LINK, at(DAY + 5, 0), at(DAY + 6, 0), Span::Day).await);
    assert_eq!(reading.rows.iter().map(|row| row.start).collect::<Vec<_>>(), [start(1)]);
    let reading = ok(store.read(LINK, at(DAY + 5, 0), at(DAY + 6, 0), Span::Hour).await);
    assert_eq!(reading.rows, []);

    // Those of the second day end at the very moment.
    let removed = Compacted { hours_removed: 12, ..Compacted::default() };
    assert_eq!(compact(store, at(3 * DAY, 0), DAY * 60_000).await, Ok(removed));
    assert_eq!(levels(store).await, Levels { hours_from: start(2), ..made });
    assert_eq!(stored(store, LINK, Span::Day).await, days);
    let by_hour = stored(store, LINK, Span::Hour).await;
    assert_eq!(by_hour, [&days[..2], &hours[5..]].concat());
    let after = answers(store).await;
    assert_eq!((&after[0], &after[2], &after[4]), (&before[0], &before[2], &before[4]));
}

/// A day is not made before all its windows are hours, nor before it is closed, nor before it is
/// asked for.
pub async fn a_day_is_made_of_hours_only(store: &impl CounterStore) {
    bring_days(store, 2).await;
    let before = answers(store).await;
    assert_eq!(days(store, FUTURE, 99).await, 0, "there are windows");
    assert_eq!(store.compact(Span::Hour, at(DAY - 60, 0), 99).await, Ok(4));
    assert_eq!(days(store, FUTURE, 99).await, 0, "the last one is left");
    assert_eq!(answers(store).await, before);
    assert_eq!(store.compact(Span::Hour, at(DAY, 0), 99).await, Ok(2));
    assert_eq!(days(store, at(DAY - 1, 59), 99).await, 0);
    assert!(levels(store).await.days_until <= MIDNIGHT);
    assert_eq!(days(store, FUTURE, 99).await, 2, "site and link, of the first day");
    assert_eq!(levels(store).await.days_until, at(DAY, 0));
    assert_eq!(answers(store).await, before);
    // Of a day that is not over nothing is made.
    ok(compact(store, at(2 * DAY, 0), EVER).await);
    bring(store, &batch(2, 0, &[click(7, at(2 * DAY + 1, 0))]), at(2 * DAY + 70, 0)).await;
    ok(close_due(store, at(2 * DAY + 70, 0)).await);
    let before = answers(store).await;
    let hours = Compacted { hours: 0, ..Compacted::default() };
    assert_eq!(compact(store, at(2 * DAY + 59, 0), EVER).await, Ok(hours));
    for minute in (2 * DAY + 80..2 * DAY + 140).step_by(10) {
        ok(close_due(store, at(minute, 0)).await);
    }
    let hours = Compacted { hours: 2, ..Compacted::default() };
    assert_eq!(compact(store, FUTURE, EVER).await, Ok(hours));
    assert_eq!(answers(store).await, before);
    assert_eq!(levels(store).await.days_until, at(2 * DAY, 0));
    // Hours go only where there are days.
    assert_eq!(store.delete_hours(FUTURE, 999).await, Ok(12));
    assert_eq!(levels(store).await.hours_from, at(2 * DAY, 0));
    let by_hour = stored(store, LINK, Span::Hour).await;
    assert_eq!(by_hour.last(), Some(&(at(2 * DAY, 0), Span::Hour, 1)));
}

/// Days are made in steps, the oldest first, and can be read at every step.
pub async fn days_are_made_in_steps(store: &impl CounterStore) {
    bring_days(store, 2).await;
    while ok(store.compact(Span::Hour, FUTURE, 99).await) > 0 {}
    let before = answers(store).await;
    let mut made = Vec::new();
    while days(store, FUTURE, 1).await > 0 {
        assert_eq!(answers(store).await, before);
        made.push(levels(store).await.days_until);
    }
    assert_eq!(made.len(), 5);
    assert!(made[0] < at(DAY, 0) && made.is_sorted(), "{made:?}");
    assert_eq!(made[2..], [at(DAY, 0), at(DAY, 0), at(2 * DAY, 0)]);
    let mut removed = 0;
    loop {
        match ok(store.delete_hours(FUTURE, 1).await) {
            0 => break,
            step => removed += step,
        }
        let after = answers(store).await;
        assert_eq!((&after[0], &after[2], &after[4]), (&before[0], &before[2], &before[4]));
    }
    assert_eq!(removed, 6 + 5 + 1);
}

fn counted(subjects: &[Subject], clicks: u64) -> Counted {
    let rollup = Rollup { totals: people(clicks), ..Rollup::default() };
    let rollups = subjects.iter().map(|subject| (*subject, rollup.clone()));
    Counted { rollups: rollups.collect(), ..Counted::default() }
}

/// When an hour of a day is written anew, so is the day; until the hours have gone.
pub async fn an_hour_of_a_day_can_be_rewritten(store: &impl CounterStore) {
    bring_days(store, 2).await;
    ok(compact(store, FUTURE, EVER).await);
    let new = Subject::Link(LinkId(9));
    let five = counted(&[Subject::Site, LINK, new], 5);
    let sums = async |subject| {
        let sum = |rows: Vec<(Timestamp, Span, u64)>| rows.iter().map(|row| row.2).sum::<u64>();
        let by_hour = sum(stored(store, subject, Span::Hour).await);
        (sum(stored(store, subject, Span::Day).await), by_hour)
    };
    for _ in 0..2 {
        assert_eq!(store.rewrite_hour(MIDNIGHT, &[], &five).await, Ok(true));
        let first = (MIDNIGHT, Span::Day, 7);
        assert_eq!(stored(store, LINK, Span::Day).await[0], first);
        assert_eq!(stored(store, new, Span::Day).await, [(MIDNIGHT, Span::Day, 5)]);
        assert_eq!(sums(LINK).await, (5 - 1 + 5, 5 - 1 + 5));
        assert_eq!(sums(Subject::Site).await, (6 - 1 + 5, 6 - 1 + 5));
        assert_eq!(ok(store.link_totals(&[LinkId(7), LinkId(9)]).await).1, [people(9), people(5)]);
        // Nothing is left to do.
        let compacted = ok(compact(store, FUTURE, EVER).await);
        assert_eq!((compacted.hours, compacted.hours_removed), (0, 0));
        assert_eq!(sums(LINK).await, (9, 9));
    }
    // Clicks may also go.
    let none = Counted::default();
    assert_eq!(store.rewrite_hour(MIDNIGHT, &[], &none).await, Ok(true));
    assert_eq!((sums(new).await, sums(LINK).await), ((0, 0), (4, 4)));
    assert_eq!(store.rewrite_hour(MIDNIGHT, &[], &five).await, Ok(true));
    let days = stored(store, new, Span::Day).await;
    let compacted = ok(compact(store, at(2 * DAY, 0), DAY * 60_000).await);
    assert_eq!(compacted.hours_removed, 3 + 3 + 1);
    assert_eq!(stored(store, new, Span::Hour).await, days, "it is as old as the others");
    assert_eq!(store.rewrite_hour(MIDNIGHT, &[], &none).await, Ok(false));
    assert_eq!(stored(store, new, Span::Day).await, days);
    assert_eq!(store.rewrite_hour(at(DAY, 0), &[], &five).await, Ok(true), "the day after");
    assert_eq!(sums(new).await, (10, 10));
}

/// Counting the hours of a day again by the same rules gives the same bytes.
pub async fn recounting_a_day_changes_nothing(store: &impl CounterStore) {
    bring_days(store, 2).await;
    ok(compact(store, FUTURE, EVER).await);
    let before = answers(store).await;
    for hour in [0, 12, 23, 24] {
        let recounted = recount_hour(store, at(hour * 60, 0), FUTURE).await;
        assert_eq!(recounted, Ok(Recounted::Recounted { changed: 0 }));
        assert_eq!(answers(store).await, before);
    }
    ok(compact(store, FUTURE, EVER).await);
    assert_eq!(answers(store).await, before);
    assert_eq!(levels(store).await.days_until, at(2 * DAY, 0));
    ok(compact(store, FUTURE, DAY * 60_000).await);
    let recounted = recount_hour(store, MIDNIGHT, FUTURE).await;
    assert_eq!(recounted, Ok(Recounted::NotPossible));
    assert_eq!(answers(store).await[0], before[0]);
}

/// The days of a deleted link go with its hours, and do not come back.
pub async fn a_deleted_link_has_no_days(store: &impl CounterStore) {
    bring_days(store, 2).await;
    while ok(store.compact(Span::Hour, FUTURE, 99).await) > 0 {}
    assert_eq!(days(store, at(DAY, 0), 99).await, 2);
    assert_eq!(stored(store, LINK, Span::Day).await[0], (MIDNIGHT, Span::Day, 3));
    ok(store.delete_link_statistics(LinkId(7), at(2 * DAY, 0)).await);
    assert_eq!(stored(store, LINK, Span::Day).await, []);
    // One of its days was made, the other one is not.
    ok(compact(store, FUTURE, EVER).await);
    ok(recount_hour(store, MIDNIGHT, FUTURE).await);
    ok(recount_hour(store, at(DAY, 0), FUTURE).await);
    ok(compact(store, FUTURE, 0).await);
    assert_eq!(stored(store, LINK, Span::Day).await, []);
    assert_eq!(stored(store, LINK, Span::Hour).await, []);
    assert_eq!(stored(store, Subject::Site, Span::Day).await.len(), 2);
}

/// A day tells as many values apart as one row has room for, also while it is read from hours.
pub async fn a_day_is_the_same_from_its_hours(store: &impl CounterStore) {
    let values: Vec<String> = (0..VALUES_MAX + 99).map(|number| format!("{number:04}")).collect();
    let clicks: Vec<Click<'_>> = (0..)
        .zip(&values)
        .map(|(number, value)| Click {
            utm: [value, "", "", "", ""],
            ..click(7, at(number * 2, 0))
        })
        .collect();
    for (number, chunk) in (0..).zip(clicks.chunks(300)) {
        bring(store, &batch(1, number * 300, chunk), at(DAY, 0)).await;
    }
    bring(store, &batch(2, 0, &[click(7, at(DAY - 1, 0))]), at(DAY, 0)).await;
    let before = answers(store).await;
    let sources = before[2][0].rollup.breakdown(Dimension::UtmSource);
    assert_eq!((sources.len(), sources.get(OTHER)), (VALUES_MAX + 1, Some(&99)));
    ok(close_due(store, at(DAY + 2, 0)).await);
    assert_eq!(answers(store).await, before);
    let compacted = ok(compact(store, at(DAY + 2, 0), EVER).await);
    assert_eq!(compacted.days, 2);
    assert_eq!(answers(store).await, before);
    assert_eq!(stored(store, LINK, Span::Day).await.len(), 1);
}
