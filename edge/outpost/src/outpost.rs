use std::cell::{Cell, RefCell};
use std::rc::Rc;

use waypost_core::decision::Decision;
use waypost_core::facts::RequestFacts;
use waypost_core::policy::Policy;
use waypost_core::reply::Reply;
use waypost_shell::cache::RecordCache;
use waypost_shell::{Outcome, serve};
use waypost_wire::origin::Question;
use waypost_wire::origin::sign::HEADER;
use waypost_wire::state::{self, STATE_KEY};
use waypost_wire::time::Timestamp;

use crate::clicks::ClickBuffer;
use crate::counts::Counts;
use crate::flights::Flights;
use crate::freshness::{Freshness, STORE_AGE_MIN_SECONDS};
use crate::settings::EdgeSettings;
use crate::visit::Visit;
use crate::{Failed, HttpRequest, Platform};

/// One instance of an edge: what it remembers, and how it asks.
#[derive(Debug)]
pub struct Outpost {
    pub(crate) settings: EdgeSettings,
    pub(crate) cache: RefCell<RecordCache<Rc<[u8]>>>,
    pub(crate) freshness: RefCell<Freshness>,
    pub(crate) clicks: RefCell<ClickBuffer>,
    pub(crate) flights: Flights,
    pub(crate) counts: Counts,
    counts_told_at: Cell<Option<Timestamp>>,
}

/// Shortest time between two lines of counters.
const COUNTS_EVERY_MS: i64 = 10_000;

/// What has to be done beside answering. Whoever was told does it, in the time that the host
/// gives a request after its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duties {
    /// [`Outpost::refresh`].
    pub refresh: bool,
    /// [`Outpost::deliver`], with this many milliseconds to wait first.
    pub deliver_after_ms: Option<u32>,
}

impl Outpost {
    /// An instance that remembers nothing yet. `source` is random and names it in the numbers of
    /// its clicks.
    pub fn new(settings: EdgeSettings, source: u64, now: Timestamp) -> Self {
        Self {
            cache: RefCell::new(RecordCache::new(settings.cache)),
            freshness: RefCell::new(Freshness::new(now)),
            clicks: RefCell::new(ClickBuffer::new(source, settings.click_flush_ms)),
            flights: Flights::default(),
            counts: Counts::default(),
            counts_told_at: Cell::new(None),
            settings,
        }
    }

    /// How redirects are decided.
    pub const fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    /// What was set.
    pub const fn settings(&self) -> &EdgeSettings {
        &self.settings
    }

    /// Answers a request. `finish` copies the reply, which borrows from the record, into the
    /// host's own form.
    pub async fn follow<P: Platform, R>(
        &self,
        facts: &RequestFacts<'_>,
        now: Timestamp,
        platform: &P,
        finish: impl FnOnce(Reply<'_>, &Decision<'_>) -> R,
    ) -> R {
        self.counts.requests.add(1);
        let salt = self.freshness.borrow().salt(now);
        let visit = Visit::new(self, platform, now);
        serve(facts, &self.settings.policy, now, salt.as_ref(), &visit, |outcome| {
            let Outcome { mut reply, click, decision } = outcome;
            if let Some(click) = click.filter(|_| self.settings.sink.is_some()) {
                self.clicks.borrow_mut().accept(&click);
            }
            if let Some(age_seconds) = visit.stale_age_seconds() {
                self.counts.stale_answers.add(1);
                // RFC 9211: what was used was past its time, by so much at most.
                let status = format!("waypost; hit; ttl=-{age_seconds}");
                reply.headers.push(("cache-status", status.into()));
            }
            finish(reply, decision)
        })
        .await
    }

    /// What has to be done now; asked after every answer.
    pub fn duties(&self, now: Timestamp) -> Duties {
        Duties {
            refresh: self.freshness.borrow_mut().due(now),
            deliver_after_ms: self.clicks.borrow_mut().due_ms(now),
        }
    }

    /// Reads the state: from the store, or, if it has none that is kept up, from the origin.
    pub async fn refresh<P: Platform>(&self, platform: &P) {
        let stored = platform.read(STATE_KEY, STORE_AGE_MIN_SECONDS).await;
        if let Ok(bytes) = stored {
            let bytes = bytes.unwrap_or_default();
            self.freshness.borrow_mut().note_store(state::decode(&bytes).ok().as_ref());
            if self.apply(&bytes, platform.now()) {
                return;
            }
        }
        if let Ok(bytes) = self.ask(platform, &Question::State).await
            && self.apply(&bytes, platform.now())
        {
            return;
        }
        self.counts.state_failures.add(1);
    }

    /// Gives up what is remembered of a link, absence included: somebody wrote to the store, and
    /// knows it. The next visitor's request reads it again.
    pub fn forget(&self, key: &str) {
        self.cache.borrow_mut().forget(key);
    }

    /// Clicks that are neither delivered nor given up; those on their way count.
    pub fn clicks_waiting(&self) -> u64 {
        let clicks = self.clicks.borrow();
        let ended = self.counts.clicks_delivered.get() + clicks.given_up();
        clicks.accepted().saturating_sub(ended)
    }

    /// [`Self::counts`], if they have not been told for a while: a busy instance delivers often,
    /// and log lines cost.
    pub fn counts_due(&self, now: Timestamp) -> Option<String> {
        let told_at = self.counts_told_at.replace(Some(now));
        let is_due = told_at.is_none_or(|at| !(0..COUNTS_EVERY_MS).contains(&now.ms_since(at)));
        if !is_due {
            self.counts_told_at.set(told_at);
        }
        is_due.then(|| self.counts())
    }

    /// A JSON object of counters since the start of the instance, for a log line.
    pub fn counts(&self) -> String {
        let clicks = self.clicks.borrow();
        self.counts.clicks_accepted.set(clicks.accepted());
        self.counts.clicks_given_up.set(clicks.given_up());
        self.counts.to_json()
    }

    /// Takes in the bytes of a state; `false` if they are none, or no news.
    pub(crate) fn apply(&self, bytes: &[u8], now: Timestamp) -> bool {
        let Ok(state) = state::decode(bytes) else {
            return false;
        };
        let is_news = self.freshness.borrow_mut().apply(&state, now, &mut self.cache.borrow_mut());
        self.counts.states_read.add(is_news.into());
        is_news
    }

    /// Asks the origin; only an answer that it signed is one.
    pub(crate) async fn ask<P: Platform>(
        &self,
        platform: &P,
        question: &Question<'_>,
    ) -> Result<Vec<u8>, Failed> {
        let EdgeSettings { origin, origin_key, .. } = &self.settings;
        let origin = origin.as_ref().ok_or(Failed)?;
        self.counts.origin_questions.add(1);
        let (path, body) = (question.path(), question.encode());
        let (signature, mac) = origin_key.sign_question(path, &body, platform.now());
        let request = HttpRequest {
            url: format!("{}{path}", origin.url),
            headers: vec![
                ("content-type", waypost_wire::origin::CONTENT_TYPE.to_owned()),
                (HEADER, signature),
            ],
            body,
            timeout_ms: origin.timeout_ms,
        };
        let answer = platform.post(&request).await;
        let is_genuine = |answer: &crate::HttpAnswer| {
            let signature = answer.signature.as_deref();
            answer.status == 200
                && signature.is_some_and(|text| origin_key.is_answer(text, &mac, 200, &answer.body))
        };
        match answer {
            Ok(answer) if is_genuine(&answer) => Ok(answer.body),
            _ => {
                self.counts.origin_failures.add(1);
                Err(Failed)
            }
        }
    }
}
