use std::process::ExitCode;

use serde_json::{Value, json};

use crate::stub::{Answer, Stub};
use crate::waypost::Waypost;

fn link() -> Value {
    json!({
        "id": "8Ny1gTzkYA",
        "short_url": "http://127.0.0.1:8080/summer",
        "domain": "127.0.0.1",
        "slug": "summer",
        "destination": "https://example.com/summer",
        "title": "Summer",
        "tags": ["campaign", "2030"],
        "notes": null,
        "status": 302,
        "state": "active",
        "starts_at": null,
        "expires_at": "2030-12-31T23:59:59Z",
        "expired_destination": null,
        "max_clicks": 5000,
        "forward_query": true,
        "forward_path": false,
        "utm": {"source": "mail"},
        "ios_destination": null,
        "android_destination": null,
        "has_password": true,
        "rules": [{"name": "near", "when": {"country": ["DE"]}, "destination": "https://example.de/"}, {}],
        "preview": null,
        "disabled": false,
        "blocked": null,
        "keep": false,
        "external_id": null,
        "clicks": 1234,
        "version": 3,
        "created_at": "2026-11-20T07:00:00Z",
        "updated_at": "2026-11-21T06:00:00Z",
        "edits_visible_within_seconds": 0,
        "from_the_future": "shown too"
    })
}

const DETAILS: &str = "\
short url        http://127.0.0.1:8080/summer
destination      https://example.com/summer
state            active
clicks           1 234
max clicks       5 000
title            Summer
tags             campaign, 2030
status           302
expires at       2030-12-31T23:59:59Z
forward query    yes
utm              source=mail
has password     yes
rules            2 (near)
domain           127.0.0.1
slug             summer
id               8Ny1gTzkYA
version          3
created at       2026-11-20T07:00:00Z
updated at       2026-11-21T06:00:00Z
from the future  shown too
";

fn answer(status: u16) -> Answer {
    Answer::new(status, link().to_string())
}

#[test]
fn a_link_is_created_with_its_destination_alone() {
    let stub = Stub::answers([answer(201)]);
    let out =
        Waypost::calling(&stub).run(&["link", "create", "https://example.com/summer"]).quietly();
    assert_eq!(out, "http://127.0.0.1:8080/summer\n");
    assert_eq!(
        stub.texts(),
        ["POST /api/v1/links\n\
          authorization: Bearer k\n\
          content-type: application/json\n\n\
          {\"destination\":\"https://example.com/summer\"}"]
    );
}

#[test]
fn every_field_of_a_creation_reaches_the_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("rules.json");
    std::fs::write(&rules, r#"[{"destination": "https://example.de/"}]"#).expect("a file");
    let stub = Stub::answers([answer(201)]);
    let args = [
        "link",
        "create",
        "https://example.com/",
        "--slug",
        "a-b",
        "--domain",
        "go.example",
        "--title",
        "T",
        "--tag",
        "x",
        "--tag",
        "y z",
        "--notes",
        "N",
        "--status",
        "308",
        "--starts-at",
        "S",
        "--expires-at",
        "E",
        "--expired-destination",
        "D",
        "--max-clicks",
        "7",
        "--forward-query",
        "--forward-path=false",
        "--utm-source",
        "1",
        "--utm-medium",
        "2",
        "--utm-campaign",
        "3",
        "--utm-term",
        "4",
        "--utm-content",
        "5",
        "--ios",
        "I",
        "--android",
        "A",
        "--password-stdin",
        "--rules",
        rules.to_str().expect("a path"),
        "--preview-title",
        "P",
        "--preview-description",
        "Q",
        "--preview-image",
        "R",
        "--external-id",
        "X",
        "--keep",
        "--disabled",
        "--override-quarantine",
        "--idempotency-key",
        "once",
    ];
    Waypost::calling(&stub).stdin("se cret \r\nnot this\n").run(&args).quietly();
    let requests = stub.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("idempotency-key"), Some("once"));
    let body: Value = serde_json::from_str(&requests[0].body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "destination": "https://example.com/", "slug": "a-b", "domain": "go.example", "title": "T",
            "tags": ["x", "y z"], "notes": "N", "status": 308, "starts_at": "S", "expires_at": "E",
            "expired_destination": "D", "max_clicks": 7, "forward_query": true, "forward_path": false,
            "utm": {"source": "1", "medium": "2", "campaign": "3", "term": "4", "content": "5"},
            "ios_destination": "I", "android_destination": "A", "password": "se cret ",
            "rules": [{"destination": "https://example.de/"}],
            "preview": {"title": "P", "description": "Q", "image": "R"},
            "external_id": "X", "keep": true, "disabled": true, "override_quarantine": true,
        })
    );
}

#[test]
fn warnings_do_not_mix_with_the_address() {
    let mut deceptive = link();
    deceptive["warnings"] = json!(["looks like \u{1b}another name"]);
    let stub = Stub::answers([Answer::new(201, deceptive.to_string())]);
    let done = Waypost::calling(&stub).run(&["link", "create", "https://example.com"]);
    assert_eq!(done.out, "http://127.0.0.1:8080/summer\n");
    assert_eq!(done.err, "warning: looks like \u{FFFD}another name\n");
    assert_eq!(done.code, ExitCode::SUCCESS);
}

#[test]
fn a_link_is_shown_with_all_it_has() {
    let stub = Stub::answers([answer(200), answer(200), answer(200)]);
    let waypost = Waypost::calling(&stub);
    assert_eq!(waypost.clone().run(&["link", "show", "summer"]).quietly(), DETAILS);
    let json =
        waypost.clone().run(&["link", "show", "https://go.example/docs/a", "--json"]).quietly();
    assert_eq!(json, format!("{}\n", link()));
    waypost.run(&["link", "show", "docs/a", "--domain", "ü.example"]).quietly();
    let lines: Vec<String> = stub.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/links/summer",
            "GET /api/v1/links/docs%2Fa?domain=go.example",
            "GET /api/v1/links/docs%2Fa?domain=%C3%BC.example",
        ]
    );
}

#[test]
fn names_that_are_none_are_not_asked_for() {
    let stub = Stub::answers([]);
    for name in ["", "..", ".", "https://go.example/"] {
        let err = Waypost::calling(&stub).run(&["link", "show", name]).refused(2);
        assert!(err.contains("is no name of anything"), "{err}");
    }
    assert!(stub.requests().is_empty());
}

#[test]
fn a_change_is_made_to_what_was_read() {
    let stub = Stub::answers([answer(200).with("etag", "\"v3\""), answer(200)]);
    let args = [
        "link",
        "update",
        "summer",
        "--destination",
        "https://example.com/autumn",
        "--clear",
        "expires-at",
        "--clear",
        "password",
        "--clear",
        "utm.term",
        "--utm-source",
        "flyer",
        "--forward-query=false",
    ];
    assert_eq!(Waypost::calling(&stub).run(&args).quietly(), DETAILS);
    assert_eq!(
        stub.texts(),
        [
            "GET /api/v1/links/summer\nauthorization: Bearer k",
            "PATCH /api/v1/links/summer\n\
             authorization: Bearer k\n\
             content-type: application/json\n\
             if-match: \"v3\"\n\n\
             {\"destination\":\"https://example.com/autumn\",\"expires_at\":null,\"forward_query\":false,\
             \"password\":null,\"utm\":{\"source\":\"flyer\",\"term\":null}}",
        ]
    );
}

#[test]
fn a_change_of_nothing_is_refused() {
    let stub = Stub::answers([]);
    for (args, word) in [
        (&["link", "update", "summer"][..], "nothing to change"),
        (&["link", "update", "summer", "--title", "a", "--clear", "title"], "choose one"),
        (&["link", "update", "summer", "--clear", "slug"], "invalid value 'slug'"),
    ] {
        let err = Waypost::calling(&stub).run(args).refused(2);
        assert!(err.contains(word), "{err}");
    }
    assert!(stub.requests().is_empty());
}

#[test]
fn links_are_switched_off_and_on() {
    for (command, body) in [("disable", "{\"disabled\":true}"), ("enable", "{\"disabled\":false}")]
    {
        let stub = Stub::answers([answer(200).with("etag", "\"v3\""), answer(200)]);
        Waypost::calling(&stub).run(&["link", command, "a", "--domain", "go.example"]).quietly();
        let requests = stub.requests();
        assert_eq!(requests[1].line, "PATCH /api/v1/links/a?domain=go.example");
        assert_eq!(
            (requests[1].header("if-match"), requests[1].body.as_str()),
            (Some("\"v3\""), body)
        );
    }
}

#[test]
fn a_link_is_deleted_without_a_question_where_nobody_can_answer() {
    let stub = Stub::answers([Answer::new(204, ""), Answer::new(204, "")]);
    let out = Waypost::calling(&stub).run(&["link", "delete", "summer"]).quietly();
    assert_eq!(out, "summer is deleted\n");
    let out = Waypost::calling(&stub)
        .on_terminal()
        .run(&["link", "delete", "summer", "--yes", "--json"])
        .quietly();
    assert_eq!(out, "");
    let request = "DELETE /api/v1/links/summer\nauthorization: Bearer k";
    assert_eq!(stub.texts(), [request, request]);
}

#[test]
fn what_is_deleted_on_a_terminal_is_what_was_shown() {
    const QUESTION: &str =
        "Delete http://127.0.0.1:8080/summer (to https://example.com/summer, 1 234 clicks)? [y/N] ";
    for (stdin, deletes) in [
        ("y\n", true),
        ("YES\r\n", true),
        ("n\n", false),
        ("\n", false),
        ("", false),
        ("yeah\n", false),
    ] {
        let stub = Stub::answers([answer(200).with("etag", "\"v3\""), Answer::new(204, "")]);
        let done =
            Waypost::calling(&stub).on_terminal().stdin(stdin).run(&["link", "delete", "summer"]);
        let requests = stub.requests();
        if !deletes {
            assert_eq!(
                done.refused(1),
                format!("{QUESTION}error: nothing was deleted\n"),
                "{stdin:?}"
            );
            assert_eq!(requests.len(), 1);
            continue;
        }
        assert_eq!((done.code, done.err.as_str()), (ExitCode::SUCCESS, QUESTION), "{stdin:?}");
        assert_eq!(requests[1].line, "DELETE /api/v1/links/summer");
        assert_eq!(requests[1].header("if-match"), Some("\"v3\""));
    }
}

fn page(slugs: &[&str], next_cursor: Option<&str>) -> Answer {
    let data: Vec<Value> = slugs
        .iter()
        .map(|slug| {
            let mut link = link();
            link["short_url"] = json!(format!("http://h/{slug}"));
            link["destination"] = json!(format!("https://example.com/{}", "x".repeat(60)));
            link
        })
        .collect();
    Answer::new(200, json!({"data": data, "next_cursor": next_cursor}).to_string())
}

#[test]
fn a_page_of_links_is_a_table() {
    let stub = Stub::answers([page(&["a", "bb"], Some("c1")), page(&[], None)]);
    let args = [
        "link",
        "list",
        "--q",
        "ex & ample",
        "--tag",
        "a,b",
        "--domain",
        "go.example",
        "--state",
        "active",
        "--sort",
        "-updated_at",
        "--limit",
        "2",
        "--cursor",
        "c0",
    ];
    let done = Waypost::calling(&stub).on_terminal().run(&args);
    let destination = format!("https://example.com/{}…", "x".repeat(39));
    assert_eq!(
        done.out,
        format!(
            "SHORT URL    DESTINATION{pad}  STATE   CLICKS  CREATED               TITLE\n\
             http://h/a   {destination}  active   1 234  2026-11-20T07:00:00Z  Summer\n\
             http://h/bb  {destination}  active   1 234  2026-11-20T07:00:00Z  Summer\n",
            pad = " ".repeat(49),
        )
    );
    assert_eq!(done.err, "There is more: --all, or --cursor c1\n");
    assert_eq!(
        stub.requests()[0].line,
        "GET /api/v1/links?q=ex+%26+ample&tag=a%2Cb&domain=go.example&state=active&sort=-updated_at&limit=2&cursor=c0"
    );
    let out = Waypost::calling(&stub).run(&["link", "list"]).quietly();
    assert_eq!(out, "SHORT URL  DESTINATION  STATE  CLICKS  CREATED  TITLE\n");
    assert_eq!(stub.requests()[1].line, "GET /api/v1/links");
}

#[test]
fn all_links_are_one_document_as_the_server_wrote_them() {
    let raw = |data: &str, next: &str| {
        Answer::new(200, format!("{{\"data\":[{data}],\"next_cursor\":{next}}}"))
    };
    // Neither the order of fields nor the spelling of numbers may change.
    let stub = Stub::answers([
        raw("{\"z\":1.50,\"a\":2}, {\"b\":  3}", "\"p 2\""),
        raw("", "\"p3\""),
        raw("{\"c\":1e3}", "null"),
    ]);
    let out = Waypost::calling(&stub).run(&["link", "list", "--all", "--json"]).quietly();
    assert_eq!(
        out,
        "{\"data\":[{\"z\":1.50,\"a\":2},{\"b\":  3},{\"c\":1e3}],\"next_cursor\":null}\n"
    );
    let lines: Vec<String> = stub.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/links?limit=100",
            "GET /api/v1/links?limit=100&cursor=p+2",
            "GET /api/v1/links?limit=100&cursor=p3",
        ]
    );
}

#[test]
fn a_server_that_repeats_itself_is_not_followed_for_ever() {
    let stub = Stub::start(|_| page(&["a"], Some("again")));
    let err = Waypost::calling(&stub).run(&["link", "list", "--all"]).refused(1);
    assert_eq!(err, "error: the server repeats a page\n");
    assert_eq!(stub.requests().len(), 2);
}

#[test]
fn a_visit_is_explained() {
    let explanation = json!({
        "decision": "redirect", "reason": "rule", "status": 302, "location": "https://example.de/",
        "cache_control": "private, no-store", "takes_use": true, "matched_rule": 1, "matched_destination": 0,
        "rules": [
            {"name": "apps", "outcome": "failed", "failed": "/rules/0/when/not/country"},
            {"name": null, "outcome": "matched", "failed": null},
            {"name": null, "outcome": "not_reached", "failed": null},
        ],
        "time": "2026-12-24T18:00:00Z",
    });
    let stub = Stub::answers([Answer::new(200, explanation.to_string())]);
    let args = [
        "link",
        "explain",
        "summer",
        "--country",
        "DE",
        "--region",
        "DE-BE",
        "--city",
        "Berlin",
        "--continent",
        "EU",
        "--language",
        "de, en;q=0.5",
        "--user-agent",
        "UA",
        "--referer",
        "https://r.example/",
        "--ip",
        "192.0.2.1",
        "--at",
        "2026-12-24T18:00:00Z",
        "--query",
        "a=1&b",
        "--path",
        "/x",
        "--method",
        "HEAD",
        "--preview",
        "--unlocked",
    ];
    let out = Waypost::calling(&stub).run(&args).quietly();
    assert_eq!(
        out,
        "decision       redirect\n\
         because        rule (rule 2)\n\
         status         302\n\
         location       https://example.de/\n\
         cache-control  private, no-store\n\
         takes a use    yes\n\
         at             2026-12-24T18:00:00Z\n\
         \n\
         RULE  NAME  OUTCOME      DID NOT HOLD\n   \
         1  apps  failed       not/country\n   \
         2        matched\n   \
         3        not reached\n"
    );
    let request = &stub.requests()[0];
    assert_eq!(request.line, "POST /api/v1/links/summer/explain");
    assert_eq!(
        serde_json::from_str::<Value>(&request.body).expect("JSON"),
        json!({
            "country": "DE", "region": "DE-BE", "city": "Berlin", "continent": "EU", "language": "de, en;q=0.5",
            "user_agent": "UA", "referrer": "https://r.example/", "ip": "192.0.2.1", "time": "2026-12-24T18:00:00Z",
            "query": "a=1&b", "path": "/x", "method": "HEAD", "preview": true, "unlocked": true,
        })
    );
}
