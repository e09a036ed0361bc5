//! One call of `PUT /_/sync`, and what its answers mean.

use std::time::Duration;

use ureq::http::Request;
use ureq::http::header::{CONTENT_TYPE, RETRY_AFTER};
use url::Url;
use waypost_wire::origin;
use waypost_wire::origin::sign::{HEADER, OriginKey, QuestionMac, SKEW_MAX_SECONDS};
use waypost_wire::sync::{Outcome, PATH, Sync, decode_outcomes};
use waypost_wire::time::Timestamp;

use crate::cli::client::agent;
use crate::cli::table::shown;

/// Most time for a call: managed platforms end a request after 30 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest answer that is read: outcomes are 103 bytes, the rest are pages of proxies.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// Of an answer that nobody expected, so much is shown.
const SHOWN_MAX_CHARS: usize = 120;

/// Why a call did not end with outcomes. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// 429, or 5xx: it may go better later.
    #[error("{from} answered {status}: {text}; the log of the app may say why")]
    Busy { from: String, status: u16, text: String, retry_after_seconds: Option<u64> },
    /// 401 for the time of the signature.
    #[error(
        "{from} does not believe the time of the call: its clock and the one here are more than \
         {SKEW_MAX_SECONDS} s apart; set the one that is wrong"
    )]
    Clock { from: String },
    /// 401 for the key.
    #[error(
        "{from} has other keys: set its secret waypost_edge_keys to what `waypost edge keys` prints \
         for the same data directory"
    )]
    Keys { from: String },
    /// 404, or 421 under a name that is no domain of links: the route is like any other path.
    #[error(
        "{from} takes no records ({status}): set waypost_sync to true for the app, and check that this \
         is the address of the app itself"
    )]
    Off { from: String, status: u16 },
    /// An answer that no version of the component gives to what was sent.
    #[error(
        "{from} answered {status}: {text}; is this the address of the app, and is it as new as this waypost?"
    )]
    Other { from: String, status: u16, text: String },
    /// No answer, or none to its end.
    #[error("no answer from {from}: {problem}")]
    Unreachable { from: String, problem: String },
    /// 200, but not by somebody with the keys.
    #[error(
        "{from} answered 200 without the signature of the app: is this its address, and does \
         everything between pass the header {HEADER} on?"
    )]
    Unsigned { from: String },
}

impl CallError {
    /// Whether another try may go better.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable { .. })
    }

    /// How long to wait first, if the other side said so.
    pub(super) const fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        }
    }
}

/// The app that is written to.
#[derive(Debug)]
pub(super) struct Target {
    agent: ureq::Agent,
    base: Url,
    key: OriginKey,
}

/// An answer, as far as it matters.
struct Answer {
    status: u16,
    signature: Option<String>,
    retry_after_seconds: Option<u64>,
    body: Vec<u8>,
}

impl Target {
    /// The app at `base`, which has no path; `key` is the one it shares with this installation.
    pub(super) fn new(base: Url, key: OriginKey) -> Self {
        Self { agent: agent(&base, CALL_TIMEOUT), base, key }
    }

    /// Puts a synchronisation; answers what became of each of its entries, the state's last.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) fn put(&self, sync: &Sync<'_>, now: Timestamp) -> Result<Vec<Outcome>, CallError> {
        let body = sync.encode();
        let (signature, mac) = self.key.sign_question(PATH, &body, now);
        let answer = self.call(&signature, &body)?;
        match answer.status {
            200 => self.outcomes(sync, &mac, &answer),
            status => Err(self.refusal(status, &answer)),
        }
    }

    fn call(&self, signature: &str, body: &[u8]) -> Result<Answer, CallError> {
        let lost =
            |problem: String| CallError::Unreachable { from: self.base.to_string(), problem };
        let mut url = self.base.clone();
        url.set_path(PATH);
        let request = Request::put(url.as_str())
            .header(CONTENT_TYPE, origin::CONTENT_TYPE)
            .header(HEADER, signature)
            .body(body)
            .map_err(|error| lost(error.to_string()))?;
        let mut answer = self.agent.run(request).map_err(|error| lost(error.to_string()))?;
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (signature, retry_after) = (header(HEADER), header(RETRY_AFTER.as_str()));
        let body = answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec();
        Ok(Answer {
            status: answer.status().as_u16(),
            signature,
            retry_after_seconds: retry_after.and_then(|text| text.parse().ok()),
            body: body.map_err(|error| lost(error.to_string()))?,
        })
    }

    fn outcomes(
        &self,
        sync: &Sync<'_>,
        mac: &QuestionMac,
        answer: &Answer,
    ) -> Result<Vec<Outcome>, CallError> {
        let is_signed = |text: &str| self.key.is_answer(text, mac, answer.status, &answer.body);
        if !answer.signature.as_deref().is_some_and(is_signed) {
            return Err(CallError::Unsigned { from: self.base.to_string() });
        }
        let expected = sync.entries.len() + usize::from(sync.state.is_some());
        let outcomes = decode_outcomes(&answer.body).ok();
        outcomes.filter(|outcomes| outcomes.len() == expected).ok_or_else(|| CallError::Other {
            from: self.base.to_string(),
            status: answer.status,
            text: "outcomes that this version cannot read".to_owned(),
        })
    }

    fn refusal(&self, status: u16, answer: &Answer) -> CallError {
        let from = self.base.to_string();
        let text = String::from_utf8_lossy(&answer.body);
        let text: String = shown(text.trim()).chars().take(SHOWN_MAX_CHARS).collect();
        // The component's own words.
        match (status, text.as_str()) {
            (401, "signed at another time") => CallError::Clock { from },
            (401, "signed with another key") => CallError::Keys { from },
            (404 | 421, _) => CallError::Off { from, status },
            (429 | 500.., _) => {
                let retry_after_seconds = answer.retry_after_seconds;
                CallError::Busy { from, status, text, retry_after_seconds }
            }
            _ => CallError::Other { from, status, text },
        }
    }
}
