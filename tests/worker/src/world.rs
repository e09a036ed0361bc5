//! A Worker and all that is around it, for one test. Its time stands still until the test moves
//! it, timers included: nothing depends on how fast the machine is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Map, Value};
use waypost_tests::wire::Raw;
use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

use crate::clicks::Ledger;
use crate::client::Client;
use crate::control::{Command, Control};
pub use crate::links::{DOMAIN, START, key, live, policy, record, request, state_bytes};
use crate::settings::{self, Sink};
use crate::stub::{Stub, Topic};
use crate::workerd::{Build, Workerd};

/// A running Worker and all that is around it.
#[derive(Debug)]
pub struct World {
    /// KV, the origin and SQS.
    pub stub: Stub,
    /// The runtime.
    pub workerd: Workerd,
    /// The entry module.
    pub control: Control,
    /// Visitors whose addresses reach the Worker as they are.
    pub visitors: Client,
    settings: Map<String, Value>,
    now_ms: AtomicI64,
}

impl World {
    /// A world at [`START`], with an origin that clicks go to the queue beside, and a state in
    /// which nothing changed.
    ///
    /// # Panics
    /// Something does not start.
    pub async fn start() -> Self {
        Self::with(Sink::Queue, &[]).await
    }

    /// The same, with some settings of the test's own, by upper-case name.
    ///
    /// # Panics
    /// Something does not start.
    pub async fn with(sink: Sink, settings: &[(&str, &str)]) -> Self {
        Self::on(Build::Deployed, sink, settings).await
    }

    /// The same, on some build of the Worker.
    ///
    /// # Panics
    /// Something does not start.
    pub async fn on(build: Build, sink: Sink, more: &[(&str, &str)]) -> Self {
        let stub = Stub::start().await.unwrap_or_else(|error| panic!("{error}"));
        let workerd = start(build, &stub).await;
        let mut settings = settings::of(&policy(), true, sink);
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
        Self::around(stub, workerd, settings, START).await
    }

    async fn around(
        stub: Stub,
        workerd: Workerd,
        settings: Map<String, Value>,
        now: Timestamp,
    ) -> Self {
        let world = Self {
            control: Control::new(workerd.control),
            visitors: Client::new(workerd.proxy),
            stub,
            workerd,
            settings,
            now_ms: AtomicI64::new(now.0),
        };
        world.set_time(now).await;
        world.publish(&[]);
        world.begin().await;
        world
    }

    /// A Worker that remembers nothing but the state, in the same process.
    ///
    /// # Panics
    /// It reads more than the state before it is asked for a link.
    pub async fn begin(&self) {
        self.control.run(&[Command::begin(&self.settings)]).await;
        self.refresh().await;
    }

    /// The same, with a KV that has this record under every key, and is not behind a socket.
    pub async fn begin_with_record(&self, record: &[u8]) {
        self.control.run(&[Command::begin_with_record(&self.settings, record)]).await;
    }

    /// A request that reads no link, and has the state read after it if that is due.
    ///
    /// # Panics
    /// It reads something else.
    pub async fn refresh(&self) {
        self.stub.behind().take_seen();
        assert_eq!(self.follow("robots.txt").await.status, 200);
        self.control.until("the state", |status| status.duties == 0).await;
        let seen = self.stub.behind().take_seen();
        assert!(seen.iter().all(|what| what.ends_with("state")), "{seen:?}");
    }

    /// Kills workerd and starts another one.
    ///
    /// # Panics
    /// It does not start.
    pub async fn restart(self) -> Self {
        let Self { stub, workerd, settings, now_ms, .. } = self;
        workerd.kill().await.unwrap_or_else(|error| panic!("{error}"));
        let workerd = start(Build::Deployed, &stub).await;
        Self::around(stub, workerd, settings, Timestamp(now_ms.into_inner())).await
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::Relaxed))
    }

    /// Moves the clocks of the Worker and of all that is behind it, and ends the timers on the
    /// way.
    pub async fn pass(&self, ms: i64) {
        let to = self.now().plus_ms(ms);
        self.control.run(&[Command::advance(to)]).await;
        self.set_time(to).await;
    }

    async fn set_time(&self, now: Timestamp) {
        self.now_ms.store(now.0, Ordering::Relaxed);
        self.stub.behind().now = now;
        self.control.run(&[Command::now(now)]).await;
    }

    /// Puts a state into KV: what changed in the last day, as slug, version, and whether it
    /// stopped.
    pub fn publish(&self, changes: &[(&str, u64, bool)]) {
        let state = state_bytes(self.now(), changes);
        self.stub.behind().store.insert(STATE_KEY.to_owned(), state);
    }

    /// Follows a link of [`DOMAIN`].
    ///
    /// # Panics
    /// There is no answer.
    pub async fn follow(&self, slug: &str) -> Raw {
        self.send("GET", slug, &[]).await
    }

    /// A request of [`DOMAIN`].
    ///
    /// # Panics
    /// There is no answer.
    pub async fn send(&self, method: &str, slug: &str, headers: &[(&str, &str)]) -> Raw {
        let answer = self.visitors.send(request(method, slug, headers).as_bytes()).await;
        answer.unwrap_or_else(|error| panic!("/{slug}: {error}; {}", self.workerd.errors()))
    }

    /// Requests from within workerd, without sockets, for slugs that are the numbers `from` and on,
    /// `width` at a time; how many answers had which status.
    ///
    /// # Panics
    /// They could not be made.
    pub async fn requests(&self, from: u64, count: u64, width: u64) -> BTreeMap<u16, u64> {
        self.requests_to("{}", from, count, width).await
    }

    /// The same for one slug.
    ///
    /// # Panics
    /// They could not be made.
    pub async fn requests_of(&self, slug: &str, count: u64, width: u64) -> BTreeMap<u16, u64> {
        self.requests_to(slug, 0, count, width).await
    }

    async fn requests_to(
        &self,
        slug: &str,
        from: u64,
        count: u64,
        width: u64,
    ) -> BTreeMap<u16, u64> {
        let url = format!("https://{DOMAIN}/{slug}");
        let command = Command::requests(&url, from, count, width);
        let results = self.control.run(&[command]).await.results;
        let told = serde_json::from_value(results[0]["statuses"].clone());
        told.unwrap_or_else(|error| panic!("{error}: {results:?}"))
    }

    /// A form that is posted.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn post(&self, slug: &str, form: &str) -> Raw {
        let length = form.len().to_string();
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("content-length", &*length)];
        let request = format!("{}{form}", request("POST", slug, &headers));
        let answer = self.visitors.send(request.as_bytes()).await;
        answer.unwrap_or_else(|error| panic!("/{slug}: {error}; {}", self.workerd.errors()))
    }

    /// Whether answers wait until everything is done that the Worker said it would do after them
    /// (they do at first).
    pub async fn answers_wait(&self, wait: bool) {
        self.control.run(&[Command::waits(wait)]).await;
    }

    /// Waits until everything is done that the Worker said it would do after its answers. Not
    /// while that waits for the clock.
    ///
    /// # Panics
    /// It is never done.
    pub async fn settle(&self) {
        self.control.until("its duties", |status| status.duties == 0).await;
    }

    /// Waits until the Worker waits for so many milliseconds, and lets them pass.
    ///
    /// # Panics
    /// It never does.
    pub async fn pass_a_wait_of(&self, ms: i64) {
        self.control.until(&format!("a wait of {ms} ms"), |status| status.dues.contains(&ms)).await;
        self.pass(ms).await;
    }

    /// Lets time pass until everything is done that the Worker said it would do after its answers,
    /// and everything that it retries has been tried.
    ///
    /// # Panics
    /// It is not done in an hour.
    pub async fn pass_until_idle(&self) {
        for _ in 0..7_200 {
            if self.control.status().await.duties == 0 {
                return;
            }
            self.pass(500).await;
        }
        panic!("it is never done: {:#?}", self.control.status().await);
    }

    /// How often something was asked since what was seen was taken last.
    pub fn asked(&self, topic: Topic) -> usize {
        self.stub.behind().count(topic)
    }

    /// What arrived of clicks so far.
    pub fn ledger(&self) -> Ledger {
        Ledger::of(&self.stub.behind().batches)
    }

    /// From now on the platform admits misses, or does not. Begins anew.
    pub async fn limit_misses(&self, admits: bool) {
        self.control.run(&[Command::admits_misses(Some(admits))]).await;
        self.begin().await;
    }

    /// The end of a test: nothing that was asked was malformed or wrongly signed, and nothing was
    /// thrown.
    ///
    /// # Panics
    /// It was.
    pub async fn end(self) {
        let status = self.control.status().await;
        assert_eq!(self.stub.behind().faults, [""; 0]);
        assert_eq!((status.failed, status.duties_failed), (0, 0), "{:#?}", status.lines);
    }
}

async fn start(build: Build, stub: &Stub) -> Workerd {
    let workerd = Workerd::start(build, stub.address).await;
    workerd.unwrap_or_else(|error| panic!("{error}"))
}
