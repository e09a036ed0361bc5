//! Limits that Cloudflare's platform enforces and the open runtime does not: what they are, and
//! that the Worker stays within them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use waypost_service::model::LinkId;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::workerd::Build;
use waypost_tests_worker::world::{DOMAIN, World, key, live, record, request};
use waypost_wire::codec::{self, RECORD_MAX_BYTES};
use waypost_wire::key::{LinkKey, SLUG_MAX_BYTES};
use waypost_wire::record::{Generation, LinkRecord};
use waypost_wire::state::{self, CHANGES_MAX, Change, EdgeState, STATE_KEY};

use crate::answers::{A, assert_not_found, assert_sent};

/// The free plan's limit for a Worker, compressed.
const BUNDLE_MAX_BYTES: usize = 3 * 1024 * 1024;
/// What Waypost allows itself.
const BUNDLE_OUR_MAX_BYTES: usize = 120_000;
/// Requests that one request may make (free plan).
const SUBREQUESTS_MAX: usize = 50;
/// Connections that one request may have open.
const CONNECTIONS_MAX: usize = 6;
/// Headers of a request, and of an answer.
const HEADERS_MAX_BYTES: usize = 128 * 1024;
/// An address.
const URL_MAX_BYTES: usize = 16 * 1024;
/// The longest key of a record: a domain, a slash, a slug.
const KEY_LONGEST_BYTES: usize = 253 + 1 + SLUG_MAX_BYTES;
/// Keys and values of KV.
const KEY_MAX_BYTES: usize = 512;
const VALUE_MAX_BYTES: usize = 25 * 1024 * 1024;

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
    assert_eq!(longest.as_str().len(), KEY_LONGEST_BYTES);
    const { assert!(KEY_LONGEST_BYTES <= KEY_MAX_BYTES) };
    assert!(STATE_KEY.len() <= KEY_MAX_BYTES);
    const { assert!(RECORD_MAX_BYTES <= VALUE_MAX_BYTES) };
    let bytes = full_state(&longest.as_str()[4..]).len();
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
pub fn longest_record() -> (String, Vec<u8>) {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_state_with_as_many_changes_as_there_may_be_is_taken_in() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    let full = full_state(&"s".repeat(KEY_LONGEST_BYTES - 4));
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
