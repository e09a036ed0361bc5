//! Workers KV through Cloudflare's REST API.
//!
//! Written against the API reference of Cloudflare, 2026: bulk writes and deletes of at most 10,000
//! keys and 100 MB, lists of 1,000 keys with metadata in the order of their bytes, 1,200 calls in
//! five minutes for everything that a user's tokens do, after which every call is refused for five
//! minutes; one write a second for each key.
//!
//! Values are the bytes of records, in base64 on their way. The metadata of a key is
//! `{"waypost": "<mark>"}`, so that a list is enough to compare. Reading values in bulk is of no
//! use: the API does so for text only.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::{Deserialize, Serialize};
use waypost_service::publish::{
    Budget, EdgeStore, Kept, LimitedCalls, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_wire::state::STATE_KEY;

use crate::http::{self, Answer, call, shown};

/// Longest answer read: a list of 1,000 keys of 512 bytes with their metadata has half of it.
const ANSWER_MAX_BYTES: usize = 2 << 20;

/// Keys of a page of a list; the API's maximum.
const PAGE: usize = 1_000;

/// Longest key of Workers KV in bytes.
const KEY_MAX_BYTES: usize = 512;

const FIVE_MINUTES_MS: u32 = 300_000;

/// Which namespace of which account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's id.
    pub account_id: String,
    /// The namespace's id.
    pub namespace_id: String,
    /// Where the API is; `https://api.cloudflare.com/client/v4` unless in tests.
    pub base_url: Url,
}

/// A namespace of Workers KV.
pub struct CloudflareKv {
    name: String,
    client: Client,
    token: HeaderValue,
    /// `.../storage/kv/namespaces/<id>`, without a slash at its end.
    namespace: Url,
}

impl std::fmt::Debug for CloudflareKv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudflareKv").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: String,
    base64: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    waypost: String,
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Wrapped<T> {
    success: bool,
    #[serde(default)]
    errors: Vec<ApiError>,
    #[serde(default = "none")]
    result: Option<T>,
    /// Absent or `null` where there is nothing to turn pages of.
    #[serde(default)]
    result_info: Option<ResultInfo>,
}

const fn none<T>() -> Option<T> {
    None
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct ResultInfo {
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Default, Deserialize)]
struct BulkResult {
    #[serde(default)]
    unsuccessful_keys: Vec<String>,
}

#[derive(Deserialize)]
struct ListedKey {
    name: String,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
}

impl CloudflareKv {
    /// A namespace; `token` may edit Workers KV of the account, and needs nothing else.
    ///
    /// # Errors
    /// [`StoreFault::Refused`] for an address or a token that cannot be one.
    pub fn new(name: &str, account: &Account, token: &str) -> Result<Self, StoreFault> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| StoreFault::Refused("the token has characters no token has".into()))?;
        authorization.set_sensitive(true);
        let mut namespace = account.base_url.clone();
        let base = "the address of the API cannot have a path below it";
        namespace
            .path_segments_mut()
            .map_err(|()| StoreFault::Refused(base.to_owned()))?
            .pop_if_empty()
            .extend(["accounts", &account.account_id, "storage", "kv", "namespaces"])
            .push(&account.namespace_id);
        Ok(Self { name: name.to_owned(), client: http::client()?, token: authorization, namespace })
    }

    async fn bulk(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        keys: &[&str],
    ) -> Result<Vec<Kept>, StoreFault> {
        let request = self
            .client
            .request(method, format!("{}/{path}", self.namespace))
            .header(AUTHORIZATION, self.token.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer: Wrapped<BulkResult> = wrapped(&call(request, ANSWER_MAX_BYTES).await?)?;
        let result = answer.result.unwrap_or_default();
        // "They should be retried", says the reference of these.
        let left_out: BTreeSet<String> = result.unsuccessful_keys.into_iter().collect();
        if !answer.success && left_out.is_empty() {
            return Err(StoreFault::Unavailable(errors(&answer.errors)));
        }
        let kept = |key: &&str| match left_out.contains(*key) {
            true => Kept::Failed,
            false => Kept::Stored,
        };
        Ok(keys.iter().map(kept).collect())
    }

    async fn put_pairs(&self, pairs: &[Pair<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let keys: Vec<&str> = pairs.iter().map(|pair| pair.key).collect();
        self.bulk(Method::PUT, "bulk", json(&pairs)?, &keys).await
    }
}

impl EdgeStore for CloudflareKv {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self, budget: Budget) -> Limits {
        // Of 1,200: 720 to follow changes, 280 to reconcile, 200 left for people and deployments.
        let calls = match budget {
            Budget::Publisher => LimitedCalls { burst: 60, refill: 660, per_ms: FIVE_MINUTES_MS },
            Budget::Reconcile => LimitedCalls { burst: 20, refill: 260, per_ms: FIVE_MINUTES_MS },
        };
        Limits {
            puts_max: 10_000,
            // 100 MB with base64 and JSON; this is what one process holds in memory twice.
            bytes_max: 16 << 20,
            removals_max: 10_000,
            marks_max: 1,
            calls: Some(calls),
            writes: None,
            same_key_ms: 1_000,
        }
    }

    fn ways(&self) -> Ways {
        Ways::Lists
    }

    async fn put<'a>(&self, records: &[Put<'a>]) -> Result<Vec<Kept>, StoreFault> {
        let is_taken = |put: &&Put<'_>| put.key.len() <= KEY_MAX_BYTES;
        let pair = |put: &Put<'a>| Pair {
            key: put.key,
            value: STANDARD.encode(put.record),
            base64: true,
            metadata: Some(Metadata { waypost: put.mark.to_string() }),
        };
        let pairs: Vec<Pair<'_>> = records.iter().filter(is_taken).map(pair).collect();
        let mut kept = match pairs.is_empty() {
            true => Vec::new(),
            false => self.put_pairs(&pairs).await?,
        }
        .into_iter();
        let of = |put: &Put<'_>| match is_taken(&put) {
            true => kept.next().unwrap_or(Kept::Failed),
            false => Kept::Refused,
        };
        Ok(records.iter().map(of).collect())
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let keys: Vec<&str> = removals.iter().map(|removal| removal.key).collect();
        self.bulk(Method::POST, "bulk/delete", json(&keys)?, &keys).await
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        let value = STANDARD.encode(state);
        let pair = Pair { key: STATE_KEY, value, base64: true, metadata: None };
        let kept = self.put_pairs(&[pair]).await?;
        Ok(kept.first().copied().unwrap_or(Kept::Failed))
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        let mut url = self.namespace.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("keys");
        }
        url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let request = self.client.get(url).header(AUTHORIZATION, self.token.clone());
        let answer: Wrapped<Vec<ListedKey>> = wrapped(&call(request, ANSWER_MAX_BYTES).await?)?;
        let (true, Some(result)) = (answer.success, answer.result) else {
            return Err(StoreFault::Unavailable(errors(&answer.errors)));
        };
        let mark = |metadata: Option<serde_json::Value>| -> Option<Mark> {
            let Metadata { waypost } = serde_json::from_value(metadata?).ok()?;
            waypost.parse().ok()
        };
        Ok(Listed {
            keys: result.into_iter().map(|key| (key.name, mark(key.metadata))).collect(),
            next_cursor: answer
                .result_info
                .and_then(|info| info.cursor)
                .filter(|cursor| !cursor.is_empty()),
        })
    }

    async fn marks(&self, _: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        Err(StoreFault::Refused("records of Workers KV are listed, not read".to_owned()))
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreFault> {
    serde_json::to_vec(value).map_err(|error| StoreFault::Unexpected(error.to_string()))
}

/// Reads an answer; one with another status than 200 is a fault.
fn wrapped<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<Wrapped<T>, StoreFault> {
    let read: Result<Wrapped<T>, _> = serde_json::from_slice(&answer.body);
    match (answer.status, read) {
        (200, Ok(wrapped)) => Ok(wrapped),
        (200, Err(error)) => Err(StoreFault::Unexpected(format!(
            "{error} in an answer that begins with {}",
            shown(&answer.text())
        ))),
        (_, Ok(wrapped)) if !wrapped.errors.is_empty() => {
            Err(answer.fault(&errors(&wrapped.errors)))
        }
        (_, _) => Err(answer.fault(&answer.text())),
    }
}

fn errors(errors: &[ApiError]) -> String {
    let texts: Vec<String> =
        errors.iter().map(|error| format!("{} {}", error.code, shown(&error.message))).collect();
    match texts.is_empty() {
        true => "no success, and no reason".to_owned(),
        false => texts.join("; "),
    }
}
