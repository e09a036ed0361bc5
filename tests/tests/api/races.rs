//! Many requests at once.

use std::collections::BTreeMap;
use std::thread;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use serde_json::{Value, json};

use crate::case::NOW;
use crate::world::World;

fn ask(
    world: &World,
    method: Method,
    path: &str,
    header: Option<(HeaderName, &str)>,
    body: &Value,
) -> Response<Bytes> {
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path");
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = HeaderValue::from_str(&world.bearer("editor")).expect("a header");
    headers.insert(AUTHORIZATION, key);
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    world.ask(request)
}

/// How often each status was answered.
fn statuses(answers: &[Response<Bytes>]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status().as_u16()).or_default() += 1;
    }
    counts
}

fn at_once(count: usize, one: impl Fn(usize) -> Response<Bytes> + Sync) -> Vec<Response<Bytes>> {
    thread::scope(|scope| {
        let one = &one;
        let asking: Vec<_> = (0..count).map(|index| scope.spawn(move || one(index))).collect();
        asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

#[test]
fn one_idempotency_key_makes_one_link() {
    for _ in 0..30 {
        let world = World::new(NOW);
        let body = json!({"destination": "https://example.com/"});
        let key = HeaderName::from_static("idempotency-key");
        let answers = at_once(8, |_| {
            ask(&world, Method::POST, "/api/v1/links", Some((key.clone(), "k")), &body)
        });
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 8)]));
        for answer in &answers {
            assert_eq!(answer.body(), answers[0].body());
            assert_eq!(answer.headers(), answers[0].headers());
        }
        assert_eq!(world.service.host.records.take().len(), 1);
    }
}

#[test]
fn under_one_idempotency_key_one_of_two_bodies_wins() {
    for _ in 0..30 {
        let world = World::new(NOW);
        let key = HeaderName::from_static("idempotency-key");
        let answers = at_once(8, |index| {
            let body = json!({"destination": format!("https://example.com/{}", index % 2)});
            ask(&world, Method::POST, "/api/v1/links", Some((key.clone(), "k")), &body)
        });
        assert_eq!(statuses(&answers), BTreeMap::from([(201, 4), (422, 4)]));
        assert_eq!(world.service.host.records.take().len(), 1);
    }
}

#[test]
fn of_changes_to_one_version_one_wins() {
    for _ in 0..30 {
        let world = World::new(NOW);
        let new = json!({"destination": "https://example.com/", "slug": "one"});
        let made = ask(&world, Method::POST, "/api/v1/links", None, &new);
        assert_eq!(made.status(), 201);
        let answers = at_once(6, |index| {
            let title = json!({"title": index.to_string()});
            let only = Some((IF_MATCH, "\"v1\""));
            ask(&world, Method::PATCH, "/api/v1/links/one", only, &title)
        });
        assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (412, 5)]));
    }
}

#[test]
fn changes_to_any_version_all_happen() {
    for _ in 0..30 {
        let world = World::new(NOW);
        let new = json!({"destination": "https://example.com/", "slug": "one"});
        ask(&world, Method::POST, "/api/v1/links", None, &new);
        let answers = at_once(7, |index| {
            let title = json!({"title": index.to_string()});
            ask(&world, Method::PATCH, "/api/v1/links/one", None, &title)
        });
        assert_eq!(statuses(&answers), BTreeMap::from([(200, 7)]));
        let mut versions: Vec<u64> = answers
            .iter()
            .map(|answer| serde_json::from_slice::<Value>(answer.body()).expect("JSON"))
            .map(|link| link["version"].as_u64().expect("a version"))
            .collect();
        versions.sort_unstable();
        assert_eq!(versions, [2, 3, 4, 5, 6, 7, 8]);
    }
}

#[test]
fn a_link_is_deleted_once() {
    for _ in 0..30 {
        let world = World::new(NOW);
        let new = json!({"destination": "https://example.com/", "slug": "one"});
        ask(&world, Method::POST, "/api/v1/links", None, &new);
        let answers =
            at_once(5, |_| ask(&world, Method::DELETE, "/api/v1/links/one", None, &json!({})));
        assert_eq!(statuses(&answers), BTreeMap::from([(204, 1), (410, 4)]));
    }
}
