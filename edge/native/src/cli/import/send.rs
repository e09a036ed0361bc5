//! Creating links, several at a time, each at most once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Deserialize;

use crate::cli::client::{Answer, Call, Client};
use crate::cli::failure::Failure;

/// Requests under way at a time: enough to fill the server's group commits.
const THREADS: usize = 8;

/// How often a row is sent before the whole import gives up. Being told to wait is no failure.
const ATTEMPTS: u32 = 6;

/// Longest time that a row waits for a token of the key, in seconds: eight rows share what comes
/// back, and others may use the key.
const LIMITED_MAX_SECONDS: u64 = 900;

/// Longest wait between two attempts.
const PAUSE_MAX_SECONDS: u64 = 60;

/// A creation to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Creation<'a> {
    pub(super) body: &'a [u8],
    pub(super) idempotency_key: &'a str,
}

/// What became of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The link is there.
    Created {
        /// Its address.
        short_url: String,
    },
    /// The server said no, and will again.
    Refused {
        /// Why.
        reason: String,
    },
    /// Not sent, or sent without a clear answer: to be sent again.
    Unknown,
}

/// Makes all creations; answers what became of each, and why it stopped early if it did.
pub(super) fn send(
    client: &Client,
    creations: &[Creation<'_>],
    bar: &ProgressBar,
    pause: fn(Duration),
) -> (Vec<Outcome>, Option<Failure>) {
    let outcomes = Mutex::new(vec![Outcome::Unknown; creations.len()]);
    let stopped = Mutex::new(None);
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(creation) = creations.get(index) else { return };
            match create(client, creation, pause) {
                Ok(outcome) => {
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(place) = outcomes.get_mut(index) {
                        *place = outcome;
                    }
                    bar.inc(1);
                }
                Err(failure) => {
                    // Nobody takes another one.
                    next.store(creations.len(), Ordering::Relaxed);
                    let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                    stopped.get_or_insert(failure);
                    return;
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS.min(creations.len()) {
            scope.spawn(work);
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    (outcomes, stopped.into_inner().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Deserialize)]
struct Created {
    short_url: String,
}

/// Makes one creation. A failure would meet every other one as well.
fn create(
    client: &Client,
    creation: &Creation<'_>,
    pause: fn(Duration),
) -> Result<Outcome, Failure> {
    let (mut attempt, mut limited_seconds) = (0, 0);
    loop {
        let (failure, asked) = match post(client, creation) {
            Ok(answer) => match answer.status {
                200..300 => {
                    let Created { short_url } = answer.read()?;
                    return Ok(Outcome::Created { short_url });
                }
                429 if limited_seconds < LIMITED_MAX_SECONDS => {
                    let seconds = answer.retry_after_seconds.unwrap_or(1);
                    let seconds = seconds.clamp(1, PAUSE_MAX_SECONDS);
                    limited_seconds += seconds;
                    pause(Duration::from_secs(seconds));
                    continue;
                }
                429 | 503 => (answer.refusal(client.address()), answer.retry_after_seconds),
                401 | 403 => return Err(answer.refusal(client.address())),
                _ => return refused(answer.refusal(client.address())),
            },
            Err(failure) => (failure, None),
        };
        attempt += 1;
        if attempt == ATTEMPTS {
            return Err(failure);
        }
        let seconds = asked.unwrap_or(1 << attempt).min(PAUSE_MAX_SECONDS);
        pause(Duration::from_secs(seconds));
    }
}

fn refused(failure: Failure) -> Result<Outcome, Failure> {
    match failure {
        // The row is at fault.
        Failure::Problem(problem) => Ok(Outcome::Refused { reason: problem.line() }),
        // That was not Waypost.
        other => Err(other),
    }
}

fn post(client: &Client, creation: &Creation<'_>) -> Result<Answer, Failure> {
    client.send(&Call {
        method: "POST",
        path: &["api", "v1", "links"],
        headers: &[("idempotency-key", creation.idempotency_key)],
        body: Some(creation.body.to_vec()),
        ..Call::default()
    })
}
