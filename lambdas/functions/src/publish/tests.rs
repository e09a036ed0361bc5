//! Events as AWS sends them (tests/events), over stores in memory.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use waypost_service::publish::memory::{Call, MemoryEdge, MemoryTable, Upset, current};
use waypost_service::publish::reconcile::{Reconciler, Report};
use waypost_service::publish::{Backoff, Bookmarks, StoreFault, Ways};
use waypost_service::seams::Changed;
use waypost_wire::record::Generation;

use super::*;

const NOW: Timestamp = Timestamp(1_795_272_013_500);

/// A clock that pauses move on.
struct Time(AtomicI64);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for &Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Pause for &Time {
    async fn pause_ms(&self, ms: u64) {
        self.0.fetch_add(i64::try_from(ms).unwrap(), Ordering::SeqCst);
    }
}

struct NoSalts;

impl StateSource for NoSalts {
    async fn state(&self, recent: &[Changed], _: Timestamp) -> Result<Vec<u8>, StoreError> {
        Ok(recent.len().to_string().into_bytes())
    }
}

fn event(name: &str) -> String {
    let path = format!("{}/../../tests/events/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn edge(name: &str) -> MemoryEdge {
    MemoryEdge::new(name, MemoryEdge::LIMITS, Ways::Lists)
}

fn table() -> MemoryTable {
    let table = MemoryTable::default();
    for (key, link_id, version) in [("new", 11, 1), ("changed", 12, 5), ("again", 14, 1)] {
        let link = current(Generation { link_id, version }, false, NOW.plus_ms(-3_600_000));
        table.set(&format!("s.example/{key}"), Some(link));
    }
    table
}

/// What the function answers at `now`.
async fn answered(
    edges: &[&MemoryEdge],
    table: &MemoryTable,
    event: &str,
    now: Timestamp,
) -> Value {
    let time = Time(AtomicI64::new(now.0));
    let publisher = Publisher::new(edges.to_vec(), &time, Backoff::default());
    let around = Surroundings { table, states: &NoSalts, statistics: table, stores: edges.len() };
    let work: Work = serde_json::from_str(event).unwrap();
    let ends_at_ms = now.0 as u64 + 120_000;
    serde_json::to_value(handle(&publisher, &around, &time, work, ends_at_ms).await).unwrap()
}

fn failure(last_digit: u8) -> Value {
    json!({ "batchItemFailures": [
        { "itemIdentifier": format!("11110000000000000000{last_digit}") }
    ] })
}

fn nothing() -> Value {
    json!({ "batchItemFailures": [] })
}

fn unavailable() -> Option<Upset> {
    Some(Upset::Before(StoreFault::Unavailable("cut".to_owned())))
}

#[tokio::test]
async fn what_the_stream_tells_is_published_as_the_table_has_it() {
    let (edge, table) = (edge("kv"), table());
    edge.tamper("s.example/purged", Some(b"old"));
    assert_eq!(answered(&[&edge], &table, &event("stream-links.json"), NOW).await, nothing());
    let records: Vec<_> = edge.records().into_iter().collect();
    let expected: Vec<_> =
        table.links().into_iter().map(|(key, current)| (key, current.record)).collect();
    assert_eq!(records, expected);
    assert_eq!(edge.state(), Some(b"3".to_vec()));
    // The link that lost its slug to another one, and the one that was purged.
    assert_eq!(table.deleted(), [LinkId(13), LinkId(15)]);
}

#[tokio::test]
async fn the_schedule_publishes_the_state() {
    let (edge, table) = (edge("kv"), table());
    assert_eq!(answered(&[&edge], &table, &event("schedule-state.json"), NOW).await, nothing());
    assert_eq!(edge.calls(), [Call::State]);
}

#[tokio::test]
async fn the_stream_goes_on_from_the_first_change_that_failed() {
    let (edge, table) = (edge("kv"), table());
    edge.upset(vec![unavailable(); 100]);
    let event = event("stream-links.json");
    assert_eq!(answered(&[&edge], &table, &event, NOW).await, failure(1));
    // Of `again`, `changed` and `new` the second is left out; then nothing goes.
    edge.upset([Some(Upset::Half)].into_iter().chain(vec![unavailable(); 100]));
    assert_eq!(answered(&[&edge], &table, &event, NOW).await, failure(2));
    // Everything but the state: the last record brings it again.
    edge.upset([None, None].into_iter().chain(vec![unavailable(); 100]));
    assert_eq!(answered(&[&edge], &table, &event, NOW).await, failure(5));
}

#[tokio::test]
async fn what_no_try_mends_does_not_hold_up_the_stream() {
    let (edge, table) = (edge("kv"), table());
    let refused = Upset::Before(StoreFault::Refused("wrong token".to_owned()));
    edge.upset(vec![Some(refused); 100]);
    table.damage("s.example/new");
    let event = event("stream-links.json");
    assert_eq!(answered(&[&edge], &table, &event, NOW).await, nothing());
}

#[tokio::test]
async fn one_store_holds_up_the_others_for_a_minute_at_most() {
    let (good, bad, table) = (edge("good"), edge("bad"), table());
    let event = event("stream-links.json");
    let later = NOW.plus_ms(PATIENCE_MS);
    bad.upset(vec![unavailable(); 100]);
    assert_eq!(answered(&[&good, &bad], &table, &event, NOW).await, failure(1));
    bad.upset(vec![unavailable(); 100]);
    assert_eq!(answered(&[&good, &bad], &table, &event, later).await, nothing());
    // Nobody waits for the other if none of them can be written.
    good.upset(vec![unavailable(); 100]);
    bad.upset(vec![unavailable(); 100]);
    assert_eq!(answered(&[&good, &bad], &table, &event, later).await, failure(1));
    bad.upset(vec![unavailable(); 100]);
    assert_eq!(answered(&[&bad], &table, &event, later).await, failure(1));
}

#[tokio::test]
async fn a_run_compares_all_stores_and_goes_on_where_it_was() {
    let (one, two, table) = (edge("one"), edge("two"), table());
    for n in 100..200 {
        let generation = Generation { link_id: n, version: 1 };
        let link = current(generation, false, NOW.plus_ms(-3_600_000));
        table.set(&format!("s.example/{n}"), Some(link));
    }
    let time = Time(AtomicI64::new(NOW.0));
    let reconcilers = [Reconciler::new(&one, &time), Reconciler::new(&two, &time)];
    let run = async |event: Value, ends_at_ms| {
        let order: reconcile::Order = serde_json::from_value(event).unwrap();
        let reports = reconcile::handle(&reconcilers, &table, &time, &order, ends_at_ms).await;
        let told = |report: Report| {
            (report.store, report.missing, report.repaired, report.next_cursor.is_some())
        };
        reports.into_iter().map(told).collect::<Vec<_>>()
    };
    let enough = NOW.0 as u64 + 900_000;
    let told =
        |store: &str, missing, repaired, is_open| (store.to_owned(), missing, repaired, is_open);
    let dry = run(json!({ "dry_run": true, "store": "two" }), enough).await;
    assert_eq!(dry, [told("two", 103, 0, false)]);
    // No time: a bookmark, and the next run goes on.
    let none = run(json!({}), 0).await;
    assert_eq!(none, [told("one", 0, 0, true), told("two", 0, 0, true)]);
    assert!(table.load("one").await.unwrap().is_some());
    let order: Value = serde_json::from_str(&event("schedule-reconcile.json")).unwrap();
    let all = run(order, enough).await;
    assert_eq!(all, [told("one", 103, 103, false), told("two", 103, 103, false)]);
    assert_eq!(table.load("one").await, Ok(None));
    assert_eq!(one.records(), two.records());
}

#[test]
fn a_strange_event_is_nothing_and_no_reason_to_stop() {
    for record in [
        json!({}),
        json!({ "dynamodb": {} }),
        json!({ "dynamodb": { "Keys": { "pk": { "S": "a/b" } } } }),
        json!({ "dynamodb": { "Keys": { "pk": { "S": "a/b" } },
            "NewImage": { "link_id": { "S": "x" }, "version": { "N": "1" } } } }),
        json!({ "dynamodb": { "Keys": { "pk": { "S": "ab" } },
            "NewImage": { "link_id": { "S": "1" }, "version": { "N": "1" } } } }),
    ] {
        let read: StreamRecord = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(read.change(), None, "{record}");
    }
}

#[test]
fn only_writes_of_the_link_itself_are_changes_and_the_stream_says_when() {
    let record = |new_version: &str, updated_at: i64, streamed: f64| -> StreamRecord {
        let image = |version: &str| {
            json!({ "link_id": { "S": "000000000000000b" }, "version": { "N": version },
                "updated_at": { "N": updated_at.to_string() } })
        };
        serde_json::from_value(json!({ "dynamodb": {
            "ApproximateCreationDateTime": streamed, "Keys": { "pk": { "S": "a/b" } },
            "NewImage": image(new_version), "OldImage": image("3"),
        } }))
        .unwrap()
    };
    assert!(record("4", 0, 0.0).change().is_some() && !record("4", 0, 0.0).is_unchanged());
    assert!(record("3", 0, 0.0).change().is_none() && record("3", 0, 0.0).is_unchanged());
    for (updated_at, streamed, at) in [
        (1_795_272_010_900, 1_795_272_011.0, 1_795_272_010_900),
        (1_795_272_011_900, 1_795_272_011.0, 1_795_272_011_900),
        (1_700_000_000_000, 1_795_272_011.0, 1_795_272_011_000),
        (1_795_272_010_900, 0.0, 1_795_272_010_900),
    ] {
        assert_eq!(record("4", updated_at, streamed).at(), Timestamp(at));
    }
}
