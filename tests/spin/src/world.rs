//! All that a component can see and reach: variables, a store, a clock, whoever answers outside.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi_http::Error;
use waypost_wire::state::STATE_KEY;
use waypost_wire::time::Timestamp;

use crate::origin::Origin;
use crate::spin::{StoreError, VariableError};

/// What a call of the store gives; the outer error ends the instance.
pub type Fate<T> = wasmtime::Result<Result<T, StoreError>>;

/// A call of the store.
#[derive(Debug)]
pub enum StoreCall<'a> {
    /// Reads a value.
    Get(&'a str),
    /// Writes one.
    Set(&'a str, Vec<u8>),
    /// Removes one.
    Delete(&'a str),
}

/// How the store behaves.
#[derive(Clone, Debug)]
pub enum Mood {
    /// It fails.
    Fails(StoreError),
    /// It never answers.
    Hangs,
    /// It answers when it is told to ([`World::release`]).
    Waits,
    /// The instance ends, as by a panic.
    Traps,
}

/// A request that goes out.
#[derive(Debug)]
pub struct Outgoing {
    /// Its head.
    pub head: http::request::Parts,
    /// Its body.
    pub body: Bytes,
}

/// What comes back.
pub type Incoming = Result<http::Response<Bytes>, Error>;

/// What was read and asked, in order: `edge s.example/abc`.
#[derive(Debug, Default)]
pub struct Events(Mutex<Vec<String>>);

impl Events {
    /// Adds one.
    pub fn note(&self, event: String) {
        locked(&self.0).push(event);
    }
}

/// All that a component can see and reach.
pub struct World {
    /// Values of variables; others are undefined.
    pub variables: BTreeMap<String, String>,
    /// How the provider of variables fails, if it does.
    pub variables_fail: Option<VariableError>,
    /// The random number of every draw; `None`: a random one.
    pub draw: Option<u64>,
    /// Who answers outside.
    pub origin: Arc<Origin>,
    /// Milliseconds since the epoch; `i64::MIN`: the system's clock.
    now_ms: AtomicI64,
    store: Mutex<Store>,
    released: Notify,
    waiting: AtomicUsize,
    logs: Mutex<Vec<MemoryOutputPipe>>,
    ended: [AtomicUsize; 2],
    state_reads: AtomicUsize,
    cuts: AtomicUsize,
}

#[derive(Default)]
struct Store {
    values: BTreeMap<String, Vec<u8>>,
    moods: BTreeMap<String, Mood>,
    open: Option<Mood>,
}

impl World {
    /// A world with these variables, and an origin outside that knows nothing.
    pub fn new(variables: BTreeMap<String, String>) -> Self {
        Self {
            variables,
            variables_fail: None,
            draw: None,
            origin: Arc::default(),
            now_ms: AtomicI64::new(i64::MIN),
            store: Mutex::default(),
            released: Notify::new(),
            waiting: AtomicUsize::new(0),
            logs: Mutex::default(),
            ended: Default::default(),
            state_reads: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        }
    }

    /// Sets the clock.
    pub fn set_now(&self, now: Timestamp) {
        self.now_ms.store(now.0, Ordering::Relaxed);
    }

    /// Stores a value.
    pub fn put(&self, key: &str, value: Vec<u8>) {
        locked(&self.store).values.insert(key.to_owned(), value);
    }

    /// What is stored under a key.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        locked(&self.store).values.get(key).cloned()
    }

    /// From now on the store behaves like this for one key; `None`: well.
    pub fn set_mood(&self, key: &str, mood: Option<Mood>) {
        let mut store = locked(&self.store);
        match mood {
            Some(mood) => store.moods.insert(key.to_owned(), mood),
            None => store.moods.remove(key),
        };
    }

    /// From now on opening the store goes like this; `None`: well.
    pub fn set_open(&self, mood: Option<Mood>) {
        locked(&self.store).open = mood;
    }

    /// Whatever has the store open can use it no longer.
    pub fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    /// How many calls wait to be released.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Lets all calls that wait go on.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// What was read and asked since the last time somebody looked, without reads of the state.
    pub fn events(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.origin.events.0))
    }

    /// How often the state was read in the store.
    pub fn state_reads(&self) -> usize {
        self.state_reads.load(Ordering::SeqCst)
    }

    /// What all instances wrote to their logs.
    pub fn log(&self) -> String {
        let logs = locked(&self.logs);
        logs.iter().map(|log| String::from_utf8_lossy(&log.contents()).into_owned()).collect()
    }

    /// How many instances there were.
    pub fn instances(&self) -> usize {
        locked(&self.logs).len()
    }

    /// How many instances of a server ended: as they should, and not.
    pub fn ends(&self) -> (usize, usize) {
        let [bad, good] = &self.ended;
        (good.load(Ordering::SeqCst), bad.load(Ordering::SeqCst))
    }

    pub(crate) fn ended(&self, is_good: bool) {
        self.ended[usize::from(is_good)].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn add_log(&self, log: MemoryOutputPipe) {
        locked(&self.logs).push(log);
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self.now_ms.load(Ordering::Relaxed) {
            i64::MIN => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or_default())
            }
            ms => Timestamp(ms),
        }
    }

    pub(crate) async fn send(&self, request: Outgoing) -> Incoming {
        Arc::clone(&self.origin).answer(request, self.now()).await
    }

    pub(crate) fn variable(&self, name: &str) -> Result<String, VariableError> {
        if let Some(error) = &self.variables_fail {
            return Err(error.clone());
        }
        let known = self.variables.get(name).cloned();
        known.ok_or_else(|| VariableError::Undefined(format!("no variable {name:?}")))
    }

    pub(crate) async fn open(self: Arc<Self>, label: &str) -> Fate<()> {
        if label != "default" {
            return Ok(Err(StoreError::AccessDenied));
        }
        let mood = locked(&self.store).open.clone();
        self.suffer(mood).await
    }

    pub(crate) async fn stored(self: Arc<Self>, call: StoreCall<'_>) -> Fate<Option<Vec<u8>>> {
        let (StoreCall::Get(key) | StoreCall::Set(key, _) | StoreCall::Delete(key)) = call;
        if key == STATE_KEY {
            self.state_reads.fetch_add(1, Ordering::SeqCst);
        } else {
            let word = match call {
                StoreCall::Get(_) => "edge",
                StoreCall::Set(..) => "set",
                StoreCall::Delete(_) => "delete",
            };
            self.origin.events.note(format!("{word} {key}"));
        }
        let mood = locked(&self.store).moods.get(key).cloned();
        if let Err(error) = self.suffer(mood).await? {
            return Ok(Err(error));
        }
        let values = &mut locked(&self.store).values;
        Ok(Ok(match call {
            StoreCall::Get(key) => values.get(key).cloned(),
            StoreCall::Set(key, value) => values.insert(key.to_owned(), value),
            StoreCall::Delete(key) => values.remove(key),
        }))
    }

    async fn suffer(&self, mood: Option<Mood>) -> Fate<()> {
        match mood {
            None => {}
            Some(Mood::Fails(error)) => return Ok(Err(error)),
            Some(Mood::Hangs) => pending().await,
            Some(Mood::Traps) => wasmtime::bail!("the instance ends here"),
            Some(Mood::Waits) => {
                let released = self.released.notified();
                let mut released = std::pin::pin!(released);
                released.as_mut().enable();
                self.waiting.fetch_add(1, Ordering::SeqCst);
                released.await;
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
        }
        Ok(Ok(()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
