//! What a journey asks of the shim: one errand at a time, left here until the shim comes for it,
//! and its outcome, left here until the journey is polled again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use waypost_outpost::{Failed, HttpAnswer, HttpRequest, Platform};
use waypost_wire::origin::Question;
use waypost_wire::time::Timestamp;

use crate::facts::limited_as;

/// Something that only the shim can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Ask the rate limit of misses about this client.
    Admit { client: String, timeout_ms: u32 },
    /// Wait.
    Pause { ms: u32 },
    /// Post a request.
    Post(HttpRequest),
    /// Read a value of the namespace `LINKS`.
    Read { key: String, age_max_seconds: u32, timeout_ms: u32 },
    /// Wait for another journey's read.
    Wait { flight: u32, timeout_ms: u32 },
}

/// What became of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It failed, or took too long.
    Failed,
    /// No value; not admitted.
    Nothing,
    /// Done; admitted; a value.
    Done(Vec<u8>),
    /// The answer to a request.
    Answer(HttpAnswer),
}

/// Where one journey and the shim meet.
#[derive(Debug)]
pub(crate) struct Desk {
    shared: Rc<Shared>,
    /// The client's address, for the rate limit of misses.
    client_ip: Cell<Option<u128>>,
    bounds: Bounds,
    errand: RefCell<Option<Errand>>,
    outcome: RefCell<Option<Outcome>>,
    /// Something was asked for that must not happen twice.
    is_final: Cell<bool>,
}

/// What all journeys of an instance have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// As the shim said last.
    pub(crate) now: Cell<Timestamp>,
    awaited: RefCell<Vec<u32>>,
    /// Flights that landed while somebody waited for them, for the shim to wake whoever it was.
    landed: RefCell<Vec<u32>>,
}

impl Shared {
    /// A flight that landed, and that the shim was not told of yet.
    pub(crate) fn next_landed(&self) -> Option<u32> {
        self.landed.borrow_mut().pop()
    }

    pub(crate) fn has_landed(&self) -> bool {
        !self.landed.borrow().is_empty()
    }

    fn await_flight(&self, flight: u32) {
        let mut awaited = self.awaited.borrow_mut();
        if !awaited.contains(&flight) {
            awaited.push(flight);
        }
    }

    fn land(&self, flight: u32) {
        let mut awaited = self.awaited.borrow_mut();
        if let Some(at) = awaited.iter().position(|known| *known == flight) {
            awaited.swap_remove(at);
            self.landed.borrow_mut().push(flight);
        }
    }
}

/// How long the waits of a [`Desk`] may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For the store and the rate limit.
    pub(crate) store_timeout_ms: u32,
    /// The longest that another journey's read can take.
    pub(crate) flight_timeout_ms: u32,
}

impl Desk {
    pub(crate) const fn new(shared: Rc<Shared>, bounds: Bounds) -> Self {
        Self {
            shared,
            client_ip: Cell::new(None),
            bounds,
            errand: RefCell::new(None),
            outcome: RefCell::new(None),
            is_final: Cell::new(false),
        }
    }

    pub(crate) fn set_client(&self, ip: Option<u128>) {
        self.client_ip.set(ip);
    }

    /// The errand that waits for the shim.
    pub(crate) fn take_errand(&self) -> Option<Errand> {
        self.errand.borrow_mut().take()
    }

    pub(crate) fn leave_outcome(&self, outcome: Outcome) {
        *self.outcome.borrow_mut() = Some(outcome);
    }

    /// Whether the journey must not be begun again on another instance.
    pub(crate) const fn is_final(&self) -> bool {
        self.is_final.get()
    }

    async fn run(&self, errand: Errand) -> Outcome {
        *self.errand.borrow_mut() = Some(errand);
        poll_fn(|_| match self.outcome.borrow_mut().take() {
            None => Poll::Pending,
            Some(outcome) => Poll::Ready(outcome),
        })
        .await
    }
}

impl Platform for Desk {
    async fn read(&self, key: &str, age_max_seconds: u32) -> Result<Option<Vec<u8>>, Failed> {
        let timeout_ms = self.bounds.store_timeout_ms;
        let key = key.to_owned();
        match self.run(Errand::Read { key, age_max_seconds, timeout_ms }).await {
            Outcome::Done(value) => Ok(Some(value)),
            Outcome::Nothing => Ok(None),
            Outcome::Failed | Outcome::Answer(_) => Err(Failed),
        }
    }

    async fn post(&self, request: &HttpRequest) -> Result<HttpAnswer, Failed> {
        // A use that was asked for may have been taken, whether there is an answer or not.
        if request.url.ends_with((Question::Consume { link_id: 0 }).path()) {
            self.is_final.set(true);
        }
        match self.run(Errand::Post(request.clone())).await {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Failed | Outcome::Nothing | Outcome::Done(_) => Err(Failed),
        }
    }

    async fn admits_miss(&self) -> bool {
        let Some(client_ip) = self.client_ip.get() else {
            return true;
        };
        let client = limited_as(client_ip);
        let errand = Errand::Admit { client, timeout_ms: self.bounds.store_timeout_ms };
        // A rate limit that fails must not take links down.
        self.run(errand).await != Outcome::Nothing
    }

    async fn wait(&self, flight: u32) {
        self.shared.await_flight(flight);
        let _ = self.run(Errand::Wait { flight, timeout_ms: self.bounds.flight_timeout_ms }).await;
    }

    fn landed(&self, flight: u32) {
        self.shared.land(flight);
    }

    async fn pause(&self, ms: u32) {
        let _ = self.run(Errand::Pause { ms }).await;
    }

    fn now(&self) -> Timestamp {
        self.shared.now.get()
    }
}
