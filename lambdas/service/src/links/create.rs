//! Making a link.

use std::sync::PoisonError;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::{Host, RecordSink, Service, clock_fault};
use crate::ambient::Draws;
use crate::codes::{Block, Candidate, CodeFault, Strategy};
use crate::counting::store::CounterStore;
use crate::draft::parse_new;
use crate::model::{Link, LinkId};
use crate::password;
use crate::problem::{FieldFault, Kind, Problem};
use crate::seams::{Created, Idempotency, LinkStore, StoredLink};
use crate::time::format;

/// How many codes are tried. With a fresh random code each, even a space that is half full fails
/// once in 256 requests, long after somebody should have asked for longer codes.
const CODE_TRIES: usize = 8;

/// Values of the code counter that one process leases at a time.
const LEASE: u32 = 1_000;

/// The counter that codes of the `sequence` strategy come from.
const CODE_COUNTER: &str = "codes";

/// How long a creation's answer is given again under its idempotency key: 24 hours.
const IDEMPOTENCY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A link that was made, now or by an earlier request under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The link as JSON; the same bytes each time it is asked for again.
    pub answer: Vec<u8>,
    /// The link's domain.
    pub domain: String,
    /// The link's slug.
    pub slug: String,
    /// The link's version when it was made.
    pub version: u64,
}

/// What of an answer its headers repeat.
#[derive(Deserialize)]
struct Answered {
    domain: String,
    slug: String,
    version: u64,
}

impl Creation {
    fn new(answer: Vec<u8>) -> Result<Self, Problem> {
        let Answered { domain, slug, version } = serde_json::from_slice(&answer)
            .map_err(|error| Problem::internal(format!("a creation's answer: {error}")))?;
        Ok(Self { answer, domain, slug, version })
    }
}

impl<H: Host> Service<H> {
    /// Makes the link that `body` describes. `idempotency_key` is the caller's, scoped to the
    /// caller: asked again under it with the same body, the answer is the same and nothing
    /// happens; with another body it is refused.
    ///
    /// # Errors
    /// A problem; nothing was written.
    pub async fn create(
        &self,
        body: &[u8],
        idempotency_key: Option<String>,
        draws: &mut Draws,
        now: Timestamp,
    ) -> Result<Creation, Problem> {
        let body_hash: [u8; 32] = Sha256::digest(body).into();
        if let Some(key) = &idempotency_key
            && let Some(found) = self.host.links().replay(key, now).await?
        {
            return replayed(found, body_hash);
        }
        let mut draft = parse_new(body, &self.rules, now)?;
        let custom = draft.slug.take();
        let replace = draft.override_quarantine && custom.is_some();
        let password_hash = match draft.password.take() {
            Some(password) => Some(hashed(&password, draws)?),
            None => None,
        };
        let link = draft.into_link(LinkId(0), String::new(), password_hash, now);
        let remembered = idempotency_key.map(|key| Idempotency {
            key,
            body_hash,
            answer: Vec::new(),
            expires_at: now.plus_ms(IDEMPOTENCY_MS),
        });
        match custom {
            Some(slug) => self.create_custom(Link { slug, ..link }, remembered, replace, now).await,
            None => self.create_generated(link, remembered, draws, now).await,
        }
    }

    async fn create_custom(
        &self,
        link: Link,
        remembered: Option<Idempotency>,
        replace: bool,
        now: Timestamp,
    ) -> Result<Creation, Problem> {
        let name = format!("{}/{}", link.domain, link.slug);
        let mut outcome = self.write_new(link.clone(), remembered.clone(), replace, now).await?;
        // A quarantine that has ended holds nothing, even if nobody has cleaned up yet.
        if let Outcome::SlugTaken { quarantine_until: Some(until) } = outcome
            && until <= now
        {
            outcome = self.write_new(link, remembered, true, now).await?;
        }
        match outcome {
            Outcome::Created(creation) => Ok(creation),
            Outcome::SlugTaken { quarantine_until: None } => Err(taken(
                Kind::SlugTaken,
                format!("another link has {name}"),
                "a slug that no link has",
            )),
            Outcome::SlugTaken { quarantine_until: Some(until) } => Err(taken(
                Kind::SlugInQuarantine,
                format!("{name} belonged to a deleted link and is free from {}", format(until)),
                "another slug, or override_quarantine",
            )),
        }
    }

    async fn create_generated(
        &self,
        link: Link,
        remembered: Option<Idempotency>,
        draws: &mut Draws,
        now: Timestamp,
    ) -> Result<Creation, Problem> {
        for _ in 0..CODE_TRIES {
            let slug = self.code(&link.domain, draws, now).await?;
            let link = Link { slug, ..link.clone() };
            if let Outcome::Created(creation) =
                self.write_new(link, remembered.clone(), false, now).await?
            {
                return Ok(creation);
            }
        }
        Err(Problem::internal(format!("{CODE_TRIES} codes in a row were taken on {}", link.domain)))
    }

    /// Writes a link under a new id, unless its slug is taken.
    async fn write_new(
        &self,
        link: Link,
        remembered: Option<Idempotency>,
        replace: bool,
        now: Timestamp,
    ) -> Result<Outcome, Problem> {
        let link = Link { id: self.link_id(now).await?, version: 1, ..link };
        let stored = self.compiled(link, now)?;
        let answer = serde_json::to_vec(&self.view(&stored.link, 0, now))
            .map_err(|error| Problem::internal(error.to_string()))?;
        let remembered = remembered.map(|entry| Idempotency { answer: answer.clone(), ..entry });
        let links = self.host.links();
        if replace {
            self.forget_deleted(&stored.key, now).await?;
        }
        match links.create(&stored, remembered.as_ref(), replace, now).await? {
            Created::Created => {
                self.host.records().changed(&stored.key, stored.link.version, &stored.record);
                Creation::new(answer).map(Outcome::Created)
            }
            Created::ExternalIdTaken => Err(external_id_taken(&stored.link)),
            Created::Replayed(found) => {
                let body_hash = remembered.map(|entry| entry.body_hash).unwrap_or_default();
                replayed(found, body_hash).map(Outcome::Created)
            }
            Created::SlugTaken { quarantine_until } => Ok(Outcome::SlugTaken { quarantine_until }),
        }
    }

    /// Forgets the statistics of the deleted link that is about to be replaced. Before the write,
    /// as nobody would find them after it; until then they only described a deleted link.
    async fn forget_deleted(&self, key: &LinkKey, now: Timestamp) -> Result<(), Problem> {
        match self.host.links().link(key).await? {
            Some(StoredLink { link: Link { id, deleted_at: Some(_), .. }, .. }) => {
                Ok(self.host.counters().delete_link_statistics(id, now).await?)
            }
            _ => Ok(()),
        }
    }

    /// A code for a new link on `domain`.
    async fn code(
        &self,
        domain: &str,
        draws: &mut Draws,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let check = self.rules.domain(domain).and_then(|domain| domain.slug.check.as_ref());
        if let Some(number) = self.host.machine().await? {
            let moved = self.locked_codes(|codes| codes.move_to(number));
            moved.map_err(|fault| Problem::internal(fault.to_string()))?;
        }
        let mut now_ms = now.0;
        loop {
            let candidate = self.locked_codes(|codes| codes.candidate(check, draws, now_ms));
            match candidate.map_err(code_fault)? {
                Candidate::Code(code) => return Ok(code),
                // As for ids: the time of a request stands still, so it is moved on.
                Candidate::Wait { ms } => now_ms = now_ms.saturating_add(ms.into()),
                Candidate::NeedBlock => {
                    let first = self.host.links().lease(CODE_COUNTER, LEASE).await?;
                    self.locked_codes(|codes| {
                        if let Strategy::Sequence(sequence) = codes {
                            sequence.lease(Block { first, len: LEASE });
                        }
                    });
                }
            }
        }
    }

    fn locked_codes<T>(&self, work: impl FnOnce(&mut Strategy) -> T) -> T {
        work(&mut self.codes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Outcome {
    Created(Creation),
    SlugTaken { quarantine_until: Option<Timestamp> },
}

/// The answer that was given before, if the request is the same.
fn replayed(found: Idempotency, body_hash: [u8; 32]) -> Result<Creation, Problem> {
    match found.body_hash == body_hash {
        true => Creation::new(found.answer),
        false => Err(Problem::new(
            Kind::IdempotencyKeyReused,
            "this idempotency key made another link; for a new link use a new key",
        )),
    }
}

/// The PHC string of a new password.
pub(super) fn hashed(text: &str, draws: &mut Draws) -> Result<String, Problem> {
    password::hash(text, draws.bytes()).map_err(|error| Problem::internal(error.to_string()))
}

pub(super) fn external_id_taken(link: &Link) -> Problem {
    let id = link.external_id.as_deref().unwrap_or_default();
    let fault = FieldFault::new(
        "/external_id",
        format!("another link has {id:?}"),
        "an id that no link has",
    );
    Problem { errors: vec![fault.clone()], ..Problem::new(Kind::ExternalIdTaken, fault.detail) }
}

fn taken(kind: Kind, detail: String, expected: &str) -> Problem {
    let fault = FieldFault::new("/slug", detail.clone(), expected);
    Problem { errors: vec![fault], ..Problem::new(kind, detail) }
}

fn code_fault(fault: CodeFault) -> Problem {
    match fault {
        CodeFault::ClockBackwards { .. } | CodeFault::ClockOutOfRange => {
            clock_fault(&fault.to_string())
        }
        CodeFault::Exhausted | CodeFault::Randomness => Problem::internal(fault.to_string()),
    }
}
