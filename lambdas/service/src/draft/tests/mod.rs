//! What the tests of this folder share, and their subjects one by one.

mod create;
mod hostile;
mod limits;
mod patch;
mod view;

use serde_json::{Value, json};
use waypost_wire::check::CheckKey;

use super::*;
use crate::model::{DateSpan, Preview, QueryTest, Rule, TimeSpan, Utm, Weighted, When};
use crate::problem::{FieldFault, Kind};

/// 2026-11-21T07:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_244_400_000);

pub(crate) fn rules() -> DraftRules {
    DraftRules {
        destination: DestinationRules {
            own_domains: vec!["s.example".into(), "other.example".into()],
            app_schemes: vec!["myapp".into()],
            ..DestinationRules::default()
        },
        domains: vec![
            DomainRules {
                name: "s.example".into(),
                ignore_case: false,
                slug: SlugRules {
                    slashes: false,
                    check: Some(CheckKey::new(*b"sixteen byte key")),
                },
            },
            DomainRules {
                name: "other.example".into(),
                ignore_case: true,
                slug: SlugRules { slashes: true, check: None },
            },
        ],
        default_domain: "s.example".into(),
        redirect_status_default: 302,
    }
}

/// A creation with every field, each in a spelling that is accepted but not the one that is kept.
pub(super) fn full_body() -> Value {
    serde_json::from_str(include_str!("full.json")).expect("JSON")
}

/// The link that [`full_body`] describes.
pub(crate) fn full_link() -> Link {
    let text = |text: &str| Some(text.to_owned());
    let list = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect();
    let bot = When { device: list(&["bot"]), ..When::default() };
    let not = |inner: When| When { not: Some(Box::new(inner)), ..When::default() };
    let when = When {
        country: list(&["DE", "AT"]),
        region: list(&["DE-BE"]),
        city: list(&["Köln"]),
        continent: list(&["EU"]),
        language: list(&["de-AT", "*"]),
        device: list(&["mobile"]),
        os: list(&["ios"]),
        browser: list(&["safari"]),
        query: vec![
            QueryTest { name: "ref".into(), equals: None },
            QueryTest { name: "utm_source".into(), equals: text("") },
        ],
        referrer: list(&["xn--bcher-kva.example"]),
        ip: list(&["192.0.2.0/24", "2001:db8::/32"]),
        date: Some(DateSpan { from: Some(Timestamp(1_796_083_200_000)), until: None }),
        time: Some(TimeSpan {
            zone: "Europe/Berlin".into(),
            days: list(&["mon", "fri"]),
            from: text("22:00"),
            until: text("00:00"),
        }),
        not: Some(Box::new(not(not(not(bot))))),
    };
    let weighted = |destination: &str, weight| Weighted { destination: destination.into(), weight };
    Link {
        id: LinkId(7),
        slug: "docs/Summer".into(),
        destination: "https://xn--bcher-kva.example/a%20b?x=1#f".into(),
        title: text("Summer"),
        tags: list(&["a", "b c"]),
        notes: text("first\nsecond\t"),
        status: 308,
        starts_at: Some(Timestamp(1_795_330_800_000)),
        expires_at: Some(Timestamp(1_896_076_800_500)),
        expired_destination: text("https://example.com/over"),
        max_clicks: Some(1_000_000_000),
        forward_query: true,
        forward_path: true,
        utm: Some(Utm {
            source: text("s"),
            medium: text("m"),
            campaign: text("c & d"),
            term: text("t"),
            content: text("é"),
        }),
        ios_destination: text("myapp://open/1"),
        android_destination: text("https://example.com/android"),
        rules: vec![
            Rule {
                name: text("near"),
                when,
                destination: None,
                destinations: vec![
                    weighted("https://example.com/1", 10_000),
                    weighted("myapp:two", 0),
                ],
            },
            Rule {
                name: None,
                when: When::default(),
                destination: text("https://example.com/else"),
                destinations: vec![],
            },
        ],
        preview: Some(Preview {
            title: text("T"),
            description: text("D\nE"),
            image: text("https://example.com/i.png"),
        }),
        disabled: true,
        keep: true,
        external_id: text("order/7"),
        password_hash: text("$hash"),
        password_version: 1,
        created_at: NOW,
        updated_at: NOW,
        ..settings::blank("other.example".into(), 302)
    }
}

pub(super) fn new(body: &Value) -> Result<NewDraft, Problem> {
    parse_new(body.to_string().as_bytes(), &rules(), NOW)
}

pub(super) fn patch(link: &Link, body: &Value) -> Result<Patch, Problem> {
    parse_patch(body.to_string().as_bytes(), link, &rules(), NOW)
}

pub(super) fn faults(problem: Problem) -> Vec<FieldFault> {
    assert_eq!(problem.kind, Kind::InvalidRequest);
    problem.errors
}

pub(super) fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"destination": "https://example.com/"});
    body[field] = value;
    body
}

pub(super) fn facts() -> ViewFacts<'static> {
    ViewFacts {
        base_url: "https://other.example",
        clicks: 12,
        edits_visible_within_seconds: 90,
        now: NOW,
    }
}

/// The view of a link, less what callers cannot set, as a creation.
pub(super) fn as_creation(link: &Link) -> Value {
    let mut view = serde_json::to_value(LinkView::new(link, &facts())).expect("JSON");
    let fields = view.as_object_mut().expect("object");
    fields.retain(|name, _| name != "blocked" && !settings::READ_ONLY.contains(&name.as_str()));
    view
}
