//! Following changes, one case after the other; `world` tries them all at once.

mod world;

use pollster::block_on;
use waypost_wire::record::Generation;
use waypost_wire::state::decode;

use super::memory::{Call, MemoryEdge, MemoryTable, Upset, current};
use super::*;
use crate::ambient::{Clock, Pause};
use crate::model::LinkId;
use crate::seams::{Changed, StoreError};
use std::sync::atomic::{AtomicI64, Ordering};
use waypost_wire::time::Timestamp;

pub(super) const START: Timestamp = Timestamp(1_795_244_400_000);

/// A clock that pauses move on.
#[derive(Debug)]
pub(super) struct Time(pub(super) AtomicI64);

impl Time {
    pub(super) const fn new() -> Self {
        Self(AtomicI64::new(START.0))
    }

    pub(super) fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn passed_ms(&self) -> i64 {
        self.now().ms_since(START)
    }
}

impl Clock for &Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Pause for &Time {
    async fn pause_ms(&self, ms: u64) {
        self.pass(i64::try_from(ms).unwrap());
        world::step().await;
    }
}

/// A state with nothing but what was published lately.
pub(super) struct RecentOnly;

impl StateSource for RecentOnly {
    async fn state(&self, recent: &[Changed], now: Timestamp) -> Result<Vec<u8>, StoreError> {
        Ok(crate::edge::state::compose(recent, &[], now))
    }
}

fn link(link_id: u64, version: u64) -> Current {
    current(Generation { link_id, version }, false, START)
}

fn change(key: &str, link_id: u64, version: u64) -> Change {
    Change { key: key.to_owned(), generation: Generation { link_id, version }, gone: None }
}

fn purged(key: &str, link_id: u64, version: u64) -> Change {
    Change { gone: Some(LinkId(link_id)), ..change(key, link_id, version) }
}

fn edge(name: &str) -> MemoryEdge {
    MemoryEdge::new(name, MemoryEdge::LIMITS, Ways::ListsAndReads)
}

fn deadline() -> Timestamp {
    START.plus_ms(60_000)
}

fn unavailable() -> StoreFault {
    StoreFault::Unavailable("cut".to_owned())
}

/// Publishes to `edges`; also how many milliseconds it took.
fn published(edges: &[&MemoryEdge], table: &MemoryTable, changes: &[Change]) -> (Published, i64) {
    let time = Time::new();
    let publisher = Publisher::new(edges.to_vec(), &time, Backoff::default());
    let done = publisher.publish_changed(table, &RecentOnly, table, changes, deadline());
    (block_on(done), time.passed_ms())
}

fn has(edge: &MemoryEdge, key: &str) -> Option<Generation> {
    edge.records().get(key).map(|record| Mark::of(record).unwrap().generation)
}

#[test]
fn what_the_table_has_now_is_written_whatever_the_events_say() {
    let (edge, table) = (edge("kv"), MemoryTable::default());
    table.set("s.example/a", Some(link(1, 7)));
    table.set("s.example/b", Some(current(Generation { link_id: 2, version: 3 }, true, START)));
    edge.tamper("s.example/gone", Some(&link(3, 1).record));
    let changes = [
        change("s.example/a", 1, 2),
        change("s.example/b", 2, 3),
        change("s.example/a", 1, 9),
        purged("s.example/gone", 3, 1),
        change("s.example/a", 1, 7),
    ];
    let (done, ms) = published(&[&edge], &table, &changes);
    let expected =
        Published { keys: 3, written: 2, removed: 1, statistics: 1, ..Published::default() };
    assert_eq!((done, ms), (expected, 0));
    let generation = |link_id, version| Generation { link_id, version };
    let puts = vec![
        ("s.example/a".to_owned(), generation(1, 7)),
        ("s.example/b".to_owned(), generation(2, 3)),
    ];
    let removed = vec!["s.example/gone".to_owned()];
    // The state is put when the records are there.
    assert_eq!(edge.calls(), [Call::Put(puts), Call::Remove(removed), Call::State]);
    assert_eq!(edge.records().len(), 2);
    assert_eq!(edge.records()["s.example/a"], link(1, 7).record);
    let state = edge.state().unwrap();
    let told: Vec<_> = decode(&state).unwrap().changes.iter().map(|c| (c.key, c.stopped)).collect();
    assert_eq!(told, [("s.example/a", false), ("s.example/b", true)]);
    assert_eq!(table.deleted(), [LinkId(3)]);
}

#[test]
fn without_changes_only_the_state_is_put() {
    let (edge, table) = (edge("kv"), MemoryTable::default());
    assert_eq!(published(&[&edge], &table, &[]).0, Published::default());
    assert_eq!(edge.calls(), [Call::State]);
    let time = Time::new();
    let publisher = Publisher::new(vec![&edge], &time, Backoff::default());
    assert_eq!(block_on(publisher.publish_state(&RecentOnly, deadline())), []);
    edge.upset([Some(Upset::Before(StoreFault::Refused("no".to_owned())))]);
    let failed = block_on(publisher.publish_state(&RecentOnly, deadline()));
    let fault = Fault::Store(StoreFault::Refused("no".to_owned()));
    assert_eq!(failed, [("kv".to_owned(), fault)]);
}

#[test]
fn what_fails_is_tried_again_with_what_the_table_has_then() {
    for upset in [Upset::Before(unavailable()), Upset::After(unavailable()), Upset::Half] {
        let (edge, table) = (edge("kv"), MemoryTable::default());
        let keys = ["s.example/a", "s.example/b", "s.example/c"];
        keys.iter().zip(1..).for_each(|(key, id)| table.set(key, Some(link(id, 1))));
        edge.upset([Some(upset.clone()), Some(upset.clone()), None]);
        let changes = keys.map(|key| change(key, 1, 1));
        let (done, ms) = published(&[&edge], &table, &changes);
        assert_eq!((done.failures, done.state_failures, edge.records().len()), (vec![], vec![], 3));
        assert_eq!(ms, if upset == Upset::Half { 500 } else { 1_500 }, "{upset:?}");
    }
}

#[test]
fn a_store_that_stays_away_is_given_up_and_harms_no_other() {
    let (good, bad, table) = (edge("good"), edge("bad"), MemoryTable::default());
    table.set("s.example/a", Some(link(1, 1)));
    bad.upset(vec![Some(Upset::Before(unavailable())); 100]);
    let (done, ms) = published(&[&bad, &good], &table, &[change("s.example/a", 1, 1)]);
    let fault = Fault::Store(unavailable());
    let failure =
        Failure { key: "s.example/a".into(), store: Some("bad".into()), fault: fault.clone() };
    assert_eq!(done.failures, [failure]);
    assert_eq!(done.state_failures, [("bad".to_owned(), fault)]);
    assert_eq!(done.retry().into_iter().collect::<Vec<_>>(), ["s.example/a"]);
    assert!(done.retry_state());
    assert_eq!((done.written, has(&good, "s.example/a").is_some()), (1, true));
    // Four tries for the records, four for the state.
    assert_eq!(ms, 7_000);
}

#[test]
fn what_no_try_mends_is_not_tried_again() {
    let refused = StoreFault::Refused("wrong token".to_owned());
    let (edge, table) = (edge("kv"), MemoryTable::default());
    table.set("s.example/a", Some(link(1, 1)));
    table.set("s.example/b", Some(link(2, 1)));
    table.damage("s.example/b");
    edge.upset([Some(Upset::Before(refused.clone()))]);
    let changes = [change("s.example/a", 1, 1), change("s.example/b", 2, 1)];
    let (done, ms) = published(&[&edge], &table, &changes);
    let failure =
        |key: &str, fault| Failure { key: key.to_owned(), store: Some("kv".to_owned()), fault };
    let damaged = StoreError::Damaged("s.example/b was damaged".to_owned());
    let expected = [
        failure("s.example/b", Fault::Table(damaged)),
        failure("s.example/a", Fault::Store(refused)),
    ];
    assert_eq!((done.failures.as_slice(), ms), (expected.as_slice(), 0));
    assert!(done.retry().is_empty());
}

#[test]
fn a_table_that_cannot_be_read_leaves_the_store_as_it_is() {
    let (edge, table) = (edge("kv"), MemoryTable::default());
    edge.tamper("s.example/a", Some(&link(1, 1).record));
    table.fail(u32::MAX);
    let (done, _) = published(&[&edge], &table, &[purged("s.example/a", 1, 1)]);
    assert_eq!(done.retry().len(), 1);
    // Once for its statistics, once for its record.
    assert_eq!(done.failures.len(), 2);
    assert_eq!(edge.records().len(), 1);
    table.fail(1);
    let (done, _) = published(&[&edge], &table, &[change("s.example/a", 1, 1)]);
    assert_eq!((done.failures, done.removed), (vec![], 1));
}

#[test]
fn statistics_go_with_their_link_and_only_then() {
    let (edge, table) = (edge("kv"), MemoryTable::default());
    table.set("s.example/again", Some(link(9, 1)));
    table.set("s.example/restored", Some(link(3, 4)));
    let changes = [
        purged("s.example/again", 1, 5),
        purged("s.example/again", 2, 5),
        purged("s.example/restored", 3, 4),
        purged("s.example/gone", 4, 2),
        purged("s.example/gone", 4, 2),
    ];
    let (done, _) = published(&[&edge], &table, &changes);
    assert_eq!(done.statistics, 3);
    assert_eq!(table.deleted(), [LinkId(1), LinkId(2), LinkId(4)]);
}

#[test]
fn one_key_is_written_once_a_second_and_calls_keep_their_pace() {
    let limits = Limits {
        same_key_ms: 1_000,
        calls: Some(LimitedCalls { burst: 2, refill: 1, per_ms: 4_000 }),
        ..MemoryEdge::LIMITS
    };
    let edge = MemoryEdge::new("kv", limits, Ways::Lists);
    let (table, time) = (MemoryTable::default(), Time::new());
    table.set("s.example/a", Some(link(1, 1)));
    let publisher = Publisher::new(vec![&edge], &time, Backoff::default());
    let changes = [change("s.example/a", 1, 1)];
    let publish = |deadline| {
        block_on(publisher.publish_changed(&table, &RecentOnly, &table, &changes, deadline))
    };
    assert_eq!(publish(deadline()).written, 1);
    assert_eq!(time.passed_ms(), 0);
    assert_eq!(publish(deadline()).written, 1);
    assert_eq!(time.passed_ms(), 8_000, "two calls more");
    time.pass(20_000);
    assert_eq!(publish(deadline()).written, 1);
    let done = publish(Timestamp(time.now().0 + 999));
    assert_eq!((done.written, done.retry().len(), done.retry_state()), (0, 1, true));
}

#[test]
fn a_store_that_asks_for_peace_is_not_called_again_before() {
    let limited =
        StoreFault::Limited { text: "too many".to_owned(), retry_after_seconds: Some(300) };
    let (edge, table, time) = (edge("kv"), MemoryTable::default(), Time::new());
    table.set("s.example/a", Some(link(1, 1)));
    edge.upset([Some(Upset::Before(limited))]);
    let publisher = Publisher::new(vec![&edge], &time, Backoff::default());
    let changes = [change("s.example/a", 1, 1)];
    let publish = || {
        let deadline = Timestamp(time.now().0 + 60_000);
        block_on(publisher.publish_changed(&table, &RecentOnly, &table, &changes, deadline))
    };
    assert_eq!(publish().retry().len(), 1);
    assert_eq!(publish().retry().len(), 1);
    assert_eq!(edge.calls(), []);
    time.pass(300_000);
    assert_eq!(publish().written, 1);
}

#[test]
fn large_records_go_in_several_calls() {
    let limits = Limits { bytes_max: 150, puts_max: 3, removals_max: 2, ..MemoryEdge::LIMITS };
    let edge = MemoryEdge::new("kv", limits, Ways::Lists);
    let table = MemoryTable::default();
    let keys: Vec<String> = (0..8).map(|n| format!("s.example/{n}")).collect();
    keys[..4].iter().zip(1..).for_each(|(key, id)| table.set(key, Some(link(id, 1))));
    let changes: Vec<_> = keys.iter().map(|key| change(key, 1, 1)).collect();
    let (done, _) = published(&[&edge], &table, &changes);
    assert_eq!((done.written, done.removed), (4, 4));
    for call in edge.calls() {
        match call {
            Call::Put(keys) => assert!(keys.len() <= 3),
            Call::Remove(keys) => assert!(keys.len() <= 2),
            _ => {}
        }
    }
    assert_eq!(edge.records().len(), 4);
}
