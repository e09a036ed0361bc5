//! How much may be asked of the API: tokens of keys, wrong keys of clients, and what the headers say
//! of both.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use serde_json::{Value, json};
use waypost_service::ambient::{Draws, SeededEntropy};
use waypost_service::api::{ApiLimits, Handled, authorize};
use waypost_service::keys::{AdminKey, Role, Secret};
use waypost_service::problem::Kind;
use waypost_service::testing::Failing;

use crate::case::NOW;
use crate::world::{World, run};

const ADMIN: &str = "an-admin-key-of-twenty-characters";
const LINKS: &str = "/api/v1/links";

/// `::ffff:192.0.2.n`.
const fn v4(n: u128) -> u128 {
    0xffff_c000_0200 + n
}

/// Ten requests a minute, three wrong keys in 15 minutes.
fn world() -> World {
    let mut world = World::new(NOW);
    let settings = &mut world.service.settings;
    settings.api_limits = ApiLimits { requests_per_minute: 10, wrong_keys_per_quarter_hour: 3 };
    settings.admin_key = Some(AdminKey::new(ADMIN).expect("a strong key"));
    world
}

fn forged() -> String {
    let secret = Secret::draw(&mut Draws::new(&SeededEntropy::new(79)));
    format!("Bearer {}", secret.reveal())
}

fn request(method: &str, path: &str, authorization: Option<&str>, body: &Value) -> Request<Bytes> {
    let mut request = Request::new(match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    });
    *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
    *request.uri_mut() = path.parse().expect("a path");
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(text).expect("a header"));
    }
    request
}

/// `GET` of all links with a key of the world.
fn get(world: &World, key: &str) -> Response<Bytes> {
    world.ask(request("GET", LINKS, Some(&world.bearer(key)), &Value::Null))
}

fn get_from(world: &World, client_ip: u128, authorization: &str) -> Response<Bytes> {
    world.ask_from(Some(client_ip), request("GET", LINKS, Some(authorization), &Value::Null))
}

/// All headers about limits, with `Retry-After`.
fn limits(response: &Response<Bytes>) -> Vec<String> {
    let about = ["ratelimit", "retry-after"];
    let mut lines: Vec<String> = response
        .headers()
        .iter()
        .filter(|(name, _)| about.iter().any(|part| name.as_str().contains(part)))
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")))
        .collect();
    lines.sort();
    lines
}

fn standing(policy: &str, window: u32, limit: u32, remaining: u32, reset: u32) -> Vec<String> {
    vec![
        format!("ratelimit-policy: \"{policy}\";q={limit};w={window}"),
        format!("ratelimit: \"{policy}\";r={remaining};t={reset}"),
        format!("x-ratelimit-limit: {limit}"),
        format!("x-ratelimit-remaining: {remaining}"),
        format!("x-ratelimit-reset: {reset}"),
    ]
}

fn of_key(limit: u32, remaining: u32, reset: u32) -> Vec<String> {
    standing("key", 60, limit, remaining, reset)
}

fn and_wait(mut lines: Vec<String>, seconds: u32) -> Vec<String> {
    lines.push(format!("retry-after: {seconds}"));
    lines.sort();
    lines
}

fn problem(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

#[test]
fn a_key_is_refused_when_its_bucket_is_empty_and_served_again_when_it_has_refilled() {
    let world = world();
    for used in 1..=10 {
        let answer = get(&world, "viewer");
        assert_eq!(answer.status(), 200);
        assert_eq!(limits(&answer), of_key(10, 10 - used, used * 6));
    }
    world.service.host.ambient.clock.set(NOW.plus_ms(4_999));
    let refused = get(&world, "viewer");
    assert_eq!(refused.status(), 429);
    // 1,001 ms and 55,001 ms, rounded up.
    assert_eq!(limits(&refused), and_wait(of_key(10, 0, 56), 2));
    assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
    let expected = json!({
        "type": "urn:waypost:problem:rate-limited",
        "title": "Too many requests",
        "status": 429,
        "detail": "this key may make 10 requests a minute; there is room again in 2 s",
        "instance": "urn:waypost:request:r1",
        "retry_after_seconds": 2,
    });
    assert_eq!(problem(&refused), expected);
    // Others are not refused, and being refused took nothing.
    assert_eq!(limits(&get(&world, "editor")), of_key(10, 9, 6));
    world.service.host.ambient.clock.set(NOW.plus_ms(6_000));
    assert_eq!(get(&world, "viewer").status(), 200);
    assert_eq!(get(&world, "viewer").status(), 429);
    world.service.host.ambient.clock.set(NOW.plus_ms(66_000));
    assert_eq!(limits(&get(&world, "viewer")), of_key(10, 9, 6));
}

#[test]
fn a_refused_request_does_nothing() {
    let world = world();
    let key = world.bearer("editor");
    for _ in 0..10 {
        get(&world, "editor");
    }
    let new = json!({"destination": "https://example.com/", "slug": "one"});
    let refused = world.ask(request("POST", LINKS, Some(&key), &new));
    assert_eq!(refused.status(), 429);
    assert!(world.service.host.records.take().is_empty());
    let handled = refused.extensions().get::<Handled>().expect("what is logged");
    assert_eq!(handled.key_id.as_deref(), Some(world.key_id("editor")));
    assert_eq!(handled.limit_failed, None);
    let path = format!("{LINKS}/one");
    let answer = world.ask(request("GET", &path, Some(&world.bearer("viewer")), &Value::Null));
    assert_eq!(answer.status(), 404);
}

/// Also answers that are refusals for other reasons, and HEAD; what needs no key to be answered
/// takes nothing and tells nothing.
#[test]
fn every_answer_to_a_key_costs_one_and_says_so() {
    let world = world();
    let viewer = world.bearer("viewer");
    let broken = json!({"destination": 1});
    for (left, (method, path, body, status)) in (0..10).rev().zip([
        ("GET", LINKS, &Value::Null, 200),
        ("HEAD", LINKS, &Value::Null, 200),
        ("POST", LINKS, &broken, 403),
        ("GET", "/api/v1/links/none", &Value::Null, 404),
        ("HEAD", "/api/v1/links/none", &Value::Null, 404),
        ("GET", "/api/v1/links?limit=0", &Value::Null, 400),
        ("GET", "/api/v1/stats", &Value::Null, 200),
        ("GET", "/api/v1/keys", &Value::Null, 403),
        ("POST", "/api/v1/links/none/explain", &Value::Null, 404),
        ("GET", LINKS, &Value::Null, 200),
    ]) {
        let answer = world.ask(request(method, path, Some(&viewer), body));
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(limits(&answer), of_key(10, left, (10 - left) * 6), "{method} {path}");
    }
    for (method, path, authorization, status) in [
        ("OPTIONS", LINKS, Some(&viewer), 405),
        ("PUT", LINKS, Some(&viewer), 405),
        ("GET", "/api/v1/nothing", Some(&viewer), 404),
        ("GET", LINKS, None, 401),
    ] {
        let request = request(method, path, authorization.map(String::as_str), &Value::Null);
        let answer = world.ask(request);
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(limits(&answer), [""; 0], "{method} {path}");
    }
    let refused = world.ask(request("HEAD", LINKS, Some(&viewer), &Value::Null));
    assert_eq!((refused.status().as_u16(), refused.body().len()), (429, 0));
    assert_eq!(limits(&refused), and_wait(of_key(10, 0, 60), 6));
}

#[test]
fn a_key_can_have_a_limit_of_its_own() {
    let world = world();
    let admin = format!("Bearer {ADMIN}");
    let make = |limit: &Value| {
        let body = json!({"name": "n", "role": "viewer", "requests_per_minute": limit});
        let made = world.ask(request("POST", "/api/v1/keys", Some(&admin), &body));
        let made_key = problem(&made);
        (made.status().as_u16(), made_key)
    };
    for (limit, expected) in [
        (json!(2), of_key(2, 1, 30)),
        (json!(1_000_000), of_key(1_000_000, 999_999, 1)),
        (json!(7), standing("key", 61, 7, 6, 9)),
        (json!(null), of_key(10, 9, 6)),
        (json!(0), Vec::new()),
    ] {
        let (status, key) = make(&limit);
        assert_eq!((status, &key["requests_per_minute"]), (201, &limit));
        let bearer = format!("Bearer {}", key["secret"].as_str().expect("a secret"));
        let answer = world.ask(request("GET", LINKS, Some(&bearer), &Value::Null));
        assert_eq!(answer.status(), 200);
        assert_eq!(limits(&answer), expected, "{limit}");
    }
    for limit in [json!(-1), json!(1.5), json!(1_000_001), json!("5"), json!(u64::MAX)] {
        let (status, fault) = make(&limit);
        assert_eq!(status, 422, "{limit}");
        assert_eq!(fault["errors"][0]["pointer"], "/requests_per_minute", "{limit}");
    }
    // The admin key of the setting has used up its own ten.
    assert_eq!(make(&json!(1)).0, 429);
}

#[test]
fn nothing_is_said_without_a_limit() {
    let mut world = world();
    world.service.settings.api_limits = ApiLimits::default();
    for _ in 0..50 {
        let answer = get(&world, "viewer");
        assert_eq!((answer.status().as_u16(), limits(&answer).len()), (200, 0));
        assert_eq!(get_from(&world, v4(1), &forged()).status(), 401);
    }
}

#[test]
fn a_client_may_send_few_wrong_keys() {
    let world = world();
    let revoked = world.bearer("revoked");
    let wrong = [forged(), revoked, "Bearer a-guess-at-the-admin-key".to_owned()];
    for authorization in &wrong {
        let answer = get_from(&world, v4(1), authorization);
        assert_eq!(answer.status(), 401);
        assert_eq!(limits(&answer), [""; 0], "nobody is told how much is left");
    }
    let lookups = world.service.host.keys.lookups();
    // From now on, no key of this client is looked at, be it right or wrong.
    let right = [world.bearer("viewer"), format!("Bearer {ADMIN}")];
    for authorization in wrong.iter().chain(&right) {
        let refused = get_from(&world, v4(1), authorization);
        assert_eq!(refused.status(), 429);
        assert!(!refused.headers().contains_key(WWW_AUTHENTICATE));
        let expected = and_wait(standing("wrong-keys", 900, 3, 0, 900), 300);
        assert_eq!(limits(&refused), expected);
        let detail = "your network has sent 3 wrong keys in 15 minutes; the next request is \
                      looked at in 300 s";
        assert_eq!(problem(&refused)["detail"], detail);
        let handled = refused.extensions().get::<Handled>().expect("what is logged");
        assert_eq!(handled.key_id, None);
    }
    assert_eq!(world.service.host.keys.lookups(), lookups);
    // Others are not affected, and the key has lost nothing.
    assert_eq!(limits(&get_from(&world, v4(2), &right[0])), of_key(10, 9, 6));
    world.service.host.ambient.clock.set(NOW.plus_ms(300_000));
    assert_eq!(get_from(&world, v4(1), &right[0]).status(), 200);
    assert_eq!(get_from(&world, v4(1), &wrong[0]).status(), 401);
    assert_eq!(get_from(&world, v4(1), &right[0]).status(), 429);
}

/// Requests without a key try nothing.
#[test]
fn only_wrong_keys_count() {
    let world = world();
    for authorization in [None, Some("Basic d3A6eA=="), Some("Bearer")] {
        for _ in 0..5 {
            let request = request("GET", LINKS, authorization, &Value::Null);
            assert_eq!(world.ask_from(Some(v4(1)), request).status(), 401);
        }
    }
    for _ in 0..3 {
        // Not a wrong key: it may do less.
        let request = request("GET", "/api/v1/keys", Some(&world.bearer("viewer")), &Value::Null);
        assert_eq!(world.ask_from(Some(v4(1)), request).status(), 403);
    }
    assert_eq!(get_from(&world, v4(1), &forged()).status(), 401);
}

#[test]
fn a_client_is_a_network() {
    let world = world();
    let v6 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;
    for host in 0..3 {
        assert_eq!(get_from(&world, v6 + host, &forged()).status(), 401);
    }
    assert_eq!(get_from(&world, v6 + 99, &forged()).status(), 429, "the same /64");
    assert_eq!(get_from(&world, v6 + (1 << 64), &forged()).status(), 401);
    // Whoever has no address is one client.
    for status in [401, 401, 401, 429] {
        let request = request("GET", LINKS, Some(&forged()), &Value::Null);
        assert_eq!(world.ask_from(None, request).status(), status);
    }
}

#[test]
fn wrong_keys_beside_the_api_count_too() {
    let world = world();
    let headers = |text: &str| {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(text).expect("a header"))])
    };
    let asked = |authorization: &str| {
        let headers = headers(authorization);
        run(authorize(&world.service, &headers, Some(v4(1)), Role::Viewer)).map_err(|p| p.kind)
    };
    let viewer = world.bearer("viewer");
    assert_eq!(asked(&viewer), Ok(()));
    for _ in 0..2 {
        assert_eq!(asked(&forged()), Err(Kind::Unauthenticated));
    }
    assert_eq!(get_from(&world, v4(1), &forged()).status(), 401);
    assert_eq!(asked(&viewer), Err(Kind::RateLimited));
}

/// Being there is worth more than a limit.
#[test]
fn requests_pass_if_buckets_fail() {
    for (failing, told) in [
        (Failing::Fails, "store is unavailable: no buckets"),
        (Failing::Hangs, "no answer within 2000 ms"),
    ] {
        let world = world();
        for _ in 0..10 {
            get(&world, "viewer");
        }
        assert_eq!(get(&world, "viewer").status(), 429);
        let set = |failing| {
            *world.service.host.limits.failing.lock().expect("a lock") = failing;
        };
        set(Some(failing));
        for _ in 0..5 {
            let answer = get(&world, "viewer");
            assert_eq!((answer.status().as_u16(), limits(&answer).len()), (200, 0));
            let handled = answer.extensions().get::<Handled>().expect("what is logged");
            assert_eq!(handled.limit_failed.as_deref(), Some(told));
            let wrong = get_from(&world, v4(1), &forged());
            assert_eq!(wrong.status(), 401);
            let handled = wrong.extensions().get::<Handled>().expect("what is logged");
            assert_eq!(handled.limit_failed.as_deref(), Some(told));
        }
        set(None);
        assert_eq!(get(&world, "viewer").status(), 429, "what was taken stays taken");
    }
}

/// No bucket names a client or holds a secret.
#[test]
fn buckets_name_nobody() {
    let world = world();
    get_from(&world, v4(1), &forged());
    get(&world, "viewer");
    let kept = format!("{:?}", world.service.host.limits.buckets);
    for (part, is_there) in [
        ("key/", true),
        ("wrong-keys/", true),
        (world.key_id("viewer"), true),
        (&v4(1).to_string(), false),
        (&format!("{:x}", v4(1)), false),
        ("192.0.2", false),
        (&world.bearer("viewer")[10..], false),
    ] {
        assert_eq!(kept.contains(part), is_there, "{part} in {kept}");
    }
}
