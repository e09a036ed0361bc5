//! Many visitors at once, and many slugs that are none.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;
use waypost_tests::seed;
use waypost_tests::wire::Raw;
use waypost_tests_worker::client::Client;
use waypost_tests_worker::control::Command;
use waypost_tests_worker::settings::Sink;
use waypost_tests_worker::stub::{Mood, Topic};
use waypost_tests_worker::world::{World, key, record, request};
use waypost_wire::check::looks_generated;

use crate::answers::{A, assert_sent, assert_unavailable};

/// Visitors of a crowd.
const CROWD: usize = 200;

/// A crowd of visitors on connections of their own, who come before anything is answered.
struct Crowd(JoinSet<Raw>);

impl Crowd {
    async fn gather(world: &World, slug: &'static str) -> Self {
        let began = world.control.status().await.began;
        let mut visitors = JoinSet::new();
        for _ in 0..CROWD {
            let address = world.workerd.proxy;
            visitors.spawn(async move {
                Client::new(address).send(request("GET", slug, &[]).as_bytes()).await.unwrap()
            });
        }
        let all = began + CROWD as u64;
        world.control.until("the crowd", |status| status.began == all).await;
        Self(visitors)
    }

    async fn answers(self) -> Vec<Raw> {
        self.0.join_all().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_a_cold_link_reads_once() {
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    world.stub.behind().set(Topic::Store, Mood::Held);
    let crowd = Crowd::gather(&world, "a").await;
    world.stub.until("the read", |behind| behind.count(Topic::Store) == 1).await;
    world.stub.release();
    for answer in crowd.answers().await {
        assert_sent(&answer, A);
    }
    assert_eq!(world.asked(Topic::Store), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_a_link_that_only_the_origin_has_asks_once() {
    let world = World::start().await;
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.stub.behind().set(Topic::Resolve, Mood::Held);
    let crowd = Crowd::gather(&world, "a").await;
    world.stub.until("the question", |behind| behind.count(Topic::Resolve) == 1).await;
    world.stub.release();
    for answer in crowd.answers().await {
        assert_sent(&answer, A);
    }
    assert_eq!((world.asked(Topic::Store), world.asked(Topic::Resolve)), (1, 1));
    world.end().await;
}

/// The visitor who was first goes away while others wait for the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_whose_first_visitor_leaves_is_answered() {
    let world = World::start().await;
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.stub.behind().set(Topic::Store, Mood::Silent);
    let address = world.workerd.proxy;
    let first = tokio::spawn(async move {
        Client::new(address).send(request("GET", "a", &[]).as_bytes()).await
    });
    world.stub.until("the read", |behind| behind.count(Topic::Store) == 1).await;
    let crowd = Crowd::gather(&world, "a").await;
    first.abort();
    world.pass(1_000).await;
    for answer in crowd.answers().await {
        assert_sent(&answer, A);
    }
    assert_eq!((world.asked(Topic::Store), world.asked(Topic::Resolve)), (1, 1));
    world.end().await;
}

/// The runtime may end a request half way, without a word: then nobody else must wait for ever,
/// and not all of them read.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_whose_reader_is_ended_by_the_runtime_is_answered() {
    /// As long as one read of everything may take: the store twice, and the origin.
    const FLIGHT_MS: i64 = 5_000;
    let world = World::start().await;
    world.stub.behind().store.insert(key("a"), record(1, 1, A));
    world.stub.behind().links.insert(key("a"), record(1, 1, A));
    world.control.run(&[Command::abandon_reads(1)]).await;
    let ended = world.follow("a").await;
    assert_eq!(ended.status, 500, "the runtime's own answer: {}", ended.text());
    let crowd = Crowd::gather(&world, "a").await;
    world.pass(FLIGHT_MS).await;
    for answer in crowd.answers().await {
        assert_sent(&answer, A);
    }
    let reads = world.asked(Topic::Store);
    assert!(reads <= 2, "{reads} reads");
    world.end().await;
}

/// Nobody can read, and nobody makes it worse by asking again for each visitor.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_cannot_be_served_does_not_ask_again_for_everybody() {
    let world = World::start().await;
    world.stub.behind().set(Topic::Store, Mood::Status(500));
    world.stub.behind().set(Topic::Resolve, Mood::Silent);
    let crowd = Crowd::gather(&world, "a").await;
    world.stub.until("the question", |behind| behind.count(Topic::Resolve) == 1).await;
    world.stub.behind().set(Topic::Resolve, Mood::Closed);
    world.pass(3_000).await;
    for answer in crowd.answers().await {
        assert_unavailable(&answer);
    }
    let asked = (world.asked(Topic::Store), world.asked(Topic::Resolve));
    assert!(asked.0 <= 2 && asked.1 <= 2, "{asked:?}");
    world.end().await;
}

/// Slugs of the shape of codes, as somebody makes them up who does not know the key.
fn random_slugs(count: usize) -> Vec<String> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // SplitMix64 from a fixed seed: the same slugs in every run.
    let mut state = 2026_u64;
    let mut draw = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 62
    };
    let mut slugs = BTreeSet::new();
    while slugs.len() < count {
        let letters = (0..8).map(|_| char::from(LETTERS[usize::try_from(draw()).unwrap()]));
        let slug: String = letters.collect();
        if looks_generated(&slug) {
            slugs.insert(slug);
        }
    }
    slugs.into_iter().collect()
}

/// Follows slugs, `width` at a time; how many answers had which status.
async fn follow_all(world: &World, slugs: Vec<String>, width: usize) -> BTreeMap<u16, usize> {
    let mut visitors = JoinSet::new();
    for part in slugs.chunks(slugs.len().div_ceil(width)) {
        let (client, part) = (Client::new(world.workerd.proxy), part.to_vec());
        visitors.spawn(async move {
            let mut statuses = BTreeMap::<u16, usize>::new();
            for slug in part {
                let answer = client.send(request("GET", &slug, &[]).as_bytes()).await.unwrap();
                *statuses.entry(answer.status).or_default() += 1;
            }
            statuses
        });
    }
    let mut all = BTreeMap::new();
    for (status, count) in visitors.join_all().await.into_iter().flatten() {
        *all.entry(status).or_default() += count;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_slugs_are_not_read_if_their_check_character_is_wrong() {
    let slugs = random_slugs(10_000);
    let key = seed::check_key();
    let accepted = slugs.iter().filter(|slug| !key.refuses(slug)).count();
    assert!((1..200).contains(&accepted), "{accepted} of 10,000");
    let world = World::with(Sink::Queue, &[("WAYPOST_DOMAINS", "s.example")]).await;
    assert_eq!(follow_all(&world, slugs, 8).await, BTreeMap::from([(404, 10_000)]));
    let asked = (world.asked(Topic::Store), world.asked(Topic::Resolve));
    assert_eq!(asked, (accepted, accepted));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slugs_without_check_characters_are_read_once_each() {
    let mut slugs = random_slugs(1_000);
    slugs.extend(slugs.clone());
    let world = World::start().await;
    assert_eq!(follow_all(&world, slugs, 8).await, BTreeMap::from([(404, 2_000)]));
    assert_eq!((world.asked(Topic::Store), world.asked(Topic::Resolve)), (1_000, 1_000));
    world.end().await;
}
