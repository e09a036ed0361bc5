//! Cleaning up: only what is due, and all of it, also when it is cut off.

use std::thread;

use serde_json::{Value, json};

use crate::http::{Client, FIREFOX, call, create, get, send};
use crate::process::{Installation, soon, wait_for};

/// Cleans up; answers the numbers that are not 0.
fn clean_up(server: &Client, dry_run: bool) -> Value {
    let report =
        server.api(send("POST", "/api/v1/cleanup", &json!({ "dry_run": dry_run }))).expect(200);
    let mut report = report.json();
    let numbers = report.as_object_mut().expect("a report");
    numbers.retain(|_, value| value.as_u64().is_some_and(|number| number > 0));
    report
}

#[test]
fn cleaning_up_tells_first_and_then_does() {
    let mut installation = Installation::new();
    installation.set("WAYPOST_EXPIRED_GRACE_DAYS", "0");
    let server = installation.start();
    for slug in ["stays", "ends", "deleted"] {
        server
            .api(create(&json!({ "destination": "https://example.com/", "slug": slug })))
            .expect(201);
        server.answer(&get(&format!("/{slug}")).agent(FIREFOX)).expect(302);
    }
    let end = send("PATCH", "/api/v1/links/ends", &json!({ "expires_at": soon() }));
    server.api(end).expect(200);
    let state = || server.read("/api/v1/links/ends")["state"] == json!("expired");
    wait_for("the end", || state().then_some(()));
    let clicks = || server.read("/api/v1/stats")["totals"]["all"].as_u64();
    wait_for("the clicks", || (clicks() == Some(3)).then_some(()));
    server.api(call("DELETE", "/api/v1/links/deleted")).expect(204);

    for _ in 0..2 {
        assert_eq!(clean_up(&server, true)["expired"], json!(1));
        assert_eq!(server.read("/api/v1/links/ends")["state"], json!("expired"), "only told");
    }
    assert_eq!(clean_up(&server, false)["expired"], json!(1));
    server.api(get("/api/v1/links/ends")).expect(410);
    assert_eq!(clean_up(&server, false), json!({}), "nothing is left to do");
    server.answer(&get("/stays")).expect(302);
    server.stop();

    // The quarantine of both ends at once for servers that have none.
    installation.set("WAYPOST_QUARANTINE_DAYS", "0");
    let server = installation.start();
    let link = json!({ "destination": "https://example.com/", "slug": "brief" });
    server.api(create(&link)).expect(201);
    server.answer(&get("/brief").agent(FIREFOX)).expect(302);
    wait_for("its click", || {
        (server.read("/api/v1/links/brief")["clicks"] == json!(1)).then_some(())
    });
    server.api(call("DELETE", "/api/v1/links/brief")).expect(204);
    assert_eq!(clean_up(&server, true), json!({ "purged": 1 }));
    assert_eq!(clean_up(&server, false), json!({ "purged": 1 }));
    server.api(get("/api/v1/links/brief")).expect(404);
    server.answer(&get("/brief")).expect(404);
    server.api(create(&link)).expect(201);
    assert_eq!(server.read("/api/v1/links/brief/stats")["totals"]["all"], json!(0), "another link");
}

/// Links that the clean-up has deleted so far, as far as one page shows.
fn deleted(server: &Client) -> usize {
    let page = server.read("/api/v1/links?state=deleted&limit=100");
    page["data"].as_array().expect("links").len()
}

#[test]
fn a_clean_up_that_is_cut_off_goes_on() {
    const LINKS: u64 = 300;
    let mut installation = Installation::new();
    installation.set("WAYPOST_EXPIRED_GRACE_DAYS", "0");
    installation.set("WAYPOST_CLEANUP_PER_SECOND", "50");
    let server = installation.start();
    for number in 0..LINKS {
        let ends = number % 3 > 0;
        let destination = format!("https://example.com/{number}");
        let link = json!({
            "destination": destination, "slug": format!("link-{number}"),
            "expires_at": ends.then(soon),
        });
        server.api(create(&link)).expect(201);
    }
    let last = || server.read(&format!("/api/v1/links/link-{}", LINKS - 1));
    wait_for("the end", || (last()["state"] == json!("expired")).then_some(()));

    let (client, request) = (Client::clone(&server), send("POST", "/api/v1/cleanup", &json!({})));
    thread::scope(|scope| {
        let cut_off = scope.spawn(|| client.ask(&client.signed(request)));
        wait_for("a part of the work", || (deleted(&server) >= 20).then_some(()));
        server.kill();
        assert!(cut_off.join().expect("an answer").is_err(), "it was over before");
    });

    installation.set("WAYPOST_CLEANUP_PER_SECOND", "10000");
    let server = installation.start();
    let report = clean_up(&server, false);
    let rest = report["expired"].as_u64().expect("a number");
    assert!((1..=LINKS * 2 / 3 - 20).contains(&rest), "{report}");
    assert_eq!(clean_up(&server, false), json!({}), "nothing is left to do");
    for number in 0..LINKS {
        let expected = if number % 3 > 0 { 410 } else { 302 };
        server.answer(&get(&format!("/link-{number}"))).expect(expected);
        let read = server.api(get(&format!("/api/v1/links/link-{number}")));
        assert_eq!(read.status == 410, number % 3 > 0, "{}", read.text());
    }
}
