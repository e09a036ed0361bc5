//! A stand-in for Cloudflare's KV API: an HTTP server over a map.
//!
//! Under `/client/v4` it speaks the REST API as far as [`crate::CloudflareKv`] does, and
//! `GET .../values/<key>` and `GET .../metadata/<key>` beside it. All other paths are read as a KV
//! binding of workerd does, `GET /<key>?urlencoded=true`: point the binding's service at
//! [`KvApi::address`] and a local Worker reads what was published.

mod answers;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Account;

/// The account of every stand-in.
pub const ACCOUNT_ID: &str = "0123456789abcdef0123456789abcdef";

/// The namespace of every stand-in.
pub const NAMESPACE_ID: &str = "fedcba9876543210fedcba9876543210";

/// The token of every stand-in.
pub const TOKEN: &str = "token-of-a-stand-in";

/// What becomes of a call of the REST API instead of what should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upset {
    /// This status, and nothing is done.
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`.
        retry_after_seconds: Option<u32>,
    },
    /// 200 with `"success": false`; nothing is done.
    NoSuccess,
    /// Every other key is left out, and told in `unsuccessful_keys`.
    Half {
        /// `"success"` of the answer.
        success: bool,
    },
    /// 200 and a page that is no JSON; nothing is done.
    NoJson,
    /// The connection ends without an answer, before or after the call took effect.
    Cut {
        /// After it.
        done: bool,
    },
}

/// A call of the REST API that was made, upset or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The body as JSON; null if there was none.
    pub body: Value,
}

/// A value and its metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The value.
    pub value: Vec<u8>,
    /// The metadata; null if there is none.
    pub metadata: Value,
}

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct KvApi {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    kept: BTreeMap<String, Kept>,
    calls: Vec<Call>,
    reads: u64,
    upsets: Vec<Option<Upset>>,
}

impl KvApi {
    /// Starts an empty one on a free port of this machine.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts an empty one.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Mutex<Shared>>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// The address of the API, for the setting `api=…`.
    pub fn base_url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    /// The account to give to [`crate::CloudflareKv`].
    ///
    /// # Errors
    /// Never.
    pub fn account(&self) -> Result<Account, String> {
        let base_url = self.base_url().parse().map_err(|_| "no address".to_owned())?;
        Ok(Account { account_id: ACCOUNT_ID.into(), namespace_id: NAMESPACE_ID.into(), base_url })
    }

    /// What it has.
    pub fn kept(&self) -> BTreeMap<String, Kept> {
        lock(&self.shared).kept.clone()
    }

    /// Sets or removes a key behind everybody's back.
    pub fn tamper(&self, key: &str, kept: Option<Kept>) {
        let mut shared = lock(&self.shared);
        match kept {
            Some(kept) => shared.kept.insert(key.to_owned(), kept),
            None => shared.kept.remove(key),
        };
    }

    /// Forgets all it has, but not what was called.
    pub fn wipe(&self) {
        lock(&self.shared).kept.clear();
    }

    /// Calls of the REST API since the last time this was asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.shared).calls)
    }

    /// How many values were read by a KV binding or by `GET .../values/`.
    pub fn reads(&self) -> u64 {
        lock(&self.shared).reads
    }

    /// What the next calls of the REST API do, in their order; `None`: what they should.
    pub fn upset(&self, upsets: impl IntoIterator<Item = Option<Upset>>) {
        lock(&self.shared).upsets = upsets.into_iter().collect();
    }
}

impl Drop for KvApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    // Connections end with the one who accepts them.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
            answers::answer(&mut lock(&shared), &parts, &body)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A cut is an error here, and meant.
    drop(served);
}

type Answer = Response<Full<Bytes>>;
