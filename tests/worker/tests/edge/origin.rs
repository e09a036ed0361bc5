//! The origin: slow, down, lying.

use tokio::join;
use waypost_service::model::LinkId;
use waypost_tests::wire::Raw;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, live, record};
use waypost_wire::codec;
use waypost_wire::origin::{Unlocked, Used};
use waypost_wire::record::LinkRecord;

use crate::answers::{A, B, assert_sent, assert_sent_stale, assert_unavailable};

/// How long the origin is waited for unless something else is set.
const ORIGIN_TIMEOUT_MS: i64 = 3_000;

/// What must be taken for no answer at all.
const LIES: [Mood; 17] = [
    Mood::Closed,
    Mood::Garbage,
    Mood::Cut,
    Mood::Page(200),
    Mood::Page(404),
    Mood::Page(500),
    Mood::Moved(302),
    Mood::Moved(307),
    Mood::Unsigned,
    Mood::Forged,
    Mood::Replayed,
    Mood::Status(404),
    Mood::Status(201),
    Mood::OtherLink,
    Mood::Damaged,
    Mood::Endless,
    Mood::Silent,
];

/// Follows a link while the origin does not answer; the clock goes on as long as something is
/// waited for.
async fn follow_slowly(world: &World, slug: &str, mood: &Mood) -> Raw {
    if !matches!(mood, Mood::Silent | Mood::Endless) {
        return world.follow(slug).await;
    }
    let asked = world.asked(Topic::Resolve);
    let (answer, ()) = join!(world.follow(slug), async {
        world.stub.until("the question", |behind| behind.count(Topic::Resolve) > asked).await;
        world.pass(ORIGIN_TIMEOUT_MS).await;
    });
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_is_never_the_absence_of_a_link() {
    let world = World::start().await;
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.stub.behind().links.insert(key("other"), record(2, 1, B));
    for mood in LIES {
        world.begin().await;
        world.stub.behind().set(Topic::Resolve, mood.clone());
        assert_unavailable(&follow_slowly(&world, "a", &mood).await);
        let seen = world.stub.behind().take_seen();
        assert_eq!(seen, ["edge s.example/a", "origin s.example/a"], "{mood:?}: asked once");
        world.stub.behind().set(Topic::Resolve, Mood::Well);
        assert_sent(&world.follow("a").await, A);
    }
    let sent = world.stub.behind().endless_bytes;
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken of an answer without end");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_does_not_replace_what_was_good() {
    let world = World::start().await;
    for mood in LIES {
        world.stub.behind().set(Topic::Store, Mood::Well);
        world.stub.behind().store.insert(key("a"), record(1, 1, A));
        world.publish(&[]);
        world.begin().await;
        assert_sent(&world.follow("a").await, A);
        // It was changed; but where the new one is, nobody says.
        world.pass(30_000).await;
        world.publish(&[("a", 2, false)]);
        world.refresh().await;
        world.stub.behind().set(Topic::Store, Mood::Status(500));
        world.stub.behind().set(Topic::Resolve, mood.clone());
        assert_sent_stale(&follow_slowly(&world, "a", &mood).await, A, 30);
        // And now somebody does.
        world.stub.behind().links.insert(key("a"), record(1, 2, B));
        world.stub.behind().set(Topic::Resolve, Mood::Well);
        assert_sent(&world.follow("a").await, B);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_is_waited_for_so_long() {
    let world = World::start().await;
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.stub.behind().set(Topic::Resolve, Mood::Held);
    let (answer, ()) = join!(world.follow("a"), async {
        world.stub.until("the question", |behind| behind.count(Topic::Resolve) == 1).await;
        world.pass(ORIGIN_TIMEOUT_MS - 1).await;
        world.stub.release();
    });
    assert_sent(&answer, A);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_takes_no_use_and_opens_no_lock() {
    let limited = LinkRecord { limited: true, ..live(LinkId(1), 1, A) };
    let locked = LinkRecord { password_version: Some(1), ..live(LinkId(2), 1, A) };
    let world = World::start().await;
    {
        let mut behind = world.stub.behind();
        behind.store.insert(key("limited"), codec::encode(&limited));
        behind.store.insert(key("locked"), codec::encode(&locked));
        behind.uses = Some(Used::Taken);
        behind.unlocks = Some(Unlocked::Right);
    }
    for mood in LIES {
        if matches!(mood, Mood::Silent | Mood::Endless | Mood::OtherLink) {
            continue;
        }
        world.stub.behind().set(Topic::Consume, mood.clone());
        world.stub.behind().set(Topic::Unlock, mood.clone());
        assert_unavailable(&world.follow("limited").await);
        let asked = world.post("locked", "password=sesame").await;
        assert_unavailable(&asked);
        let seen = world.stub.behind().take_seen();
        let asks: Vec<_> = seen.iter().filter(|what| !what.starts_with("edge")).collect();
        assert_eq!(asks, ["take_use 1", "unlock s.example/locked sesame"], "{mood:?}");
    }
    world.stub.behind().set(Topic::Consume, Mood::Well);
    world.stub.behind().set(Topic::Unlock, Mood::Well);
    assert_sent(&world.follow("limited").await, A);
    assert_eq!(world.post("locked", "password=sesame").await.status, 303);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_far_apart_are_refused_and_the_store_still_serves() {
    for (skew_ms, is_far) in
        [(-301_000, true), (-299_000, false), (299_000, false), (301_000, true)]
    {
        let world = World::start().await;
        world.stub.behind().store.insert(key("a"), record(1, 1, A));
        world.stub.behind().links.insert(key("b"), record(2, 1, B));
        let now = world.now();
        world.stub.behind().now = now.plus_ms(skew_ms);
        assert_sent(&world.follow("a").await, A);
        let answer = world.follow("b").await;
        match is_far {
            true => assert_unavailable(&answer),
            false => assert_sent(&answer, B),
        }
        assert_eq!(world.stub.behind().refused.len(), usize::from(is_far), "{skew_ms}");
        world.end().await;
    }
}
