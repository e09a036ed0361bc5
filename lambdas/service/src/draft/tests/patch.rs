//! Changes.

use super::*;

#[test]
fn a_patch_changes_what_it_mentions() {
    let link = full_link();
    let unchanged = Patch { link: link.clone(), password: PasswordChange::Keep };
    assert_eq!(patch(&link, &json!({})), Ok(unchanged.clone()));
    let same = json!({"slug": "docs/Summer", "domain": "Other.EXAMPLE", "title": "Summer"});
    assert_eq!(patch(&link, &same), Ok(unchanged));

    let body = json!({
        "title": "Winter",
        "tags": ["x"],
        "utm": {"source": null, "medium": "new"},
        "preview": {"image": null},
        "rules": [{"destination": "https://example.com/", "when": {"country": null, "os": ["ios"]}}],
        "status": null,
        "forward_path": null,
        "expires_at": "2026-11-22T07:00:00.001Z",
        "password": "new",
    });
    let mut expected = link.clone();
    expected.title = Some("Winter".into());
    expected.tags = vec!["x".into()];
    if let (Some(utm), Some(preview)) = (&mut expected.utm, &mut expected.preview) {
        (utm.source, utm.medium) = (None, Some("new".into()));
        preview.image = None;
    }
    expected.rules = vec![Rule {
        name: None,
        when: When { os: vec!["ios".into()], ..When::default() },
        destination: Some("https://example.com/".into()),
        destinations: vec![],
    }];
    expected.status = 302;
    expected.forward_path = false;
    expected.expires_at = Some(Timestamp(1_795_330_800_001));
    let set = PasswordChange::Set("new".into());
    assert_eq!(patch(&link, &body), Ok(Patch { link: expected, password: set }));
}

#[test]
fn null_sets_every_field_back() {
    let link = full_link();
    let mut body = full_body();
    let fields = body.as_object_mut().expect("object");
    for kept in ["slug", "domain", "destination", "override_quarantine"] {
        fields.remove(kept);
    }
    fields.values_mut().for_each(|value| drop(value.take()));
    let expected = Link {
        id: link.id,
        slug: link.slug.clone(),
        destination: link.destination.clone(),
        password_hash: link.password_hash.clone(),
        password_version: link.password_version,
        created_at: link.created_at,
        updated_at: link.updated_at,
        ..settings::blank("other.example".into(), 302)
    };
    let patched = patch(&link, &body);
    assert_eq!(patched, Ok(Patch { link: expected, password: PasswordChange::Remove }));

    let all =
        json!({"source": null, "medium": null, "campaign": null, "term": null, "content": null});
    let patched = patch(&link, &json!({"utm": all})).expect("valid");
    assert_eq!(patched.link.utm, None);
}

#[test]
fn a_patch_cannot_move_a_link_or_take_its_destination() {
    let body = json!({
        "slug": "docs/summer",
        "domain": "s.example",
        "destination": null,
        "override_quarantine": true,
        "version": 3,
        "utm": {"medium": 5},
    });
    let fault = FieldFault::new;
    assert_eq!(
        faults(patch(&full_link(), &body).expect_err("faults")),
        [
            fault(
                "/domain",
                "cannot be changed",
                "no domain; create another link, and delete this one"
            ),
            fault(
                "/slug",
                "cannot be changed",
                "no slug; create another link, and delete this one"
            ),
            fault("/destination", "is null", "a URL that starts with https:// or http://"),
            fault(
                "/override_quarantine",
                "is for creations only",
                "a change without override_quarantine"
            ),
            fault("/utm/medium", "is a number", "a string"),
            fault("/version", "is set by the service", "no version"),
        ]
    );
}

#[test]
fn a_patch_checks_what_it_touches_and_how_it_fits_the_rest() {
    let link = full_link();
    let mut stricter = rules();
    stricter.destination.own_domains.push("xn--bcher-kva.example".into());
    stricter.destination.app_schemes.clear();
    let body = |body: Value| parse_patch(body.to_string().as_bytes(), &link, &stricter, NOW);
    assert!(body(json!({"title": "x"})).is_ok());
    assert!(body(json!({"destination": link.destination})).is_err());

    // Ending a link now is a use of a patch; ending it before its start is a mistake.
    let past = json!({"starts_at": null, "expires_at": "2026-01-01T00:00:00Z"});
    assert!(patch(&link, &past).is_ok());
    let found =
        faults(patch(&link, &json!({"starts_at": "2031-01-01T00:00:00Z"})).expect_err("late"));
    assert_eq!(found[0].pointer, "/expires_at");
}

#[test]
fn a_higher_limit_lets_a_used_up_link_go_on() {
    let link = Link { used_up: true, max_clicks: Some(10), ..full_link() };
    for (body, used_up) in [
        (json!({"max_clicks": 11}), false),
        (json!({"max_clicks": null}), false),
        (json!({"max_clicks": 10}), true),
        (json!({"max_clicks": 9}), true),
        (json!({"title": "x"}), true),
    ] {
        let patched = patch(&link, &body).expect("valid");
        assert_eq!(patched.link.used_up, used_up, "{body}");
    }
}
