//! Links from their creation to their end, as visitors and owners see them.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::http::{Answer, FIREFOX, IPHONE, call, create, get, post_form, send};
use crate::process::{Installation, Server, soon, wait_for};

/// Makes a link; answers its slug.
fn make(server: &Server, link: &Value) -> String {
    let made = server.api(create(link)).expect(201).json();
    made["slug"].as_str().expect("a slug").to_owned()
}

/// What `count` callers get who call at the same moment.
fn at_once<T: Send>(count: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let call = &call;
        let callers: Vec<_> = (0..count).map(|caller| scope.spawn(move || call(caller))).collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    })
}

fn problem(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    (
        answer.status,
        answer.json()["type"].as_str().expect("a type").replace("urn:waypost:problem:", ""),
    )
}

#[test]
fn a_plain_link_redirects_at_once() {
    let installation = Installation::new();
    let server = installation.start();
    let answer =
        server.api(create(&json!({ "destination": "HTTPS://Example.com/a b?ü" }))).expect(201);
    let link = answer.json();
    let slug = link["slug"].as_str().expect("a slug");
    assert_eq!(answer.header("location"), format!("/api/v1/links/{slug}?domain=go.example"));
    assert_eq!(answer.header("etag"), "\"v1\"");
    assert_eq!(link["short_url"], json!(format!("http://go.example/{slug}")));
    assert_eq!(link["destination"], json!("https://example.com/a%20b?%C3%BC"));
    assert_eq!(link["clicks"], json!(0));
    assert_eq!(server.read(&format!("/api/v1/links/{slug}")), link);

    for method in ["GET", "HEAD"] {
        let followed = server.answer(&call(method, &format!("/{slug}")).agent(FIREFOX)).expect(302);
        assert_eq!(followed.to(), "https://example.com/a%20b?%C3%BC");
        assert_eq!(followed.header("cache-control"), "private, no-store");
        assert_eq!(followed.body, b"");
    }
    let preview = server.answer(&get(&format!("/{slug}+")).agent(FIREFOX)).expect(200);
    assert!(preview.text().contains("https://example.com/a%20b?%C3%BC"), "{}", preview.text());
    server.answer(&call("POST", &format!("/{slug}"))).expect(405);
    server.answer(&get("/nothing-here")).expect(404);
}

#[test]
fn what_a_link_forwards_and_adds_is_in_the_location() {
    let installation = Installation::new();
    let server = installation.start();
    let shop = json!({
        "destination": "https://example.com/shop?x=1#top", "slug": "shop", "status": 307,
        "forward_query": true, "forward_path": true, "utm": { "source": "news letter" },
    });
    assert_eq!(make(&server, &shop), "shop");
    let followed = server.answer(&get("/shop/shoes?y=2&z")).expect(307);
    assert_eq!(
        followed.to(),
        "https://example.com/shop/shoes?x=1&utm_source=news%20letter&y=2&z#top"
    );
    let followed = server.answer(&get("/shop")).expect(307);
    assert_eq!(followed.to(), "https://example.com/shop?x=1&utm_source=news%20letter#top");
}

#[test]
fn rules_choose_the_destination() {
    let installation = Installation::new();
    let server = installation.start();
    let link = json!({
        "destination": "https://example.com/", "slug": "rules",
        "ios_destination": "https://apps.example.com/ios",
        "rules": [
            { "when": { "country": ["DE"], "device": ["desktop"] }, "destination": "https://example.com/de" },
            { "when": { "language": ["fr"] }, "destination": "https://example.com/fr" },
            { "when": { "query": [{ "name": "ab" }] }, "destinations": [
                { "destination": "https://example.com/one", "weight": 1 },
                { "destination": "https://example.com/two", "weight": 1 },
            ] },
        ],
    });
    make(&server, &link);
    let of = |agent: &str, country: &str, language: &str| {
        get("/rules")
            .agent(agent)
            .header("cf-ipcountry", country)
            .header("accept-language", language)
    };
    for (agent, country, language, expected) in [
        (FIREFOX, "DE", "fr", "https://example.com/de"),
        (IPHONE, "DE", "fr-CA, en;q=0.5", "https://example.com/fr"),
        (IPHONE, "DE", "de", "https://apps.example.com/ios"),
        (FIREFOX, "AT", "de", "https://example.com/"),
    ] {
        let followed = server.answer(&of(agent, country, language)).expect(302);
        assert_eq!(followed.to(), expected, "{country} {language}");
        let question = json!({ "user_agent": agent, "country": country, "language": language });
        let explained =
            server.api(send("POST", "/api/v1/links/rules/explain", &question)).expect(200);
        assert_eq!(explained.json()["location"], json!(expected), "{}", explained.json());
    }

    let mut chosen = BTreeSet::new();
    for visitor in 0..40 {
        let visit = get("/rules?ab").agent(FIREFOX).from(&format!("203.0.113.{visitor}"));
        let first = server.answer(&visit).to().to_owned();
        for _ in 0..3 {
            assert_eq!(server.answer(&visit).to(), first, "the choice is the visitor's own");
        }
        chosen.insert(first);
    }
    let both = ["https://example.com/one", "https://example.com/two"].map(str::to_owned);
    assert_eq!(chosen, BTreeSet::from(both));
}

#[test]
fn a_password_opens_a_link_until_it_is_changed() {
    let installation = Installation::new();
    let server = installation.start();
    let link = json!({ "destination": "https://example.com/secret", "slug": "pw", "password": "open sesame" });
    let made = server.api(create(&link)).expect(201).json();
    assert_eq!((&made["has_password"], &made["password"]), (&json!(true), &Value::Null));
    let asked = server.answer(&get("/pw").agent(FIREFOX));
    assert_eq!((asked.status, asked.header("location")), (200, ""));
    assert!(asked.text().contains("type=\"password\"") && !asked.text().contains("example.com"));

    let wrong = server.answer(&post_form("/pw", "password=open+says+me").agent(FIREFOX));
    assert_eq!((wrong.status, wrong.header("set-cookie")), (403, ""));
    let right = server.answer(&post_form("/pw", "password=open+sesame").agent(FIREFOX)).expect(303);
    assert_eq!(right.to(), "/pw");
    let cookie = right.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let with_cookie = get("/pw").agent(FIREFOX).header("cookie", &cookie);
    assert_eq!(server.answer(&with_cookie).expect(302).to(), "https://example.com/secret");

    // The key of cookies outlives the process.
    server.stop();
    let server = installation.start();
    assert_eq!(server.answer(&with_cookie).expect(302).to(), "https://example.com/secret");
    server.api(send("PATCH", "/api/v1/links/pw", &json!({ "password": "another" }))).expect(200);
    assert_eq!(server.answer(&with_cookie).header("location"), "");
}

#[test]
fn a_limited_link_gives_as_many_redirects_as_it_says() {
    let installation = Installation::new();
    let server = installation.start();
    make(
        &server,
        &json!({ "destination": "https://example.com/", "slug": "few", "max_clicks": 5 }),
    );
    let followed = at_once(20, |_| server.answer(&get("/few")).status);
    let of = |status| followed.iter().filter(|its| **its == status).count();
    assert_eq!((of(302), of(410)), (5, 15), "{followed:?}");
    assert_eq!(server.read("/api/v1/links/few")["state"], json!("expired"));
    server.api(send("PATCH", "/api/v1/links/few", &json!({ "max_clicks": 6 }))).expect(200);
    server.answer(&get("/few")).expect(302);
    server.answer(&get("/few")).expect(410);
}

#[test]
fn edits_take_effect_at_once() {
    let installation = Installation::new();
    let server = installation.start();
    make(&server, &json!({ "destination": "https://example.com/1", "slug": "edited" }));
    let patch = |body: &Value| send("PATCH", "/api/v1/links/edited", body);
    for number in 2..30 {
        let to = format!("https://example.com/{number}");
        let edited = server.api(patch(&json!({ "destination": to }))).expect(200);
        assert_eq!(edited.json()["version"], json!(number));
        assert_eq!(server.answer(&get("/edited")).expect(302).to(), to);
    }
    let late =
        patch(&json!({ "destination": "https://example.com/late" })).header("if-match", "\"v3\"");
    assert_eq!(problem(&server.api(late)), (412, "version-mismatch".to_owned()));
    assert_eq!(server.answer(&get("/edited")).to(), "https://example.com/29");

    server.api(patch(&json!({ "disabled": true }))).expect(200);
    server.answer(&get("/edited")).expect(404);
    server.api(patch(&json!({ "disabled": false }))).expect(200);
    server.answer(&get("/edited")).expect(302);
    let abuse = send("POST", "/api/v1/links/edited/block", &json!({ "reason": "legal" }));
    server.api(abuse).expect(200);
    server.answer(&get("/edited")).expect(451);
    server.api(call("DELETE", "/api/v1/links/edited/block")).expect(200);
    server.answer(&get("/edited")).expect(302);
}

#[test]
fn a_link_starts_and_ends_at_its_time() {
    let installation = Installation::new();
    let server = installation.start();
    let later = "2040-01-01T00:00:00Z";
    for link in [
        json!({ "destination": "https://example.com/", "slug": "ending", "expires_at": later }),
        json!({
            "destination": "https://example.com/", "slug": "passed-on",
            "expired_destination": "https://example.com/over",
        }),
        json!({ "destination": "https://example.com/", "slug": "opening", "starts_at": later }),
    ] {
        make(&server, &link);
    }
    server.answer(&get("/opening")).expect(404);
    for slug in ["ending", "passed-on"] {
        assert_eq!(
            server.answer(&get(&format!("/{slug}"))).expect(302).to(),
            "https://example.com/"
        );
    }

    let patch = |slug: &str, body: &Value| {
        server.api(send("PATCH", &format!("/api/v1/links/{slug}"), body)).expect(200);
    };
    patch("opening", &json!({ "starts_at": soon() }));
    patch("ending", &json!({ "expires_at": soon() }));
    patch("passed-on", &json!({ "expires_at": soon() }));
    wait_for("the start", || (server.answer(&get("/opening")).status == 302).then_some(()));
    wait_for("the end", || (server.answer(&get("/ending")).status == 410).then_some(()));
    let over =
        || (server.answer(&get("/passed-on")).to() == "https://example.com/over").then_some(());
    wait_for("the other destination", over);
    assert_eq!(server.read("/api/v1/links/ending")["state"], json!("expired"));

    // Its owner may give it more time.
    patch("ending", &json!({ "expires_at": later }));
    server.answer(&get("/ending")).expect(302);
}

#[test]
fn a_deleted_link_is_gone_and_its_slug_kept_back() {
    let installation = Installation::new();
    let server = installation.start();
    let link = json!({ "destination": "https://example.com/old", "slug": "old" });
    make(&server, &link);
    server.answer(&get("/old")).expect(302);
    server.api(call("DELETE", "/api/v1/links/old")).expect(204);
    server.answer(&get("/old")).expect(410);
    assert_eq!(problem(&server.api(get("/api/v1/links/old"))), (410, "gone".to_owned()));
    let again = json!({ "destination": "https://example.com/new", "slug": "old" });
    assert_eq!(problem(&server.api(create(&again))), (409, "slug-in-quarantine".to_owned()));
    server.stop();
    let server = installation.start();
    server.answer(&get("/old")).expect(410);
    let mut again = again;
    again["override_quarantine"] = json!(true);
    make(&server, &again);
    assert_eq!(server.answer(&get("/old")).expect(302).to(), "https://example.com/new");
}

#[test]
fn creations_at_the_same_moment_never_share() {
    let installation = Installation::new();
    let server = installation.start();
    // One slug: one of them gets it.
    let answers = at_once(12, |caller| {
        let destination = format!("https://example.com/{caller}");
        server.api(create(&json!({ "destination": destination, "slug": "wanted" })))
    });
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 11);
    assert_eq!(server.answer(&get("/wanted")).to(), won[0].json()["destination"]);

    // One idempotency key: one link, and all hear of it.
    let body = json!({ "destination": "https://example.com/once" });
    let once = |body: &Value| create(body).header("idempotency-key", "just-once");
    let answers = at_once(12, |_| server.api(once(&body)));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    let other = server.api(once(&json!({ "destination": "https://example.com/other" })));
    assert_eq!(problem(&other), (422, "idempotency-key-reused".to_owned()));
    let found = server.read("/api/v1/links?q=example.com%2Fonce");
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
}
