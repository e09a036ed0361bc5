//! A Spin app's table in DynamoDB, and the table of links, as publishing sees them.

use waypost_aws::clients::Clients;
use waypost_aws::edge_table::EdgeTable;
use waypost_aws::store::AwsStore;
use waypost_aws::testing::create_edge_table;
use waypost_service::model::Link;
use waypost_service::publish::{
    Current, EdgeStore, Kept, LinkTable, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_service::seams::{LinkStore, StoreError, StoredLink, Updated};
use waypost_tests::contracts::links::{NOW, create, deleted, edit, sample};
use waypost_tests::contracts::ok;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::Fate::{Refused, RequestLost};
use waypost_tests_aws::faults::Faults;
use waypost_wire::record::Generation;
use waypost_wire::state::STATE_KEY;

/// The table as whoever else reads it.
struct Bare {
    clients: Clients,
    table: String,
}

async fn edge() -> (EdgeTable, Bare, Faults) {
    let emulator = Emulator::shared();
    let (_, names) = emulator.tables().await;
    let faults = Faults::default();
    let clients = faults.clients(&emulator.url()).await;
    let table = format!("{}-edge", names.links);
    ok(create_edge_table(&clients, &table).await);
    let bare = Bare { clients: clients.clone(), table: table.clone() };
    (EdgeTable::new("spin".into(), clients.dynamo, table), bare, faults)
}

/// A record as edges read it, of this generation.
fn record(link_id: u64, version: u64) -> (Vec<u8>, Mark) {
    let link =
        Link { version, ..Link { id: waypost_service::model::LinkId(link_id), ..sample(1) } };
    let compiled = waypost_service::compile::compile(&link, NOW).expect("a record");
    let mark = Mark::of(&compiled.record).expect("the mark of a record");
    assert_eq!(mark.generation, Generation { link_id, version });
    (compiled.record, mark)
}

#[tokio::test]
async fn a_record_is_never_replaced_by_an_older_one() {
    let (edge, ..) = edge().await;
    assert_eq!((edge.name(), edge.ways()), ("spin", Ways::Reads));
    let put = async |key: &str, (record, mark): &(Vec<u8>, Mark)| {
        edge.put(&[Put { key, record, mark: *mark }]).await
    };
    let marks = async || edge.marks(&["s/a", "s/b"]).await;
    let (second, tenth, heir) = (record(5, 2), record(5, 10), record(6, 1));
    assert_eq!(marks().await, Ok(vec![None, None]));
    assert_eq!(put("s/a", &tenth).await, Ok(vec![Kept::Stored]));
    assert_eq!(put("s/a", &second).await, Ok(vec![Kept::Newer]));
    assert_eq!(put("s/a", &tenth).await, Ok(vec![Kept::Stored]));
    assert_eq!(marks().await, Ok(vec![Some(Some(tenth.1)), None]));
    assert_eq!(put("s/a", &heir).await, Ok(vec![Kept::Stored]));
    assert_eq!(put("s/a", &tenth).await, Ok(vec![Kept::Newer]));

    let remove = async |key: &str, link_id| {
        let generation = Generation { link_id, version: 99 };
        edge.remove(&[Removal { key, generation }]).await
    };
    assert_eq!(remove("s/a", 5).await, Ok(vec![Kept::Newer]));
    assert_eq!(marks().await, Ok(vec![Some(Some(heir.1)), None]));
    assert_eq!(remove("s/a", 6).await, Ok(vec![Kept::Stored]));
    assert_eq!(remove("s/a", 6).await, Ok(vec![Kept::Stored]));
    assert_eq!(remove("s/b", 6).await, Ok(vec![Kept::Stored]));
    assert_eq!(marks().await, Ok(vec![None, None]));
}

/// Spin reads `VAL` under `PK`.
#[tokio::test]
async fn records_lie_where_spin_reads_them() {
    let (edge, bare, _) = edge().await;
    let (bytes, mark) = record(5, 2);
    let put = Put { key: "s/a", record: &bytes, mark };
    assert_eq!(edge.put(&[put]).await, Ok(vec![Kept::Stored]));
    assert_eq!(edge.put_state(b"state").await, Ok(Kept::Stored));
    assert_eq!(edge.put_state(b"next").await, Ok(Kept::Stored));
    for (key, value) in [("s/a", bytes.as_slice()), (STATE_KEY, b"next")] {
        let key = waypost_aws::item::text(key);
        let call = bare.clients.dynamo.get_item().table_name(&bare.table).key("PK", key);
        let item = call.send().await.expect("an answer").item.expect("an item");
        let found = item.get("VAL").and_then(|value| value.as_b().ok()).expect("bytes");
        assert_eq!(found.as_ref(), value);
    }
}

#[tokio::test]
async fn what_was_not_done_is_told() {
    let (edge, _, faults) = edge().await;
    let (bytes, mark) = record(5, 2);
    let put = |key| Put { key, record: &bytes, mark };
    let long = "k".repeat(2_049);
    // One that cannot be stored, and one that was lost, keep no other from being stored.
    assert_eq!(edge.put(&[put(&long), put("s/a")]).await, Ok(vec![Kept::Refused, Kept::Stored]));
    faults.plan("PutItem", vec![RequestLost; 3]);
    assert_eq!(edge.put(&[put("s/a")]).await.map_err(|fault| fault.may_pass()), Err(true));
    faults.plan("PutItem", vec![Refused("ThrottlingException"); 3]);
    let limited = edge.put(&[put("s/a")]).await;
    assert!(matches!(limited, Err(StoreFault::Limited { .. })), "{limited:?}");
    faults.plan("PutItem", [Refused("AccessDeniedException")]);
    assert_eq!(edge.put_state(b"").await.map_err(|fault| fault.may_pass()), Err(false));
    faults.plan("PutItem", [Refused("AccessDeniedException")]);
    let ended = edge.put(&[put("s/a"), put("s/b")]).await.map(|mut ended| {
        ended.sort_unstable_by_key(|kept| *kept as u8);
        ended
    });
    assert_eq!(ended, Ok(vec![Kept::Stored, Kept::Failed]));
    faults.plan("BatchGetItem", vec![RequestLost; 3]);
    assert_eq!(edge.marks(&["s/a"]).await.map_err(|fault| fault.may_pass()), Err(true));
    faults.sent();
}

async fn links() -> AwsStore {
    let (clients, names) = Emulator::shared().tables().await;
    AwsStore::new(clients, names)
}

fn current(stored: &StoredLink) -> Option<Current> {
    let StoredLink { link, record, .. } = stored;
    Some(Current {
        record: record.clone(),
        generation: Generation { link_id: link.id.0, version: link.version },
        stopped: link.is_stopped(),
        updated_at: link.updated_at,
    })
}

#[tokio::test]
async fn publishing_reads_what_the_table_has_now() {
    let store = links().await;
    let plain = create(&store, sample(1)).await;
    let plain = edit(&store, &plain, |link| link.disabled = true).await;
    let gone = create(&store, deleted(2)).await;
    let quarantined = create(&store, deleted(3)).await;
    assert_eq!(ok(store.purge(gone.link.id, 1).await), Updated::Updated);
    let keys = [quarantined.key.as_str(), gone.key.as_str(), plain.key.as_str(), "s.example/none"];
    let found: Vec<_> = store.current(&keys).await;
    assert_eq!(found, [Ok(current(&quarantined)), Ok(None), Ok(current(&plain)), Ok(None)]);
}

/// All keys are met once, in pages, whatever is edited meanwhile.
#[tokio::test]
async fn publishing_walks_all_keys() {
    let store = links().await;
    assert_eq!(ok(store.page(None).await), waypost_service::publish::TablePage::default());
    let mut wanted = Vec::new();
    for number in 1..=1_003 {
        let link = if number % 7 == 0 { deleted(number) } else { sample(number) };
        wanted.push(create(&store, link).await);
    }
    let first = ok(store.page(None).await);
    let edited = edit(&store, &wanted[1_001], |link| link.updated_at = NOW).await;
    let second = ok(store.page(first.next_cursor.as_deref()).await);
    assert_eq!((first.keys.len(), second.next_cursor), (1_000, None));
    let met: Vec<String> = first.keys.into_iter().chain(second.keys).collect();
    let wanted: Vec<String> = wanted.iter().map(|link| link.key.to_string()).collect();
    assert_eq!(met, wanted);
    assert!(met.contains(&edited.key.to_string()));
    assert_eq!(store.page(Some("!")).await, Err(StoreError::BadCursor));
}
