//! A year of days: one query, whatever the days are made of; and the same answer as from hours.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use serde_json::Value;
use waypost_aws::item::{Item, bytes, number, pair, sortable, time};
use waypost_aws::store::AwsStore;
use waypost_service::counting::close::close_due;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::rollup::{Dimension, Rollup, Subject};
use waypost_service::counting::store::{ClosingWindow, CounterStore, WindowRecord};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, WINDOW_MS, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_service::stats::{Scope, StatsQuery, link};
use waypost_tests::clicks::{MIDNIGHT, at, batch, click};
use waypost_tests::contracts::links::sample;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Faults, Trouble};
use waypost_wire::time::Timestamp;

use crate::together::{Task, join_all};

const DAY_MS: i64 = Span::Day.ms();
const DAYS: i64 = 365;
/// A year before the midnight before the last click.
const FIRST: Timestamp = MIDNIGHT.plus_ms(-DAYS * DAY_MS);
const NOW: Timestamp = at(200, 0);

const BY_DAY: &str = "from=2025-11-21&to=2026-11-21&by=country,browser";
const IN_BERLIN: &str = "from=2025-11-21&to=2026-11-21&tz=Europe/Berlin";

/// Which windows are open, and the clicks in them.
const SYNC: [&str; 4] = ["GetItem", "GetItem", "Query", "Query"];
const BY: [Span; 2] = [Span::Day, Span::Hour];

/// The marks, and the rows.
const ONE_QUERY: [&str; 2] = ["GetItem", "Query"];

/// What an hour comes to: another sum, other values and visitors each time.
fn counted(number: u64) -> Rollup {
    let mut rollup = Rollup::default();
    rollup.totals.add(waypost_service::counting::classify::Class::Human, 3 + number % 5);
    for visitor in 0..number % 4 {
        rollup.uniques.insert(number * 7 + visitor);
    }
    let countries = BTreeMap::from([("DE".to_owned(), 2), (format!("C{}", number % 9), 1)]);
    rollup.breakdowns.insert(Dimension::Country, countries);
    rollup
}

/// The hours of a day that have clicks: one of each, around the clock, and a second one at times.
fn hours(day: i64) -> Vec<Timestamp> {
    let hours = [day % 12, 12 + day * 7 % 12];
    let hours = &hours[..if day % 20 == 0 { 2 } else { 1 }];
    hours.iter().map(|hour| FIRST.plus_ms(day * DAY_MS + hour * Span::Hour.ms())).collect()
}

/// The items that an installation has which made no days yet, as it wrote them.
fn items(hour: Timestamp, rollup: &Rollup) -> [Item; 2] {
    let end = sortable(hour.plus_ms(Span::Hour.ms()));
    let mut row = pair("rollup#0000000000000007", format!("{end}#1"));
    row.insert("start".to_owned(), time(hour));
    row.insert("span".to_owned(), number(1));
    row.insert("data".to_owned(), bytes(rollup.encode()));
    let mut list = pair("subjects#1", format!("{end}#p00000000-0000"));
    list.insert("subjects".to_owned(), bytes(vec![7]));
    [row, list]
}

/// A year of hours, and clicks of today, of which the first windows are closed and the last one is
/// open.
async fn a_year(store: &AwsStore) {
    let mut items: Vec<Item> = (0..DAYS)
        .flat_map(hours)
        .zip(0..)
        .flat_map(|(hour, number)| self::items(hour, &counted(number)))
        .collect();
    while !items.is_empty() {
        let some = items.split_off(items.len().saturating_sub(40));
        let put = |item| -> Task<'_, ()> {
            let put = store.clients.dynamo.put_item().table_name(&store.names.counters);
            Box::pin(async move { drop(put.set_item(Some(item)).send().await.expect("it is put")) })
        };
        join_all(some.into_iter().map(put).collect()).await;
    }
    close_until(store, MIDNIGHT).await;
    let today = [click(7, at(1, 0)), click(7, at(12, 0)), click(7, at(195, 0))];
    store.store_batch(&batch(1, 0, &today), NOW).await.expect("stored");
    close_due(store, NOW).await.expect("closed");
}

/// Closes a window without clicks, and with it all before.
async fn close_until(store: &AwsStore, end: Timestamp) {
    let closing = ClosingWindow {
        window: Window::of(end.plus_ms(-WINDOW_MS)),
        counted: Counted::default(),
        record: WindowRecord { batches: 0, digest: [0; 32], revision: 1, closed_at: NOW },
    };
    store.close_window(&closing).await.expect("closed");
}

async fn ask(store: &AwsStore, open: &OpenWindows, query: &str) -> Value {
    let query = StatsQuery::parse(Some(query), Scope::Link, NOW).expect("a question");
    let answer = link(store, open, &query, &sample(7), 1).await.expect("an answer");
    serde_json::to_value(answer).expect("JSON")
}

/// Makes days, `limit` at a time, until there are none to make; how many.
async fn make_days(store: &AwsStore, limit: usize) -> usize {
    store.compact(Span::Day, NOW, limit).await.expect("compacted")
}

#[tokio::test]
async fn a_year_of_days_is_one_query() {
    let faults = Faults::default();
    let (clients, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(clients, names.clone());
    let watched = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
    let open = OpenWindows::new();
    a_year(&store).await;
    let asked = async |query: &str| {
        faults.begin(Vec::new());
        let answer = ask(&watched, &open, query).await;
        (answer, faults.calls())
    };
    let queries = |calls: &[String]| calls.iter().filter(|call| *call == "Query").count();

    let (before, calls) = asked(BY_DAY).await;
    assert_eq!(before["series"].as_array().map(Vec::len), Some(366));
    assert_eq!(before["series"][365]["all"], 3, "two are in closed windows, one is not");
    let sum: u64 = (0..).zip((0..DAYS).flat_map(hours)).map(|(number, _)| 3 + number % 5).sum();
    assert_eq!(before["totals"]["human"], sum + 3);
    assert_eq!(queries(&calls), 2 + 2 * 36 + 1, "ten days at a time, with days that may come up");
    let (in_berlin, calls) = asked(IN_BERLIN).await;
    assert_eq!(queries(&calls), 2 + 37);
    // Days come into being, the oldest first, and it ends anywhere.
    let mut made = 0;
    for limit in [1, 100, 211, 999, 999] {
        made += make_days(&store, limit).await;
        assert_eq!(asked(BY_DAY).await.0, before, "{made}");
    }
    assert_eq!(made, 365);
    assert_eq!(asked(BY_DAY).await, (before.clone(), one_query()));
    // Also without today, and of a month of it.
    for span in ["from=2025-11-20&to=2026-11-19", "from=2026-02-01&to=2026-02-28"] {
        assert_eq!(asked(span).await.1, one_query(), "{span}");
    }
    // Days of another zone are made of hours, ten days at a time.
    let (found, calls) = asked(IN_BERLIN).await;
    assert_eq!((found, queries(&calls)), (in_berlin, 2 + 37));
    // What an hour comes to when it is counted again is there at once.
    let hour = hours(101)[0];
    let number = (0..=101).flat_map(hours).position(|other| other == hour).expect("it is there");
    let mut again = Counted::default();
    again.rollups.insert(Subject::Link(LinkId(7)), counted(number as u64));
    for (counted, expected) in
        [(&again, &before), (&Counted::default(), &Value::Null), (&again, &before)]
    {
        assert_eq!(store.rewrite_hour(hour, &[], counted).await, Ok(true));
        let (found, calls) = asked(BY_DAY).await;
        assert_eq!(calls, one_query());
        match expected {
            Value::Null => assert_eq!(found["series"][101]["all"], 0),
            expected => assert_eq!(&found, expected),
        }
    }
    // Hours go when they are old, in the middle of the year.
    while store.compact(Span::Hour, NOW, 99).await.expect("compacted") > 0 {}
    let before_now = NOW.plus_ms(-300 * DAY_MS);
    assert_eq!(store.delete_hours(before_now, 9_999).await, Ok((0..65).flat_map(hours).count()));
    assert_eq!(asked(BY_DAY).await, (before, one_query()));
    assert_eq!(asked(IN_BERLIN).await.0["resolution"], "utc-day");
}

fn one_query() -> Vec<String> {
    SYNC.iter().chain(&ONE_QUERY).map(|call| (*call).to_owned()).collect()
}

/// An hour that is counted again while its day is made, with clicks on a link that had none, is in the
/// day, whichever comes first.
#[tokio::test]
async fn an_hour_counted_again_is_in_the_day_that_is_being_made() {
    let (clients, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(clients, names);
    let clicks = async |subject, day: Timestamp, by| {
        let reading = store.read(subject, day, day.plus_ms(DAY_MS), by).await.expect("it reads");
        reading.rows.iter().map(|row| row.rollup.totals.all()).sum::<u64>()
    };
    let (rollup, other) = (counted(2), counted(3));
    let mut made_before = Vec::new();
    for round in 0..36 {
        let day = FIRST.plus_ms(round * DAY_MS);
        let subjects = [Subject::Site, Subject::Link(LinkId(7))];
        let rollups = subjects.map(|subject| (subject, rollup.clone())).into();
        let closing = ClosingWindow {
            window: Window::of(day.plus_ms(DAY_MS - WINDOW_MS)),
            counted: Counted { rollups, ..Counted::default() },
            record: WindowRecord { batches: 0, digest: [0; 32], revision: 1, closed_at: NOW },
        };
        store.close_window(&closing).await.expect("closed");
        while store.compact(Span::Hour, NOW, 99).await.expect("compacted") > 0 {}
        let new = Subject::Link(LinkId(100 + round.unsigned_abs()));
        let all = [subjects[0], subjects[1], new];
        let rollups = all.map(|subject| (subject, other.clone())).into();
        let again = Counted { rollups, ..Counted::default() };
        // One of them later each round, so that it comes between any two calls of the other.
        let wait = async |calls: i64| {
            for _ in 0..calls {
                store.closed_window(closing.window).await?;
            }
            Ok::<(), StoreError>(())
        };
        let make = async {
            wait(if round < 18 { 0 } else { (round - 18) * 2 }).await?;
            store.compact(Span::Day, NOW, 99).await
        };
        let rewrite = async {
            wait(if round < 18 { round } else { 0 }).await?;
            let is_rewritten =
                store.rewrite_hour(Span::Hour.start(closing.window.start()), &[], &again);
            let is_rewritten = is_rewritten.await?;
            made_before.push(store.open().await?.levels.days_until > day);
            Ok::<bool, StoreError>(is_rewritten)
        };
        let (made, rewritten) = tokio::join!(make, rewrite);
        assert_eq!((made.map(|made| made > 0), rewritten), (Ok(true), Ok(true)));
        for _ in 0..2 {
            for (subject, by) in all.into_iter().flat_map(|subject| BY.map(|by| (subject, by))) {
                let found = clicks(subject, day, by).await;
                assert_eq!(found, other.totals.all(), "{round}: {subject:?} by {by:?}");
            }
            while make_days(&store, 99).await > 0 {}
        }
        assert_eq!(store.open().await.map(|open| open.levels.days_until), Ok(day.plus_ms(DAY_MS)));
    }
    assert!(made_before.contains(&false) && made_before.contains(&true), "{made_before:?}");
}

/// Hours that begin to go while somebody is about to read them are not missing: days come instead.
#[tokio::test]
async fn hours_that_go_while_they_are_read_come_as_days() {
    let faults = Faults::default();
    let (clients, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(clients, names.clone());
    let slow = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
    let items = (0..2).flat_map(hours).flat_map(|hour| items(hour, &counted(2)));
    for item in items {
        let put = store.clients.dynamo.put_item().table_name(&store.names.counters);
        put.set_item(Some(item)).send().await.expect("it is put");
    }
    let end = FIRST.plus_ms(2 * DAY_MS);
    close_until(&store, end).await;
    assert_eq!(make_days(&store, 99).await, 2);
    // It has read the marks, and its query is to be tried again.
    faults.begin(vec![(1, Trouble::Conflict)]);
    let mut reading = Box::pin(slow.read(Subject::Link(LinkId(7)), FIRST, end, Span::Hour));
    while faults.met() == 0 {
        let polled = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(store.delete_hours(NOW, 99).await, Ok(3));
    let rows = reading.await.expect("it reads").rows;
    let rows: Vec<_> =
        rows.iter().map(|row| (row.start, row.span, row.rollup.totals.all())).collect();
    assert_eq!(rows, [(FIRST, Span::Day, 10), (FIRST.plus_ms(DAY_MS), Span::Day, 5)]);
}
