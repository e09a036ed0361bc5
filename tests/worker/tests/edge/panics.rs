//! A Worker built with the feature `inject` breaks when a request's header tells it to: it panics,
//! runs out of stack, or out of memory. All of them leave an instance that must not go on.

use tokio::task::JoinSet;
use waypost_service::model::LinkId;
use waypost_tests::wire::Raw;
use waypost_tests_worker::client::Client;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::workerd::Build;
use waypost_tests_worker::world::{World, key, live, record, request};
use waypost_wire::codec;
use waypost_wire::origin::Used;
use waypost_wire::record::LinkRecord;

use crate::answers::{A, assert_sent, assert_whole};

async fn world() -> World {
    let world = World::on(Build::Inject, Sink::Queue, &[]).await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    world
}

/// Breaks the instance: whoever did it is told to come again.
async fn break_it(world: &World, way: &str) {
    assert_broken(&world.send("GET", "a", &[("x-waypost-inject", way)]).await);
}

fn assert_broken(answer: &Raw) {
    let headers = [
        ("cache-control", "no-store"),
        ("content-type", "text/plain; charset=utf-8"),
        ("retry-after", "5"),
    ];
    let text = "This link cannot be opened right now. Please try again.\n";
    assert_whole(answer, 503, &headers, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_an_instance_harms_no_later_one() {
    let world = world().await;
    // Running out of memory takes seconds, and four gigabytes: once is enough.
    let ways = ["panic", "panic", "overflow", "overflow", "memory", "panic"];
    for (at, way) in ways.into_iter().enumerate() {
        assert_sent(&world.follow("a").await, A);
        break_it(&world, way).await;
        assert_sent(&world.follow("a").await, A);
        let status = world.control.status().await;
        assert_eq!(status.memories.len(), at + 2, "a new instance after {way}");
    }
    world.end().await;
}

/// Eight requests are under way, waiting for the store, when another one breaks the instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_an_instance_harms_none_beside_it() {
    for way in ["panic", "overflow"] {
        let world = world().await;
        world.stub.behind().set(Topic::Store, Mood::Held);
        let mut neighbours = JoinSet::new();
        for at in 0..8 {
            let (address, slug) = (world.workerd.proxy, format!("n{at}"));
            world.stub.behind().store.insert(key(&slug), record(at + 10, 1, A));
            neighbours.spawn(async move {
                Client::new(address).send(request("GET", &slug, &[]).as_bytes()).await.unwrap()
            });
        }
        world.stub.until("their reads", |behind| behind.count(Topic::Store) == 8).await;
        break_it(&world, way).await;
        world.stub.behind().set(Topic::Store, Mood::Well);
        world.stub.release();
        let answers = neighbours.join_all().await;
        assert_eq!(answers.len(), 8);
        for answer in &answers {
            assert_sent(answer, A);
        }
        world.end().await;
    }
}

/// Whoever may have taken a use already does not take another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_not_taken_twice_because_an_instance_broke() {
    let world = world().await;
    let limited = LinkRecord { limited: true, ..live(LinkId(7), 1, A) };
    world.stub.behind().store.insert(key("limited"), codec::encode(&limited));
    world.stub.behind().uses = Some(Used::Taken);
    world.stub.behind().set(Topic::Consume, Mood::Held);
    let (answer, ()) = tokio::join!(world.follow("limited"), async {
        world.stub.until("the use", |behind| behind.count(Topic::Consume) == 1).await;
        break_it(&world, "panic").await;
        world.stub.release();
    });
    assert_broken(&answer);
    assert_eq!(world.asked(Topic::Consume), 1);
    world.end().await;
}

/// Clicks that an instance accepted before it broke are delivered, or missing where it shows.
#[tokio::test(flavor = "multi_thread")]
async fn clicks_from_before_a_panic_arrive() {
    let world = world().await;
    world.answers_wait(false).await;
    world.stub.behind().set(Topic::Queue, Mood::Closed);
    for _ in 0..5 {
        assert_sent(&world.follow("a").await, A);
    }
    break_it(&world, "panic").await;
    for _ in 0..5 {
        assert_sent(&world.follow("a").await, A);
    }
    world.stub.behind().set(Topic::Queue, Mood::Well);
    world.pass_until_idle().await;
    assert_sent(&world.follow("a").await, A);
    world.settle().await;
    let ledger = world.ledger();
    let of_each = ledger.sources().into_iter().map(|source| {
        assert_eq!(ledger.gaps(source), [0; 0]);
        ledger.of_source(source).len()
    });
    let mut of_each: Vec<usize> = of_each.collect();
    of_each.sort_unstable();
    assert_eq!(of_each, [5, 6], "before and after");
    world.end().await;
}
