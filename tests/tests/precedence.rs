//! What comes before what: every combination of states, methods and ways to ask, compared with a
//! model that knows nothing but the order.

use serde_json::{Map, Value, json};
use waypost_service::model::Block;
use waypost_tests::case::{self, Case, State, TakeUse};
use waypost_tests::host::Host;
use waypost_tests::hosts::core::Core;

/// What a link and a request can be, all at once. The order is that of precedence.
const TRAITS: [&str; 9] = [
    "deleted",
    "blocked",
    "disabled",
    "out of time",
    "used up",
    "for a card",
    "locked",
    "asked with +",
    "ruled",
];

/// The bit of each in a combination.
fn has(combination: u32, name: &str) -> bool {
    let position = TRAITS.iter().position(|known| *known == name).unwrap();
    combination & (1 << position) != 0
}

/// What of the two kinds of a trait a combination has: blocked for abuse or by law, not yet or
/// over, by a permanent or a passing status.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    legal: bool,
    over: bool,
    keeps_method: bool,
}

/// Name and reason of the decision: the first of the list that applies.
fn model(combination: u32, kinds: Kinds, method: &str) -> (&'static str, &'static str) {
    let has = |name| has(combination, name);
    let reads = matches!(method, "GET" | "HEAD");
    let passes = kinds.keeps_method && !has("asked with +");
    let order = [
        (method == "OPTIONS", ("refuse", "method")),
        (has("deleted"), ("gone", "deleted")),
        (has("blocked") && kinds.legal, ("refuse", "blocked_legal")),
        (has("blocked"), ("refuse", "blocked_abuse")),
        (has("disabled"), ("not_found", "disabled")),
        (has("out of time") && kinds.over, ("gone", "expired")),
        (has("out of time"), ("not_found", "not_yet")),
        (has("used up"), ("gone", "used_up")),
        (has("for a card") && reads && !has("asked with +"), ("card", "link_preview_agent")),
        (has("locked") && method == "PUT", ("refuse", "method")),
        (has("locked"), ("ask_password", "locked")),
        (!reads && !passes, ("refuse", "method")),
        (has("asked with +"), ("preview", "asked")),
        (has("ruled"), ("redirect", "rule")),
    ];
    let first = order.into_iter().find(|(applies, _)| *applies);
    first.map_or(("redirect", "destination"), |(_, decision)| decision)
}

fn case(combination: u32, kinds: Kinds, method: &str) -> Case {
    let has = |name| has(combination, name);
    let mut case: Case = serde_json::from_value(json!({
        "name": "", "why": "", "links": [{}], "request": { "method": method },
        "expect": { "decision": "", "reason": "", "status": 0, "header_set": "" },
    }))
    .unwrap();
    case.now = waypost_wire::time::Timestamp(1_780_315_200_000);
    case.origin.take_use = Some(TakeUse::Taken);
    let mut link = Map::new();
    let mut set = |applies: bool, name: &str, value: Value| {
        if applies {
            link.insert(name.to_owned(), value);
        }
    };
    let (start, end) = ("2026-06-01T12:00:00.001Z", "2026-06-01T12:00:00Z");
    set(kinds.keeps_method, "status", json!(307));
    set(has("disabled"), "disabled", json!(true));
    set(has("out of time") && kinds.over, "expires_at", json!(end));
    set(has("out of time") && !kinds.over, "starts_at", json!(start));
    set(has("used up"), "max_clicks", json!(1));
    set(has("for a card"), "preview", json!({ "title": "Card" }));
    set(has("locked"), "password", json!("sesame"));
    set(has("ruled"), "rules", json!([{ "destination": "https://example.com/rule" }]));
    let blocked = if kinds.legal { Block::Legal } else { Block::Abuse };
    let stored = &mut case.links[0];
    stored.link = link;
    stored.state = State {
        deleted: has("deleted"),
        blocked: has("blocked").then_some(blocked),
        used_up: has("used up"),
        password_version: None,
    };
    let agent = if has("for a card") { "twitter_preview" } else { "firefox" };
    let target = if has("asked with +") { "/abc+" } else { "/abc" };
    case.request =
        case::Request { agent: agent.to_owned(), target: target.to_owned(), ..case.request };
    case
}

#[tokio::test]
async fn every_combination_follows_the_order() {
    for combination in 0..1 << TRAITS.len() {
        for kind in 0..8 {
            let kinds =
                Kinds { legal: kind & 1 != 0, over: kind & 2 != 0, keeps_method: kind & 4 != 0 };
            // Nothing has a kind that it does not have at all.
            if kinds.legal && !has(combination, "blocked")
                || kinds.over && !has(combination, "out of time")
            {
                continue;
            }
            for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
                let answer = Core.run(&case(combination, kinds, method)).await.unwrap();
                let (name, reason) = model(combination, kinds, method);
                let expected = Some((name.to_owned(), reason.to_owned()));
                let has: Vec<_> =
                    TRAITS.into_iter().filter(|name| has(combination, name)).collect();
                assert_eq!(answer.decision, expected, "{method} {has:?} {kinds:?}");
            }
        }
    }
}
