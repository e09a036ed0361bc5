//! What a host is to the redirect cases, and how its answers are compared: in one way for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use waypost_wire::time::Timestamp;

use crate::case::{Case, Counted, Expect};

/// Something that can answer a case.
#[expect(async_fn_in_trait, reason = "cases run one after another, on one thread")]
pub trait Host {
    /// Its name: that of its file of expected failures.
    fn name(&self) -> &'static str;

    /// Why the host cannot run a case at all (a clock it cannot set, a failure it cannot cause).
    /// What it can run but answers wrongly is an expected failure instead.
    fn skips(&self, _case: &Case) -> Option<&'static str> {
        None
    }

    /// The answer to the case's request, with the case's links stored.
    ///
    /// # Errors
    /// What went wrong before there was one.
    async fn run(&self, case: &Case) -> Result<Answer, String>;
}

/// An answer, as far as the host can tell.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Lower-case names and values, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Name and reason of the decision.
    pub decision: Option<(String, String)>,
    /// What was read, as [`Expect::reads`] writes it.
    pub reads: Option<Vec<String>>,
    /// What the origin was asked, as [`Expect::asks`] writes it.
    pub asks: Option<Vec<String>>,
    /// What was counted; the inner `None` is: nothing.
    pub click: Option<Option<Click>>,
}

/// A click that was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Click {
    /// When.
    pub at: Timestamp,
    /// The link; 0 for an orphan.
    pub link: u64,
    /// The slug of an orphan.
    pub slug: String,
    /// As [`Counted::target`].
    pub target: String,
    /// The method was HEAD.
    pub head: bool,
    /// Fetched before anybody asked for it.
    pub prefetch: bool,
    /// From a datacentre.
    pub datacentre: bool,
    /// Whether there is a hash of the visitor; its value is the host's secret.
    pub visitor: bool,
    /// `User-Agent`.
    pub user_agent: String,
    /// Host of the referrer.
    pub referrer_host: String,
    /// Country, region, city, continent.
    pub place: [String; 4],
    /// The preferred language.
    pub language: String,
    /// The campaign parameters that are there, by name without `utm_`.
    pub utm: BTreeMap<String, String>,
}

/// Names of campaign parameters in the order clicks keep them.
pub const UTM: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

/// What differs between an answer and what its case expects; nothing if it is right.
pub fn check(case: &Case, answer: &Answer) -> Vec<String> {
    let expect = &case.expect;
    let mut differences = Differences::default();
    differences.compare("status", answer.status, expect.status);
    if let Some(decision) = &answer.decision {
        let expected = (expect.decision.clone(), expect.reason.clone());
        differences.compare("decision", decision, &expected);
    }
    headers(&mut differences, case, answer);
    body(&mut differences, case, answer);
    if let (Some(reads), Some(expected)) = (&answer.reads, &expect.reads) {
        differences.compare("reads", reads, expected);
    }
    if let Some(asks) = &answer.asks {
        differences.compare("asks", asks, &expect.asks);
    }
    if let Some(click) = &answer.click {
        let expected = expect.click.as_ref().map(|counted| expected_click(case, counted));
        match expected.transpose() {
            Ok(expected) => differences.compare("click", click, &expected),
            Err(error) => differences.add(error),
        }
    }
    differences.0
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, difference: impl Into<String>) {
        self.0.push(difference.into());
    }

    fn compare<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.add(format!("{what}: {found:?}\n{:>1$} {expected:?}", "not", what.len() + 1));
        }
    }
}

fn headers(differences: &mut Differences, case: &Case, answer: &Answer) {
    let mut expected = match header_set(&case.expect.header_set) {
        Ok(set) => set,
        Err(error) => return differences.add(error),
    };
    if !case.policy.http {
        expected.insert("strict-transport-security".to_owned(), "max-age=31536000".to_owned());
    }
    for (name, value) in &case.expect.headers {
        match value {
            None => expected.remove(name),
            Some(value) => expected.insert(name.clone(), value.clone()),
        };
    }
    let mut names = BTreeSet::new();
    for (name, value) in &answer.headers {
        if value.contains(['\r', '\n', '\0']) {
            differences.add(format!("{name} has a line break or NUL: {value:?}"));
        }
        if !names.insert(name) {
            differences.add(format!("{name} is there twice"));
        }
        match expected.remove(name) {
            Some(expected) => differences.compare(name, value, &expected),
            None if matches!(name.as_str(), "content-length" | "date") => {}
            None => differences.add(format!("{name} is there: {value:?}")),
        }
    }
    for (name, value) in expected {
        differences.add(format!("{name} is missing: {value:?}"));
    }
}

/// The headers of a set.
fn header_set(name: &str) -> Result<BTreeMap<String, String>, String> {
    const FILE: &str = "tests/cases/header-sets.json";
    let mut sets: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../cases/header-sets.json"))
            .map_err(|error| format!("{FILE}: {error}"))?;
    sets.remove(name).ok_or_else(|| format!("{FILE} has no {name:?}"))
}

fn body(differences: &mut Differences, case: &Case, answer: &Answer) {
    let whole = match whole_body(&case.expect) {
        Ok(whole) => whole,
        Err(error) => return differences.add(error),
    };
    let length = answer.headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map(|(_, value)| value.as_str());
    if case.request.method == "HEAD" {
        differences.compare("body", answer.body.as_str(), "");
        if let (Some(length), Some(whole)) = (length, whole) {
            differences.compare("content-length", length, &whole.len().to_string());
        }
        return;
    }
    if let Some(length) = length {
        differences.compare("content-length", length, &answer.body.len().to_string());
    }
    if let Some(difference) = whole.and_then(|whole| first_difference(&answer.body, &whole)) {
        differences.add(difference);
    }
    for part in &case.expect.body_has {
        if !answer.body.contains(part.as_str()) {
            differences.add(format!("body lacks {part:?}: {:?}", shown(&answer.body)));
        }
    }
    for part in &case.expect.body_lacks {
        if answer.body.contains(part.as_str()) {
            differences.add(format!("body has {part:?}"));
        }
    }
}

/// The line of two bodies at which they part.
fn first_difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let same = found.lines().zip(expected.lines()).take_while(|(one, other)| one == other).count();
    let line = |body: &str| shown(body.lines().nth(same).unwrap_or("(its end)")).to_owned();
    let (found, expected) = (line(found), line(expected));
    Some(format!("body, line {}: {found:?}\nnot {expected:?}", same + 1))
}

/// As much of a body as helps: what is visible of a page, and not too much.
fn shown(body: &str) -> &str {
    let visible = body.split_once("<main>").map_or(body, |(_, main)| main);
    &visible[..visible.floor_char_boundary(600)]
}

/// The body, if the case knows all of it.
fn whole_body(expect: &Expect) -> Result<Option<String>, String> {
    match (&expect.page, &expect.body) {
        (Some(_), Some(_)) => Err("the case has both a page and a body".to_owned()),
        (Some(page), None) => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/pages");
            let read = std::fs::read_to_string(folder.join(format!("{page}.html")));
            read.map(Some).map_err(|error| format!("page {page:?}: {error}"))
        }
        (None, Some(body)) => Ok(Some(body.clone())),
        (None, None) => Ok(expect.body_has.is_empty().then(String::new)),
    }
}

fn expected_click(case: &Case, counted: &Counted) -> Result<Click, String> {
    let request = &case.request;
    let geo = &request.geo;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let city = if counted.city { text(&geo.city) } else { String::new() };
    Ok(Click {
        at: case.now,
        link: counted.link,
        slug: counted.slug.clone(),
        target: counted.target.clone(),
        head: request.method == "HEAD",
        prefetch: counted.prefetch,
        datacentre: geo.datacentre,
        visitor: counted.visitor,
        user_agent: request.user_agent()?.unwrap_or_default(),
        referrer_host: counted.referrer_host.clone(),
        place: [text(&geo.country), text(&geo.region), city, text(&geo.continent)],
        language: counted.language.clone(),
        utm: counted.utm.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case() -> Case {
        serde_json::from_value(json!({
            "name": "n", "why": "w", "request": {},
            "expect": {
                "decision": "redirect", "reason": "destination", "status": 302,
                "header_set": "redirect", "headers": { "location": "https://example.com/" },
                "reads": ["edge s.example/abc"], "asks": ["take_use 1"], "click": {},
            },
        }))
        .unwrap()
    }

    fn right() -> Answer {
        let headers = [
            ("location", "https://example.com/"),
            ("cache-control", "private, no-store"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "noindex"),
            ("strict-transport-security", "max-age=31536000"),
            ("content-length", "0"),
        ];
        Answer {
            status: 302,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: String::new(),
            decision: Some(("redirect".to_owned(), "destination".to_owned())),
            reads: Some(vec!["edge s.example/abc".to_owned()]),
            asks: Some(vec!["take_use 1".to_owned()]),
            click: Some(Some(Click {
                at: Timestamp(1_780_315_200_000),
                link: 1,
                target: "default".to_owned(),
                visitor: true,
                user_agent: case().request.user_agent().unwrap().unwrap(),
                ..Click::default()
            })),
        }
    }

    #[test]
    fn a_right_answer_has_no_differences() {
        assert_eq!(check(&case(), &right()), [""; 0]);
        let silent = Answer { decision: None, reads: None, asks: None, click: None, ..right() };
        assert_eq!(check(&case(), &silent), [""; 0]);
    }

    #[test]
    fn every_part_of_an_answer_is_compared() {
        type Change = fn(&mut Answer);
        let changes: [(&str, Change); 12] = [
            ("status", |answer| answer.status = 301),
            ("decision", |answer| answer.decision = Some(("gone".into(), "destination".into()))),
            ("reads", |answer| answer.reads = Some(vec![])),
            ("asks", |answer| answer.asks = Some(vec![])),
            ("click", |answer| answer.click = Some(None)),
            ("location is missing", |answer| drop(answer.headers.remove(0))),
            ("location: ", |answer| answer.headers[0].1.push('x')),
            ("location has a line break", |answer| answer.headers[0].1.push('\n')),
            ("location is there twice", |answer| answer.headers.push(answer.headers[0].clone())),
            ("x-extra is there", |answer| answer.headers.push(("x-extra".into(), "1".into()))),
            ("content-length", |answer| answer.headers[6].1 = "1".into()),
            ("body", |answer| answer.body = "<p>".into()),
        ];
        for (expected, change) in changes {
            let mut answer = right();
            change(&mut answer);
            let differences = check(&case(), &answer);
            let is_told = differences.iter().any(|difference| difference.starts_with(expected));
            assert!(is_told, "{expected}: {differences:?}");
        }
    }

    #[test]
    fn bodies_are_compared_as_far_as_they_are_known() {
        let body = |expect: serde_json::Value, method: &str, body: &str| {
            let mut case = case();
            case.request.method = method.to_owned();
            let text = |name| expect[name].as_str().map(str::to_owned);
            (case.expect.body, case.expect.page) = (text("body"), text("page"));
            case.expect.body_has = text("has").into_iter().collect();
            case.expect.body_lacks = text("lacks").into_iter().collect();
            let mut answer = Answer { body: body.to_owned(), click: None, ..right() };
            answer.headers[6].1 = if method == "HEAD" { "3" } else { "2" }.to_owned();
            check(&case, &answer).len()
        };
        assert_eq!(body(json!({ "body": "ab" }), "GET", "ab"), 0);
        assert_eq!(body(json!({ "body": "ab" }), "GET", "ac"), 1);
        assert_eq!(body(json!({ "body": "abc" }), "HEAD", ""), 0);
        assert_eq!(body(json!({ "body": "ab" }), "HEAD", ""), 1);
        assert_eq!(body(json!({ "body": "abc" }), "HEAD", "abc"), 1);
        assert_eq!(body(json!({ "has": "a" }), "GET", "ab"), 0);
        assert_eq!(body(json!({ "has": "c" }), "GET", "ab"), 1);
        assert_eq!(body(json!({ "has": "a", "lacks": "b" }), "GET", "ab"), 1);
        assert_eq!(body(json!({ "page": "gone.en" }), "GET", "ab"), 1);
        assert_eq!(body(json!({ "page": "no such page" }), "GET", "ab"), 1);
        assert_eq!(body(json!({ "page": "gone.en", "body": "ab" }), "GET", "ab"), 1);
    }
}
