//! Spin apps, whose stores nobody but they themselves can write to.
//!
//! Records are put to `/_/sync` of the app ([`waypost_wire::sync`]), signed with the key that edges
//! and their origin share. The app compares, and keeps what it has newer; it tells nobody what it
//! has. So a reconciliation sends everything.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use waypost_service::publish::{
    Budget, EdgeStore, Kept, LimitedCalls, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_wire::origin;
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::sync::{
    BODY_MAX_BYTES, Change, ENTRIES_MAX, Entry, Outcome, PATH, Sync, decode_outcomes,
};
use waypost_wire::time::Timestamp;

use crate::http::{self, Answer, call};

/// Longest answer read: outcomes are 103 bytes, the rest are pages of proxies.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// What an entry takes beside its key and record, and the rest of a synchronisation.
const ENTRY_OVERHEAD_BYTES: usize = 24;

/// A Spin app.
#[derive(Debug)]
pub struct SpinSync {
    name: String,
    client: Client,
    url: Url,
    key: OriginKey,
    per_second: u32,
}

impl SpinSync {
    /// The app at `url` (scheme and host). `per_second`: most records a second, of which a quarter
    /// is for reconciling; managed platforms take 50 writes (Akamai Functions, 2026).
    ///
    /// # Errors
    /// [`StoreFault::Unexpected`] if this process has no TLS.
    pub fn new(name: &str, url: &Url, key: OriginKey, per_second: u32) -> Result<Self, StoreFault> {
        let mut url = url.clone();
        url.set_path(PATH);
        url.set_query(None);
        let (name, client) = (name.to_owned(), http::client()?);
        Ok(Self { name, client, url, key, per_second })
    }

    async fn sync(&self, sync: &Sync<'_>) -> Result<Vec<Outcome>, StoreFault> {
        let body = sync.encode();
        let (signature, mac) = self.key.sign_question(PATH, &body, now());
        let request = self
            .client
            .put(self.url.clone())
            .header(CONTENT_TYPE, origin::CONTENT_TYPE)
            .header(HEADER, signature)
            .body(body);
        let answer = call(request, ANSWER_MAX_BYTES).await?;
        if answer.status != 200 {
            return Err(refusal(&answer));
        }
        let signature = answer.headers.get(HEADER).and_then(|value| value.to_str().ok());
        let is_signed = signature
            .is_some_and(|text| self.key.is_answer(text, &mac, answer.status, &answer.body));
        if !is_signed {
            let text = "200 without the signature of the app: is this its address, and does all \
                        between pass its headers on?";
            return Err(StoreFault::Refused(text.to_owned()));
        }
        let expected = sync.entries.len() + usize::from(sync.state.is_some());
        let outcomes = decode_outcomes(&answer.body).ok();
        outcomes.filter(|outcomes| outcomes.len() == expected).ok_or_else(|| {
            StoreFault::Unexpected("outcomes that this version cannot read".to_owned())
        })
    }
}

impl EdgeStore for SpinSync {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self, budget: Budget) -> Limits {
        let reconcile = (self.per_second / 4).max(1);
        let share = match budget {
            Budget::Publisher => self.per_second.saturating_sub(reconcile).max(1),
            Budget::Reconcile => reconcile,
        };
        // A call is one burst for the store, so it has no more than a second may have.
        let burst = share.min(u32::try_from(ENTRIES_MAX).unwrap_or(u32::MAX));
        Limits {
            puts_max: ENTRIES_MAX,
            bytes_max: BODY_MAX_BYTES - ENTRY_OVERHEAD_BYTES * (ENTRIES_MAX + 1),
            removals_max: ENTRIES_MAX,
            marks_max: 1,
            calls: None,
            writes: Some(LimitedCalls { burst, refill: share, per_ms: 1_000 }),
            same_key_ms: 0,
        }
    }

    fn ways(&self) -> Ways {
        Ways::Writes
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let entries = records
            .iter()
            .map(|put| Entry { key: put.key, change: Change::Put(put.record) })
            .collect();
        let outcomes = self.sync(&Sync { entries, state: None }).await?;
        Ok(outcomes.into_iter().map(kept).collect())
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let entries = removals
            .iter()
            .map(|gone| Entry { key: gone.key, change: Change::Remove(gone.generation) })
            .collect();
        let outcomes = self.sync(&Sync { entries, state: None }).await?;
        Ok(outcomes.into_iter().map(kept).collect())
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        let outcomes = self.sync(&Sync { entries: Vec::new(), state: Some(state) }).await?;
        Ok(outcomes.first().copied().map_or(Kept::Failed, kept))
    }

    async fn list(&self, _: Option<&str>) -> Result<Listed, StoreFault> {
        Err(unreadable())
    }

    async fn marks(&self, _: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        Err(unreadable())
    }
}

fn unreadable() -> StoreFault {
    StoreFault::Refused("a Spin app does not tell what its store has".to_owned())
}

const fn kept(outcome: Outcome) -> Kept {
    match outcome {
        Outcome::Failed => Kept::Failed,
        Outcome::Outdated => Kept::Newer,
        Outcome::Refused => Kept::Refused,
        Outcome::Stored => Kept::Stored,
    }
}

fn refusal(answer: &Answer) -> StoreFault {
    let text = answer.text();
    // The component's own words.
    let advice = match (answer.status, text.trim()) {
        (401, "signed at another time") => "its clock and the one here are too far apart",
        (401, "signed with another key") => "it has other keys: set its secret waypost_edge_keys",
        (404 | 421, _) => "it takes no records: set waypost_sync to true, check the address",
        _ => return answer.fault(&text),
    };
    StoreFault::Refused(format!("{}: {advice}", answer.status))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
