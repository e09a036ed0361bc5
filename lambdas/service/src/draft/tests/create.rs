//! Creations, whole.

use super::*;

#[test]
fn every_field_arrives() {
    let draft = new(&full_body()).expect("valid");
    assert_eq!(draft.slug.as_deref(), Some("docs/Summer"));
    assert_eq!(draft.password.as_deref(), Some("hunter2"));
    assert!(draft.override_quarantine);
    assert_eq!((draft.domain(), draft.external_id()), ("other.example", Some("order/7")));
    let link = draft.into_link(LinkId(7), "docs/Summer".into(), Some("$hash".into()), NOW);
    assert_eq!(link, full_link());
}

#[test]
fn a_destination_is_enough() {
    let expected = NewDraft {
        slug: None,
        password: None,
        override_quarantine: false,
        link: Link {
            destination: "https://example.com/".into(),
            ..settings::blank("s.example".into(), 302)
        },
    };
    assert_eq!(new(&json!({"destination": "https://example.com"})), Ok(expected.clone()));
    let mut body = full_body();
    for value in body.as_object_mut().expect("object").values_mut() {
        value.take();
    }
    body["destination"] = json!("https://example.com");
    assert_eq!(new(&body), Ok(expected.clone()), "null is as good as nothing");
    let link = expected.into_link(LinkId(1), "x".into(), None, NOW);
    assert_eq!((link.password_version, link.version, link.created_at), (0, 1, NOW));
}

#[test]
fn all_faults_at_once() {
    let body = json!({
        "url": "https://example.com",
        "slug": "a b",
        "title": "",
        "status": "301",
        "expires_at": "tomorrow",
        "max_clicks": 1.5,
        "utm": {"source": 1, "sorce": "x"},
        "rules": [{"when": {"country": ["UK"], "ip": []}}, 7],
        "id": "x",
        "blocked": "abuse",
    });
    let fault = FieldFault::new;
    assert_eq!(
        faults(new(&body).expect_err("faults")),
        [
            fault(
                "/slug",
                "the slug has ' ' at byte 1",
                "letters a to z and A to Z, digits, - and _ only"
            ),
            fault(
                "/blocked",
                "is not the owner's to set",
                "no blocked; links are taken down by a call of their own"
            ),
            fault(
                "/expires_at",
                "\"tomorrow\" is no such time",
                "an RFC 3339 time with offset, such as 2030-01-31T08:00:00Z"
            ),
            fault("/id", "is set by the service", "no id"),
            fault("/max_clicks", "is 1.5", "a whole number from 1 to 1000000000"),
            fault("/rules/0/when/country/0", "\"UK\" is not known", "GB for the United Kingdom"),
            fault("/rules/0/when/ip", "is empty", "1 to 100 items, or leave it out"),
            fault(
                "/rules/0",
                "has no destination",
                "either destination, or destinations with weights"
            ),
            fault("/rules/1", "is a number", "an object"),
            fault("/status", "is a string", "the number 301, 302, 307 or 308"),
            fault("/title", "is empty", "1 to 200 characters, or leave it out"),
            fault("/url", "is no field here", "destination, if that was meant"),
            fault("/utm/sorce", "is no field here", "source, if that was meant"),
            fault("/utm/source", "is a number", "a string"),
            fault("/destination", "is missing", "a URL that starts with https:// or http://"),
        ]
    );
}

#[test]
fn fields_must_suit_each_other() {
    let fault = |body: &Value| {
        let found = faults(new(body).expect_err("a fault"));
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().expect("one")
    };
    let body = json!({
        "destination": "https://example.com/",
        "starts_at": "2030-01-01T00:00:00Z",
        "expires_at": "2030-01-01T01:00:00+01:00",
    });
    let expected = FieldFault::new(
        "/expires_at",
        "the link would end before it starts",
        "a time after starts_at, which is 2030-01-01T00:00:00Z",
    );
    assert_eq!(fault(&body), expected);

    let both = json!([{"destination": "myapp:x", "destinations": [{"destination": "myapp:x", "weight": 1}]}]);
    assert_eq!(fault(&with("rules", both)).detail, "has both destination and destinations");

    let span = json!({"from": "2030-01-02T00:00:00Z", "until": "2030-01-02T00:00:00Z"});
    let body = with("rules", json!([{"when": {"date": span}, "destination": "myapp:x"}]));
    assert_eq!(fault(&body).pointer, "/rules/0/when/date/until");

    // Five values of 200 characters that take 12 bytes each once encoded, 61 bytes of names, and
    // 20 of the destination.
    let term = "\u{1F600}".repeat(200);
    let utm =
        json!({"source": term, "medium": term, "campaign": term, "term": term, "content": term});
    let expected = FieldFault::new(
        "/utm",
        "a destination has 12081 bytes with these parameters",
        "at most 8192 bytes: shorter values",
    );
    assert_eq!(fault(&with("utm", utm)), expected);
}

#[test]
fn a_link_fits_into_a_record_or_is_refused() {
    let body = |bytes: usize| {
        let lengths = [2_048, 2_048, 2_048, 2_048, 2_048, 2_048, 2_048, bytes];
        let rule =
            |bytes: &usize| json!({"destination": format!("myapp:{}", "x".repeat(bytes - 6))});
        with("rules", lengths.iter().map(rule).collect())
    };
    let fits = |bytes: usize| new(&body(bytes)).is_ok();
    assert!(fits(1_900) && !fits(2_048));
    let most = (1_900..2_048).rev().find(|bytes| fits(*bytes)).expect("one fits");
    let problem = new(&body(most + 1)).expect_err("too large");
    let expected = FieldFault::new(
        "",
        "the link takes 16385 bytes at the edge",
        "at most 16384: fewer or shorter rules, destinations and preview texts",
    );
    assert_eq!(faults(problem), [expected]);
}

#[test]
fn a_slug_is_read_by_the_rules_of_its_domain() {
    let body = |domain: &str| json!({"destination": "https://example.com/", "slug": "a/b", "domain": domain});
    assert!(new(&body("other.example")).is_ok());
    let slug_faults = faults(new(&body("s.example")).expect_err("no slashes"));
    assert_eq!(slug_faults[0].pointer, "/slug");
    let expected = FieldFault::new(
        "/domain",
        "\"else.example\" is not served here",
        "one of s.example, other.example",
    );
    assert_eq!(faults(new(&body("else.example")).expect_err("no domain")), [expected]);
}
