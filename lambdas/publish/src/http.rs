//! HTTP calls with bounds.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use waypost_service::publish::StoreFault;

/// Longest call: twice what a full bulk write has been seen to take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(15);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Of an answer that nobody expected, so much is told.
const TOLD_MAX_CHARS: usize = 200;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A client that follows no redirects, which would carry tokens elsewhere, and uses no proxy.
///
/// # Errors
/// [`StoreFault::Unexpected`] if this process has no TLS.
pub(crate) fn client() -> Result<Client, StoreFault> {
    // A process has one kind of cryptography; whoever is first chooses the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .redirect(Policy::none())
        .user_agent(concat!("waypost/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|error| StoreFault::Unexpected(format!("no HTTP client: {}", told(&error))))
}

/// Makes a call and reads the answer, at most `bytes_max` of it.
///
/// # Errors
/// [`StoreFault::Unavailable`] without an answer, [`StoreFault::Unexpected`] for one too long.
pub(crate) async fn call(request: RequestBuilder, bytes_max: usize) -> Result<Answer, StoreFault> {
    let lost = |error: reqwest::Error| StoreFault::Unavailable(told(&error.without_url()));
    let mut answer = request.send().await.map_err(lost)?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        if bytes_max < body.len() + part.len() {
            let text = format!("an answer of more than {bytes_max} bytes");
            return Err(StoreFault::Unexpected(text));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, headers, body })
}

impl Answer {
    /// What a status that is no success means, whatever the store.
    pub(crate) fn fault(&self, text: &str) -> StoreFault {
        let text = format!("{}: {}", self.status, shown(text));
        match self.status {
            429 => StoreFault::Limited {
                text,
                retry_after_seconds: retry_after_seconds(&self.headers),
            },
            408 | 500.. => StoreFault::Unavailable(text),
            300..=499 => StoreFault::Refused(text),
            _ => StoreFault::Unexpected(text),
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Seconds only: Cloudflare and Spin send no dates.
fn retry_after_seconds(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// Text of somebody else, for a log.
pub(crate) fn shown(text: &str) -> String {
    text.trim().chars().take(TOLD_MAX_CHARS).flat_map(char::escape_debug).collect()
}

/// An error with what caused it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
