//! The native server as a client meets it: what it refuses, what it survives, what every answer
//! has.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypost_host::ambient::Ambient;
use waypost_tests::server::{KEY, Server};
use waypost_wire::time::Timestamp;

const LINK: &str = r#"{"destination":"https://example.com/","slug":"abc"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_panics_harms_no_other_not_even_on_its_connection() {
    let armed = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&armed);
    let clock = Ambient::with_clock(move || {
        assert!(!trigger.swap(false, Ordering::SeqCst), "a bug, injected");
        Timestamp(1_800_000_000_000)
    });
    let server = Server::start_at(&[], clock).await;
    assert_eq!(server.api("POST /api/v1/links", LINK).await.status, 201);

    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let mut ask = async |armed_first: bool| {
        armed.store(armed_first, Ordering::SeqCst);
        stream.write_all(b"GET /abc HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.expect("sent");
        let mut buffer = vec![0; 64 * 1024];
        let length = stream.read(&mut buffer).await.expect("an answer");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(ask(false).await.starts_with("HTTP/1.1 302 "));
    // A job may come by and meet the bug in the request's place; then it is armed again.
    let mut answer = ask(true).await;
    while answer.starts_with("HTTP/1.1 302 ") {
        answer = ask(true).await;
    }
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("urn:waypost:problem:internal"), "{answer}");
    assert!(ask(false).await.starts_with("HTTP/1.1 302 "));

    armed.store(true, Ordering::SeqCst);
    while server.api("GET /api/v1/links/abc", "").await.status != 500 {
        armed.store(true, Ordering::SeqCst);
    }
    assert_eq!(server.api("GET /api/v1/links/abc", "").await.status, 200);
    let metrics = server.send("GET /metrics", &[], "").await.text();
    assert!(metrics.contains("\npanics_total 2\n"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn clients_that_send_too_much_are_told_so() {
    let server = Server::start(&[]).await;
    let long = format!("GET /{} ", "a".repeat(70_000));
    // The line counts with the headers.
    assert_eq!(server.send(&long, &[], "").await.status, 431);
    let cookie = "c".repeat(200_000);
    assert_eq!(server.send("GET /abc", &[("cookie", &cookie)], "").await.status, 431);
    let body =
        format!(r#"{{"destination":"https://example.com/","notes":"{}"}}"#, "n".repeat(70_000));
    let answer = server.api("POST /api/v1/links", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.text().contains("urn:waypost:problem:body-too-large"));
    server.stop().await;
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let server = Server::start(&[("request_timeout_seconds", "1")]).await;
    let mut slow_head = TcpStream::connect(server.address).await.expect("a connection");
    slow_head.write_all(b"GET /abc HTTP/1.1\r\nhost: x").await.expect("sent");
    let mut received = Vec::new();
    slow_head.read_to_end(&mut received).await.expect("the end");
    assert!(!String::from_utf8_lossy(&received).starts_with("HTTP/1.1 2"));

    let mut slow_body = TcpStream::connect(server.address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/links HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 50\r\n\r\n{{"
    );
    slow_body.write_all(head.as_bytes()).await.expect("sent");
    let mut received = Vec::new();
    slow_body.read_to_end(&mut received).await.expect("the end");
    let answer = String::from_utf8_lossy(&received);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("urn:waypost:problem:request-timeout"));
    server.stop().await;
}

#[tokio::test]
async fn the_next_client_waits_while_all_connections_are_taken() {
    let server = Server::start(&[("connections_max", "1")]).await;
    let first = TcpStream::connect(server.address).await.expect("a connection");
    let mut second = TcpStream::connect(server.address).await.expect("a place in the queue");
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    second.write_all(request).await.expect("sent");
    let mut byte = [0; 1];
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), second.read(&mut byte));
    assert!(early.await.is_err(), "served beside the first");
    drop(first);
    assert_eq!(second.read(&mut byte).await.expect("served now"), 1);
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn api_answers_are_compressed_for_those_who_can_read_it() {
    let server = Server::start(&[]).await;
    server.api("POST /api/v1/links", LINK).await;
    let authorization = format!("Bearer {KEY}");
    let plain = server.api("GET /api/v1/links/abc", "").await;
    for encoding in ["gzip", "br"] {
        let headers = [("authorization", authorization.as_str()), ("accept-encoding", encoding)];
        let answer = server.send("GET /api/v1/links/abc", &headers, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
    let headers = [("authorization", authorization.as_str()), ("accept-encoding", "gzip")];
    let answer = server.send("GET /api/v1/links/abc", &headers, "").await;
    let body = unchunked(&answer.body);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, plain.text());
    server.stop().await;
}

/// A body in chunks (RFC 9112 7.1), put together.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&body[..end]).expect("hex");
        let size = usize::from_str_radix(size, 16).expect("hex");
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

#[tokio::test]
async fn browsers_may_call_the_api_from_named_origins_only() {
    let server = Server::start(&[("cors_origins", "https://app.example")]).await;
    let preflight = async |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        server.send("OPTIONS /api/v1/links/abc", &headers, "").await
    };
    let allowed = preflight("https://app.example").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);
    server.stop().await;

    let closed = Server::start(&[]).await;
    let headers = [("origin", "https://app.example")];
    let answer = closed.send("GET /api/v1/links", &headers, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    closed.stop().await;
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_holders_of_a_key() {
    let server = Server::start(&[]).await;
    let local = server.send("GET /metrics", &[], "").await;
    assert_eq!(local.status, 200);
    assert!(local.text().ends_with("# EOF\n"));
    let forwarded = [("x-forwarded-for", "203.0.113.7")];
    assert_eq!(server.send("GET /metrics", &forwarded, "").await.status, 401);
    let authorization = format!("Bearer {KEY}");
    let with_key = [("x-forwarded-for", "203.0.113.7"), ("authorization", authorization.as_str())];
    assert_eq!(server.send("GET /metrics", &with_key, "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn health_tells_of_each_dependency() {
    let server = Server::start(&[]).await;
    let answer = server.send("GET /health", &[], "").await;
    assert_eq!(answer.status, 200);
    let document: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(document["status"], "ok");
    for dependency in ["database_read", "database_write"] {
        assert_eq!(document["checks"][dependency]["status"], "ok");
        assert!(document["checks"][dependency]["latency_ms"].is_number());
    }
    assert_eq!(document["checks"]["clicks"]["status"], "ok");
    server.stop().await;
}

#[tokio::test]
async fn fixed_paths_never_are_slugs() {
    let server = Server::start(&[]).await;
    for slug in ["api", "health", "metrics", "API"] {
        let body = format!(r#"{{"destination":"https://example.com/","slug":"{slug}"}}"#);
        assert_eq!(server.api("POST /api/v1/links", &body).await.status, 422, "{slug}");
    }
    for (path, status) in [("/robots.txt", 200), ("/favicon.ico", 404), ("/.well-known/x", 404)] {
        assert_eq!(server.send(&format!("GET {path}"), &[], "").await.status, status, "{path}");
    }
    server.stop().await;
}
