//! Clicks on their way out: every one arrives once, or is missing where everybody sees it.

use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, record};

use crate::answers::{A, assert_sent};

/// What a delivery waits for before each further try.
const PAUSES_MS: [i64; 3] = [500, 2_000, 6_000];

/// A world with the links 1 to 9, in which answers do not wait for clicks.
async fn world(sink: Sink, settings: &[(&str, &str)]) -> World {
    let world = World::with(sink, settings).await;
    for id in 1..=9 {
        world.stub.behind().store.insert(key(&id.to_string()), record(id, 1, A));
    }
    world.answers_wait(false).await;
    world
}

const fn topic(sink: Sink) -> Topic {
    match sink {
        Sink::Queue => Topic::Queue,
        Sink::Origin => Topic::Clicks,
    }
}

/// Follows links, one after the other.
async fn follow(world: &World, links: impl IntoIterator<Item = u64>) {
    for link in links {
        assert_sent(&world.follow(&link.to_string()).await, A);
    }
}

/// All that arrived is of one source, and nothing is missing.
fn assert_arrived(world: &World, links: &[u64]) {
    let ledger = world.ledger();
    let sources = ledger.sources();
    let source = sources.first().copied().unwrap_or_default();
    assert_eq!((sources.len(), ledger.gaps(source)), (1, vec![]), "{ledger:?}");
    assert_eq!(ledger.of_source(source), links);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_clicks() {
    for sink in [Sink::Queue, Sink::Origin] {
        let world = world(sink, &[]).await;
        world.stub.behind().set(topic(sink), Mood::Silent);
        follow(&world, 1..=9).await;
        world.stub.until("clicks", |behind| behind.count(topic(sink)) >= 1).await;
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_wait_2_s_for_each_other_and_go_together() {
    for sink in [Sink::Queue, Sink::Origin] {
        let world = world(sink, &[("WAYPOST_CLICK_FLUSH_MS", "")]).await;
        follow(&world, 1..=4).await;
        world.pass(1_999).await;
        follow(&world, 5..=9).await;
        assert_eq!(world.asked(topic(sink)), 0);
        world.pass(1).await;
        world.stub.until("clicks", |behind| !behind.batches.is_empty()).await;
        world.settle().await;
        assert_eq!(world.stub.behind().batches.len(), 1);
        assert_arrived(&world, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        world.end().await;
    }
}

/// How the other end can fail a call as a whole, such that it has none of the clicks, or all.
fn failures(sink: Sink) -> Vec<Mood> {
    let mut failures =
        vec![Mood::Closed, Mood::Garbage, Mood::Page(500), Mood::Page(200), Mood::Lost, Mood::Cut];
    failures.extend([Mood::Status(503), Mood::Damaged]);
    if sink == Sink::Origin {
        failures.extend([Mood::Unsigned, Mood::Forged, Mood::Replayed]);
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn every_click_arrives_after_a_failure() {
    for sink in [Sink::Queue, Sink::Origin] {
        let world = world(sink, &[]).await;
        for mood in failures(sink) {
            world.begin().await;
            world.stub.behind().batches.clear();
            world.stub.behind().plan(topic(sink), [mood.clone(), mood.clone(), mood.clone()]);
            follow(&world, [1]).await;
            for pause in PAUSES_MS {
                world.pass_a_wait_of(pause).await;
            }
            world.settle().await;
            assert_eq!(world.asked(topic(sink)), 4, "{mood:?}");
            assert_arrived(&world, &[1]);
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_is_given_up_and_made_again() {
    for sink in [Sink::Queue, Sink::Origin] {
        let world = world(sink, &[]).await;
        for mood in [Mood::Silent, Mood::Stalled, Mood::Endless] {
            world.begin().await;
            world.stub.behind().batches.clear();
            world.stub.behind().plan(topic(sink), [mood.clone()]);
            follow(&world, [1]).await;
            world.stub.until("clicks", |behind| behind.count(topic(sink)) == 1).await;
            // What does not end is not waited for.
            if mood != Mood::Endless {
                world.pass_a_wait_of(3_000).await;
            }
            world.pass_a_wait_of(PAUSES_MS[0]).await;
            world.settle().await;
            assert_arrived(&world, &[1]);
        }
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_delivered_goes_with_the_next_visitor() {
    for sink in [Sink::Queue, Sink::Origin] {
        let world = world(sink, &[]).await;
        world.stub.behind().set(topic(sink), Mood::Closed);
        follow(&world, 1..=3).await;
        world.pass_until_idle().await;
        assert!(world.stub.behind().batches.is_empty());
        world.stub.behind().set(topic(sink), Mood::Well);
        follow(&world, [4]).await;
        world.settle().await;
        assert_arrived(&world, &[1, 2, 3, 4]);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_may_take_some_messages_and_refuse_others() {
    let world = world(Sink::Queue, &[]).await;
    world.stub.behind().set(Topic::Queue, Mood::Closed);
    // Each delivery begins a batch; what failed before goes along with the next.
    for link in 1..=4 {
        follow(&world, [link]).await;
        let calls = usize::try_from(link).unwrap();
        world.stub.until("a try", |behind| behind.count(Topic::Queue) == calls).await;
        world.control.until("its failure", |status| status.dues.len() >= calls).await;
    }
    let refused = vec![
        (0, false, "InternalError"),
        (1, true, "InvalidMessageContents"),
        (2, true, "AWS.SimpleQueueService.AccessDenied"),
    ];
    world.stub.behind().take_seen();
    world.stub.behind().set(Topic::Queue, Mood::Well);
    world.stub.behind().plan(Topic::Queue, [Mood::Refuses(refused)]);
    world.pass_a_wait_of(PAUSES_MS[0]).await;
    world.pass_a_wait_of(PAUSES_MS[1]).await;
    world.settle().await;
    assert_eq!(world.stub.behind().take_seen(), ["queue 4", "queue 2"]);
    let ledger = world.ledger();
    let source = ledger.sources().into_iter().next().unwrap();
    assert_eq!(ledger.of_source(source), [1, 3, 4], "the second is hopeless");
    assert_eq!(ledger.gaps(source), [1]);
    world.end().await;
}

/// The memory for clicks is bounded. What is given up is missing where everybody sees it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_a_gap_in_the_numbers() {
    const CLICKS: u64 = 20_000;
    let world = world(Sink::Queue, &[("WAYPOST_CLICK_FLUSH_MS", "")]).await;
    world.begin_with_record(&record(1, 1, A)).await;
    world.stub.behind().set(Topic::Queue, Mood::Closed);
    // Clicks as long as they can be: no two of them share a text.
    let names = ["source", "medium", "campaign", "term", "content"];
    let texts = names.map(|name| format!("utm_{name}={{}}{name}{}", "x".repeat(240)));
    let slug = format!("a?{}", texts.join("&"));
    assert_eq!(world.requests_of(&slug, CLICKS, 50).await, [(302, CLICKS)].into());
    world.pass_until_idle().await;
    world.stub.behind().set(Topic::Queue, Mood::Well);
    follow(&world, [1]).await;
    world.pass_a_wait_of(2_000).await;
    world.settle().await;
    let ledger = world.ledger();
    let source = ledger.sources().into_iter().next().unwrap();
    let (arrived, gaps) = (ledger.of_source(source).len() as u64, ledger.gaps(source));
    assert_eq!(arrived + gaps.len() as u64, CLICKS + 1);
    assert!(arrived > 2_000, "{arrived}: three megabytes of them");
    assert!(!gaps.is_empty(), "nothing was too much");
    world.end().await;
}
