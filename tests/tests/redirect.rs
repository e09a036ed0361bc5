//! Redirects: every case of `tests/cases/redirect` on the hosts that need nothing but this
//! process, and what must hold for all of them.

use std::collections::BTreeSet;

use waypost_tests::case::{self, Case};
use waypost_tests::host::{Answer, Host};
use waypost_tests::hosts::core::Core;
use waypost_tests::hosts::native::Native;
use waypost_tests::report;

fn cases() -> Vec<Case> {
    case::all().unwrap()
}

async fn answer(case: &Case) -> Answer {
    Core.run(case).await.unwrap_or_else(|error| panic!("{}: {error}", case.title()))
}

#[tokio::test]
async fn core_answers_every_case() {
    if let Err(table) = report::run(&Core, &cases()).await {
        panic!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_answers_every_case() {
    if let Err(table) = report::run(&Native, &cases()).await {
        panic!("{table}");
    }
}

#[test]
fn cases_tell_what_they_are_for_and_have_names_of_their_own() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut titles = BTreeSet::new();
    for case in &cases {
        let title = case.title();
        assert!(!case.name.is_empty() && !case.why.is_empty(), "{title}");
        assert!(titles.insert(title.clone()), "there are two of {title}");
    }
}

/// Name and reason of every decision that reaches a visitor.
const DECISIONS: [(&str, &str); 30] = [
    ("ask_password", "locked"),
    ("ask_password", "too_many_attempts"),
    ("ask_password", "wrong_password"),
    ("card", "link_preview_agent"),
    ("gone", "deleted"),
    ("gone", "expired"),
    ("gone", "used_up"),
    ("not_found", "check_character"),
    ("not_found", "disabled"),
    ("not_found", "no_link"),
    ("not_found", "no_slug"),
    ("not_found", "not_yet"),
    ("preview", "asked"),
    ("redirect", "android_destination"),
    ("redirect", "destination"),
    ("redirect", "ios_destination"),
    ("redirect", "rule"),
    ("refuse", "blocked_abuse"),
    ("refuse", "blocked_legal"),
    ("refuse", "malformed_path"),
    ("refuse", "method"),
    ("refuse", "wrong_host"),
    ("serve", "favicon"),
    ("serve", "home"),
    ("serve", "robots"),
    ("unavailable", "damaged_record"),
    ("unavailable", "origin_failed"),
    ("unavailable", "read_failed"),
    ("unlocked", "right_password"),
    // Settled by the shell before anybody sees it.
    ("unlock", "password_given"),
];

#[test]
fn every_decision_and_reason_has_a_case() {
    let (settled, visible) = DECISIONS.split_last().unwrap();
    let cases = cases();
    let seen: BTreeSet<(&str, &str)> =
        cases.iter().map(|case| (&*case.expect.decision, &*case.expect.reason)).collect();
    assert_eq!(seen, visible.iter().copied().collect());
    assert!(!seen.contains(settled));
}

/// The answer to HEAD has the status and the headers that GET would get (RFC 9110 9.3.2), its
/// length included. Taking a use is left out: HEAD takes none, so it may be told less.
#[tokio::test]
async fn head_answers_as_get_would() {
    let gets = cases().into_iter().filter(|case| case.request.method == "GET");
    let mut compared = 0;
    for case in gets {
        let get = answer(&case).await;
        if get.asks != Some(vec![]) {
            continue;
        }
        let title = case.title();
        let request = case::Request { method: "HEAD".to_owned(), ..case.request.clone() };
        let head = answer(&Case { request, ..case }).await;
        assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{title}");
        assert_eq!((head.decision, head.reads), (get.decision, get.reads), "{title}");
        assert_eq!(head.body, "", "{title}");
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}

/// Nothing is remembered between requests, so the same request has the same answer.
#[tokio::test]
async fn the_same_request_has_the_same_answer() {
    for case in cases() {
        let (first, again) = (answer(&case).await, answer(&case).await);
        assert_eq!(format!("{first:?}"), format!("{again:?}"), "{}", case.title());
    }
}

/// No input makes a header of something else: not in any case, and not with its address in any of
/// the places where requests carry text.
#[tokio::test]
async fn no_header_breaks_its_line() {
    let hostile = "\r\nset-cookie: a=b\0\u{85}\u{2028}\"><script>";
    let mut cases = cases();
    for case in cases.clone() {
        let request = &case.request;
        let target = format!("{}{hostile}", request.target);
        let query = format!("{}?{hostile}", request.target.split('?').next().unwrap_or_default());
        let names = ["accept-language", "cookie", "referer", "sec-purpose"];
        let headers = names.map(|name| (name.to_owned(), hostile.to_owned())).into();
        for request in [
            case::Request { target, ..request.clone() },
            case::Request { target: query, ..request.clone() },
            case::Request { headers, ..request.clone() },
            case::Request { form: Some(format!("password={hostile}")), ..request.clone() },
        ] {
            cases.push(Case { request, ..case.clone() });
        }
    }
    for case in cases {
        let answer = answer(&case).await;
        for (name, value) in answer.headers {
            let is_line = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(is_line, "{}: {name}: {value:?}", case.title());
        }
    }
}

/// Where a `Location` leads is the owner's word: its scheme and host are those of something that
/// was stored, or it is a path of ours.
#[tokio::test]
async fn no_request_chooses_the_host_it_is_sent_to() {
    let suffixes = [
        "//evil.example",
        "/@evil.example",
        "?//evil.example",
        "/%2F%2Fevil.example",
        ".evil.example",
        ":80@evil.example",
        "/\\evil.example",
        "%0d%0alocation: //evil.example",
    ];
    let mut redirected = 0;
    for case in cases() {
        for suffix in suffixes {
            let target = format!("{}{suffix}", case.request.target);
            let request = case::Request { target, ..case.request.clone() };
            let title = case.title();
            let answer = answer(&Case { request, ..case.clone() }).await;
            let Some((_, to)) = answer.headers.iter().find(|(name, _)| name == "location") else {
                continue;
            };
            redirected += 1;
            let host = url_host(to);
            assert!(!host.contains("evil"), "{title}: {to}");
        }
    }
    assert!(redirected > 100, "{redirected}");
}

/// The host by the rules of browsers.
fn url_host(location: &str) -> String {
    let base = url::Url::parse("https://s.example/").unwrap();
    base.join(location).unwrap().host_str().unwrap_or_default().to_owned()
}
