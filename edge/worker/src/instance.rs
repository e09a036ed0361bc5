//! One instance of the module: its outpost, its journeys, its way in and out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use waypost_core::facts::Method;
use waypost_outpost::settings::SettingFault;
use waypost_outpost::{HttpAnswer, Outpost};
use waypost_wire::time::Timestamp;

use crate::errand::{Bounds, Desk, Outcome, Shared};
use crate::facts::Packed;
use crate::output::{DONE, GONE, Output, PENDING, address, register};
use crate::settings::Variables;

/// A journey that the shim has not come back to for this long was ended by the runtime, with the
/// request that it belonged to: longer than any wait it could be in, and than the 30 s that are
/// given after an answer.
const ABANDONED_MS: i64 = 60_000;

/// How often abandoned journeys are looked for.
const SWEEP_MS: i64 = 10_000;

/// Room for one request or outcome; more is made for one that needs it, and given back after it.
const INPUT_BYTES: usize = 32 * 1024;

/// What an errand came back with, as the shim tells it. A status of 100 or more is that of an
/// answer to a request.
pub(crate) mod code {
    pub(crate) const NOTHING: u32 = 1;
    pub(crate) const DONE: u32 = 2;
    pub(crate) const BEGIN: u32 = 3;
    pub(crate) const STATUS_MIN: u32 = 100;
}

/// A future that stops at errands.
struct Journey {
    future: Pin<Box<dyn Future<Output = ()>>>,
    desk: Rc<Desk>,
    outpost: Rc<Outpost>,
    kind: Kind,
    active_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deliver,
    Follow,
    Refresh,
}

/// The instance.
pub(crate) struct Instance {
    shared: Rc<Shared>,
    outpost: RefCell<Option<Rc<Outpost>>>,
    journeys: RefCell<HashMap<u32, Journey>>,
    journeys_begun: Cell<u32>,
    swept_at: Cell<Timestamp>,
    input: RefCell<Vec<u8>>,
    output: Rc<RefCell<Output>>,
}

impl Instance {
    pub(crate) fn new() -> Self {
        Self {
            shared: Rc::default(),
            outpost: RefCell::default(),
            journeys: RefCell::default(),
            journeys_begun: Cell::new(0),
            swept_at: Cell::default(),
            input: RefCell::new(vec![0; INPUT_BYTES]),
            output: Rc::new(RefCell::new(Output::new())),
        }
    }

    /// Where the registers are.
    pub(crate) fn registers(&self) -> u32 {
        address(self.output.borrow().registers())
    }

    /// Where the next request or outcome goes: room for `bytes`.
    pub(crate) fn input(&self, bytes: u32) -> u32 {
        let mut input = self.input.borrow_mut();
        let bytes = (bytes as usize).max(INPUT_BYTES);
        if input.len() < bytes || (input.len() > INPUT_BYTES && bytes == INPUT_BYTES) {
            *input = vec![0; bytes];
        }
        address(input.as_ptr())
    }

    /// Begins anew with the variables in the input. Whether it can, and what there is to say.
    pub(crate) fn begin(&self, text_bytes: u32, source: u64, now: Timestamp) -> bool {
        self.shared.now.set(now);
        let text = String::from_utf8(self.take_input(text_bytes, 0).0).unwrap_or_default();
        let variables = Variables(&text);
        let mut remarks: Vec<String> =
            variables.unknown().map(|name| format!("{name}: there is no such setting")).collect();
        let outpost = match variables.settings() {
            Ok(settings) => {
                if settings.sink.is_none() {
                    remarks.push("there is no origin and no queue: clicks are not counted".into());
                }
                Some(Rc::new(Outpost::new(settings, source, now)))
            }
            Err(faults) => {
                let line = |fault: &SettingFault| {
                    format!("{}: {}", fault.name.to_ascii_uppercase(), fault.problem)
                };
                remarks.extend(faults.iter().map(line));
                None
            }
        };
        let is_begun = outpost.is_some();
        *self.outpost.borrow_mut() = outpost;
        let mut output = self.output.borrow_mut();
        output.clear();
        output.text(&remarks.join("\n"));
        is_begun
    }

    /// Follows a link: the request is in the input, as text and maybe a form behind it.
    pub(crate) fn follow(
        &self,
        text_bytes: u32,
        form_bytes: u32,
        draw: u64,
        now: Timestamp,
    ) -> u32 {
        self.shared.now.set(now);
        self.sweep(now);
        let Some(outpost) = self.outpost.borrow().clone() else {
            return GONE;
        };
        let (text, form) = self.take_input(text_bytes, form_bytes);
        let output = Rc::clone(&self.output);
        let desk = self.desk(&outpost);
        let future = {
            let (outpost, desk) = (Rc::clone(&outpost), Rc::clone(&desk));
            async move {
                // The shim's encoder writes nothing but UTF-8.
                let text = String::from_utf8(text).unwrap_or_default();
                let request = Packed::read(&text);
                let facts = request.facts(&form, draw);
                let is_head = facts.method == Method::Head;
                desk.set_client(facts.client_ip);
                outpost
                    .follow(&facts, now, &*desk, |reply, _| {
                        output.borrow_mut().reply(&reply, is_head);
                    })
                    .await;
            }
        };
        let journey =
            Journey { future: Box::pin(future), desk, outpost, kind: Kind::Follow, active_at: now };
        self.step(self.next_journey(), journey)
    }

    /// Goes on with a journey: what its errand came back with is in the input.
    pub(crate) fn resume(
        &self,
        id: u32,
        code: u32,
        first_bytes: u32,
        body_bytes: u32,
        now: Timestamp,
    ) -> u32 {
        self.shared.now.set(now);
        let journey = self.journeys.borrow_mut().remove(&id);
        let Some(journey) = journey else {
            return GONE;
        };
        let outcome = match code {
            code::BEGIN => return self.step(id, journey),
            code::NOTHING => Outcome::Nothing,
            code::DONE => Outcome::Done(self.take_input(0, body_bytes).1),
            code::STATUS_MIN.. => {
                let (signature, body) = self.take_input(first_bytes, body_bytes);
                let signature = String::from_utf8(signature).ok().filter(|text| !text.is_empty());
                let status = u16::try_from(code).unwrap_or_default();
                Outcome::Answer(HttpAnswer { status, signature, body })
            }
            _ => Outcome::Failed,
        };
        journey.desk.leave_outcome(outcome);
        self.step(id, journey)
    }

    /// A journey that delivers what waits, for an instance that is not used any more; 0 if nothing
    /// can be delivered.
    pub(crate) fn rescue(&self) -> u32 {
        let outpost = self.outpost.borrow().clone();
        outpost.map_or(0, |outpost| self.deliver(&outpost, 0))
    }

    /// A flight that landed; 0 if there is none.
    pub(crate) fn next_landed(&self) -> u32 {
        self.shared.next_landed().unwrap_or_default()
    }

    /// Polls a journey, and says in the registers how that went.
    fn step(&self, id: u32, mut journey: Journey) -> u32 {
        self.output.borrow_mut().clear();
        let polled = journey.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let status = match polled {
            Poll::Pending => self.keep(id, journey),
            Poll::Ready(()) => self.end(&journey),
        };
        self.output.borrow().set(register::HAS_LANDED, self.shared.has_landed().into());
        status
    }

    fn keep(&self, id: u32, mut journey: Journey) -> u32 {
        let mut output = self.output.borrow_mut();
        output.set(register::JOURNEY, id);
        if let Some(errand) = journey.desk.take_errand() {
            output.errand(&errand);
        }
        output.set(register::IS_FINAL, journey.desk.is_final().into());
        journey.active_at = self.shared.now.get();
        self.journeys.borrow_mut().insert(id, journey);
        PENDING
    }

    fn end(&self, journey: &Journey) -> u32 {
        match journey.kind {
            Kind::Follow => {
                let duties = journey.outpost.duties(self.shared.now.get());
                let deliver = duties.deliver_after_ms.map(|ms| self.deliver(&journey.outpost, ms));
                let refresh = duties.refresh.then(|| self.refresh(&journey.outpost));
                let output = self.output.borrow();
                output.set(register::DELIVER, deliver.unwrap_or_default());
                output.set(register::REFRESH, refresh.unwrap_or_default());
                output.get(register::STATUS)
            }
            Kind::Deliver => {
                if let Some(counts) = journey.outpost.counts_due(self.shared.now.get()) {
                    self.output.borrow_mut().text(&counts);
                }
                DONE
            }
            Kind::Refresh => DONE,
        }
    }

    fn deliver(&self, outpost: &Rc<Outpost>, after_ms: u32) -> u32 {
        self.prepare(outpost, Kind::Deliver, async move |outpost, desk| {
            outpost.deliver(after_ms, desk).await;
        })
    }

    fn refresh(&self, outpost: &Rc<Outpost>) -> u32 {
        self.prepare(outpost, Kind::Refresh, async |outpost, desk| outpost.refresh(desk).await)
    }

    /// A journey beside the answer, which begins when the shim says so.
    fn prepare(
        &self,
        outpost: &Rc<Outpost>,
        kind: Kind,
        run: impl AsyncFnOnce(&Outpost, &Desk) + 'static,
    ) -> u32 {
        let desk = self.desk(outpost);
        let outpost = Rc::clone(outpost);
        let future = {
            let (outpost, desk) = (Rc::clone(&outpost), Rc::clone(&desk));
            Box::pin(async move { run(&outpost, &desk).await })
        };
        let active_at = self.shared.now.get();
        let id = self.next_journey();
        let journey = Journey { future, desk, outpost, kind, active_at };
        self.journeys.borrow_mut().insert(id, journey);
        id
    }

    fn desk(&self, outpost: &Outpost) -> Rc<Desk> {
        let settings = outpost.settings();
        let origin_timeout_ms = settings.origin.as_ref().map_or(0, |origin| origin.timeout_ms);
        let store_timeout_ms = settings.store_timeout_ms;
        // At most two reads of the store and a question to the origin.
        let flight_timeout_ms = 2 * store_timeout_ms + origin_timeout_ms;
        let bounds = Bounds { store_timeout_ms, flight_timeout_ms };
        Rc::new(Desk::new(Rc::clone(&self.shared), bounds))
    }

    /// Numbers begin again after four billion journeys, and are never 0.
    fn next_journey(&self) -> u32 {
        let next = self.journeys_begun.get().wrapping_add(1).max(1);
        self.journeys_begun.set(next);
        next
    }

    pub(crate) fn take_input(&self, first_bytes: u32, second_bytes: u32) -> (Vec<u8>, Vec<u8>) {
        let input = self.input.borrow();
        let cut = (first_bytes as usize).min(input.len());
        let (first, rest) = input.split_at(cut);
        let second = &rest[..(second_bytes as usize).min(rest.len())];
        (first.to_vec(), second.to_vec())
    }

    /// Ends journeys that were abandoned: their flights land, their clicks are given back.
    fn sweep(&self, now: Timestamp) {
        if (0..SWEEP_MS).contains(&now.ms_since(self.swept_at.get())) {
            return;
        }
        self.swept_at.set(now);
        let abandoned: Vec<Journey> = {
            let mut journeys = self.journeys.borrow_mut();
            let is_abandoned = |journey: &Journey| now.ms_since(journey.active_at) > ABANDONED_MS;
            journeys.extract_if(|_, journey| is_abandoned(journey)).map(|(_, old)| old).collect()
        };
        drop(abandoned);
    }
}

/// What the shim does by looking into memory.
#[cfg(test)]
impl Instance {
    pub(crate) fn put(&self, text: &str, bytes: &[u8]) -> u32 {
        let needed = text.len() + bytes.len();
        self.input(u32::try_from(needed).expect("short"));
        let mut input = self.input.borrow_mut();
        input[..text.len()].copy_from_slice(text.as_bytes());
        input[text.len()..needed].copy_from_slice(bytes);
        u32::try_from(text.len()).expect("short")
    }

    pub(crate) fn room(&self) -> usize {
        self.input.borrow().len()
    }

    pub(crate) fn register(&self, register: usize) -> u32 {
        self.output.borrow().get(register)
    }

    pub(crate) fn texts(&self) -> [String; 4] {
        self.output.borrow().texts()
    }
}
