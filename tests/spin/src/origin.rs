//! Who answers outside: an origin that speaks [`waypost_wire::origin`], and a queue.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use wasmtime_wasi_http::Error;
use waypost_wire::click::Batch;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::origin::{Answer, Question, Resolved, Stored, Unlocked, Used};
use waypost_wire::time::Timestamp;

use crate::world::{Events, Incoming, Outgoing};

/// The origin's address.
pub const ORIGIN_URL: &str = "https://api.example";

/// The queue's.
pub const QUEUE_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/clicks";

/// The queue's scheme and host.
pub const QUEUE_ENDPOINT: &str = "https://sqs.eu-central-1.amazonaws.com";

/// The key that edge and origin share.
pub const ORIGIN_KEY: [u8; 32] = *b"the origin key of redirect cases";

/// Settings of an edge whose clicks go to the queue.
pub fn queue() -> [(&'static str, String); 4] {
    [
        ("waypost_sqs_queue_url", QUEUE_URL.to_owned()),
        ("waypost_sqs_endpoint", QUEUE_ENDPOINT.to_owned()),
        ("waypost_aws_access_key_id", "AKIDEXAMPLE".to_owned()),
        ("waypost_aws_secret_access_key", "secret".to_owned()),
    ]
}

/// How whoever is outside behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    #[default]
    Right,
    /// Nobody listens.
    Refuses,
    /// Spin does not let the request out.
    Denied,
    /// It never answers.
    Hangs,
    /// Another server answers at its address.
    Stranger,
    /// Right answers, signed with another key.
    Forges,
}

/// A click that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    /// Who numbered it.
    pub source: u64,
    /// Its number.
    pub sequence: u64,
    /// The link.
    pub link_id: u64,
}

/// What whoever is outside knows, and how it behaves.
#[derive(Debug, Default)]
pub struct Known {
    /// Records by key.
    pub records: BTreeMap<String, Vec<u8>>,
    /// Keys that it fails to resolve.
    pub failing: BTreeSet<String>,
    /// What it says when a use is taken; `None`: it fails.
    pub take_use: Option<Used>,
    /// What it says of any password; `None`: it fails.
    pub unlock: Option<Unlocked>,
    /// The state that edges share; `None`: it fails.
    pub state: Option<Vec<u8>>,
    /// How it behaves.
    pub manner: Manner,
    /// So many requests are refused first.
    pub refusals: usize,
    /// Batches of clicks that arrived.
    pub batches: Vec<Vec<u8>>,
    /// Requests that arrived.
    pub requests: usize,
}

/// Origin and queue.
#[derive(Debug, Default)]
pub struct Origin {
    known: Mutex<Known>,
    pub(crate) events: Arc<Events>,
}

impl Origin {
    /// What it knows, to be looked at and changed.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All clicks that arrived, sorted: a click that arrived twice is there twice.
    ///
    /// # Panics
    /// If a batch is none.
    pub fn arrived(&self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        for bytes in &self.known().batches {
            let batch = Batch::parse(bytes).unwrap_or_else(|error| panic!("no batch: {error:?}"));
            let source = batch.id().source;
            arrived.extend(batch.clicks().map(|(sequence, click)| Arrived {
                source,
                sequence,
                link_id: click.link_id,
            }));
        }
        arrived.sort();
        arrived
    }

    pub(crate) async fn answer(self: Arc<Self>, request: Outgoing, now: Timestamp) -> Incoming {
        let manner = {
            let mut known = self.known();
            known.requests += 1;
            match known.refusals {
                0 => known.manner,
                more => {
                    known.refusals = more - 1;
                    Manner::Refuses
                }
            }
        };
        match manner {
            Manner::Right | Manner::Forges => {}
            Manner::Refuses => return Err(Error::ConnectionRefused),
            Manner::Denied => return Err(Error::HttpRequestDenied),
            Manner::Hangs => pending().await,
            Manner::Stranger => return Ok(plain(404, "<html>not found</html>")),
        }
        let url = request.head.uri.to_string();
        if url == format!("{QUEUE_ENDPOINT}/") {
            return Ok(self.queue(&request));
        }
        Ok(match url.strip_prefix(ORIGIN_URL) {
            Some(path) => self.question(path, &request, manner, now),
            None => plain(502, "nobody knows this address"),
        })
    }

    fn question(
        &self,
        path: &str,
        request: &Outgoing,
        manner: Manner,
        now: Timestamp,
    ) -> http::Response<Bytes> {
        let key = OriginKey::new(ORIGIN_KEY);
        let signature = request.head.headers.get(HEADER).and_then(|value| value.to_str().ok());
        let checked = key.check_question(signature.unwrap_or_default(), path, &request.body, now);
        let (mac, question) = match (checked, Question::decode(path, &request.body)) {
            (Ok(mac), Some(Ok(question))) if request.head.method == "POST" => (mac, question),
            (checked, question) => return plain(400, &format!("{checked:?} {question:?}")),
        };
        let Some(body) = self.say(&question) else {
            return plain(500, "it fails");
        };
        let signer = match manner {
            Manner::Forges => OriginKey::new([1; 32]),
            _ => key,
        };
        let mut answer = http::Response::new(Bytes::from(body));
        let signature = signer.sign_answer(&mac, 200, answer.body());
        if let Ok(value) = signature.parse() {
            answer.headers_mut().insert(HEADER, value);
        }
        answer
    }

    fn say(&self, question: &Question<'_>) -> Option<Vec<u8>> {
        let mut known = self.known();
        match question {
            Question::Clicks { batches } => {
                known.batches.extend(batches.iter().map(|batch| batch.to_vec()));
                Some(Stored { batches: vec![true; batches.len()] }.encode())
            }
            Question::Consume { link_id } => {
                self.events.note(format!("take_use {link_id}"));
                known.take_use.map(|used| used.encode())
            }
            Question::Resolve { key } => {
                self.events.note(format!("origin {key}"));
                let record = known.records.get(*key).map(Vec::as_slice);
                (!known.failing.contains(*key)).then(|| Resolved { key, record }.encode())
            }
            Question::State => known.state.clone(),
            Question::Unlock { key, password, .. } => {
                self.events.note(format!("unlock {key} {password}"));
                known.unlock.map(|unlocked| unlocked.encode())
            }
        }
    }

    /// Takes messages as SQS does.
    fn queue(&self, request: &Outgoing) -> http::Response<Bytes> {
        let header = |name: &str| {
            let value = request.head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let call: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let entries = call["Entries"].as_array().cloned().unwrap_or_default();
        let is_right = header("x-amz-target") == "AmazonSQS.SendMessageBatch"
            && header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=")
            && header("host") == "sqs.eu-central-1.amazonaws.com"
            && call["QueueUrl"] == QUEUE_URL
            && !entries.is_empty();
        if !is_right {
            return plain(400, &format!("{:?} {call}", request.head));
        }
        let mut taken = Vec::new();
        for entry in entries {
            match STANDARD.decode(entry["MessageBody"].as_str().unwrap_or_default()) {
                Ok(batch) => self.known().batches.push(batch),
                Err(error) => return plain(400, &error.to_string()),
            }
            taken.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x" }));
        }
        plain(200, &json!({ "Successful": taken, "Failed": [] }).to_string())
    }
}

fn plain(status: u16, body: &str) -> http::Response<Bytes> {
    let mut answer = http::Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    answer
}
