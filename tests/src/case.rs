//! A redirect case: what is stored, what is asked, what must be answered. The files below
//! `tests/cases/redirect` hold them, and every host of Waypost runs all of them;
//! `tests/cases/README.md` explains how to write one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use waypost_service::model::Block;
use waypost_service::time::rfc3339;
use waypost_wire::time::Timestamp;

/// 2026-06-01T12:00:00Z, a Monday: the time of a request that names none.
const NOW: Timestamp = Timestamp(1_780_315_200_000);

/// 2026-01-01T00:00:00Z: the creation of a link that names none.
const CREATED_AT: Timestamp = Timestamp(1_767_225_600_000);

/// The domain of links and requests that name none.
pub const DOMAIN: &str = "s.example";

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The file it is from, below `tests/cases/redirect` and without `.json`.
    #[serde(skip)]
    pub file: String,
    /// Unique in its file.
    pub name: String,
    /// Why it must be so.
    pub why: String,
    /// The time of the request.
    #[serde(default = "now", with = "rfc3339")]
    pub now: Timestamp,
    /// What differs from the plain policy.
    #[serde(default)]
    pub policy: PolicyChange,
    /// What is stored.
    #[serde(default)]
    pub links: Vec<Stored>,
    /// Reads that fail, written as in [`Expect::reads`].
    #[serde(default)]
    pub failing_reads: Vec<String>,
    /// What the origin answers.
    #[serde(default)]
    pub origin: OriginAnswers,
    /// What is asked.
    pub request: Request,
    /// What must be answered.
    pub expect: Expect,
}

impl Case {
    /// What names the case in reports.
    pub fn title(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }
}

const fn now() -> Timestamp {
    NOW
}

/// Differences to the plain policy: `s.example` (the default domain) and `go.example`, reached by
/// https, edits visible within 90 s, an unlocked link stays so for an hour.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChange {
    /// Slugs may have slashes.
    pub slashes: bool,
    /// Requests for unknown hosts are for the default domain.
    pub any_host: bool,
    /// The service is reached by plain http.
    pub http: bool,
    /// What the copy at the edge does not have is asked of the origin.
    pub read_through: bool,
    /// The delay after which an edit is visible everywhere.
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
    /// Its domain.
    #[serde(default = "domain")]
    pub domain: String,
    /// Its slug.
    #[serde(default = "slug")]
    pub slug: String,
    /// The link's id.
    #[serde(default = "id")]
    pub id: u64,
    /// When it was created.
    #[serde(default = "created_at", with = "rfc3339")]
    pub created_at: Timestamp,
    /// The link as a creation request describes it; without `destination`, it leads to
    /// `https://example.com/`.
    #[serde(default)]
    pub link: Map<String, Value>,
    /// What creation cannot say.
    #[serde(default)]
    pub state: State,
    /// Who has it.
    #[serde(default)]
    pub at: Place,
    /// Bytes to store instead of a record, in hex.
    pub record_hex: Option<String>,
}

fn domain() -> String {
    DOMAIN.to_owned()
}

fn slug() -> String {
    "abc".to_owned()
}

const fn id() -> u64 {
    1
}

const fn created_at() -> Timestamp {
    CREATED_AT
}

/// States a link gets into after its creation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Deleted.
    pub deleted: bool,
    /// `abuse` or `legal`.
    pub blocked: Option<Block>,
    /// All uses taken, and the record says so.
    pub used_up: bool,
    /// How often the password was set; 1 for a link created with one.
    pub password_version: Option<u32>,
}

/// Where a record is stored. Hosts with a single store keep what is at the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At the edge and at the origin.
    #[default]
    Both,
    /// In the copy at the edge only.
    Edge,
    /// At the origin only.
    Origin,
}

/// What the origin answers when it is asked. A question without an answer here fails.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OriginAnswers {
    /// To a request for one use of a link with a click limit.
    pub take_use: Option<TakeUse>,
    /// To a password.
    pub unlock: Option<Unlock>,
}

/// Whether a use was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeUse {
    /// The limit was reached before.
    Exhausted,
    /// No answer.
    Failed,
    /// It was.
    Taken,
}

/// How a password fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlock {
    /// No answer.
    Failed,
    /// It is the link's.
    Right,
    /// There were too many attempts before.
    TooMany,
    /// It is not the link's.
    Wrong,
}

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    #[serde(default = "method")]
    pub method: String,
    /// The `Host`.
    #[serde(default = "domain")]
    pub host: String,
    /// Path and query, as sent.
    #[serde(default = "target")]
    pub target: String,
    /// Name of the `User-Agent` in `tests/cases/agents.json`, or `none`.
    #[serde(default = "agent")]
    pub agent: String,
    /// Other headers, by lower-case name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The client's address; null if the host cannot tell.
    #[serde(default = "ip")]
    pub ip: Option<String>,
    /// Where the client is.
    #[serde(default)]
    pub geo: Geo,
    /// Body of a form post.
    pub form: Option<String>,
    /// The random number of the request.
    #[serde(default)]
    pub draw: u64,
}

fn method() -> String {
    "GET".to_owned()
}

fn target() -> String {
    "/abc".to_owned()
}

fn agent() -> String {
    "firefox".to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "the default of a field that may be null")]
fn ip() -> Option<String> {
    Some("203.0.113.7".to_owned())
}

impl Request {
    /// The `User-Agent`; `None` if the request has none.
    ///
    /// # Errors
    /// There is no agent of this name.
    pub fn user_agent(&self) -> Result<Option<String>, String> {
        if self.agent == "none" {
            return Ok(None);
        }
        let agents: BTreeMap<String, String> =
            serde_json::from_str(include_str!("../cases/agents.json"))
                .map_err(|error| format!("tests/cases/agents.json: {error}"))?;
        let found = agents.get(&self.agent).cloned();
        found.map(Some).ok_or_else(|| format!("tests/cases/agents.json has no {:?}", self.agent))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
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
    /// In a datacentre.
    pub datacentre: bool,
}

/// The answer. Without `body`, `page` and `body_has`, the body must be empty; to a HEAD request it
/// always must.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `waypost_core::decision::Decision::name`.
    pub decision: String,
    /// `waypost_core::decision::Decision::reason`.
    pub reason: String,
    /// The status.
    pub status: u16,
    /// Name in `tests/cases/header-sets.json`: the headers that all such answers share.
    pub header_set: String,
    /// Headers beside or instead of the set's; null: not there. No other header may be there,
    /// save `content-length`, which must be right, `date`, and HSTS if the policy is https.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// The whole body.
    pub body: Option<String>,
    /// The whole body: name of a stored page in `tests/data/pages`, without `.html`.
    pub page: Option<String>,
    /// Parts the body must have.
    #[serde(default)]
    pub body_has: Vec<String>,
    /// Parts it must not have.
    #[serde(default)]
    pub body_lacks: Vec<String>,
    /// What is read, in order: `edge s.example/abc`, `origin s.example/abc`. Unchecked if absent.
    pub reads: Option<Vec<String>>,
    /// What the origin is asked beside reads, in order: `take_use 1`,
    /// `unlock s.example/abc <password>`.
    #[serde(default)]
    pub asks: Vec<String>,
    /// What is counted; nothing if absent.
    pub click: Option<Counted>,
}

/// A click. What it only passes on (time, method, agent, geography) follows from the request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counted {
    /// The link's id; 0 for an orphan.
    pub link: u64,
    /// The slug of an orphan.
    pub slug: String,
    /// `default`, `ios`, `android`, `expired`, `nowhere`, or `rule 0/1`: the first rule's second
    /// destination.
    pub target: String,
    /// Fetched before anybody asked for it.
    pub prefetch: bool,
    /// Whether there is a hash of the visitor.
    pub visitor: bool,
    /// Whether the city is told.
    pub city: bool,
    /// Host of the referrer.
    pub referrer_host: String,
    /// The preferred language.
    pub language: String,
    /// Campaign parameters, by name without `utm_`.
    pub utm: BTreeMap<String, String>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            link: 1,
            slug: String::new(),
            target: "default".to_owned(),
            prefetch: false,
            visitor: true,
            city: true,
            referrer_host: String::new(),
            language: String::new(),
            utm: BTreeMap::new(),
        }
    }
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
        let read: Vec<Case> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.with_extension("");
        let file = name.strip_prefix(&root).unwrap_or(&name).display().to_string();
        cases.extend(read.into_iter().map(|case| Case { file: file.clone(), ..case }));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A case with an object at every place that has fields.
    fn plain() -> Value {
        json!({
            "name": "plain", "why": "it is",
            "policy": {},
            "links": [{ "state": {} }],
            "origin": {},
            "request": { "geo": {} },
            "expect": {
                "decision": "redirect", "reason": "destination", "status": 302,
                "header_set": "redirect", "click": {},
            },
        })
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let case: Case = serde_json::from_value(plain()).unwrap();
        assert_eq!(case.now, waypost_service::time::parse("2026-06-01T12:00:00Z").unwrap());
        let stored = &case.links[0];
        assert_eq!((&*stored.domain, &*stored.slug, stored.id), ("s.example", "abc", 1));
        let created_at = waypost_service::time::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!((stored.created_at, stored.at), (created_at, Place::Both));
        let request = &case.request;
        assert_eq!(
            (&*request.method, &*request.host, &*request.target),
            ("GET", "s.example", "/abc")
        );
        assert_eq!(request.ip.as_deref(), Some("203.0.113.7"));
        assert!(request.user_agent().unwrap().is_some_and(|agent| agent.contains("Firefox")));
        assert!(case.expect.click.is_some_and(|click| click.link == 1));
    }

    #[test]
    fn unknown_fields_are_refused_everywhere() {
        let places = [
            "",
            "/policy",
            "/links/0",
            "/links/0/state",
            "/origin",
            "/request",
            "/request/geo",
            "/expect",
            "/expect/click",
        ];
        for place in places {
            let mut case = plain();
            let object = case.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
            object.insert("expires".to_owned(), json!(null));
            let error = serde_json::from_value::<Case>(case).unwrap_err().to_string();
            assert!(error.contains("unknown field `expires`"), "{place}: {error}");
        }
    }

    #[test]
    fn wrong_words_are_refused() {
        for (place, word) in [
            ("/now", "yesterday"),
            ("/links/0/at", "cloud"),
            ("/links/0/state/blocked", "spam"),
            ("/origin/take_use", "maybe"),
            ("/origin/unlock", "maybe"),
        ] {
            let mut case = plain();
            let (parent, field) = place.rsplit_once('/').unwrap();
            let object = case.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
            object.insert(field.to_owned(), json!(word));
            assert!(serde_json::from_value::<Case>(case).is_err(), "{place}");
        }
    }
}
