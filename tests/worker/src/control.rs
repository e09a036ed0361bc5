//! What tests say to `js/entry.js`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use waypost_wire::time::Timestamp;

use crate::client::Client;

/// Longest wait for anything that must come; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The entry point `control`.
#[derive(Debug)]
pub struct Control {
    client: Client,
}

/// What the entry module counts.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// Requests that the Worker was handed.
    pub began: u64,
    /// Those that it answered, or failed to.
    pub ended: u64,
    /// Those that failed with an exception.
    pub failed: u64,
    /// Promises given to `waitUntil` that are still open.
    pub duties: u64,
    /// Those that were rejected.
    #[serde(rename = "dutiesFailed")]
    pub duties_failed: u64,
    /// In how many milliseconds timers end.
    pub dues: Vec<i64>,
    /// What was said on the console: the level, and the text.
    pub lines: Vec<String>,
    /// Bytes of memory of each WASM instance, in order of birth.
    pub memories: Vec<u64>,
    /// What the commands answered.
    pub results: Vec<Value>,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Command(Value);

impl Command {
    /// A new env with these settings: whatever the Worker remembers belongs to the old one.
    pub fn begin(settings: &Map<String, Value>) -> Self {
        Self(json!({ "command": "begin", "vars": settings }))
    }

    /// The same, with a KV that has this record under every key, and is not behind a socket.
    pub fn begin_with_record(settings: &Map<String, Value>, record: &[u8]) -> Self {
        Self(json!({ "command": "begin", "vars": settings, "record": record }))
    }

    /// The time.
    pub fn now(now: Timestamp) -> Self {
        Self(json!({ "command": "set", "now": now.0 }))
    }

    /// The next random numbers; `None`: real ones.
    pub fn draw(draw: Option<u64>) -> Self {
        let words = draw.map(|draw| [draw & 0xffff_ffff, draw >> 32]);
        Self(json!({ "command": "set", "draw": words }))
    }

    /// Whether answers wait until everything is done that the Worker said it would do after them.
    pub fn waits(waits: bool) -> Self {
        Self(json!({ "command": "set", "waits": waits }))
    }

    /// Whether timers end only when the clock is moved.
    pub fn timers_held(held: bool) -> Self {
        Self(json!({ "command": "set", "timersHeld": held }))
    }

    /// The next reads of KV are abandoned, as if the runtime ended their requests half way.
    pub fn abandon_reads(count: u32) -> Self {
        Self(json!({ "command": "set", "abandons": count }))
    }

    /// Whether one more miss may be asked of the origin; `None`: there is no limit. For the next
    /// [`Self::begin`].
    pub fn admits_misses(admits: Option<bool>) -> Self {
        Self(json!({ "command": "set", "admitsMisses": admits }))
    }

    /// Moves the clock, and ends the timers on the way.
    pub fn advance(to: Timestamp) -> Self {
        Self(json!({ "command": "advance", "to": to.0 }))
    }

    /// Requests from within, without sockets: `{}` in the address becomes the number, to the
    /// base of 36.
    pub fn requests(url: &str, from: u64, count: u64, width: u64) -> Self {
        Self(json!({ "command": "loop", "url": url, "from": from, "count": count, "width": width }))
    }
}

impl Control {
    /// Talks to a workerd.
    pub const fn new(address: SocketAddr) -> Self {
        Self { client: Client::new(address) }
    }

    /// Has commands carried out, in order.
    ///
    /// # Panics
    /// The entry module has no answer.
    pub async fn run(&self, commands: &[Command]) -> Status {
        let body: Vec<&Value> = commands.iter().map(|command| &command.0).collect();
        let body = json!(body).to_string();
        let head =
            format!("POST / HTTP/1.1\r\nhost: control\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = self.client.send(format!("{head}{body}").as_bytes()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The status.
    pub async fn status(&self) -> Status {
        self.run(&[]).await
    }

    /// Waits until the status is so.
    ///
    /// # Panics
    /// It did not become so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let status = self.status().await;
            if is_so(&status) {
                return status;
            }
            // The way there and back is a pause of its own.
            tokio::task::yield_now().await;
        }
        panic!("waited for {what} in vain: {:#?}", self.status().await);
    }
}
