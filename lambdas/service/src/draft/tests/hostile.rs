//! Links and bodies by the thousand.

use proptest::prelude::*;

use super::*;

/// Creations with some of the fields of the full one.
fn any_creation() -> impl Strategy<Value = Value> {
    let fields = full_body().as_object().expect("object").len();
    let when = full_body()["rules"][0]["when"].as_object().expect("object").len();
    let keep = prop::collection::vec(any::<bool>(), fields);
    let keep_when = prop::collection::vec(any::<bool>(), when);
    (keep, keep_when).prop_map(|(keep, keep_when)| {
        let mut body = full_body();
        let mut kept = keep_when.into_iter();
        if let Some(when) = body["rules"][0]["when"].as_object_mut() {
            when.retain(|_, _| kept.next().unwrap_or(true));
        }
        let mut kept = keep.into_iter();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| {
                let kept = kept.next().unwrap_or(true);
                ["destination", "domain"].contains(&name.as_str()) || kept
            });
        }
        body
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "\u{0}",
        "https://example.com/",
        "HTTPS://a.example/ü",
        "myapp:x",
        "javascript:1",
        "DE",
        "mon",
        "10:00",
        "2030-01-01T00:00:00Z",
        "Europe/Berlin",
        "::/0",
        "\u{202E}",
        "💥",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let names = [
        "name",
        "when",
        "destination",
        "destinations",
        "weight",
        "country",
        "ip",
        "date",
        "time",
        "zone",
        "days",
        "from",
        "until",
        "not",
        "query",
        "equals",
        "source",
        "title",
        "image",
        "~/",
        "",
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(String::from);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_hostile_body() -> impl Strategy<Value = Value> {
    let mut names: Vec<_> = settings::FIELDS.to_vec();
    names.extend(["id", "url", "blocked", "\u{0}", ""]);
    let name = prop::sample::select(names).prop_map(String::from);
    prop::collection::btree_map(name, any_json(), 0..8)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// Every fault is at a value of the body, or at a missing one of an object of it.
fn assert_pointers_lead_somewhere(body: &Value, problem: &Problem) {
    assert!(!problem.errors.is_empty() && !problem.detail.is_empty());
    for fault in &problem.errors {
        let (parent, _) = fault.pointer.rsplit_once('/').unwrap_or_default();
        let is_there = body.pointer(&fault.pointer).is_some();
        let is_missing = body.pointer(parent).is_some_and(Value::is_object);
        assert!(is_there || is_missing, "{} in {body}", fault.pointer);
        assert!(!fault.detail.is_empty() && !fault.expected.is_empty(), "{fault:?}");
    }
}

proptest! {
    #[test]
    fn views_of_all_links_are_creations_of_the_same_links(body in any_creation()) {
        let draft = new(&body).expect("valid");
        let slug = draft.slug.clone().unwrap_or_else(|| String::from("x"));
        let link = draft.into_link(LinkId(9), slug.clone(), None, NOW);
        let again = new(&as_creation(&link)).expect("valid");
        prop_assert_eq!(again.into_link(LinkId(9), slug, None, NOW), link.clone());
        let patched = patch(&link, &as_creation(&link)).expect("valid");
        prop_assert_eq!(patched.link, link.clone());
        prop_assert!(crate::compile::compile(&link, NOW).is_ok());
    }

    #[test]
    fn hostile_bodies_are_refused_with_places(body in any_hostile_body()) {
        match new(&body) {
            Err(problem) => assert_pointers_lead_somewhere(&body, &problem),
            Ok(draft) => {
                let link = draft.into_link(LinkId(9), "x".into(), None, NOW);
                prop_assert!(crate::compile::compile(&link, NOW).is_ok(), "{}", body);
            }
        }
        if let Err(problem) = patch(&full_link(), &body) {
            assert_pointers_lead_somewhere(&body, &problem);
        }
    }

    #[test]
    fn hostile_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..2_000_usize) {
        prop_assert!(parse_new(&bytes, &rules(), NOW).is_err());
        let full = full_body().to_string().into_bytes();
        let cut = cut.min(full.len() - 1);
        prop_assert!(parse_new(&full[..cut], &rules(), NOW).is_err());
        bytes.splice(0..0, full[..cut].iter().copied());
        prop_assert!(parse_new(&bytes, &rules(), NOW).is_err());
    }
}
