//! Limits that Cloudflare's platform enforces and the open runtime does not: what they are, and
//! that the Worker stays within them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use waypost_service::model::LinkId;
use waypost_tests_worker::client::Client;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::workerd::Build;
use waypost_tests_worker::world::{DOMAIN, World, key, live, record, request};
use waypost_wire::codec::{self, RECORD_MAX_BYTES};
use waypost_wire::key::{LinkKey, SLUG_MAX_BYTES};
use waypost_wire::origin::Unlocked;
use waypost_wire::record::{Generation, LinkRecord};
use waypost_wire::state::{self, CHANGES_MAX, Change, EdgeState, STATE_KEY};

use crate::answers::{A, assert_not_found, assert_sent, assert_unavailable};

/// The free plan's limit for a Worker, compressed.
const BUNDLE_MAX_BYTES: usize = 3 * 1024 * 1024;
/// What Waypost allows itself.
const BUNDLE_OUR_MAX_BYTES: usize = 120 * 1024;
/// Requests that one request may make (free plan).
const SUBREQUESTS_MAX: usize = 50;
/// Connections that one request may have open.
const CONNECTIONS_MAX: usize = 6;
/// What may still run after an answer.
const WAIT_UNTIL_MAX_MS: i64 = 30_000;
/// Headers of a request, and of an answer.
const HEADERS_MAX_BYTES: usize = 128 * 1024;
/// An address.
const URL_MAX_BYTES: usize = 16 * 1024;
/// Keys and values of KV.
const KEY_MAX_BYTES: usize = 512;
const VALUE_MAX_BYTES: usize = 25 * 1024 * 1024;
/// Memory of an instance. JavaScript's own part of it is taken to be no more than an eighth.
const MEMORY_MAX_BYTES: u64 = 128 * 1024 * 1024;

fn modules() -> Vec<(String, Vec<u8>)> {
    let folder = Build::Deployed.folder();
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let modules = entries.filter(|path| {
        path.extension().is_some_and(|its| its == "mjs" || its == "js" || its == "wasm")
    });
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    modules.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn the_bundle_is_small() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for (_, bytes) in modules() {
        gzip.write_all(&bytes).unwrap();
    }
    let bytes = gzip.finish().unwrap().len();
    assert!(bytes > 1_000, "there is nothing in it");
    assert!(bytes <= BUNDLE_MAX_BYTES.min(BUNDLE_OUR_MAX_BYTES), "{bytes} bytes");
}

/// Production refuses code made of strings and modules made of bytes, and PBKDF2 with more than
/// 100,000 rounds; passwords are checked at the origin, so there is nothing of the kind.
#[test]
fn the_bundle_does_nothing_that_production_refuses() {
    for (name, bytes) in modules() {
        let text = String::from_utf8_lossy(&bytes);
        for refused in [
            "PBKDF2",
            "deriveBits",
            "argon2",
            "new Function(",
            "eval(",
            "WebAssembly.compile",
            "new WebAssembly.Module(",
            "instantiateStreaming",
        ] {
            assert!(!text.contains(refused), "{name} has {refused}");
        }
    }
}

#[test]
fn every_legal_key_and_value_fits_into_kv() {
    let longest = LinkKey::new(&"d".repeat(253), &"s".repeat(SLUG_MAX_BYTES), false);
    assert!(longest.as_str().len() <= KEY_MAX_BYTES, "{}", longest.as_str().len());
    assert!(STATE_KEY.len() <= KEY_MAX_BYTES);
    const { assert!(RECORD_MAX_BYTES <= VALUE_MAX_BYTES) };
    let bytes = full_state(longest.as_str()).len();
    assert!(bytes <= VALUE_MAX_BYTES, "{bytes}");
}

/// A state with as many changes as there may be.
fn full_state(key: &str) -> Vec<u8> {
    let keys: Vec<String> = (0..CHANGES_MAX).map(|at| format!("{key}{at:04x}")).collect();
    let changes = keys.iter().enumerate().map(|(at, key)| Change {
        key,
        generation: Generation { link_id: at as u64 + 1, version: 2 },
        stopped: at % 2 == 0,
    });
    state::encode(&EdgeState { changes: changes.collect(), ..EdgeState::default() })
}

/// A record as long as Waypost writes them, by its destination.
fn longest_record() -> (String, Vec<u8>) {
    let encoded = |destination: &str| {
        codec::encode(&LinkRecord { forward_query: true, ..live(LinkId(1), 1, destination) })
    };
    let destination = |length: usize| format!("{A}{}", "x".repeat(length));
    let spare = RECORD_MAX_BYTES - encoded(&destination(RECORD_MAX_BYTES / 2)).len();
    let destination = destination(RECORD_MAX_BYTES / 2 + spare);
    let record = encoded(&destination);
    assert_eq!(record.len(), RECORD_MAX_BYTES);
    (destination, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_record_address_and_headers_are_answered() {
    let world = World::start().await;
    let (destination, record) = longest_record();
    let slug = "s".repeat(SLUG_MAX_BYTES);
    world.stub.behind().store.insert(key(&slug), record);
    let target = format!("https://{DOMAIN}/{slug}?q=");
    let query = format!("q={}", "v".repeat(URL_MAX_BYTES - target.len()));
    let answer = world.follow(&format!("{slug}?{query}")).await;
    assert_sent(&answer, &format!("{destination}?{query}"));
    let headers: usize =
        answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    assert!(headers < HEADERS_MAX_BYTES, "{headers}");

    world.stub.behind().store.insert(key("a"), self::record(1, 1, A));
    for bytes in [1_000, 16 * 1024, 60 * 1024, 120 * 1024] {
        for name in ["cookie", "referer", "accept-language", "user-agent", "x-other"] {
            let answer = world.send("GET", "a", &[(name, &"v".repeat(bytes))]).await;
            assert_sent(&answer, A);
        }
        let many: Vec<String> = (0..bytes / 50).map(|at| format!("x-header-{at:05}")).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|name| (&**name, "some value of 30 bytes ......")).collect();
        assert_sent(&world.send("GET", "a", &many).await, A);
    }
    world.end().await;
}

/// What the platform would refuse does not reach the Worker there; here it may, and must do no
/// harm.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_platform_lets_through_does_no_harm() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    for bytes in [HEADERS_MAX_BYTES, 2 * HEADERS_MAX_BYTES, 1024 * 1024] {
        let long = "v".repeat(bytes);
        for request in [
            request("GET", "a", &[("cookie", &long)]),
            request("GET", &format!("a?q={long}"), &[]),
            request("GET", &long, &[]),
        ] {
            // An answer, or a connection that is closed; whatever it is, others are served.
            let answer = world.visitors.send(request.as_bytes()).await;
            let status = answer.map_or(0, |answer| answer.status);
            assert!([0, 302, 400, 404, 414, 431].contains(&status), "{bytes}: {status}");
            assert_sent(&world.follow("a").await, A);
        }
    }
    world.end().await;
}

/// The longest path of one request: four slugs could be meant, nothing is believed, nothing
/// answers well, and clicks of many wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_makes_few_requests_and_opens_few_connections() {
    let settings = [("WAYPOST_SLUG_SLASHES", "true"), ("WAYPOST_CLICK_FLUSH_MS", "")];
    let world = World::with(Sink::Queue, &settings).await;
    let path = ["a", "a/b", "a/b/c", "a/b/c/d"];
    for slug in path {
        world.stub.behind().store.insert(key(slug), record(1, 1, A));
    }
    let changes: Vec<_> = path.iter().map(|slug| (*slug, 2, false)).collect();
    world.publish(&changes);
    world.begin().await;
    // A buffer full of clicks that nobody took.
    world.answers_wait(false).await;
    world.stub.behind().set(Topic::Queue, Mood::Closed);
    world.stub.behind().set(Topic::Store, Mood::Status(500));
    world.stub.behind().links.insert(key("a/b/c/d"), record(1, 2, A));
    for _ in 0..6 {
        world.requests_of("a/b/c/d", 10_000, 50).await;
    }
    world.pass_until_idle().await;

    world.stub.behind().set(Topic::Store, Mood::Well);
    world.stub.behind().links.clear();
    for mood in [Mood::Well, Mood::Closed, Mood::Status(500)] {
        world.pass(61_000).await;
        world.stub.behind().set(Topic::Queue, mood.clone());
        world.stub.behind().set(Topic::StoreState, mood.clone());
        world.stub.behind().take_seen();
        world.stub.behind().open_max = 0;
        world.follow("a/b/c/d").await;
        world.pass_until_idle().await;
        let behind = world.stub.behind();
        let (made, open) = (behind.seen.len(), behind.open_max);
        assert!((8..=SUBREQUESTS_MAX).contains(&made), "{mood:?}: {made}: {:?}", behind.seen);
        assert!(open <= CONNECTIONS_MAX, "{mood:?}: {open}");
    }
    world.end().await;
}

/// What runs after an answer ends in time, if nothing at all answers, with the longest waits that
/// can be set.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_after_an_answer_ends_in_30_s() {
    let longest = [
        ("WAYPOST_ORIGIN_TIMEOUT_MS", "4500"),
        ("WAYPOST_STORE_TIMEOUT_MS", "10000"),
        ("WAYPOST_CLICK_FLUSH_MS", "2000"),
    ];
    for settings in [&[("WAYPOST_CLICK_FLUSH_MS", "2000")][..], &longest[..]] {
        for sink in [Sink::Queue, Sink::Origin] {
            let world = World::with(sink, settings).await;
            world.stub.behind().store.insert(key("a"), record(1, 1, A));
            world.answers_wait(false).await;
            world.pass(30_000).await;
            for topic in [Topic::StoreState, Topic::State, Topic::Queue, Topic::Clicks] {
                world.stub.behind().set(topic, Mood::Silent);
            }
            assert_sent(&world.follow("a").await, A);
            world.pass(WAIT_UNTIL_MAX_MS).await;
            let status = world.control.status().await;
            assert_eq!(status.dues, [0; 0], "{sink:?} {settings:?}: it waits on");
            world.settle().await;
            world.end().await;
        }
    }
}

/// A queue that takes everything, but each call only after four seconds, and a buffer full of
/// clicks: more than fits into the time after one answer. What is left goes with the next visitor.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_queue_does_not_take_in_30_s_waits_for_the_next_visitor() {
    const CALL_MS: i64 = 4_000;
    const CLICKS: u64 = 3_000;
    let settings = [("WAYPOST_CLICK_FLUSH_MS", "2000"), ("WAYPOST_ORIGIN_TIMEOUT_MS", "4500")];
    let world = World::with(Sink::Queue, &settings).await;
    world.answers_wait(false).await;
    world.begin_with_record(&record(1, 1, A)).await;
    world.stub.behind().set(Topic::Queue, Mood::Closed);
    // Clicks as long as they can be: three megabytes of them.
    let names = ["source", "medium", "campaign", "term", "content"];
    let texts = names.map(|name| format!("utm_{name}={{}}{name}{}", "x".repeat(240)));
    let slug = format!("a?{}", texts.join("&"));
    assert_eq!(world.requests_of(&slug, CLICKS, 50).await, [(302, CLICKS)].into());
    world.pass_until_idle().await;

    world.stub.behind().set(Topic::Queue, Mood::Held);
    let mut deliveries = 0;
    while world.ledger().links.len() < 2_000 {
        deliveries += 1;
        assert!(deliveries < 5, "{} arrived", world.ledger().links.len());
        assert_sent(&world.follow("b").await, A);
        let begun = world.now();
        world.pass_a_wait_of(2_000).await;
        let mut calls = 0;
        world.stub.behind().take_seen();
        loop {
            calls += 1;
            let status = world.control.until("a call, or the end", |status| {
                status.duties == 0 || world.asked(Topic::Queue) == calls
            });
            if status.await.duties == 0 {
                break;
            }
            world.pass(CALL_MS).await;
            world.stub.release();
            let answered = world.stub.until("the answer", |behind| behind.open() == 0);
            answered.await;
            let after_ms = world.now().ms_since(begun);
            assert!(after_ms <= WAIT_UNTIL_MAX_MS, "call {calls} of a delivery: {after_ms} ms");
        }
    }
    world.end().await;
}

/// A visitor is answered in bounded time, whatever hangs.
#[tokio::test(flavor = "multi_thread")]
async fn no_visitor_waits_for_ever() {
    let world = World::start().await;
    world.stub.behind().set(Topic::Store, Mood::Silent);
    world.stub.behind().set(Topic::Resolve, Mood::Silent);
    let (answer, ()) = tokio::join!(world.follow("a"), async {
        world.stub.until("the read", |behind| behind.count(Topic::Store) == 1).await;
        world.pass_a_wait_of(1_000).await;
        world.pass_a_wait_of(3_000).await;
    });
    assert_unavailable(&answer);
    world.end().await;
}

/// Forms are read as far as a password can be in them, and waited for so long.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_may_be_long_or_never_come() {
    const FORM_TIMEOUT_MS: i64 = 5_000;
    let locked = LinkRecord { password_version: Some(1), ..live(LinkId(1), 1, A) };
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), codec::encode(&locked));
    world.stub.behind().unlocks = Some(Unlocked::Wrong);
    let long = format!("password=sesame&rest={}", "x".repeat(1024 * 1024));
    let wrong = world.post("a", "password=sesame").await;
    assert_eq!(wrong.status, 403);
    let nothing = world.post("a", "").await;
    for form in [long, format!("password=sesame&{}", "x=y&".repeat(10_000))] {
        assert_eq!(world.post("a", &form).await, wrong);
    }
    assert_eq!(world.asked(Topic::Unlock), 3);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("content-length", "15")];
    for begun in ["", "password=ses"] {
        let (answer, ()) = tokio::join!(
            async {
                let request = format!("{}{begun}", request("POST", "a", &headers));
                Client::new(world.workerd.proxy).send(request.as_bytes()).await.unwrap()
            },
            world.pass_a_wait_of(FORM_TIMEOUT_MS)
        );
        assert_eq!(answer, nothing, "{begun:?}");
    }
    assert_eq!(world.asked(Topic::Unlock), 3, "half a password is none");
    world.end().await;
}

/// How many requests the memory is watched over; WAYPOST_MEMORY_REQUESTS sets another number.
const REQUESTS: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_however_many_links_are_followed() {
    const PART: u64 = 10_000;
    let requests = std::env::var("WAYPOST_MEMORY_REQUESTS");
    let requests = requests.map_or(REQUESTS, |text| text.parse().unwrap());
    let settings = [("WAYPOST_CACHE_BYTES", "1048576"), ("WAYPOST_CLICK_FLUSH_MS", "")];
    let world = World::with(Sink::Queue, &settings).await;
    world.answers_wait(false).await;
    world.begin_with_record(&record(1, 1, A)).await;
    let (mut memories, mut clicks) = (Vec::new(), 0);
    for part in 0..requests.div_ceil(PART) {
        let statuses = world.requests(part * PART, PART, 100).await;
        assert_eq!(statuses, [(302, PART)].into());
        // Clicks that wait for others go out, as they do every two seconds.
        world.pass_until_idle().await;
        clicks += world.ledger().links.len() as u64;
        world.stub.behind().batches.clear();
        world.stub.behind().take_seen();
        let status = world.control.status().await;
        assert_eq!(status.memories.len(), 1, "no instance was born again");
        memories.push(status.memories[0]);
    }
    assert_eq!(clicks, requests.div_ceil(PART) * PART);
    // Room is made and given back all the time, so a few pages of 64 KiB more are no leak; a byte
    // for each request would be.
    let (early, late) = (memories[1], memories[memories.len() - 1]);
    assert!(late <= early + 4 * 64 * 1024, "{requests} requests: {memories:?}");
    assert!(late < 8 * 1024 * 1024, "{late} bytes");
    world.end().await;
}

/// The largest memory for records that can be set, full of the longest records.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_memory_for_records_fits_into_an_instance() {
    const RECORDS: u64 = 8_000;
    let settings = [("WAYPOST_CACHE_BYTES", "100663296"), ("WAYPOST_CLICK_FLUSH_MS", "")];
    let world = World::with(Sink::Queue, &settings).await;
    world.answers_wait(false).await;
    let (destination, record) = longest_record();
    world.begin_with_record(&record).await;
    let statuses = world.requests(0, RECORDS, 20).await;
    assert_eq!(statuses, [(302, RECORDS)].into());
    let bytes = world.control.status().await.memories[0];
    assert!(bytes <= MEMORY_MAX_BYTES / 8 * 7, "{bytes} bytes");
    assert_sent(&world.follow("zzz").await, &destination);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_with_as_many_changes_as_there_may_be_is_taken_in() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    let full = full_state(&key(&"s".repeat(SLUG_MAX_BYTES - 4)));
    let full = state::decode(&full).unwrap();
    let mut changes = full.changes.clone();
    let a = key("a");
    let generation = Generation { link_id: 1, version: 2 };
    changes[CHANGES_MAX - 1] = Change { key: &a, generation, stopped: true };
    world.pass(30_000).await;
    let now = world.now();
    let bytes = state::encode(&EdgeState { published_at: now, since: now, changes, ..full });
    world.stub.behind().store.insert(STATE_KEY.to_owned(), bytes);
    world.refresh().await;
    assert_not_found(&world.follow("a").await);
    world.end().await;
}
