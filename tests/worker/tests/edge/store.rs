//! The store nearby: slow, failing, damaged, behind.

use tokio::join;
use waypost_tests_worker::client::Client;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, record};

use crate::answers::{A, B, assert_not_found, assert_sent, assert_unavailable};

/// How long the store is waited for unless something else is set.
const STORE_TIMEOUT_MS: i64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_read_once_and_then_remembered() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    for _ in 0..3 {
        assert_sent(&world.follow("a").await, A);
    }
    let seen: Vec<_> = {
        let behind = world.stub.behind();
        let reads = behind.seen.iter().filter(|seen| seen.topic == Topic::Store);
        reads.map(|seen| (seen.what.clone(), seen.age_max_seconds)).collect()
    };
    assert_eq!(seen, [("edge s.example/a".to_owned(), Some(3_600))]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_waited_for_so_long_and_passed_by() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, B));
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    for mood in [Mood::Silent, Mood::Stalled] {
        world.begin().await;
        world.stub.behind().set(Topic::Store, mood.clone());
        let (answer, ()) = join!(world.follow("a"), async {
            world.stub.until("the read", |behind| behind.count(Topic::Store) == 1).await;
            world.control.until("its bound", |s| s.dues.contains(&STORE_TIMEOUT_MS)).await;
            world.pass(STORE_TIMEOUT_MS - 1).await;
            assert_eq!(world.asked(Topic::Resolve), 0, "{mood:?}");
            world.pass(1).await;
        });
        assert_sent(&answer, A);
        let reads = world.stub.behind().take_seen();
        assert_eq!(reads[..2], ["edge s.example/a", "origin s.example/a"], "{mood:?}");
        assert_sent(&world.follow("a").await, A);
        assert_eq!(world.asked(Topic::Resolve), 0, "{mood:?}: it is remembered");
    }
    world.end().await;
}

/// What a store may answer instead of a record. A page under 404 is KV's own "there is none".
const FAILURES: [Mood; 8] = [
    Mood::Status(500),
    Mood::Status(429),
    Mood::Page(502),
    Mood::Page(404),
    Mood::Closed,
    Mood::Garbage,
    Mood::Cut,
    Mood::Damaged,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_passed_by() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, B));
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    for mood in FAILURES {
        world.begin().await;
        world.stub.behind().set(Topic::Store, mood.clone());
        assert_sent(&world.follow("a").await, A);
        let seen = world.stub.behind().take_seen();
        assert_eq!(seen, ["edge s.example/a", "origin s.example/a", "queue 1"], "{mood:?}");
        // What the origin says that there is not, there is not.
        assert_not_found(&world.follow("b").await);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_store_and_origin_there_is_an_answer_and_it_is_not_404() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    world.stub.behind().set(Topic::Resolve, Mood::Closed);
    for mood in FAILURES {
        world.begin().await;
        world.stub.behind().set(Topic::Store, mood.clone());
        for _ in 0..2 {
            assert_unavailable(&world.follow("a").await);
        }
        // It heals by itself, because a failure is not remembered.
        world.stub.behind().set(Topic::Store, Mood::Well);
        assert_sent(&world.follow("a").await, A);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_origin_the_store_is_all_there_is() {
    let world = World::with(Sink::Queue, &[("WAYPOST_ORIGIN_URL", "")]).await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    assert_not_found(&world.follow("b").await);
    for mood in [Mood::Status(500), Mood::Closed, Mood::Damaged] {
        world.stub.behind().set(Topic::Store, mood);
        assert_unavailable(&world.follow("c").await);
        assert_sent(&world.follow("a").await, A);
    }
    assert_eq!(world.asked(Topic::Resolve), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_is_remembered_for_15_s_and_no_longer() {
    let world = World::start().await;
    assert_not_found(&world.follow("new").await);
    world.stub.behind().links.insert(key("new"), record(1, 1, A));
    world.stub.behind().take_seen();
    world.pass(14_999).await;
    assert_not_found(&world.follow("new").await);
    assert_eq!(world.stub.behind().take_seen(), ["queue 1"], "only the click");
    world.pass(1).await;
    assert_sent(&world.follow("new").await, A);
    let seen = world.stub.behind().take_seen();
    assert_eq!(seen, ["edge s.example/new", "origin s.example/new", "queue 1"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_that_the_platform_does_not_admit_is_not_asked_of_the_origin() {
    let world = World::start().await;
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.limit_misses(false).await;
    assert_unavailable(&world.follow("a").await);
    assert_eq!(world.stub.behind().take_seen(), ["edge s.example/a"]);
    world.limit_misses(true).await;
    assert_sent(&world.follow("a").await, A);
    world.end().await;
}

/// Whoever is between visitors and the Worker may hand over the whole address, or path and host.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_may_come_in_parts() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    let visitors = Client::new(world.workerd.host);
    let request = b"GET /a?x=1 HTTP/1.1\r\nhost: S.Example:8787\r\n\r\n";
    assert_sent(&visitors.send(request).await.unwrap(), A);
    world.end().await;
}
