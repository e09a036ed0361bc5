//! Whole answers.

use std::collections::BTreeMap;
use std::path::Path;

use waypost_tests::wire::Raw;

/// Where links lead.
pub const A: &str = "https://a.example/";
/// Where else.
pub const B: &str = "https://b.example/";

/// The whole answer is this status, these headers and this body.
pub fn assert_whole(answer: &Raw, status: u16, headers: &[(&str, &str)], body: &str) {
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &answer.headers {
        assert_eq!(found.insert(name, value), None, "{name} twice");
    }
    if let Some(length) = found.remove("content-length") {
        assert_eq!(length, answer.body.len().to_string());
    }
    found.remove("date");
    let expected: BTreeMap<&str, &str> = headers.iter().copied().collect();
    assert_eq!((answer.status, found), (status, expected), "{}", answer.text());
    assert_eq!(answer.text(), body);
}

const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

const fn redirect(to: &str) -> [(&str, &str); 6] {
    [
        ("cache-control", "private, no-store"),
        HSTS,
        ("location", to),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex"),
    ]
}

/// The visitor is sent on.
pub fn assert_sent(answer: &Raw, to: &str) {
    assert_whole(answer, 302, &redirect(to), "");
}

/// The visitor is sent on by a record that was read so long ago, and is not believed any more.
pub fn assert_sent_stale(answer: &Raw, to: &str, age_seconds: u32) {
    let status = format!("waypost; hit; ttl=-{age_seconds}");
    let headers = [&redirect(to)[..], &[("cache-status", &*status)]].concat();
    assert_whole(answer, 302, &headers, "");
}

/// There is no such link.
pub fn assert_not_found(answer: &Raw) {
    assert_page(answer, 404, "not-found", &[]);
}

/// Nobody knows, for now.
pub fn assert_unavailable(answer: &Raw) {
    assert_page(answer, 503, "unavailable", &[("retry-after", "5")]);
}

fn assert_page(answer: &Raw, status: u16, page: &str, more: &[(&str, &str)]) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
    let sets = read("cases/header-sets.json");
    let sets: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&sets).unwrap();
    let set = sets["page"].iter().map(|(name, value)| (&**name, &**value));
    let headers: Vec<(&str, &str)> = set.chain([HSTS]).chain(more.iter().copied()).collect();
    assert_whole(answer, status, &headers, &read(&format!("data/pages/{page}.en.html")));
}
