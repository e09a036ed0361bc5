use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypost_service::problem::Kind;
use waypost_tests::server::Server;
use waypost_tests::wire::Raw;
use waypost_wire::origin::sign::{HEADER, OriginKey, SKEW_MAX_SECONDS};
use waypost_wire::origin::{QUESTION_MAX_BYTES, Question, Used};

use crate::asking::{Edge, NOW, create, post, server};

const CONSUME: &str = "/api/v1/edge/consume";

/// A refusal must be this problem, whole, unsigned, and nothing for browsers.
fn check(answer: &Raw, kind: Kind, detail: &str, more: &[(&str, &str)]) {
    let about = kind.about();
    let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let id = answer.header("x-request-id").expect("an id");
    let wanted = json!({
        "type": kind.uri(), "title": about.title, "status": about.status, "detail": detail,
        "instance": format!("urn:waypost:request:{id}"),
    });
    assert_eq!((answer.status, document), (about.status, wanted));
    let common = [
        ("cache-control", "no-store"),
        ("connection", "close"),
        ("content-type", "application/problem+json"),
        ("x-content-type-options", "nosniff"),
    ];
    let mut wanted = [&common, more].concat();
    wanted.sort_unstable();
    let varies = ["content-length", "date", "x-request-id"];
    let mut headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .filter(|(name, _)| !varies.contains(name))
        .collect();
    headers.sort_unstable();
    assert_eq!(headers, wanted);
}

const CHALLENGE: (&str, &str) = ("www-authenticate", "Waypost-Signature");

#[tokio::test]
async fn a_signature_is_checked_before_anything_happens() {
    let server = server().await;
    let edge = Edge::of(&server);
    let id = create(&server, "once", json!({"max_clicks": 1})).await;
    let body = Question::Consume { link_id: id }.encode();
    let (right, _) = edge.key.sign_question(CONSUME, &body, NOW);
    let foreign = OriginKey::new([9; 32]).sign_question(CONSUME, &body, NOW).0;
    let at = |ms| edge.key.sign_question(CONSUME, &body, NOW.plus_ms(ms)).0;
    let skew_ms = SKEW_MAX_SECONDS * 1_000;
    let changed = Question::Consume { link_id: id ^ 1 }.encode();
    let wrong = "the signature is not that of this path and body under the key of this origin";
    let malformed = "x-waypost-signature is not of the form t=<unix seconds>,s=<64 hex digits>";
    let clock = "the clock differs by more than 300 s from this one";
    for (path, signature, body, detail) in [
        (CONSUME, &*foreign, &body, wrong),
        (CONSUME, &*right, &changed, wrong),
        ("/api/v1/edge/resolve", &*right, &body, wrong),
        (CONSUME, &*at(-skew_ms - 1_000), &body, clock),
        (CONSUME, &*at(skew_ms + 1_000), &body, clock),
        (CONSUME, "", &body, malformed),
        (CONSUME, "Bearer the-admin-key-of-tests", &body, malformed),
    ] {
        let answer = post(&server, &format!("POST {path}"), signature, body).await;
        check(&answer, Kind::Unauthenticated, detail, &[CHALLENGE]);
    }
    let line = format!("POST {CONSUME}");
    let unsigned = server.send(&line, &[], "x").await;
    let detail = "there is not one header x-waypost-signature";
    check(&unsigned, Kind::Unauthenticated, detail, &[CHALLENGE]);
    // As far apart as clocks may be; and nobody used it up before.
    assert_eq!(edge.consume(id, NOW.plus_ms(skew_ms)).await, Used::Taken);
    assert_eq!(edge.consume(id, NOW.plus_ms(-skew_ms)).await, Used::Exhausted);
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_the_api_is_none_of_an_edge_and_the_other_way_round() {
    let server = server().await;
    let state = server.api("POST /api/v1/edge/state", "\u{1}").await;
    assert_eq!(state.status, 401);
    let edge = Edge::of(&server);
    let (signature, _) = edge.key.sign_question("/api/v1/links", b"", NOW);
    let links = server.send("GET /api/v1/links", &[(HEADER, &signature)], "").await;
    assert_eq!(links.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_question_is_a_problem() {
    let server = server().await;
    let edge = Edge::of(&server);
    let signed = async |path: &str, body: &[u8]| {
        let (signature, _) = edge.key.sign_question(path, body, NOW);
        post(&server, &format!("POST {path}"), &signature, body).await
    };
    for (body, detail) in [
        (&b"\x02"[..], "the question is of a version that this origin cannot read"),
        (b"{}", "the question is of a version that this origin cannot read"),
        (b"", "the question is damaged: a value is missing, unknown or too many"),
        (b"\x01\x07\x07", "the question is damaged: a value is missing, unknown or too many"),
    ] {
        check(&signed(CONSUME, body).await, Kind::MalformedQuestion, detail, &[]);
    }
    let whole = vec![1; QUESTION_MAX_BYTES];
    let damaged = "the question is damaged: a value is missing, unknown or too many";
    check(&signed("/api/v1/edge/clicks", &whole).await, Kind::MalformedQuestion, damaged, &[]);
    let other = signed("/api/v1/edge/other", b"\x01").await;
    check(&other, Kind::NotFound, "there is nothing at /api/v1/edge/other", &[]);
    for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
        let answer = post(&server, &format!("{method} {CONSUME}"), "", b"").await;
        let detail = "/api/v1/edge/consume takes POST";
        check(&answer, Kind::MethodNotAllowed, detail, &[("allow", "POST")]);
    }
    let head = post(&server, &format!("HEAD {CONSUME}"), "", b"").await;
    assert_eq!((head.status, head.header("allow"), head.body.len()), (405, Some("POST"), 0));
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_here_and_shorter_elsewhere() {
    let server = server().await;
    let long = vec![1; QUESTION_MAX_BYTES + 1];
    let detail = "the body has more than 524288 bytes";
    for path in ["/api/v1/edge/clicks", "/api/v1/edge/other"] {
        let answer = post(&server, &format!("POST {path}"), "", &long).await;
        check(&answer, Kind::BodyTooLarge, detail, &[]);
    }
    let body = format!(r#"{{"notes":"{}"}}"#, "n".repeat(70_000));
    assert_eq!(server.api("POST /api/v1/links", &body).await.status, 413);
    // The neighbour's path has no limit of its own.
    assert_eq!(server.api("POST /api/v1/edge", &body).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn a_question_that_stops_half_way_is_let_go() {
    let settings = [("request_timeout_seconds", "1"), ("public_url", "https://go.example")];
    let server = Server::start(&settings).await;
    let mut slow = TcpStream::connect(server.address).await.expect("a connection");
    let head = format!(
        "POST {CONSUME} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n\u{1}"
    );
    slow.write_all(head.as_bytes()).await.expect("sent");
    let mut received = Vec::new();
    slow.read_to_end(&mut received).await.expect("the end");
    let answer = String::from_utf8_lossy(&received);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:waypost:problem:request-timeout"), "{answer}");
    server.stop().await;
}
