//! What an operator sets for an edge: the same names on every host, in lower case on Spin, in
//! upper case on Workers.

mod parse;
#[cfg(test)]
mod tests;

use waypost_core::policy::Policy;
use waypost_shell::cache::CacheLimits;
use waypost_wire::origin::sign::OriginKey;

/// A setting, for documents and manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// It must not be seen.
    pub is_secret: bool,
    /// What it is if it is not set; empty if then something is off or derived.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn plain(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, is_secret: false, default, help }
}

const fn secret(name: &'static str, help: &'static str) -> Setting {
    Setting { name, is_secret: true, default: "", help }
}

/// All settings.
pub const SETTINGS: [Setting; 19] = [
    plain(
        "waypost_public_url",
        "",
        "Required. The address visitors use, for example `https://go.example`; its host is the \
         default domain",
    ),
    plain(
        "waypost_domains",
        "",
        "More domains, or more about the default one: host names, each followed by words of its \
         own: `ignore_case`, `unchecked` (slugs brought along may look like generated ones), \
         `home=URL`, `url=URL`",
    ),
    plain("waypost_any_host", "false", "Requests for unknown hosts are for the default domain"),
    plain("waypost_slug_slashes", "false", "Slugs may contain `/`"),
    plain("waypost_edit_delay_seconds", "90", "How long visitors may remember permanent redirects"),
    plain("waypost_unlock_seconds", "3600", "How long a link's password stays given"),
    secret(
        "waypost_edge_keys",
        "Required. The keys shared with the origin, as `waypost edge keys` prints them",
    ),
    plain(
        "waypost_origin_url",
        "",
        "Where links are written: asked for what the store does not have, for uses of limited \
         links, and for passwords",
    ),
    plain("waypost_origin_timeout_ms", "3000", "Longest wait for the origin, and for the queue"),
    plain("waypost_store_timeout_ms", "1000", "Longest wait for the store"),
    plain("waypost_cache_bytes", "16777216", "Memory for records"),
    plain("waypost_missing_seconds", "15", "How long the absence of a link is remembered"),
    plain("waypost_click_flush_ms", "2000", "How long a click waits for others, at most 2000"),
    plain(
        "waypost_sqs_queue_url",
        "",
        "The queue that clicks are sent to; without one they go to the origin",
    ),
    plain("waypost_sqs_region", "", "The queue's region, if its address does not tell"),
    plain("waypost_sqs_endpoint", "", "Where the queue's API is, if not at its address"),
    secret("waypost_aws_access_key_id", "May send to the queue, and nothing else"),
    secret("waypost_aws_secret_access_key", "Belongs to the access key id"),
    secret("waypost_aws_session_token", "For temporary credentials"),
];

/// The settings of an edge, read and checked.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// How redirects are decided.
    pub policy: Policy,
    /// Signs what is asked of the origin and its answers, and what is put to an edge. It is there
    /// without an origin's address too: somebody has to fill the store.
    pub origin_key: OriginKey,
    /// Where links are written.
    pub origin: Option<OriginSettings>,
    /// Where clicks go; `None`: nowhere, and then they are not counted.
    pub sink: Option<Sink>,
    /// Bounds of the memory.
    pub cache: CacheLimits,
    /// Longest wait for the store.
    pub store_timeout_ms: u32,
    /// How long a click waits for others.
    pub click_flush_ms: u32,
}

/// The way to the origin.
#[derive(Clone, Debug)]
pub struct OriginSettings {
    /// Scheme, host, maybe a path; without a final `/`.
    pub url: String,
    /// Longest wait for an answer.
    pub timeout_ms: u32,
}

/// Where clicks go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// To the origin.
    Origin,
    /// To a queue.
    Sqs(Queue),
}

/// A queue in SQS. Debug shows no secret.
#[derive(Clone)]
pub struct Queue {
    /// What SQS knows it by.
    pub url: String,
    /// Where calls are posted to.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Who sends.
    pub access_key_id: String,
    /// The sender's secret.
    pub secret_access_key: String,
    /// For temporary credentials.
    pub session_token: Option<String>,
    /// Longest wait for an answer.
    pub timeout_ms: u32,
}

impl Queue {
    /// Host and maybe port of the endpoint.
    pub(crate) fn host(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or(&*self.endpoint, |(_, rest)| rest);
        rest.trim_end_matches('/')
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queue").field(&self.url).finish()
    }
}

/// A setting that cannot be used. Never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFault {
    /// Its name.
    pub name: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl std::fmt::Display for SettingFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl EdgeSettings {
    /// Reads settings by name, as in [`SETTINGS`]; an empty one counts as not set.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<SettingFault>> {
        parse::read(&get)
    }
}
