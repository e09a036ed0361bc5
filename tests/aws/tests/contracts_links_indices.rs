//! What is particular to links in DynamoDB: indices that lag behind their table, reads that are
//! answered in part, walks that are cut off, and the time of the last click, which counting writes.

use serde_json::{Value, json};
use waypost_aws::calls::Write;
use waypost_aws::item::{Fields, text, time};
use waypost_aws::links::{hex, last_use, place};
use waypost_aws::schema::SHARDS;
use waypost_aws::store::AwsStore;
use waypost_service::edge::Gate;
use waypost_service::keys::KeyStore;
use waypost_service::model::{Link, LinkId};
use waypost_service::publish::LinkTable;
use waypost_service::seams::{Created, Due, LinkStore, ListQuery, Sort, StoredLink, Updated};
use waypost_tests::contracts::links::lists::{ids, walk};
use waypost_tests::contracts::links::{NOW, create, deleted, edit, sample, stored};
use waypost_tests::contracts::{at_once, ok};
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Fate, Faults};
use waypost_wire::key::LinkKey;

async fn store() -> (AwsStore, Faults) {
    let emulator = Emulator::shared();
    let (_, names) = emulator.tables().await;
    let faults = Faults::default();
    (AwsStore::new(faults.clients(&emulator.url()).await, names), faults)
}

/// An entry of an index over links.
fn entry(sort_key: &str, place: &str, link: &StoredLink) -> Value {
    json!({ "shard": { "S": "0" }, sort_key: { "S": place }, "pk": { "S": link.key.as_str() } })
}

/// The next walk of an index meets these entries, in their order, and nothing else.
fn plan_walk(faults: &Faults, entries: &[Value]) {
    let page = |items: &[Value]| Fate::Says(json!({ "Items": items, "Count": items.len() }));
    let others = (1..SHARDS).map(|_| page(&[]));
    faults.plan("Query", std::iter::once(page(entries)).chain(others));
}

/// A list whose index is behind: links are shown once, as they are, and never those that are gone.
#[tokio::test]
async fn a_list_believes_the_table() {
    let (store, faults) = store().await;
    let place_of = |link: &StoredLink| place(link.link.updated_at, link.link.id);
    let first = create(&store, sample(1)).await;
    let gone = create(&store, deleted(2)).await;
    let replaced = create(&store, deleted(3)).await;
    let edited = create(&store, sample(4)).await;
    let before =
        [&edited, &replaced, &gone, &first].map(|link| entry("updated", &place_of(link), link));
    assert_eq!(ok(store.purge(gone.link.id, 1).await), Updated::Updated);
    let heir = stored(Link { slug: replaced.link.slug, updated_at: NOW, ..sample(5) });
    assert_eq!(store.create(&heir, None, true, NOW).await, Ok(Created::Created));
    let edited = edit(&store, &edited, |link| link.updated_at = NOW.plus_ms(5)).await;

    let query = ListQuery { limit: 9, sort: Sort::UpdatedDescending, ..ListQuery::default() };
    // The index shows none of that yet: the heir is missing, the rest is as it is now.
    plan_walk(&faults, &before);
    let page = ok(store.list(&query, NOW).await);
    assert_eq!(page.links, [edited.link.clone(), first.link.clone()]);
    // It shows both places of what was edited.
    let mut both = before.to_vec();
    both.insert(0, entry("updated", &place_of(&edited), &edited));
    plan_walk(&faults, &both);
    assert_eq!(ok(store.list(&query, NOW).await).links, page.links);

    // On a later page, what was edited since the first one has its place in front of it.
    let one = ListQuery { limit: 1, ..query.clone() };
    let next = ListQuery { cursor: ok(store.list(&one, NOW).await).next_cursor, ..query };
    plan_walk(&faults, &before);
    assert_eq!(ok(store.list(&next, NOW).await).links, [first.link]);
    faults.sent();
}

/// What edges are told of changes is in the index: no item is read for it.
#[tokio::test]
async fn changes_are_read_from_their_index_alone() {
    let (store, faults) = store().await;
    let first = create(&store, Link { updated_at: NOW, ..sample(1) }).await;
    let second = create(&store, Link { updated_at: NOW, ..sample(2) }).await;
    let edited = edit(&store, &first, |link| {
        link.updated_at = NOW.plus_ms(5);
        link.disabled = true;
    })
    .await;
    faults.sent();
    let told = async || {
        let changed = ok(store.changed(NOW.plus_ms(-1), 9).await);
        let told = changed.iter().map(|link| (link.at, link.key.clone(), link.generation));
        told.zip(changed.iter().map(|link| link.stopped)).collect::<Vec<_>>()
    };
    let is = |link: &StoredLink, stopped: bool| {
        let (link_id, version) = (link.link.id.0, link.link.version);
        let generation = waypost_wire::record::Generation { link_id, version };
        ((link.link.updated_at, link.key.clone(), generation), stopped)
    };
    let wanted = [is(&edited, true), is(&second, false)];
    assert_eq!(told().await, wanted);
    assert_eq!(faults.sent(), ["Query"; SHARDS as usize]);

    // The index shows both places of what was edited: the later one counts.
    let held = |link: &StoredLink, stopped: bool| {
        let mut entry = entry("updated", &place(link.link.updated_at, link.link.id), link);
        entry["version"] = json!({ "N": link.link.version.to_string() });
        entry["stopped"] = json!({ "BOOL": stopped });
        entry
    };
    plan_walk(&faults, &[held(&edited, true), held(&second, false), held(&first, false)]);
    assert_eq!(told().await, wanted);
    // It is behind: what was is told, under the version that it was.
    plan_walk(&faults, &[held(&second, false), held(&first, false)]);
    assert_eq!(told().await, [is(&second, false), is(&first, false)]);

    // That is all it holds. The other indices hold keys alone.
    for (index, mut wanted) in
        [("by_updated", vec!["stopped", "updated", "version"]), ("by_created", vec!["created"])]
    {
        wanted.extend(["pk", "shard"]);
        wanted.sort_unstable();
        let call = store.clients.dynamo.query().table_name(&store.names.links).index_name(index);
        let call = call.key_condition_expression("#shard = :shard");
        let call = call.expression_attribute_names("#shard", "shard");
        let shard = waypost_aws::schema::shard(edited.link.id.0);
        let answer = call.expression_attribute_values(":shard", text(shard)).send().await;
        let items = answer.expect("an answer").items.unwrap_or_default();
        let mut names: Vec<&str> = items[0].keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, wanted);
    }
}

/// What is not due any more is passed over, and does not end the walk.
#[tokio::test]
async fn what_is_due_believes_the_table() {
    let (store, faults) = store().await;
    let expiring = |number| Link { expires_at: Some(NOW), ..sample(number) };
    let later = create(&store, expiring(1)).await;
    let gone = create(&store, expiring(2)).await;
    let due = create(&store, expiring(3)).await;
    let before =
        [&later, &gone, &due].map(|link| entry("expires", &place(NOW, link.link.id), link));
    edit(&store, &later, |link| link.expires_at = Some(NOW.plus_ms(1))).await;
    edit(&store, &gone, |link| link.deleted_at = Some(NOW)).await;
    plan_walk(&faults, &before);
    assert_eq!(store.due(Due::Expired, NOW, None, 9).await, Ok(vec![(NOW, due)]));
}

/// A read of many items may be answered in part; the rest is asked for again, not for ever.
#[tokio::test]
async fn items_left_unread_are_read_again() {
    let (store, faults) = store().await;
    for number in 1..=3 {
        create(&store, sample(number)).await;
    }
    let table = store.names.links.as_str();
    let keys: Vec<Value> = (1..=3)
        .map(|number| json!({ "pk": { "S": stored(sample(number)).key.as_str() } }))
        .collect();
    let unread = || {
        Fate::Says(json!({
            "Responses": { table: [] },
            "UnprocessedKeys": { table: { "Keys": keys, "ConsistentRead": true } },
        }))
    };
    let query = ListQuery { limit: 9, ..ListQuery::default() };
    faults.plan("BatchGetItem", [unread(), unread()]);
    assert_eq!(ids(&ok(store.list(&query, NOW).await).links), [3, 2, 1]);
    faults.plan("BatchGetItem", (0..10).map(|_| unread()));
    assert!(store.list(&query, NOW).await.is_err());
    faults.sent();
}

/// A page ends after a thousand entries without a match, and the next one goes on there.
#[tokio::test]
async fn a_long_walk_is_cut_into_pages() {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    let store = Driven(AwsStore::new(clients, names));
    at_once(16, async |thread| {
        for number in (1..=1_150).filter(|number| number % 16 == thread as u64) {
            let title = (number == 3).then(|| "needle".into());
            create(&store, Link { title, ..sample(number) }).await;
        }
    });
    for sort in [Sort::CreatedDescending, Sort::UpdatedDescending] {
        let query = ListQuery { limit: 9, sort, q: Some("needle".into()), ..ListQuery::default() };
        let first = ok(store.list(&query, NOW).await);
        assert_eq!(first.links, []);
        let cursor = first.next_cursor;
        assert!(cursor.is_some());
        let second = ok(store.list(&ListQuery { cursor, ..query.clone() }, NOW).await);
        assert_eq!((ids(&second.links), second.next_cursor), (vec![3], None));
        let all = ListQuery { q: None, limit: 100, ..query };
        assert_eq!(ids(&walk(&store, &all).await), (1..=1_150).rev().collect::<Vec<_>>());
    }
}

/// Writes a click as the closing of a window does: the time always, the index once a day.
async fn clicked(store: &AwsStore, id: LinkId, ms: i64, index_ms: Option<i64>) {
    let used = Write::update(
        &store.names.counters,
        last_use::item_key(id),
        if index_ms.is_some() {
            "SET last_used_at = :at, last_use = :place"
        } else {
            "SET last_used_at = :at"
        },
    )
    .only_if("attribute_exists(pk)")
    .with(":at", time(NOW.plus_ms(ms)));
    let used = match index_ms {
        Some(ms) => used.with(":place", text(place(NOW.plus_ms(ms), id))),
        None => used,
    };
    ok(used.alone(store).await);
}

#[tokio::test]
async fn a_link_is_unused_from_its_last_click_on() {
    let (store, _) = store().await;
    let made = |number| Link { created_at: NOW, ..sample(number) };
    let links = [1, 2, 3, 4].map(made);
    for link in links {
        create(&store, link).await;
    }
    let due = async |ms| {
        let page = ok(store.due(Due::Unused, NOW.plus_ms(ms), None, 9).await);
        page.into_iter()
            .map(|(at, stored)| (at.ms_since(NOW), stored.link.id.0))
            .collect::<Vec<_>>()
    };
    clicked(&store, LinkId(1), 50, None).await;
    clicked(&store, LinkId(2), 70, Some(60)).await;
    clicked(&store, LinkId(9), 70, Some(60)).await;
    assert_eq!(due(-1).await, []);
    assert_eq!(due(0).await, [(0, 3), (0, 4)]);
    assert_eq!(due(49).await, [(0, 3), (0, 4)]);
    assert_eq!(due(50).await, [(0, 1), (0, 3), (0, 4)]);
    assert_eq!(due(69).await, [(0, 1), (0, 3), (0, 4)]);
    assert_eq!(due(70).await, [(0, 1), (0, 3), (0, 4), (60, 2)]);

    // Clicks do not bring back what is to be kept, nor keep it out when it is not any more.
    let kept = ok(store.link_by_id(LinkId(3)).await).expect("it is there");
    let kept = edit(&store, &kept, |link| link.keep = true).await;
    clicked(&store, LinkId(3), 70, Some(60)).await;
    assert_eq!(due(70).await, [(0, 1), (0, 4), (60, 2)]);
    edit(&store, &kept, |link| link.keep = false).await;
    assert_eq!(due(70).await, [(0, 1), (0, 4), (60, 2), (60, 3)]);
    // Nor a link that was deleted or purged, or the one that it made room for.
    let dead = ok(store.link_by_id(LinkId(2)).await).expect("it is there");
    let dead = edit(&store, &dead, |link| link.deleted_at = Some(NOW)).await;
    clicked(&store, LinkId(2), 80, Some(60)).await;
    assert_eq!(due(80).await, [(0, 1), (0, 4), (60, 3)]);
    let used = ok(store.get(&store.names.counters, last_use::item_key(LinkId(2))).await);
    assert!(used.is_some_and(|item| !item.has("shard")), "it is in the index");
    assert_eq!(store.purge(dead.link.id, dead.link.version).await, Ok(Updated::Updated));
    clicked(&store, LinkId(2), 80, Some(60)).await;
    let heir = Link { slug: dead.link.slug, created_at: NOW.plus_ms(80), ..sample(5) };
    create(&store, heir).await;
    assert_eq!(due(80).await, [(0, 1), (0, 4), (60, 3), (80, 5)]);
    let gone = store.get(&store.names.counters, last_use::item_key(LinkId(2))).await;
    assert_eq!(gone, Ok(None));
    assert_eq!(hex(LinkId(255)), "00000000000000ff");
}

/// A store for many callers at once.
async fn shared() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names))
}

/// Of many links that are made or edited to have an external id at the same moment, one has it.
#[tokio::test]
async fn one_of_many_gets_the_external_id() {
    let store = shared().await;
    let plain = at_once(20, async |index| create(&store, sample(index as u64 + 1)).await);
    let wanted = |link: Link| stored(Link { external_id: Some("crm-1".into()), ..link });
    let got = at_once(40, async |index| match plain.get(index) {
        Some(link) => {
            let next = wanted(Link { version: 2, ..link.link.clone() });
            ok(store.update(&next, 1).await) == Updated::Updated
        }
        None => {
            let new = wanted(sample(index as u64 + 1));
            let created = ok(store.create(&new, None, false, NOW).await);
            assert!(matches!(created, Created::Created | Created::ExternalIdTaken), "{created:?}");
            created == Created::Created
        }
    });
    assert_eq!(got.iter().filter(|got| **got).count(), 1);
    let all = ListQuery { limit: 100, ..ListQuery::default() };
    let named = walk(&store, &all).await.into_iter().filter(|link| link.external_id.is_some());
    assert_eq!(named.count(), 1);
}

/// Of many that want the slug of a deleted link, one replaces it.
#[tokio::test]
async fn one_of_many_replaces_a_deleted_link() {
    let store = shared().await;
    let dead = create(&store, deleted(1)).await;
    let heir = |index| stored(Link { slug: dead.link.slug.clone(), ..sample(index as u64 + 2) });
    let answers = at_once(20, async |index| ok(store.create(&heir(index), None, true, NOW).await));
    let winners: Vec<usize> = (0..20).filter(|index| answers[*index] == Created::Created).collect();
    let [winner] = winners[..] else { panic!("{winners:?} all replaced it") };
    let taken = Created::SlugTaken { quarantine_until: None };
    assert_eq!(answers.iter().filter(|answer| **answer == taken).count(), 19);
    assert_eq!(store.link(&dead.key).await, Ok(Some(heir(winner))));
    assert_eq!(store.link_by_id(dead.link.id).await, Ok(None));
    assert_eq!(
        store.due(Due::QuarantineEnded, NOW.plus_ms(i64::MAX / 2), None, 9).await,
        Ok(vec![])
    );
}

/// Texts that the store takes for no key are those of no link: asking for them is no failure.
#[tokio::test]
async fn keys_of_any_length_may_be_asked_for() {
    let (store, _) = store().await;
    let plain = create(&store, sample(1)).await;
    for slug in ["", "a", &"a".repeat(2_000), &"a".repeat(2_048), &"\u{1f319}".repeat(9_999)] {
        let key = LinkKey::new("s.example", slug, false);
        assert_eq!(store.link(&key).await, Ok(None));
        assert_eq!(Gate::record(&store, key.as_str(), NOW).await, Ok(None));
        let found = store.current(&[key.as_str(), plain.key.as_str()]).await;
        assert_eq!(
            found.iter().map(|one| one.as_ref().map(Option::is_some)).collect::<Vec<_>>(),
            [Ok(false), Ok(true)]
        );
        assert_eq!(store.revoke_key(slug, NOW).await, Ok(false));
        assert_eq!(store.touch_key(slug, NOW).await, Ok(()));
    }
}
