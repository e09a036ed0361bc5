//! What is behind the Worker: Workers KV as workerd asks it, the origin, and SQS, in one server,
//! with what it holds, how it behaves and what it saw in the hands of a test.
//!
//! workerd is set up so that everything goes here: KV as `GET /<key>?urlencoded=true&cache_ttl=N`,
//! all else as it would go to a proxy, with the whole address in the first line.

mod behind;
mod mood;
mod origin;
mod queue;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use behind::{Behind, Seen};
pub use mood::Mood;

use crate::http1::{Message, Untold, Wire};

/// Where the origin is, as the Worker knows it.
pub const ORIGIN_URL: &str = "https://api.go.example";

/// The queue, as SQS and the Worker know it.
pub const QUEUE_URL: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/clicks";

/// The key that the Worker and the origin share.
pub const ORIGIN_KEY: [u8; 32] = *b"the key of an origin in tests...";

/// Who may send to the queue.
pub const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";

/// The sender's secret.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Longest wait for anything that must come; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// KV: a record.
    Store,
    /// KV: the state.
    StoreState,
    /// The origin: a record.
    Resolve,
    /// The origin: a use.
    Consume,
    /// The origin: a password.
    Unlock,
    /// The origin: the state.
    State,
    /// The origin: clicks.
    Clicks,
    /// SQS: messages.
    Queue,
    /// What nobody should ask.
    Other,
}

/// The server.
#[derive(Debug)]
pub struct Stub {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    behind: Mutex<Behind>,
    /// Changes whenever something was seen or changed.
    changes: watch::Sender<u64>,
    /// How often the test let held answers go.
    releases: watch::Sender<u64>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// Starts one that holds nothing and behaves well.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            behind: Mutex::new(Behind::default()),
            changes: watch::Sender::new(0),
            releases: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// What it holds, does and saw.
    pub fn behind(&self) -> MutexGuard<'_, Behind> {
        self.shared.behind()
    }

    /// Lets all answers go that are held now.
    pub fn release(&self) {
        self.shared.releases.send_modify(|count| *count += 1);
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// It did not become so; with what was seen instead.
    pub async fn until(&self, what: &str, mut is_so: impl FnMut(&Behind) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        let wait = async {
            while !is_so(&self.behind()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited for {what} in vain: {:#?}", self.behind().seen);
        }
    }
}

impl Shared {
    fn behind(&self) -> MutexGuard<'_, Behind> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// What is done about a question.
#[derive(Debug)]
enum Reply {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// These bytes are sent, and the connection is closed.
    SendAndClose(Vec<u8>),
    /// These bytes are sent, and then nothing until nobody listens.
    SendAndStall(Vec<u8>),
    /// Something is sent until nobody listens.
    Endless,
    /// Nothing is sent until nobody listens.
    Silent,
    /// This is asked again when the test lets it.
    Hold,
}

impl Reply {
    /// An answer.
    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        Self::Send(answer_bytes(status, headers, body))
    }

    /// What a mood makes of an answer, whatever was asked; `None` if that makes a difference.
    fn of(mood: &Mood, truth: impl FnOnce() -> Vec<u8>) -> Option<Self> {
        const PAGE: &[u8] =
            b"<!DOCTYPE html><title>Something is here</title><p>Not what you think.";
        let html = ("content-type", "text/html");
        Some(match mood {
            Mood::Held => Self::Hold,
            Mood::Silent => Self::Silent,
            Mood::Endless => Self::Endless,
            Mood::Closed => Self::SendAndClose(Vec::new()),
            Mood::Garbage => {
                Self::SendAndClose(b"\x00\x01\x02 no HTTP at all \xff\r\n\r\n".to_vec())
            }
            Mood::Page(status) => Self::answer(*status, &[html], PAGE),
            Mood::Moved(status) => {
                let to = ("location", "/elsewhere");
                Self::answer(*status, &[html, to], PAGE)
            }
            Mood::Cut => Self::SendAndClose(without_end(truth())),
            Mood::Stalled => Self::SendAndStall(without_end(truth())),
            Mood::Lost => {
                truth();
                Self::SendAndClose(Vec::new())
            }
            _ => return None,
        })
    }
}

fn without_end(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 1);
    bytes
}

fn answer_bytes(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        // A delay of the test's own would look like one of the Worker's.
        let _ = stream.set_nodelay(true);
        tokio::spawn(converse(stream, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let mut wire = Wire::new(stream);
    while let Ok(Some(request)) = wire.receive(Untold::Empty).await {
        shared.behind().begin();
        let is_open = reply(&mut wire, &request, &shared).await;
        shared.behind().end();
        shared.changed();
        if !is_open {
            return;
        }
    }
}

/// Answers; `false` if the connection is over.
async fn reply(wire: &mut Wire, request: &Message, shared: &Shared) -> bool {
    let mut releases = shared.releases.subscribe();
    let mut reply = shared.behind().ask(request);
    shared.changed();
    if matches!(reply, Reply::Hold) {
        // Whoever asked may not wait for the answer.
        tokio::select! {
            released = releases.changed() => {
                if released.is_err() {
                    return false;
                }
            }
            () = wire.closed() => return false,
        }
        reply = shared.behind().answer_truly(request);
    }
    match reply {
        Reply::Send(bytes) => wire.send(&bytes).await.is_ok(),
        Reply::SendAndClose(bytes) => {
            // It is closed either way.
            let _ = wire.send(&bytes).await;
            false
        }
        Reply::SendAndStall(bytes) => {
            if wire.send(&bytes).await.is_ok() {
                wire.closed().await;
            }
            false
        }
        Reply::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            let mut is_open = wire.send(head).await.is_ok();
            while is_open {
                is_open = wire.send(&chunk).await.is_ok();
                shared.behind().endless_bytes += chunk.len();
            }
            false
        }
        Reply::Silent | Reply::Hold => {
            wire.closed().await;
            false
        }
    }
}
