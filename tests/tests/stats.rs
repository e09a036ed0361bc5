//! Statistics as data: the cases below `tests/cases/stats`, each a question, what was counted, and
//! the whole answer.
#![expect(
    clippy::expect_used,
    reason = "a test that fails by panicking has said what it had to say"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use waypost_service::counting::classify::Class;
use waypost_service::counting::rollup::{Dimension, Rollup};
use waypost_service::counting::store::Row;
use waypost_service::counting::window::Span;
use waypost_service::model::Link;
use waypost_service::stats::{Scope, StatsFacts, StatsQuery, answer};
use waypost_service::time;
use waypost_wire::time::Timestamp;

/// A question, and what the answer must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Unique in its file.
    name: String,
    /// Why it must be so.
    why: String,
    /// When it is asked; 2026-11-21T07:00:00Z if left out.
    #[serde(default = "default_now")]
    now: String,
    /// About all links, not about one.
    #[serde(default)]
    site: bool,
    /// The query part of the address.
    query: String,
    #[serde(default = "default_fold_under")]
    fold_under: u64,
    /// Nothing is counted before it any more; `now` if left out.
    #[serde(default)]
    sealed_until: Option<String>,
    /// Fields of the link; without them it has a destination only.
    #[serde(default)]
    link: Map<String, Value>,
    /// What was counted.
    #[serde(default)]
    rows: Vec<CountedRow>,
    /// The answer.
    #[serde(default)]
    expect: Option<Value>,
    /// Or what is wrong with the question: members of the problem's `errors`.
    #[serde(default)]
    faults: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountedRow {
    start: String,
    #[serde(default = "default_span")]
    span: String,
    /// Clicks by class.
    clicks: BTreeMap<String, u64>,
    /// Visitors, by number: the first one and how many.
    #[serde(default)]
    visitors: (u64, u64),
    /// Clicks by dimension and value.
    #[serde(default)]
    by: BTreeMap<String, BTreeMap<String, u64>>,
}

fn default_now() -> String {
    "2026-11-21T07:00:00Z".to_owned()
}

const fn default_fold_under() -> u64 {
    5
}

fn default_span() -> String {
    "hour".to_owned()
}

#[test]
fn every_case_is_answered_as_it_says() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, cases) in files() {
        let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "{file}: every name is there once");
        for case in &cases {
            count += 1;
            let found = run(case);
            if found != expected(case) {
                failures.push(format!(
                    "{file}: {}, because {}\nexpected {:#}\nfound {:#}",
                    case.name,
                    case.why,
                    expected(case),
                    found
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} failed\n{}", failures.len(), failures.join("\n\n"));
    assert!(count >= 30, "{count} cases: are the files there?");
}

fn expected(case: &Case) -> Value {
    match (&case.expect, &case.faults) {
        (Some(answer), None) => answer.clone(),
        (None, Some(faults)) => json!({ "faults": faults }),
        _ => panic!("{}: either expect or faults", case.name),
    }
}

fn run(case: &Case) -> Value {
    let now = at(&case.now);
    let scope = if case.site { Scope::Site } else { Scope::Link };
    let link = link(&case.link);
    let facts = StatsFacts {
        fold_under: case.fold_under,
        sealed_until: case.sealed_until.as_deref().map_or(now, at),
        link: (!case.site).then_some(&link),
    };
    let rows: Vec<Row> = case.rows.iter().map(row).collect();
    let found = StatsQuery::parse(Some(&case.query), scope, now)
        .and_then(|query| answer(&query, &facts, &rows));
    match found {
        Ok(statistics) => json!(statistics),
        Err(problem) => json!({ "faults": problem.errors }),
    }
}

fn row(case: &CountedRow) -> Row {
    let mut rollup = Rollup::default();
    for (name, clicks) in &case.clicks {
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        rollup.totals.add(class.unwrap_or_else(|| panic!("{name} is no class")), *clicks);
    }
    let (first, count) = case.visitors;
    for visitor in first..first + count {
        rollup.uniques.insert(visitor);
    }
    for (name, clicks_by_value) in &case.by {
        let dimension = Dimension::from_name(name);
        let dimension = dimension.unwrap_or_else(|| panic!("{name} is no dimension"));
        rollup.breakdowns.insert(dimension, clicks_by_value.clone());
    }
    let span = match case.span.as_str() {
        "window" => Span::Window,
        "hour" => Span::Hour,
        "day" => Span::Day,
        other => panic!("{other} is no span"),
    };
    let start = at(&case.start);
    assert_eq!(span.start(start), start, "a {} does not start at {}", case.span, case.start);
    Row { start, span, rollup }
}

fn link(fields: &Map<String, Value>) -> Link {
    let mut link = json!({
        "id": "1", "domain": "s.example", "slug": "abc", "destination": "https://example.com/",
        "tags": [], "status": 302, "starts_at": null, "expires_at": null, "forward_query": false,
        "forward_path": false, "rules": [], "disabled": false, "keep": false,
        "password_version": 0, "used_up": false, "version": 1, "deleted_at": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "quarantine_until": null,
    });
    for (name, value) in fields {
        link[name] = value.clone();
    }
    serde_json::from_value(link).expect("a link")
}

fn at(text: &str) -> Timestamp {
    time::parse(text).unwrap_or_else(|| panic!("{text} is no time"))
}

fn files() -> Vec<(String, Vec<Case>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/cases/stats"));
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file");
        let cases = serde_json::from_str(&text);
        let cases = cases.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), cases)
    };
    paths.into_iter().map(read).collect()
}
