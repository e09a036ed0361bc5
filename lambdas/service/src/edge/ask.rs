//! Each question, once it is believed and read.

use waypost_wire::key::LinkKey;
use waypost_wire::origin::{Answer, Question, Resolved, Stored, Unlocked, Used};
use waypost_wire::time::Timestamp;

use super::{Gate, state};
use crate::counting::ingest::{IngestError, ingest};
use crate::links::{Host, Service};
use crate::model::LinkId;
use crate::problem::Problem;
use crate::seams::Use;

/// An answer.
pub(super) struct Asked {
    /// Its bytes.
    pub(super) answer: Vec<u8>,
    /// What it says, in a word.
    pub(super) outcome: &'static str,
    /// What is worth a line in the log all the same.
    pub(super) log: Option<String>,
}

impl Asked {
    fn new<'a>(outcome: &'static str, answer: &impl Answer<'a>) -> Self {
        Self { answer: answer.encode(), outcome, log: None }
    }
}

pub(super) async fn ask<H: Host, G: Gate>(
    service: &Service<H>,
    gate: &G,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<Asked, Problem> {
    match question {
        Question::Clicks { batches } => clicks(service, batches, now).await,
        Question::Consume { link_id } => {
            Ok(match service.take_use(LinkId(*link_id), now).await? {
                Use::Exhausted => Asked::new("exhausted", &Used::Exhausted),
                Use::Taken { .. } => Asked::new("taken", &Used::Taken),
            })
        }
        Question::Resolve { key } => {
            let record = gate.record(key, now).await?;
            let outcome = if record.is_some() { "found" } else { "missing" };
            let record = record.as_ref().map(AsRef::as_ref);
            Ok(Asked::new(outcome, &Resolved { key, record }))
        }
        Question::State => {
            let answer = state::read(service, now).await?;
            Ok(Asked { answer, outcome: "told", log: None })
        }
        Question::Unlock { key, password, client_ip } => {
            let unlocked = unlock(service, gate, key, password, *client_ip, now).await?;
            let outcome = match unlocked {
                Unlocked::Right => "right",
                Unlocked::TooMany => "too-many",
                Unlocked::Wrong => "wrong",
            };
            Ok(Asked::new(outcome, &unlocked))
        }
    }
}

/// Takes batches in, one after the other. After a failure of the store all of them are sent again:
/// those that it has by then change nothing.
async fn clicks<H: Host>(
    service: &Service<H>,
    batches: &[&[u8]],
    now: Timestamp,
) -> Result<Asked, Problem> {
    let mut stored = Vec::with_capacity(batches.len());
    let mut fault = None;
    for batch in batches {
        match ingest(service.host.counters(), batch.to_vec(), now).await {
            Ok(_) => stored.push(true),
            Err(IngestError::Batch(error)) => {
                fault = fault.or(Some(error));
                stored.push(false);
            }
            Err(IngestError::Store(error)) => return Err(error.into()),
        }
    }
    let outcome = if fault.is_some() { "partly-stored" } else { "stored" };
    let lost = stored.iter().filter(|stored| !**stored).count();
    let log = fault.map(|fault| {
        format!("{lost} of {} batches of clicks are none, the first: {fault:?}", stored.len())
    });
    Ok(Asked { log, ..Asked::new(outcome, &Stored { batches: stored }) })
}

/// Takes tens of milliseconds of a core, whether there is such a link or not; a host with an event
/// loop answers edges on threads that may block.
async fn unlock<H: Host, G: Gate>(
    service: &Service<H>,
    gate: &G,
    key: &str,
    password: &str,
    client_ip: Option<u128>,
    now: Timestamp,
) -> Result<Unlocked, Problem> {
    // Text without a slash is the key of no link.
    let (domain, slug) = key.split_once('/').unwrap_or((key, ""));
    let key = LinkKey::new(domain, slug, false);
    if !gate.admits_attempt(&key, client_ip, now).await? {
        return Ok(Unlocked::TooMany);
    }
    let challenge = service.challenge(&key, now).await?;
    match challenge.answer(password) {
        Ok(Some(_)) => Ok(Unlocked::Right),
        Ok(None) => Ok(Unlocked::Wrong),
        Err(error) => Err(Problem::internal(error.to_string())),
    }
}
