//! The way in for records, removals and the state, where the store has no other: a managed store
//! that only its own application can write to. Whoever has the key that edges share with their
//! origin may write; nothing newer is ever replaced by something older.
//!
//! Reading and writing are two steps, so this holds for deliveries in any order, but not for two
//! writers at the same moment: there is one publisher.

use waypost_outpost::Failed;
use waypost_wire::codec;
use waypost_wire::key::SLUG_MAX_BYTES;
use waypost_wire::origin::sign::{OriginKey, SignatureFault};
use waypost_wire::record::Generation;
use waypost_wire::state::{self, STATE_KEY};
use waypost_wire::sync::{
    BODY_MAX_BYTES, Change, ENTRIES_MAX, Entry, FormatError, Outcome, PATH, Sync, encode_outcomes,
};
use waypost_wire::time::Timestamp;

use crate::answer::Answer;

/// Longest key of a link: a host name (253, RFC 1035 2.3.4), `/`, a slug.
const KEY_MAX_BYTES: usize = 253 + 1 + SLUG_MAX_BYTES;

/// The store, as far as a synchronisation needs it.
pub(crate) trait Store {
    /// The value under a key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed>;
    /// Stores a value.
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed>;
    /// Removes a value, if there is one.
    async fn remove(&self, key: &str) -> Result<(), Failed>;
}

/// Answers a synchronisation. `signature` is its header, `body` at least one byte more than
/// [`BODY_MAX_BYTES`] if it is longer than that. `forget` is told of each key of a link that the
/// store has as it was sent: what this instance remembers of it may be older.
pub(crate) async fn answer(
    key: &OriginKey,
    signature: Option<&str>,
    body: &[u8],
    now: Timestamp,
    store: &impl Store,
    forget: impl Fn(&str),
) -> Answer {
    if body.len() > BODY_MAX_BYTES {
        return Answer::text(413, &format!("a synchronisation has at most {BODY_MAX_BYTES} bytes"));
    }
    let signature = signature.ok_or(SignatureFault::Malformed);
    let mac = match signature.and_then(|text| key.check_question(text, PATH, body, now)) {
        Ok(mac) => mac,
        Err(SignatureFault::Malformed) => return Answer::text(401, "not signed"),
        Err(SignatureFault::Wrong) => return Answer::text(401, "signed with another key"),
        Err(SignatureFault::Time) => return Answer::text(401, "signed at another time"),
    };
    let sync = match Sync::decode(body) {
        Ok(sync) => sync,
        Err(FormatError::TooMany) => {
            return Answer::text(413, &format!("at most {} entries", ENTRIES_MAX));
        }
        Err(_) => return Answer::text(400, "no synchronisation of version 1"),
    };
    let mut outcomes = Vec::new();
    for entry in &sync.entries {
        let outcome = outcome(apply(entry, store).await);
        if outcome == Outcome::Stored {
            forget(entry.key);
        }
        outcomes.push(outcome);
    }
    if let Some(bytes) = sync.state {
        outcomes.push(outcome(apply_state(bytes, store).await));
    }
    let body = encode_outcomes(&outcomes);
    let signature = key.sign_answer(&mac, 200, &body);
    Answer::signed(signature, body)
}

fn outcome(result: Result<Outcome, Failed>) -> Outcome {
    result.unwrap_or(Outcome::Failed)
}

async fn apply(entry: &Entry<'_>, store: &impl Store) -> Result<Outcome, Failed> {
    let Entry { key, change } = *entry;
    let new = match change {
        Change::Put(record) if codec::decode(record).is_ok() => codec::generation(record).ok(),
        Change::Put(_) => None,
        Change::Remove(generation) => Some(generation),
    };
    let Some(new) = new.filter(|_| is_key(key)) else {
        return Ok(Outcome::Refused);
    };
    let stored = store.get(key).await?;
    if stored.as_deref().is_some_and(|stored| generation(stored) > new) {
        return Ok(Outcome::Outdated);
    }
    match change {
        // Writes are what managed stores have fewest of.
        Change::Put(record) if stored.as_deref() == Some(record) => {}
        // The same generation may have other bytes: records are compiled again when the rules of
        // their time zones run out.
        Change::Put(record) => store.set(key, record).await?,
        Change::Remove(_) if stored.is_none() => {}
        Change::Remove(_) => store.remove(key).await?,
    }
    Ok(Outcome::Stored)
}

async fn apply_state(bytes: &[u8], store: &impl Store) -> Result<Outcome, Failed> {
    let Ok(new) = state::decode(bytes) else {
        return Ok(Outcome::Refused);
    };
    let stored = store.get(STATE_KEY).await?;
    let known = stored.as_deref().and_then(|stored| state::decode(stored).ok());
    match known {
        Some(known) if known.published_at > new.published_at => return Ok(Outcome::Outdated),
        Some(known) if known == new => {}
        _ => store.set(STATE_KEY, bytes).await?,
    }
    Ok(Outcome::Stored)
}

/// What cannot be read is older than anything.
fn generation(stored: &[u8]) -> Generation {
    codec::generation(stored).unwrap_or_default()
}

/// A host name and a slug; never a key of the system.
fn is_key(key: &str) -> bool {
    let is_of_link = |(domain, slug): (&str, &str)| {
        !domain.is_empty() && !domain.starts_with('!') && !slug.is_empty()
    };
    key.len() <= KEY_MAX_BYTES && key.split_once('/').is_some_and(is_of_link)
}

#[cfg(test)]
mod tests;
