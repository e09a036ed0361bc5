//! Every wait has an end: what visitors wait for, and what runs after they were answered.

use waypost_service::model::LinkId;
use waypost_tests_worker::client::Client;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, live, record, request};
use waypost_wire::codec;
use waypost_wire::origin::Unlocked;
use waypost_wire::record::LinkRecord;

use crate::answers::{A, assert_sent, assert_unavailable};

/// How long something may still run after an answer (`waitUntil`).
const WAIT_UNTIL_MAX_MS: i64 = 30_000;

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
        world.stub.behind().take_seen();
        world.pass_a_wait_of(2_000).await;
        for calls in 1.. {
            let is_over = |duties| duties == 0 || world.asked(Topic::Queue) == calls;
            let over = world.control.until("a call, or the end", |status| is_over(status.duties));
            if over.await.duties == 0 {
                break;
            }
            world.pass(CALL_MS).await;
            world.stub.release();
            let after_ms = world.now().ms_since(begun);
            assert!(after_ms <= WAIT_UNTIL_MAX_MS, "call {calls}: {after_ms} ms");
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
