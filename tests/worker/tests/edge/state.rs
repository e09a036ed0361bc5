//! The state that all edges share: what changed, what stopped, and when it cannot be read.

use waypost_service::model::LinkId;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, live, record, state_bytes};
use waypost_wire::codec;
use waypost_wire::record::{LinkRecord, LinkState};
use waypost_wire::state::STATE_KEY;

use crate::answers::{A, B, assert_not_found, assert_sent, assert_sent_stale, assert_unavailable};

const REFRESH_MS: i64 = 30_000;

fn disabled(version: u64) -> Vec<u8> {
    codec::encode(&LinkRecord { state: LinkState::Disabled, ..live(LinkId(1), version, A) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_stops_as_soon_as_the_state_says_so() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    // It was disabled. The store nearby still has the old record, and the memory too.
    world.stub.behind().links.insert(key("a"), disabled(2));
    world.pass(REFRESH_MS - 1).await;
    world.publish(&[("a", 2, true)]);
    world.refresh().await;
    assert_sent(&world.follow("a").await, A);
    world.pass(1).await;
    world.refresh().await;
    assert_not_found(&world.follow("a").await);
    let seen = world.stub.behind().take_seen();
    let reads = ["edge s.example/a", "edge s.example/a", "origin s.example/a"];
    assert_eq!(seen, reads, "past the store's own copy, and then past the store");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_is_not_shown_even_if_nothing_newer_can_be_read() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    world.pass(REFRESH_MS).await;
    world.publish(&[("a", 2, true)]);
    world.refresh().await;
    world.stub.behind().set(Topic::Resolve, Mood::Closed);
    assert_unavailable(&world.follow("a").await);
    world.stub.behind().set(Topic::Store, Mood::Status(500));
    assert_unavailable(&world.follow("a").await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_read_where_it_is() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    world.pass(REFRESH_MS).await;
    world.publish(&[("a", 2, false)]);
    world.refresh().await;
    // Behind, and nobody else: better than nothing, and said so.
    world.stub.behind().set(Topic::Resolve, Mood::Closed);
    assert_sent_stale(&world.follow("a").await, A, 1);
    world.stub.behind().set(Topic::Resolve, Mood::Well);
    world.stub.behind().links.insert(key("a"), record(1, 2, B));
    assert_sent(&world.follow("a").await, B);
    // The store has caught up.
    world.begin().await;
    world.stub.behind().store.insert(key("a"), record(1, 2, B));
    assert_sent(&world.follow("a").await, B);
    assert_eq!(world.asked(Topic::Resolve), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_link_is_there_as_soon_as_the_state_says_so() {
    let world = World::with(Sink::Queue, &[("WAYPOST_MISSING_SECONDS", "300")]).await;
    assert_not_found(&world.follow("new").await);
    world.stub.behind().links.insert(key("new"), record(1, 1, A));
    world.pass(REFRESH_MS).await;
    world.refresh().await;
    assert_not_found(&world.follow("new").await);
    assert_eq!(world.asked(Topic::Store), 0, "absence is remembered for 300 s here");
    world.pass(REFRESH_MS).await;
    world.publish(&[("new", 1, false)]);
    world.refresh().await;
    // The store nearby still denies it.
    assert_sent(&world.follow("new").await, A);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_for_120_s_what_was_read_60_s_ago_is_read_again() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    world.stub.behind().set(Topic::StoreState, Mood::Status(500));
    // Somebody asks every 30 s, and in vain.
    for _ in 0..4 {
        world.pass(REFRESH_MS).await;
        world.refresh().await;
    }
    assert_sent(&world.follow("a").await, A);
    assert_eq!(world.asked(Topic::Store), 0, "the state is 120 s old");
    world.pass(1).await;
    assert_sent(&world.follow("a").await, A);
    let reads = |world: &World| {
        let behind = world.stub.behind();
        let reads = behind.seen.iter().filter(|seen| seen.topic == Topic::Store);
        reads.map(|seen| seen.age_max_seconds).collect::<Vec<_>>()
    };
    assert_eq!(reads(&world), [Some(60)], "read again, and the store may not be older either");
    world.pass(60_000).await;
    world.refresh().await;
    assert_sent(&world.follow("a").await, A);
    assert_eq!(reads(&world), [], "read 60 s ago");
    world.pass(1).await;
    assert_sent(&world.follow("a").await, A);
    assert_eq!(reads(&world), [Some(60)]);
    // Nothing can be read: what was good goes on, and says how old it is.
    world.pass(61_000).await;
    world.stub.behind().set(Topic::Store, Mood::Status(500));
    world.stub.behind().set(Topic::Resolve, Mood::Closed);
    assert_sent_stale(&world.follow("a").await, A, 61);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_tells_the_state_where_the_store_has_none() {
    let world = World::start().await;
    for mood in [Mood::Status(500), Mood::Closed, Mood::Damaged, Mood::Page(404)] {
        let now = world.now();
        world.publish(&[]);
        world.stub.behind().set(Topic::StoreState, Mood::Well);
        world.stub.behind().store.insert(key("a"), record(1, 1, A));
        world.begin().await;
        assert_sent(&world.follow("a").await, A);
        world.pass(REFRESH_MS).await;
        world.stub.behind().set(Topic::StoreState, mood.clone());
        world.stub.behind().links.insert(key("a"), disabled(2));
        world.stub.behind().state = Some(state_bytes(world.now(), &[("a", 2, true)]));
        world.stub.behind().take_seen();
        world.refresh().await;
        assert_not_found(&world.follow("a").await);
        assert!(world.now() > now, "{mood:?}");
    }
    world.end().await;
}

/// A state that nobody keeps up is as bad as none.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_from_long_ago_is_no_news() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    assert_sent(&world.follow("a").await, A);
    let old = world.stub.behind().store[STATE_KEY].clone();
    for _ in 0..16 {
        world.pass(REFRESH_MS).await;
        world.refresh().await;
    }
    assert_eq!(world.stub.behind().store[STATE_KEY], old);
    assert_sent(&world.follow("a").await, A);
    assert_eq!(world.asked(Topic::Store), 1, "read again, after 480 s");
    world.end().await;
}
