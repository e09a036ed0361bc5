//! Limits of the API as a client of the native server meets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use waypost_host::ambient::Ambient;
use waypost_tests::server::{KEY, Server};
use waypost_tests::wire::Raw;
use waypost_wire::time::Timestamp;

const START: i64 = 1_800_000_000_000;
const LINKS: &str = "GET /api/v1/links";

/// A server, and the time it believes.
async fn server(settings: &[(&str, &str)]) -> (Server, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(START));
    let shown = Arc::clone(&now);
    let clock = Ambient::with_clock(move || Timestamp(shown.load(Ordering::SeqCst)));
    (Server::start_at(settings, clock).await, now)
}

async fn ask(server: &Server, key: &str, from: &str) -> Raw {
    let authorization = format!("Bearer {key}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-forwarded-for", from),
        ("origin", "https://app.example"),
    ];
    server.send(LINKS, &headers, "").await
}

/// The headers about limits, in the order of their names.
fn limits(answer: &Raw) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| name.contains("ratelimit") || *name == "retry-after")
        .filter(|(name, _)| !name.starts_with("access-control"))
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn a_key_gets_its_requests_and_no_more_until_they_come_back() {
    let settings = [("api_requests_per_minute", "60"), ("cors_origins", "https://app.example")];
    let (server, now) = server(&settings).await;
    let body = json!({"name": "n", "role": "viewer", "requests_per_minute": 2}).to_string();
    let made = server.api("POST /api/v1/keys", &body).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("x-ratelimit-remaining"), Some("59"));
    let key: Value = serde_json::from_slice(&made.body).expect("JSON");
    let key = key["secret"].as_str().expect("a secret");

    let first = ask(&server, key, "").await;
    assert_eq!(first.status, 200);
    let expected = [
        ("ratelimit", "\"key\";r=1;t=30"),
        ("ratelimit-policy", "\"key\";q=2;w=60"),
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "1"),
        ("x-ratelimit-reset", "30"),
    ];
    assert_eq!(limits(&first), expected);
    let exposed = first.header("access-control-expose-headers").expect("a header");
    for (name, _) in expected {
        assert!(exposed.split(',').any(|shown| shown.trim() == name), "{name} is not in {exposed}");
    }
    assert_eq!(ask(&server, key, "").await.status, 200);
    let refused = ask(&server, key, "").await;
    assert_eq!(refused.status, 429);
    let expected = [
        ("ratelimit", "\"key\";r=0;t=60"),
        ("ratelimit-policy", "\"key\";q=2;w=60"),
        ("retry-after", "30"),
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "60"),
    ];
    assert_eq!(limits(&refused), expected);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(refused.text().contains("urn:waypost:problem:rate-limited"));
    assert!(refused.header("x-request-id").is_some());
    // Links are followed without a limit, and other keys have their own.
    assert_eq!(server.send("GET /none", &[], "").await.status, 404);
    assert_eq!(server.api(LINKS, "").await.status, 200);
    now.store(START + 30_000, Ordering::SeqCst);
    assert_eq!(ask(&server, key, "").await.status, 200);
    assert_eq!(ask(&server, key, "").await.status, 429);
    server.stop().await;
}

#[tokio::test]
async fn wrong_keys_shut_out_their_network_alone() {
    let settings = [("api_wrong_keys_per_quarter_hour", "3"), ("trusted_proxies", "127.0.0.1/32")];
    let (server, now) = server(&settings).await;
    for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
        assert_eq!(ask(&server, "wrong", host).await.status, 401);
    }
    for key in ["wrong", KEY] {
        let refused = ask(&server, key, "2001:db8::4").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("300")));
    }
    // Nor does /metrics look at its keys.
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str()), ("x-forwarded-for", "2001:db8::5")];
    assert_eq!(server.send("GET /metrics", &headers, "").await.status, 429);
    assert_eq!(ask(&server, KEY, "2001:db8:0:1::1").await.status, 200);
    // What a client says of itself, left of what the proxy saw, is not believed.
    assert_eq!(ask(&server, KEY, "203.0.113.1, 2001:db8::6").await.status, 429);
    now.store(START + 300_000, Ordering::SeqCst);
    assert_eq!(ask(&server, KEY, "2001:db8::4").await.status, 200);
    server.stop().await;
}

/// The limits that a server has if nothing is set.
#[tokio::test]
async fn limits_are_on_unless_set_otherwise() {
    // The harness sets another.
    let (server, _) = server(&[("api_requests_per_minute", "")]).await;
    let answer = server.api(LINKS, "").await;
    assert_eq!(answer.header("ratelimit-policy"), Some("\"key\";q=1000;w=60"));
    for _ in 0..100 {
        assert_eq!(ask(&server, "wrong", "").await.status, 401);
    }
    let refused = ask(&server, "wrong", "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("9")));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"wrong-keys\";q=100;w=900"));
    server.stop().await;
}
