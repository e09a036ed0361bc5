//! The reads of one request: memory, the store, the origin, and at last what was good once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use waypost_core::flow::Source;
use waypost_shell::cache::{Cached, Ticket};
use waypost_shell::seams::{LinkReader, Origin, Unlock, Use};
use waypost_wire::codec;
use waypost_wire::key::LinkKey;
use waypost_wire::origin::{Answer, Question, Resolved, Unlocked, Used};
use waypost_wire::time::Timestamp;

use crate::flights::Flight;
use crate::freshness::{STORE_AGE_MIN_SECONDS, Standing};
use crate::{Failed, Outpost, Platform};

/// One request's view of what is stored.
pub(crate) struct Visit<'a, P: Platform> {
    outpost: &'a Outpost,
    platform: &'a P,
    now: Timestamp,
    /// The read that others wait for, until it is over.
    flight: RefCell<Option<Flight<'a, P>>>,
    /// What the store had is no news, but the best there is if the origin has nothing to say.
    fallback: RefCell<Option<Rc<[u8]>>>,
    ticket: Cell<Option<Ticket>>,
    /// The memory says that there is no such link; the origin need not be asked again.
    is_absent: Cell<bool>,
    /// Another request asked store and origin just now, and neither answered.
    is_hopeless: Cell<bool>,
    /// Seconds since the record that was used was read, if it is not believed any more.
    stale_age_seconds: Cell<Option<i64>>,
}

impl<'a, P: Platform> Visit<'a, P> {
    pub(crate) const fn new(outpost: &'a Outpost, platform: &'a P, now: Timestamp) -> Self {
        Self {
            outpost,
            platform,
            now,
            flight: RefCell::new(None),
            fallback: RefCell::new(None),
            ticket: Cell::new(None),
            is_absent: Cell::new(false),
            is_hopeless: Cell::new(false),
            stale_age_seconds: Cell::new(None),
        }
    }

    pub(crate) const fn stale_age_seconds(&self) -> Option<i64> {
        self.stale_age_seconds.get()
    }

    const fn has_origin(&self) -> bool {
        self.outpost.settings.policy.read_through
    }

    /// What the memory knows; counts it.
    fn remembered(&self, key: &str) -> Option<Option<Rc<[u8]>>> {
        let Outpost { cache, freshness, counts, .. } = self.outpost;
        let mut cache = cache.borrow_mut();
        cache.trust_from(freshness.borrow().trusted_from(self.now));
        match cache.lookup(key, self.now) {
            Cached::Found(record) => {
                counts.memory_hits.add(1);
                Some(Some(record))
            }
            Cached::Missing => {
                counts.absence_hits.add(1);
                Some(None)
            }
            Cached::Unknown(ticket) => {
                self.ticket.set(Some(ticket));
                None
            }
        }
    }

    /// Keeps what was read, and lets the others go on.
    fn keep(&self, key: &str, record: Option<Rc<[u8]>>) {
        if let Some(ticket) = self.ticket.take() {
            self.outpost.cache.borrow_mut().fill(ticket, key, record, self.now);
        }
        self.land();
    }

    fn land(&self) {
        let flight = self.flight.borrow_mut().take();
        drop(flight);
    }

    async fn read_edge(&self, key: &str) -> Result<Option<Rc<[u8]>>, Failed> {
        self.is_absent.set(false);
        self.is_hopeless.set(false);
        self.fallback.borrow_mut().take();
        self.land();
        let mut remembered = self.remembered(key);
        let mut waited_for = None;
        // Twice, because the first reader may have been ended by the host: then whoever wakes first
        // reads, and the others wait for that one.
        for _ in 0..2 {
            let flight = self.outpost.flights.of(key).filter(|flight| Some(*flight) != waited_for);
            let Some(flight) = flight.filter(|_| remembered.is_none()) else { break };
            waited_for = Some(flight);
            self.outpost.counts.shared_reads.add(1);
            self.platform.wait(flight).await;
            remembered = self.remembered(key);
            if remembered.is_none() && self.outpost.flights.has_failed(flight) {
                self.is_hopeless.set(true);
                return if self.has_origin() { Err(Failed) } else { self.last_good(key) };
            }
        }
        if let Some(known) = remembered {
            self.is_absent.set(known.is_none());
            return Ok(known);
        }
        let flight = self.outpost.flights.begin(key, self.platform);
        *self.flight.borrow_mut() = Some(flight);
        match self.read_current(key).await {
            Ok(Some(record)) => {
                // A damaged record is the flow's business, and not worth remembering.
                match codec::decode(&record).is_ok() {
                    true => self.keep(key, Some(Rc::clone(&record))),
                    false if !self.has_origin() => self.land(),
                    false => {}
                }
                Ok(Some(record))
            }
            Ok(None) if self.has_origin() => Ok(None),
            Ok(None) => {
                self.keep(key, None);
                Ok(None)
            }
            Err(Failed) if self.has_origin() => Err(Failed),
            Err(Failed) => self.last_good(key),
        }
    }

    /// Reads the store, past its own caches if the state knows of something newer.
    async fn read_current(&self, key: &str) -> Result<Option<Rc<[u8]>>, Failed> {
        let Outpost { freshness, counts, .. } = self.outpost;
        let age_max_seconds = freshness.borrow().store_age_max_seconds(self.now);
        let mut record = self.read_store(key, age_max_seconds).await?;
        let standing =
            |record: &Option<Rc<[u8]>>| freshness.borrow().standing(key, record.as_deref());
        if standing(&record) != Standing::Current {
            counts.outdated_reads.add(1);
            record = self.read_store(key, STORE_AGE_MIN_SECONDS).await?;
        }
        match (standing(&record), record) {
            // Nothing is known against it, but nothing could be: the store was filled too long ago.
            (Standing::Current, Some(record))
                if self.has_origin() && !freshness.borrow().knows_store() =>
            {
                *self.fallback.borrow_mut() = Some(record);
                Err(Failed)
            }
            (Standing::Current, record) => Ok(record),
            // The store is behind; the origin is not.
            (Standing::Outdated, record) if self.has_origin() => {
                *self.fallback.borrow_mut() = record;
                Err(Failed)
            }
            (Standing::Outdated, record) => Ok(record),
            (Standing::Stopped, _) => Err(Failed),
        }
    }

    async fn read_store(
        &self,
        key: &str,
        age_max_seconds: u32,
    ) -> Result<Option<Rc<[u8]>>, Failed> {
        self.outpost.counts.store_reads.add(1);
        match self.platform.read(key, age_max_seconds).await {
            Ok(found) => Ok(found.map(Rc::from)),
            Err(Failed) => {
                self.outpost.counts.store_failures.add(1);
                Err(Failed)
            }
        }
    }

    async fn read_origin(&self, key: &str) -> Result<Option<Rc<[u8]>>, Failed> {
        if self.is_absent.get() {
            return Ok(None);
        }
        if self.is_hopeless.get() {
            return self.last_good(key);
        }
        match self.resolve(key).await {
            Ok(record) => {
                self.keep(key, record.clone());
                Ok(record)
            }
            Err(Failed) => self.last_good(key),
        }
    }

    async fn resolve(&self, key: &str) -> Result<Option<Rc<[u8]>>, Failed> {
        if !self.platform.admits_miss().await {
            self.outpost.counts.misses_refused.add(1);
            return Err(Failed);
        }
        let bytes = self.outpost.ask(self.platform, &Question::Resolve { key }).await?;
        let resolved = Resolved::decode(&bytes).ok().filter(|resolved| resolved.key == key);
        let record = resolved.ok_or(Failed)?.record;
        // What cannot be read is no answer: an older record may be better than none.
        match record {
            Some(record) if codec::decode(record).is_err() => Err(Failed),
            record => Ok(record.map(Rc::from)),
        }
    }

    /// Nothing could be read: what was, once, is better than no answer, unless it is known to have
    /// been stopped since, and then it was forgotten.
    fn last_good(&self, key: &str) -> Result<Option<Rc<[u8]>>, Failed> {
        if let Some(flight) = self.flight.borrow_mut().take() {
            flight.fail();
        }
        let kept = self.outpost.cache.borrow_mut().last_good(key);
        let fallback = self.fallback.borrow_mut().take().map(|record| (record, self.now));
        let (record, read_at) = fallback.or(kept).ok_or(Failed)?;
        let age_seconds = self.now.ms_since(read_at) / 1_000;
        self.stale_age_seconds.set(Some(age_seconds.max(1)));
        Ok(Some(record))
    }
}

impl<P: Platform> LinkReader for Visit<'_, P> {
    type Bytes = Rc<[u8]>;

    async fn read(&self, source: Source, key: &LinkKey) -> Result<Option<Rc<[u8]>>, Failed> {
        match source {
            Source::Edge => self.read_edge(key.as_str()).await,
            Source::Origin => self.read_origin(key.as_str()).await,
        }
    }
}

impl<P: Platform> Origin for Visit<'_, P> {
    async fn take_use(&self, link_id: u64) -> Result<Use, Failed> {
        let bytes = self.outpost.ask(self.platform, &Question::Consume { link_id }).await?;
        match Used::decode(&bytes) {
            Ok(Used::Taken) => Ok(Use::Taken),
            Ok(Used::Exhausted) => Ok(Use::Exhausted),
            Err(_) => Err(Failed),
        }
    }

    async fn unlock(
        &self,
        key: &LinkKey,
        password: &str,
        client_ip: Option<u128>,
    ) -> Result<Unlock, Failed> {
        let question = Question::Unlock { key: key.as_str(), password, client_ip };
        let bytes = self.outpost.ask(self.platform, &question).await?;
        match Unlocked::decode(&bytes) {
            Ok(Unlocked::Right) => Ok(Unlock::Right),
            Ok(Unlocked::TooMany) => Ok(Unlock::TooMany),
            Ok(Unlocked::Wrong) => Ok(Unlock::Wrong),
            Err(_) => Err(Failed),
        }
    }
}
