//! `PUT /_/sync`.

use waypost_tests::wire::Raw;
use waypost_tests_spin::origin::ORIGIN_KEY;
use waypost_tests_spin::spin::StoreError;
use waypost_tests_spin::world::Mood;
use waypost_wire::codec::encode;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::record::{Generation, LinkRecord};
use waypost_wire::state::STATE_KEY;
use waypost_wire::sync::{BODY_MAX_BYTES, Change, Entry, Outcome, PATH, Sync, decode_outcomes};

use crate::bench::{Bench, KEPT, key, link, world};

const ON: [(&str, &str); 2] = [("waypost_sync", "true"), ("waypost_origin_url", "")];

async fn put(bench: &Bench, sync: &Sync<'_>) -> Vec<Outcome> {
    let origin_key = OriginKey::new(ORIGIN_KEY);
    let body = sync.encode();
    let (signature, mac) = origin_key.sign_question(PATH, &body, bench.world.now());
    let answer = bench.send_with("PUT /_/sync", &[(HEADER, &signature)], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let signature = answer.header(HEADER).expect("signed");
    assert!(origin_key.is_answer(signature, &mac, 200, &answer.body));
    decode_outcomes(&answer.body).unwrap()
}

fn entry<'a>(key: &'a str, record: &'a [u8]) -> Entry<'a> {
    Entry { key, change: Change::Put(record) }
}

#[tokio::test]
async fn what_is_put_is_followed() {
    let bench = Bench::start(world(&ON), KEPT).await;
    let (new, abc) = (key("new"), key("abc"));
    let record = encode(&link(7, "https://example.com/new"));
    let older = encode(&LinkRecord { version: 0, ..link(1, "https://example.com/older") });
    let state = bench.world.value(STATE_KEY).unwrap();
    assert_eq!(bench.send("GET /new").await.status, 404, "its absence is remembered");
    let entries = vec![entry(&new, &record), entry(&abc, &older), entry(&abc, b"no record")];
    let outcomes = put(&bench, &Sync { entries, state: Some(&state) }).await;
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Outdated, Outcome::Refused, Outcome::Stored]);
    let answer = bench.send("GET /new").await;
    assert_eq!(answer.header("location"), Some("https://example.com/new"));
    let change = Change::Remove(Generation { link_id: 7, version: 1 });
    let entries = vec![Entry { key: &new, change }];
    assert_eq!(put(&bench, &Sync { entries, state: None }).await, [Outcome::Stored]);
    assert_eq!(bench.world.value(&new), None);
    assert_eq!(
        bench.world.events().iter().filter(|event| !event.starts_with("edge ")).collect::<Vec<_>>(),
        ["set s.example/new", "delete s.example/new"]
    );
}

#[tokio::test]
async fn a_store_that_fails_is_told_of_entry_by_entry() {
    let world = world(&ON);
    let (good, bad) = (key("good"), key("bad"));
    world.set_mood(&bad, Some(Mood::Fails(StoreError::Other("full".to_owned()))));
    let bench = Bench::start(world, KEPT).await;
    let record = encode(&link(7, "https://example.com/"));
    let entries = vec![entry(&bad, &record), entry(&good, &record)];
    let outcomes = put(&bench, &Sync { entries, state: None }).await;
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Stored]);
}

#[tokio::test]
async fn nobody_without_the_key_writes() {
    let bench = Bench::start(world(&ON), KEPT).await;
    let new = key("new");
    let record = encode(&link(7, "https://example.com/"));
    let body = Sync { entries: vec![entry(&new, &record)], state: None }.encode();
    let sign = |origin_key: [u8; 32], path| {
        OriginKey::new(origin_key).sign_question(path, &body, bench.world.now()).0
    };
    let (forged, elsewhere) = (sign([1; 32], PATH), sign(ORIGIN_KEY, "/api/v1/edge/clicks"));
    for headers in [&[][..], &[(HEADER, forged.as_str())], &[(HEADER, elsewhere.as_str())]] {
        let answer = bench.send_with("PUT /_/sync", headers, &body).await;
        assert_eq!(answer.status, 401, "{headers:?}");
    }
    let long = vec![1; BODY_MAX_BYTES + 1];
    let answer = bench.send_with("PUT /_/sync", &[], &long).await;
    assert_eq!(answer.status, 413);
    assert_eq!(bench.world.value(&new), None);
}

#[tokio::test]
async fn unless_switched_on_it_is_a_path_like_any_other() {
    let answers = async |settings: &[(&str, &str)], path: &str| -> Raw {
        let bench = Bench::start(world(settings), KEPT).await;
        let mut answer = bench.send_with(path, &[], b"x").await;
        answer.headers.retain(|(name, _)| name != "date");
        answer
    };
    let off = [("waypost_origin_url", "")];
    assert_eq!(answers(&off, "PUT /_/sync").await, answers(&off, "PUT /_/other").await);
    assert_eq!(answers(&off, "PUT /_/sync").await.status, 404);
    assert_eq!(answers(&ON, "GET /_/sync").await, answers(&ON, "GET /_/other").await);
}
