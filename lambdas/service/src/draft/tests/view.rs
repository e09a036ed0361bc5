//! Answers.

use super::*;

#[test]
fn a_view_shows_everything_but_the_password() {
    let link = full_link();
    let mut expected = full_body();
    let fields = expected.as_object_mut().expect("object");
    fields.remove("password");
    fields.remove("override_quarantine");
    let stored = serde_json::to_value(&link).expect("JSON");
    for name in ["destination", "domain", "tags", "starts_at", "expires_at", "rules"] {
        fields.insert(name.into(), stored[name].clone());
    }
    fields.extend(
        json!({
            "id": "7",
            "short_url": "https://other.example/docs/Summer",
            "destination_display": "https://bücher.example/a%20b?x=1#f",
            "state": "disabled",
            "has_password": true,
            "blocked": null,
            "clicks": 12,
            "version": 1,
            "created_at": "2026-11-21T07:00:00Z",
            "updated_at": "2026-11-21T07:00:00Z",
            "edits_visible_within_seconds": 90,
        })
        .as_object()
        .expect("object")
        .clone(),
    );
    let view = LinkView::new(&link, &facts());
    assert_eq!(serde_json::to_value(&view).expect("JSON"), expected);
    assert!(!serde_json::to_string(&view).expect("JSON").contains("hash"));
}

#[test]
fn a_view_warns_of_deceptive_hosts_and_shows_deletion() {
    let link = Link {
        destination: "https://xn--pypal-4ve.example/".into(),
        deleted_at: Some(NOW),
        quarantine_until: Some(Timestamp(NOW.0 + 1_000)),
        ..full_link()
    };
    let view = serde_json::to_value(LinkView::new(&link, &facts())).expect("JSON");
    let warnings = view["warnings"].as_array().expect("a list");
    assert!(
        warnings.contains(&json!(
            "the destination's host mixes writing systems, as deceptive names do"
        ))
    );
    assert_eq!(view["destination_display"], "https://pаypal.example/");
    assert_eq!(view["deleted_at"], "2026-11-21T07:00:00Z");
    assert_eq!(view["quarantine_until"], "2026-11-21T07:00:01Z");
    assert_eq!(view["state"], "deleted");
}

#[test]
fn a_view_is_a_creation_of_the_same_link() {
    let link = full_link();
    let again = new(&as_creation(&link)).expect("valid");
    assert_eq!(again.slug.as_deref(), Some("docs/Summer"));
    let hash = link.password_hash.clone();
    assert_eq!(again.into_link(link.id, link.slug.clone(), hash, NOW), link);
}
