//! Publisher and reconciler over the tables themselves; the store of the edge is in memory.

use waypost_aws::store::AwsStore;
use waypost_service::ambient::{Clock, Pause, SeededEntropy};
use waypost_service::compile::compile;
use waypost_service::model::Link;
use waypost_service::publish::memory::{MemoryEdge, MemoryTable};
use waypost_service::publish::reconcile::{Cursor, Options, Reconciler};
use waypost_service::publish::{Backoff, Bookmarks, Change, Publisher, StateOf, Ways};
use waypost_service::seams::{Created, LinkStore, StoredLink, Updated};
use waypost_tests::contracts::links::{NOW, deleted, sample, stored};
use waypost_tests::contracts::ok;
use waypost_tests_aws::emulator::Emulator;
use waypost_wire::record::Generation;
use waypost_wire::state;
use waypost_wire::time::Timestamp;

const HOUR_MS: i64 = 3_600_000;

async fn store() -> AwsStore {
    let (clients, names) = Emulator::shared().tables().await;
    AwsStore::new(clients, names)
}

fn edge(ways: Ways) -> MemoryEdge {
    MemoryEdge::new("kv", MemoryEdge::LIMITS, ways)
}

/// A link with the record that edges read.
fn compiled(link: Link) -> StoredLink {
    let record = compile(&link, NOW).expect("a record").record;
    StoredLink { record, ..stored(link) }
}

async fn create(store: &AwsStore, link: Link) -> StoredLink {
    let link = compiled(link);
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(Created::Created));
    link
}

/// The event of the last write of a link.
fn change(stored: &StoredLink) -> Change {
    let StoredLink { link, key, .. } = stored;
    let generation = Generation { link_id: link.id.0, version: link.version };
    let gone = link.deleted_at.map(|_| link.id);
    Change { key: key.to_string(), generation, gone }
}

/// An hour later; pauses pass at once.
#[derive(Clone, Copy)]
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        NOW.plus_ms(HOUR_MS)
    }
}

impl Pause for Later {
    async fn pause_ms(&self, _: u64) {}
}

#[tokio::test]
async fn what_the_table_has_is_published_with_the_state() {
    let (store, edge, queue) = (store().await, edge(Ways::Lists), MemoryTable::default());
    let plain = create(&store, sample(1)).await;
    let disabled = Link { version: 2, disabled: true, updated_at: NOW, ..plain.link.clone() };
    let edited = compiled(disabled);
    assert_eq!(ok(store.update(&edited, 1).await), Updated::Updated);
    let gone = create(&store, deleted(2)).await;
    assert_eq!(ok(store.purge(gone.link.id, 1).await), Updated::Updated);
    edge.tamper(gone.key.as_str(), Some(&gone.record));
    let entropy = SeededEntropy::new(1);
    let publisher = Publisher::new(vec![&edge], Later, Backoff::default());
    let states = StateOf::new(&store, &store, &entropy);
    let changes = [change(&plain), change(&gone)];
    let deadline = NOW.plus_ms(2 * HOUR_MS);
    let done = publisher.publish_changed(&store, &states, &queue, &changes, deadline).await;
    assert_eq!((done.failures, done.state_failures), (vec![], vec![]));
    assert_eq!((done.written, done.removed, done.statistics), (1, 1, 1));
    let records: Vec<_> = edge.records().into_iter().collect();
    assert_eq!(records, [(edited.key.to_string(), edited.record)]);
    assert_eq!(queue.deleted(), [gone.link.id]);
    let bytes = edge.state().expect("a state");
    let told = state::decode(&bytes).expect("a state");
    let changes: Vec<_> =
        told.changes.iter().map(|told| (told.key, told.generation.version, told.stopped)).collect();
    assert_eq!(changes, [(edited.key.as_str(), 2, true)]);
    assert_eq!((told.published_at, told.salts.len()), (NOW.plus_ms(HOUR_MS), 2));
}

#[tokio::test]
async fn a_wiped_store_is_rebuilt_from_the_table() {
    let store = store().await;
    let mut expected = Vec::new();
    for number in 1..=120 {
        let link = if number % 7 == 0 { deleted(number) } else { sample(number) };
        let stored = create(&store, link).await;
        expected.push((stored.key.to_string(), stored.record));
    }
    expected.sort();
    let foreign = expected[0].1.clone();
    for ways in [Ways::Lists, Ways::ListsAndReads, Ways::Reads, Ways::Writes] {
        let edge = edge(ways);
        if ways.lists() {
            edge.tamper("s.example/foreign", Some(&foreign));
        }
        let reconciler = Reconciler::new(&edge, Later);
        let options = Options::until(NOW.plus_ms(2 * HOUR_MS));
        let report = reconciler.run(&store, &options, None).await;
        let done = (report.repaired + report.sent, report.failed, report.fault, report.next_cursor);
        assert_eq!(done, (120 + u64::from(ways.lists()), 0, None, None), "{ways:?}");
        assert!(edge.records().into_iter().eq(expected.clone()), "{ways:?}");
        let again = reconciler.run(&store, &options, None).await;
        assert_eq!((again.drift(), again.repaired, again.failed), (0, 0, 0), "{ways:?}");
    }
}

#[tokio::test]
async fn a_pass_finds_its_place_again() {
    let store = store().await;
    assert_eq!(store.load("kv").await, Ok(None));
    let cursor = Cursor::List { from: Some("=é\n".to_owned()), after: Some("s/a".to_owned()) };
    ok(store.save("kv", Some(&cursor.to_string())).await);
    ok(store.save("other", Some("x")).await);
    let loaded = ok(store.load("kv").await).expect("a bookmark");
    assert_eq!(loaded.parse(), Ok(cursor));
    ok(store.save("kv", None).await);
    assert_eq!(store.load("kv").await, Ok(None));
    assert_eq!(store.load("other").await, Ok(Some("x".to_owned())));
}
