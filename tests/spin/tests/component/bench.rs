//! What most tests need: a world with a few links, a server, a client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use waypost_tests::hosts::edge::quiet_state;
use waypost_tests::wire::{Raw, exchange};
use waypost_tests_spin::origin::{ORIGIN_KEY, ORIGIN_URL};
use waypost_tests_spin::server::{Limits, Server};
use waypost_tests_spin::world::World;
use waypost_wire::codec::encode;
use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

/// Longest wait for anything; reached only if it never comes.
const PATIENCE: Duration = Duration::from_secs(180);

/// A live link.
pub fn link(id: u64, destination: &str) -> LinkRecord<'_> {
    LinkRecord {
        id,
        version: 1,
        state: LinkState::Live,
        created_at: Timestamp(0),
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

pub fn key(slug: &str) -> String {
    format!("s.example/{slug}")
}

pub fn keys() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (short, long) = ("00".repeat(16), "00".repeat(32));
    format!("check:{short} cookie:{long} origin:{} sticky:{short}", hex(&ORIGIN_KEY))
}

/// A world of `https://s.example` with an origin, the state, and a link `abc` in the store.
pub fn world(settings: &[(&str, &str)]) -> World {
    let keys = keys();
    let mut all = BTreeMap::from([
        ("waypost_public_url", "https://s.example"),
        ("waypost_domains", "s.example unchecked"),
        ("waypost_edge_keys", &keys),
        ("waypost_origin_url", ORIGIN_URL),
    ]);
    all.extend(settings.iter().copied());
    let all = all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let world = World::new(all.collect());
    // The clock stands still unless a test moves it: no test depends on how long it takes.
    world.set_now(world.now());
    world.put(STATE_KEY, quiet_state(world.now()));
    store(&world, "abc", &link(1, "https://example.com/"));
    world
}

/// A link that the store has.
pub fn store(world: &World, slug: &str, record: &LinkRecord<'_>) {
    world.put(&key(slug), encode(record));
}

/// A link that only the origin has.
pub fn keep(world: &World, slug: &str, record: &LinkRecord<'_>) {
    world.origin.known().records.insert(key(slug), encode(record));
}

/// A world behind a socket.
pub struct Bench {
    pub world: Arc<World>,
    pub server: Server,
}

/// Instances that do not go because nothing comes for a while.
pub const KEPT: Limits =
    Limits { requests: 128, at_once: 16, idle: Duration::from_secs(24 * 60 * 60) };

impl Bench {
    pub async fn start(world: World, limits: Limits) -> Self {
        let world = Arc::new(world);
        let server = Server::start(&world, limits).await;
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        Self { world, server }
    }

    /// Sends a request line's method and target.
    pub async fn send(&self, line: &str) -> Raw {
        self.send_with(line, &[], b"").await
    }

    pub async fn send_with(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Raw {
        let mut request = format!("{line} HTTP/1.1\r\nhost: s.example\r\nconnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let request = [request.as_bytes(), body].concat();
        exchange(self.server.address, &request).await.unwrap()
    }

    pub async fn until(&self, what: &str, is_so: impl Fn(&World) -> bool) {
        until(what, || is_so(&self.world)).await;
    }
}

/// Waits for something to become so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}
