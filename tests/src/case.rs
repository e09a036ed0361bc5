//! A redirect case: what is stored, what is asked, what must be answered. Files under
//! `tests/cases/redirect`; every host of Waypost runs all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique; names the case in reports.
    pub name: String,
    /// Why it must be so.
    pub why: String,
    /// The time of the request, RFC 3339.
    #[serde(default = "default_now")]
    pub now: String,
    /// What differs from the plain policy.
    #[serde(default)]
    pub policy: PolicyChange,
    /// What is stored.
    #[serde(default)]
    pub links: Vec<Stored>,
    /// Reads that fail, by key (`s.example/abc`).
    #[serde(default)]
    pub failing_reads: Vec<String>,
    /// What is asked.
    pub request: Request,
    /// What must be answered.
    pub expect: Expect,
}

fn default_now() -> String {
    "2026-06-01T12:00:00Z".to_owned()
}

/// Differences to the plain policy: one domain `s.example` over https, edits visible in 90 s.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChange {
    /// Slugs may have slashes.
    pub slashes: bool,
    /// Every host is the default domain.
    pub any_host: bool,
    /// Plain http.
    pub http: bool,
    /// Edit delay.
    pub edit_delay_seconds: Option<u32>,
    /// `s.example` ignores case.
    pub ignore_case: bool,
    /// `s.example` refuses slugs with a wrong check character; the key is 16 zero bytes.
    pub check_characters: bool,
    /// Where `https://s.example/` leads.
    pub home: Option<String>,
}

/// A stored link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its slug on `s.example`.
    #[serde(default = "default_slug")]
    pub slug: String,
    /// The link as a creation request describes it; `destination` may be left out.
    #[serde(default)]
    pub link: serde_json::Map<String, Value>,
    /// The link's id, decimal.
    #[serde(default = "default_id")]
    pub id: u64,
    /// What creation cannot say.
    #[serde(default)]
    pub state: State,
    /// Bytes to store instead of a record, in hex.
    #[serde(default)]
    pub record_hex: Option<String>,
}

fn default_slug() -> String {
    "abc".to_owned()
}

const fn default_id() -> u64 {
    1
}

/// States a link gets into after its creation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Deleted.
    pub deleted: bool,
    /// `abuse` or `legal`.
    pub blocked: Option<String>,
    /// All uses taken.
    pub used_up: bool,
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    #[serde(default = "default_method")]
    pub method: String,
    /// The `Host`.
    #[serde(default = "default_host")]
    pub host: String,
    /// Path and query, as sent.
    #[serde(default = "default_target")]
    pub target: String,
    /// Headers by lower-case name. `$unlocked` in `cookie` stands for a valid unlock cookie of
    /// link 1 and password version 1, `$unlocked_until <RFC 3339>` for one with another expiry.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The client's address.
    #[serde(default)]
    pub ip: Option<String>,
    /// Where the client is.
    #[serde(default)]
    pub geo: Geo,
    /// Body of a form post.
    #[serde(default)]
    pub form: Option<String>,
}

fn default_method() -> String {
    "GET".to_owned()
}

fn default_host() -> String {
    "s.example".to_owned()
}

fn default_target() -> String {
    "/abc".to_owned()
}

/// Where a client is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// ISO 3166-2.
    pub region: Option<String>,
    /// Name.
    pub city: Option<String>,
    /// Two letters.
    pub continent: Option<String>,
}

/// The answer. `headers` must be all headers but `content-length` (and `date`); pages have many
/// that are always the same, so a case names a set of them by `header_set`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// [`waypost_core::decision::Decision::name`].
    pub decision: String,
    /// [`waypost_core::decision::Decision::reason`].
    pub reason: String,
    /// The status.
    pub status: u16,
    /// `redirect`, `page`, `fixed`: the headers that all such answers share.
    pub header_set: String,
    /// Headers beside or instead of the set's; null: not there.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// The whole body.
    #[serde(default)]
    pub body: Option<String>,
    /// Parts the body must have.
    #[serde(default)]
    pub body_has: Vec<String>,
    /// Parts it must not have.
    #[serde(default)]
    pub body_lacks: Vec<String>,
    /// Keys that are read, in order; checked where the host can tell.
    #[serde(default)]
    pub reads: Option<Vec<String>>,
    /// The click that is counted: null for none, or some of its fields; checked where the host
    /// can tell.
    #[serde(default)]
    pub click: Option<Value>,
}

/// Every case below `tests/cases/redirect`, sorted by file. A file holds a list.
///
/// # Errors
/// The file and what is wrong with it.
pub fn all() -> Result<Vec<Case>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/redirect");
    let mut cases = Vec::new();
    for path in json_files(&root).map_err(|error| format!("{}: {error}", root.display()))? {
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let read: Vec<Case> = serde_json::from_str(&text)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        cases.extend(read);
    }
    Ok(cases)
}

fn json_files(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(json_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
