//! A case of `tests/cases/api`: what is stored, what is asked, what must be answered, stored and
//! published. Files are lists of cases by theme; unknown fields are refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use waypost_service::model::Block;
use waypost_service::time::{rfc3339, rfc3339_option};
use waypost_wire::time::Timestamp;

/// 2026-06-01T12:00:00Z: the time of a case that names none.
pub(crate) const NOW: Timestamp = Timestamp(1_780_315_200_000);

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The file it is from.
    #[serde(skip)]
    pub(crate) file: String,
    /// Unique; names the case in reports.
    pub(crate) name: String,
    /// Why it must be so.
    pub(crate) why: String,
    /// The time of the first step.
    #[serde(default = "now", with = "rfc3339")]
    pub(crate) now: Timestamp,
    /// What is stored before; created an hour earlier.
    #[serde(default)]
    pub(crate) links: Vec<Before>,
    /// Requests, in order.
    pub(crate) steps: Vec<Step>,
    /// Links that are different afterwards, by key: the fields that changed, all fields that are
    /// not blank for a new one, null for one that is gone. All others must be as before.
    #[serde(default)]
    pub(crate) stored: BTreeMap<String, Value>,
    /// What was published, as `<key> v<version>` or `<key> removed`.
    #[serde(default)]
    pub(crate) published: Vec<String>,
}

const fn now() -> Timestamp {
    NOW
}

/// A link that is there before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    /// The link as a creation describes it; it leads to `https://example.com/` unless it says
    /// otherwise.
    pub(crate) link: Map<String, Value>,
    /// When it was created.
    #[serde(default, with = "rfc3339_option")]
    pub(crate) created_at: Option<Timestamp>,
    /// When it was deleted; its quarantine lasts 90 days.
    #[serde(default, with = "rfc3339_option")]
    pub(crate) deleted_at: Option<Timestamp>,
    /// Taken down.
    #[serde(default)]
    pub(crate) blocked: Option<Block>,
    /// Its click limit is reached.
    #[serde(default)]
    pub(crate) used_up: bool,
    /// Its version.
    #[serde(default = "one")]
    pub(crate) version: u64,
    /// How often it was followed.
    #[serde(default)]
    pub(crate) clicks: usize,
}

const fn one() -> u64 {
    1
}

/// A request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Sets the clock.
    #[serde(default, with = "rfc3339_option")]
    pub(crate) now: Option<Timestamp>,
    /// The name of the key that asks, `nobody`, or a whole `Authorization` header.
    #[serde(default = "editor", rename = "as")]
    pub(crate) caller: String,
    /// Method and path; `{name}` stands for what an earlier step saved.
    pub(crate) request: String,
    /// Headers beside `Authorization`, and `Content-Type` if `body` is given.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A body in JSON.
    pub(crate) body: Option<Value>,
    /// A body that is none.
    pub(crate) text: Option<String>,
    /// Spaces behind the text.
    #[serde(default)]
    pub(crate) padding: usize,
    /// Names for parts of the answer's body, by JSON pointer.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
    /// The answer.
    pub(crate) expect: Expect,
}

fn editor() -> String {
    "editor".to_owned()
}

/// An answer. At most one of `body`, `link`, `links` and `problem`; without any, the body must be
/// empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: u16,
    /// All headers but those that every answer has, `Content-Type`, and the `ETag` of a `link`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Any JSON.
    pub(crate) body: Option<Value>,
    /// A link: the fields that are not as in [`blank_view`].
    pub(crate) link: Option<Map<String, Value>>,
    /// A list of links, by slug.
    pub(crate) links: Option<Vec<String>>,
    /// `next_cursor` of that list is there.
    #[serde(default)]
    pub(crate) more: bool,
    /// A problem document without title, status and instance; `type` without its prefix.
    pub(crate) problem: Option<Map<String, Value>>,
}

/// All cases, by file and place.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/api");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let mut found: Vec<Case> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in &mut found {
            case.file = file.file_name().expect("a name").to_string_lossy().into_owned();
        }
        cases.extend(found);
    }
    cases
}
