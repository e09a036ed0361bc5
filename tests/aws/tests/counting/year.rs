//! A year of days: one query, whatever the days are made of; and the same answer as from hours.

use std::collections::BTreeMap;

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
use waypost_service::stats::{Scope, StatsQuery, link};
use waypost_tests::clicks::{MIDNIGHT, at, batch, click};
use waypost_tests::contracts::links::sample;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::Faults;
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
    let closing = ClosingWindow {
        window: Window::of(MIDNIGHT.plus_ms(-WINDOW_MS)),
        counted: Counted::default(),
        record: WindowRecord { batches: 0, digest: [0; 32], revision: 1, closed_at: NOW },
    };
    store.close_window(&closing).await.expect("closed");
    let today = [click(7, at(1, 0)), click(7, at(12, 0)), click(7, at(195, 0))];
    store.store_batch(&batch(1, 0, &today), NOW).await.expect("stored");
    close_due(store, NOW).await.expect("closed");
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
