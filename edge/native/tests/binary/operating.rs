//! What operators see: health, numbers, orderly ends, refused starts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::http::{FIREFOX, create, get};
use crate::process::{ADMIN_KEY, Installation, wait_for};

/// The value of a number in the text of `/metrics`.
fn metric(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().expect("a number"))
}

#[test]
fn health_and_numbers_follow_what_happens() {
    let installation = Installation::new();
    let server = installation.start();
    let link = json!({ "destination": "https://example.com/", "slug": "watched" });
    server.api(create(&link)).expect(201);
    for _ in 0..7 {
        server.answer(&get("/watched").agent(FIREFOX)).expect(302);
    }
    server.answer(&get("/unknown").agent(FIREFOX)).expect(404);

    let health = server.answer(&get("/health")).expect(200).json();
    assert_eq!(health["status"], json!("ok"));
    for check in ["database_read", "database_write", "clicks"] {
        assert_eq!(health["checks"][check]["status"], json!("ok"), "{health}");
    }
    wait_for("an empty queue", || {
        let health = server.answer(&get("/health")).json();
        (health["checks"]["clicks"]["waiting"] == json!(0)).then_some(())
    });
    let text = server.answer(&get("/metrics")).expect(200).text().to_owned();
    for (name, expected) in [
        ("link_clicks_total", 7.0),
        ("click_queue_depth", 0.0),
        ("clicks_counted_total", 8.0),
        ("clicks_lost", 0.0),
        ("panics_total", 0.0),
        ("http_request_duration_seconds_count{route=\"Follow\",status=\"302\"}", 7.0),
        ("http_request_duration_seconds_count{route=\"Api\",status=\"201\"}", 1.0),
    ] {
        assert_eq!(metric(&text, name), Some(expected), "{name} in\n{text}");
    }
    assert!(metric(&text, "cache_hits_total").is_some_and(|hits| hits >= 6.0), "{text}");
    assert!(!text.contains("watched"), "no slug is a label");
    // Whoever comes by a proxy needs a key.
    server.answer(&get("/metrics").from("203.0.113.1")).expect(401);
    server.api(get("/metrics").from("203.0.113.1")).expect(200);
}

#[test]
fn what_is_under_way_is_finished_before_the_end() {
    let installation = Installation::new();
    let server = installation.start();
    let body = json!({ "destination": "https://example.com/", "slug": "last" }).to_string();
    let (start, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let head = format!(
        "POST /api/v1/links HTTP/1.1\r\nHost: go.example\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a request");
    // The server asks for the body: it is at work on this request.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(start.as_bytes()).expect("a part of the body");
    server.signal(Signal::TERM);
    wait_for("a closed door", || TcpStream::connect(server.address()).is_err().then_some(()));
    stream.write_all(rest.as_bytes()).expect("the rest of the body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.ended().status.success());
    installation.start().answer(&get("/last")).expect(302);
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let installation = Installation::new();
    let server = installation.start();
    let second = installation.run(&[]);
    let text = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another Waypost process"), "{text}");
    server.answer(&get("/health")).expect(200);
}

#[test]
fn all_faulty_settings_are_told_at_once() {
    let mut installation = Installation::new();
    installation.set("WAYPOST_LISTEN", "here");
    installation.set("WAYPOST_DEFAULT_STATUS", "303");
    installation.set("WAYPOST_CLEANUP_AT", "25:00");
    installation.set("WAYPOST_ADMIN_KEY", "short");
    let refused = installation.run(&[]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for name in
        ["WAYPOST_LISTEN", "WAYPOST_DEFAULT_STATUS", "WAYPOST_CLEANUP_AT", "WAYPOST_ADMIN_KEY"]
    {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert!(!text.contains("short\""), "the key is not told: {text}");
    assert!(!installation.data_dir().exists(), "nothing was begun");
}
