//! An outpost on a platform that answers by script.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::task::Poll;

use futures::executor::block_on;
use futures::future::join_all;
use waypost_core::facts::RequestFacts;
use waypost_wire::click::Batch;
use waypost_wire::codec::encode;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::origin::{Answer, Question, Resolved, Stored, Unlocked, Used};
use waypost_wire::record::{Generation, LinkRecord, LinkState, RedirectStatus};
use waypost_wire::state::{self, Change, EdgeState, STATE_KEY};
use waypost_wire::time::Timestamp;

use crate::settings::EdgeSettings;
use crate::{Failed, HttpAnswer, HttpRequest, Outpost, Platform};

mod clicks;

const START: Timestamp = Timestamp(1_780_315_200_000);
const KEYS: &str = "check:00000000000000000000000000000000 \
    cookie:0000000000000000000000000000000000000000000000000000000000000001 \
    origin:0000000000000000000000000000000000000000000000000000000000000002 \
    sticky:00000000000000000000000000000003";

fn origin_key() -> OriginKey {
    let mut key = [0; 32];
    key[31] = 2;
    OriginKey::new(key)
}

/// How the origin behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    Down,
    /// Another server answers at its address.
    Html,
    /// Right answers, signed with another key.
    Forged,
    /// Signed, but about another link.
    OtherLink,
    /// Signed, but the record is damaged.
    Damaged,
}

#[derive(Default)]
struct World {
    now: Cell<i64>,
    store: RefCell<BTreeMap<String, Vec<u8>>>,
    store_fails: Cell<bool>,
    links: RefCell<BTreeMap<String, Vec<u8>>>,
    mood: Cell<Mood>,
    refuses_misses: Cell<bool>,
    /// The origin answers when it is asked for the state.
    origin_tells: Cell<bool>,
    /// What happened, in order.
    log: RefCell<Vec<String>>,
    /// Batches that arrived, as links of their clicks.
    clicks: RefCell<Vec<(u64, Vec<u64>)>>,
    landed: RefCell<Vec<u32>>,
    queue_answers: RefCell<VecDeque<HttpAnswer>>,
}

impl World {
    fn new() -> Self {
        Self { now: Cell::new(START.0), ..Self::default() }
    }

    fn pass(&self, ms: i64) {
        self.now.set(self.now.get() + ms);
    }

    fn log(&self) -> Vec<String> {
        self.log.take()
    }

    fn put(&self, slug: &str, record: Vec<u8>) {
        self.store.borrow_mut().insert(key(slug), record);
    }

    fn publish(&self, changes: &[(&str, u64, bool)]) {
        let keys: Vec<String> = changes.iter().map(|(slug, ..)| key(slug)).collect();
        let changes = changes.iter().zip(&keys).map(|((_, version, stopped), key)| Change {
            key,
            generation: Generation { link_id: 9, version: *version },
            stopped: *stopped,
        });
        let state = EdgeState {
            published_at: self.now(),
            since: self.now().plus_ms(-86_400_000),
            salts: vec![(self.now().plus_ms(-1_000), [1; 16])],
            changes: changes.collect(),
        };
        self.store.borrow_mut().insert(STATE_KEY.to_owned(), state::encode(&state));
    }

    fn answer(&self, request: &HttpRequest) -> HttpAnswer {
        let path = request.url.strip_prefix("https://api.example").expect("the origin");
        let header = |name| {
            let found = request.headers.iter().find(|(its_name, _)| *its_name == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let mac = origin_key()
            .check_question(header(HEADER), path, &request.body, self.now())
            .expect("signed");
        let question = Question::decode(path, &request.body).expect("known").expect("read");
        self.log.borrow_mut().push(match &question {
            Question::Clicks { batches } => format!("clicks {}", batches.len()),
            Question::Consume { link_id } => format!("consume {link_id}"),
            Question::Resolve { key } => format!("resolve {key}"),
            Question::State => "state".to_owned(),
            Question::Unlock { key, password, .. } => format!("unlock {key} {password}"),
        });
        let links = self.links.borrow();
        let body = match question {
            Question::Clicks { batches } => {
                let stored = batches.iter().map(|batch| self.receive(batch)).collect();
                Stored { batches: stored }.encode()
            }
            Question::Consume { link_id: 1 } => Used::Taken.encode(),
            Question::Consume { .. } => Used::Exhausted.encode(),
            Question::Resolve { key } => {
                let record = match self.mood.get() {
                    Mood::Damaged => Some(&b"\x01damaged"[..]),
                    _ => links.get(key).map(Vec::as_slice),
                };
                let key = if self.mood.get() == Mood::OtherLink { "go.example/other" } else { key };
                Resolved { key, record }.encode()
            }
            Question::State if self.origin_tells.get() => state::encode(&EdgeState {
                published_at: self.now(),
                since: self.now().plus_ms(-86_400_000),
                ..EdgeState::default()
            }),
            Question::State => Vec::new(),
            Question::Unlock { password: "sesame", .. } => Unlocked::Right.encode(),
            Question::Unlock { .. } => Unlocked::Wrong.encode(),
        };
        let key = match self.mood.get() {
            Mood::Forged => OriginKey::new([9; 32]),
            _ => origin_key(),
        };
        let signature = Some(key.sign_answer(&mac, 200, &body));
        HttpAnswer { status: 200, signature, body }
    }

    fn receive(&self, batch: &[u8]) -> bool {
        let Ok(batch) = Batch::parse(batch) else { return false };
        let links = batch.clicks().map(|(_, click)| click.link_id).collect();
        self.clicks.borrow_mut().push((batch.id().first_sequence, links));
        true
    }
}

impl Platform for World {
    async fn read(&self, key: &str, age_max_seconds: u32) -> Result<Option<Vec<u8>>, Failed> {
        self.log.borrow_mut().push(format!("read {key} {age_max_seconds}"));
        // As a read of a real store does.
        let_others_run().await;
        match self.store_fails.get() {
            true => Err(Failed),
            false => Ok(self.store.borrow().get(key).cloned()),
        }
    }

    async fn post(&self, request: &HttpRequest) -> Result<HttpAnswer, Failed> {
        if request.url.starts_with("https://sqs.") {
            self.log.borrow_mut().push("sqs".to_owned());
            return self.queue_answers.borrow_mut().pop_front().ok_or(Failed);
        }
        match self.mood.get() {
            Mood::Down => {
                self.log.borrow_mut().push("down".to_owned());
                Err(Failed)
            }
            Mood::Html => {
                self.log.borrow_mut().push("html".to_owned());
                Ok(HttpAnswer { status: 404, signature: None, body: b"<html>".to_vec() })
            }
            _ => Ok(self.answer(request)),
        }
    }

    async fn admits_miss(&self) -> bool {
        !self.refuses_misses.get()
    }

    async fn wait(&self, flight: u32) {
        while !self.landed.borrow().contains(&flight) {
            let_others_run().await;
        }
    }

    fn landed(&self, flight: u32) {
        self.landed.borrow_mut().push(flight);
    }

    async fn pause(&self, ms: u32) {
        self.log.borrow_mut().push(format!("pause {ms}"));
        self.pass(ms.into());
        let_others_run().await;
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.get())
    }
}

fn key(slug: &str) -> String {
    format!("go.example/{slug}")
}

fn live(version: u64, destination: &str) -> LinkRecord<'_> {
    LinkRecord {
        id: 9,
        version,
        state: LinkState::Live,
        created_at: START,
        destination,
        readable_destination: None,
        status: RedirectStatus::Found,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        limited: false,
        used_up: false,
        forward_query: false,
        forward_path: false,
        ios_destination: None,
        android_destination: None,
        password_version: None,
        title: None,
        preview: None,
        rules: Vec::new(),
    }
}

fn record(version: u64, destination: &str) -> Vec<u8> {
    encode(&live(version, destination))
}

fn outpost(more: &[(&str, &str)]) -> Outpost {
    let mut all = BTreeMap::from([
        ("waypost_public_url", "https://go.example"),
        ("waypost_domains", "go.example unchecked"),
        ("waypost_edge_keys", KEYS),
        ("waypost_origin_url", "https://api.example"),
    ]);
    all.extend(more.iter().copied());
    let settings = EdgeSettings::read(|name| all.get(name).map(|text| (*text).to_owned()));
    Outpost::new(settings.expect("settings"), 77, START)
}

/// Pending once.
async fn let_others_run() {
    let mut is_second = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut is_second, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Follows a link: status, `Location`, `cache-status`.
fn follow(outpost: &Outpost, world: &World, slug: &str) -> (u16, String, String) {
    block_on(followed(outpost, world, slug))
}

async fn followed(outpost: &Outpost, world: &World, slug: &str) -> (u16, String, String) {
    let path = format!("/{slug}");
    let facts = RequestFacts { host: "go.example", path: &path, ..RequestFacts::default() };
    outpost
        .follow(&facts, world.now(), world, |reply, _| {
            let header = |name: &str| {
                let found = reply.headers.iter().find(|(its_name, _)| *its_name == name);
                found.map(|(_, value)| value.to_string()).unwrap_or_default()
            };
            (reply.status, header("location"), header("cache-status"))
        })
        .await
}

fn sent(to: &str) -> (u16, String, String) {
    (302, to.to_owned(), String::new())
}

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";

#[test]
fn a_record_is_read_once_and_then_remembered() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    for _ in 0..3 {
        assert_eq!(follow(&outpost, &world, "a"), sent(A));
    }
    assert_eq!(world.log(), ["read go.example/a 60"]);
}

#[test]
fn a_miss_is_asked_of_the_origin_and_its_word_is_remembered() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.links.borrow_mut().insert(key("new"), record(1, A));
    for _ in 0..2 {
        assert_eq!(follow(&outpost, &world, "new"), sent(A));
        assert_eq!(follow(&outpost, &world, "none").0, 404);
    }
    assert_eq!(
        world.log(),
        [
            "read go.example/new 60",
            "resolve go.example/new",
            "read go.example/none 60",
            "resolve go.example/none"
        ]
    );
    world.pass(15_000);
    assert_eq!(follow(&outpost, &world, "none").0, 404);
    assert_eq!(world.log().len(), 2, "absence is believed for 15 s");
}

#[test]
fn without_an_origin_the_store_has_the_last_word() {
    let (outpost, world) = (outpost(&[("waypost_origin_url", "")]), World::new());
    for _ in 0..2 {
        assert_eq!(follow(&outpost, &world, "none").0, 404);
    }
    assert_eq!(world.log(), ["read go.example/none 60"]);
    world.store_fails.set(true);
    assert_eq!(follow(&outpost, &world, "a").0, 503);
    assert!(outpost.duties(world.now()).deliver_after_ms.is_none(), "clicks go nowhere");
}

#[test]
fn when_everything_behind_is_down_what_is_remembered_goes_on() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    follow(&outpost, &world, "a");
    world.store_fails.set(true);
    world.mood.set(Mood::Down);
    world.pass(100_000);
    refresh(&outpost, &world);
    world.log();
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    assert_eq!(world.log(), [""; 0], "still believed");
    world.pass(100_000);
    let stale = (302, A.to_owned(), "waypost; hit; ttl=-200".to_owned());
    assert_eq!(follow(&outpost, &world, "a"), stale);
    assert_eq!(world.log(), ["read go.example/a 60", "down"]);
    assert_eq!(follow(&outpost, &world, "b").0, 503, "never seen");
    assert_eq!((outpost.counts.stale_answers.get(), outpost.counts.store_failures.get()), (1, 2));
    // It heals by itself.
    world.store_fails.set(false);
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
}

#[test]
fn a_store_that_fails_is_passed_by() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.store_fails.set(true);
    world.links.borrow_mut().insert(key("a"), record(1, A));
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    assert_eq!(world.log(), ["read go.example/a 60", "resolve go.example/a"]);
}

#[test]
fn only_the_origins_own_word_counts() {
    for mood in [Mood::Html, Mood::Forged, Mood::OtherLink, Mood::Damaged, Mood::Down] {
        let (outpost, world) = (outpost(&[]), World::new());
        world.mood.set(mood);
        world.links.borrow_mut().insert(key("a"), record(1, A));
        assert_eq!(follow(&outpost, &world, "a").0, 503, "{mood:?}");
        world.mood.set(Mood::Well);
        assert_eq!(follow(&outpost, &world, "a"), sent(A), "{mood:?} was not remembered");
    }
}

#[test]
fn a_damaged_record_in_the_store_is_asked_of_the_origin() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", b"\x01damaged".to_vec());
    assert_eq!(follow(&outpost, &world, "a").0, 404, "the origin says that there is none");
    world.pass(60_000);
    world.links.borrow_mut().insert(key("a"), record(1, A));
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    world.log();
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    assert_eq!(world.log(), [""; 0], "the good one is remembered");
}

#[test]
fn a_crowd_at_a_cold_link_reads_once() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    world.links.borrow_mut().insert(key("b"), record(1, B));
    for (slug, to, reads) in [("a", A, 1), ("b", B, 2)] {
        let crowd = (0..50).map(|_| followed(&outpost, &world, slug));
        for answer in block_on(join_all(crowd)) {
            assert_eq!(answer, sent(to));
        }
        assert_eq!(world.log().len(), reads);
    }
    assert_eq!(outpost.counts.shared_reads.get(), 98);
}

#[test]
fn a_crowd_that_cannot_be_served_asks_once() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.store_fails.set(true);
    world.mood.set(Mood::Down);
    let crowd = (0..50).map(|_| followed(&outpost, &world, "a"));
    assert!(block_on(join_all(crowd)).iter().all(|(status, ..)| *status == 503));
    assert_eq!(world.log(), ["read go.example/a 60", "down"]);
    // The next visitor asks again.
    world.mood.set(Mood::Well);
    world.links.borrow_mut().insert(key("a"), record(1, A));
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
}

#[test]
fn a_crowd_whose_reader_is_gone_reads_on() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    block_on(async {
        let mut first = Box::pin(followed(&outpost, &world, "a"));
        assert!(futures::poll!(first.as_mut()).is_pending());
        let mut second = Box::pin(followed(&outpost, &world, "a"));
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert_eq!(world.log(), ["read go.example/a 60"]);
        drop(first);
        assert_eq!(second.await, sent(A));
        assert_eq!(world.log(), ["read go.example/a 60"]);
    });
}

#[test]
fn the_host_can_refuse_misses() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.refuses_misses.set(true);
    assert_eq!(follow(&outpost, &world, "a").0, 503);
    assert_eq!(world.log(), ["read go.example/a 60"]);
    assert_eq!(outpost.counts.misses_refused.get(), 1);
}

fn refresh(outpost: &Outpost, world: &World) {
    assert!(outpost.duties(world.now()).refresh);
    block_on(outpost.refresh(world));
    assert!(!outpost.duties(world.now()).refresh);
}

#[test]
fn a_change_is_obeyed_after_the_next_state() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.publish(&[]);
    refresh(&outpost, &world);
    world.put("a", record(1, A));
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    assert_eq!(world.log(), ["read !state 30", "read go.example/a 3600"]);
    world.pass(30_000);
    world.put("a", record(2, B));
    world.publish(&[("a", 2, false)]);
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    refresh(&outpost, &world);
    assert_eq!(follow(&outpost, &world, "a"), sent(B));
}

#[test]
fn a_store_that_is_behind_is_passed_by() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("a", record(1, A));
    world.links.borrow_mut().insert(key("a"), record(2, B));
    world.publish(&[("a", 2, false)]);
    refresh(&outpost, &world);
    world.log();
    assert_eq!(follow(&outpost, &world, "a"), sent(B));
    assert_eq!(
        world.log(),
        ["read go.example/a 3600", "read go.example/a 30", "resolve go.example/a"]
    );
    // A new link that the store still denies is the same.
    world.publish(&[("new", 1, false)]);
    world.pass(30_000);
    refresh(&outpost, &world);
    world.links.borrow_mut().insert(key("new"), record(1, A));
    assert_eq!(follow(&outpost, &world, "new"), sent(A));
}

#[test]
fn a_store_that_is_behind_is_better_than_nothing_but_not_for_what_was_stopped() {
    for (stopped, status) in [(false, 302), (true, 503)] {
        let (outpost, world) = (outpost(&[]), World::new());
        world.put("a", record(1, A));
        world.publish(&[("a", 2, stopped)]);
        refresh(&outpost, &world);
        world.mood.set(Mood::Down);
        assert_eq!(follow(&outpost, &world, "a").0, status, "stopped: {stopped}");
        // The same for what is remembered.
        let (outpost, world) = (self::outpost(&[]), World::new());
        world.put("a", record(1, A));
        follow(&outpost, &world, "a");
        world.publish(&[("a", 2, stopped)]);
        refresh(&outpost, &world);
        world.mood.set(Mood::Down);
        world.store_fails.set(true);
        assert_eq!(follow(&outpost, &world, "a").0, status, "stopped: {stopped}, remembered");
    }
}

#[test]
fn a_store_that_was_filled_long_ago_does_not_outvote_the_origin() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.publish(&[]);
    world.pass(7 * 86_400_000);
    world.origin_tells.set(true);
    world.put("a", record(1, A));
    world.links.borrow_mut().insert(key("a"), record(2, B));
    assert_eq!(follow(&outpost, &world, "a"), sent(A), "before the first state");
    refresh(&outpost, &world);
    assert_eq!(follow(&outpost, &world, "a"), sent(B));
    // It is better than nothing.
    let (outpost, _) = (self::outpost(&[]), ());
    refresh(&outpost, &world);
    world.mood.set(Mood::Down);
    let stale = (302, A.to_owned(), "waypost; hit; ttl=-1".to_owned());
    assert_eq!(follow(&outpost, &world, "a"), stale);
}

#[test]
fn without_a_state_for_120_s_what_is_older_than_60_s_is_read_again() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.publish(&[]);
    refresh(&outpost, &world);
    world.put("a", record(1, A));
    follow(&outpost, &world, "a");
    world.store.borrow_mut().remove(STATE_KEY);
    world.log();
    world.pass(120_000);
    refresh(&outpost, &world);
    assert_eq!(world.log(), ["read !state 30", "state"]);
    follow(&outpost, &world, "a");
    assert_eq!(world.log(), [""; 0]);
    world.pass(1);
    follow(&outpost, &world, "a");
    assert_eq!(world.log(), ["read go.example/a 60"]);
    world.pass(60_000);
    follow(&outpost, &world, "a");
    assert_eq!(world.log(), [""; 0], "read 60 s ago");
    world.pass(1);
    follow(&outpost, &world, "a");
    assert_eq!(world.log(), ["read go.example/a 60"]);
    assert_eq!(outpost.counts.state_failures.get(), 1);
}

#[test]
fn what_is_forgotten_is_read_again_at_once() {
    let (outpost, world) = (outpost(&[("waypost_origin_url", "")]), World::new());
    world.put("a", record(1, A));
    assert_eq!(follow(&outpost, &world, "a"), sent(A));
    assert_eq!(follow(&outpost, &world, "b").0, 404);
    world.put("a", record(2, B));
    world.put("b", record(1, B));
    assert_eq!((follow(&outpost, &world, "a"), follow(&outpost, &world, "b").0), (sent(A), 404));
    for slug in ["a", "b", "never seen"] {
        outpost.forget(&key(slug));
    }
    assert_eq!((follow(&outpost, &world, "a"), follow(&outpost, &world, "b")), (sent(B), sent(B)));
}

#[test]
fn uses_and_passwords_are_the_origins_to_judge() {
    let (outpost, world) = (outpost(&[]), World::new());
    world.put("one", encode(&LinkRecord { id: 1, limited: true, ..live(1, A) }));
    world.put("two", encode(&LinkRecord { id: 2, limited: true, ..live(1, A) }));
    assert_eq!(follow(&outpost, &world, "one"), sent(A));
    assert_eq!(follow(&outpost, &world, "two").0, 410);
    world.mood.set(Mood::Forged);
    assert_eq!(follow(&outpost, &world, "one").0, 503);
}
