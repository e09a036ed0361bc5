//! Runs the cases of `tests/cases/api`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use serde_json::{Map, Value, json};
use waypost_service::ambient::Clock;
use waypost_service::compile::compile;
use waypost_service::draft::parse_new;
use waypost_service::links::tombstone;
use waypost_service::model::{Link, LinkId, LinkState};
use waypost_service::problem::Kind;
use waypost_service::seams::{Created, LinkStore, ListQuery, StoredLink};
use waypost_service::testing::Published;
use waypost_service::time::format;
use waypost_wire::time::Timestamp;

use crate::case::{self, Before, Case, Expect, Step};
use crate::matching::differences;
use crate::world::{World, run};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn cases() {
    let cases = case::all();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.iter().all(|case| !case.why.is_empty()));
    let mut failures = Vec::new();
    for case in &cases {
        let faults = failed(case);
        if !faults.is_empty() {
            failures.push(format!("{}: {}\n  {}", case.file, case.name, faults.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Everything that is not as the case says.
fn failed(case: &Case) -> Vec<String> {
    let world = World::new(case.now);
    for (index, before) in case.links.iter().enumerate() {
        insert(&world, before, index as u64 + 1, case.now);
    }
    let before = stored(&world);
    let mut saved = BTreeMap::new();
    for name in ["viewer", "admin"] {
        saved.insert(format!("{name}-id"), world.key_id(name).to_owned());
    }
    let mut now = case.now;
    let mut faults = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        now = step.now.unwrap_or(now);
        world.service.host.ambient.clock.set(now);
        let found = run_step(&world, step, &mut saved, now);
        faults.extend(found.into_iter().map(|fault| format!("step {}: {fault}", index + 1)));
    }
    faults.extend(check_stored(case, before, &world, &saved));
    let published: Vec<String> = world.service.host.records.take().iter().map(told).collect();
    let expected: Vec<String> = case.published.iter().map(|text| filled(text, &saved)).collect();
    if published != expected {
        faults.push(format!("published {published:?}, expected {expected:?}"));
    }
    faults
}

fn told(published: &Published) -> String {
    match published {
        Published::Changed { key, version, .. } => format!("{key} v{version}"),
        Published::Removed { key } => format!("{key} removed"),
    }
}

fn insert(world: &World, before: &Before, id: u64, now: Timestamp) {
    let service = &world.service;
    let created_at = before.created_at.unwrap_or(now.plus_ms(-HOUR_MS));
    let mut fields = before.link.clone();
    fields.entry("destination").or_insert_with(|| "https://example.com/".into());
    let body = Value::Object(fields).to_string();
    let mut draft = parse_new(body.as_bytes(), &service.rules, created_at).expect("a good link");
    let slug = draft.slug.take().expect("a slug");
    let hash =
        draft.password.take().map(|_| "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAA".into());
    let link = draft.into_link(LinkId(id), slug, hash, created_at);
    let link =
        Link { blocked: before.blocked, used_up: before.used_up, version: before.version, ..link };
    let link = before.deleted_at.map_or(link.clone(), |at| tombstone(&link, 90, at));
    let compiled = compile(&link, created_at).expect("a record");
    let stored = StoredLink {
        key: service.key(&link.domain, &link.slug),
        link,
        record: compiled.record,
        recompile_at: compiled.recompile_at,
    };
    let created = run(service.host.links.create(&stored, None, false, created_at));
    assert_eq!(created, Ok(Created::Created));
    if before.clicks > 0 {
        run(service.host.follow(id, LinkId(id), now, before.clicks)).expect("clicks");
    }
}

/// Every link there is, as JSON by key; each with the record that belongs to it.
fn stored(world: &World) -> BTreeMap<String, Value> {
    let links = &world.service.host.links;
    let mut all = BTreeMap::new();
    for state in [None, Some(LinkState::Deleted)] {
        let query = ListQuery { limit: 100, state, ..ListQuery::default() };
        let page = run(links.list(&query, world.service.host.ambient.now())).expect("a page");
        assert_eq!(page.next_cursor, None, "more links than a case may have");
        for link in page.links {
            let key = world.service.key(&link.domain, &link.slug);
            let found = run(links.link(&key)).expect("an answer").expect("a link");
            let compiled = compile(&link, link.updated_at).expect("a record");
            assert_eq!(found.record, compiled.record, "the record of {key}");
            all.insert(key.to_string(), serde_json::to_value(&link).expect("JSON"));
        }
    }
    all
}

fn check_stored(
    case: &Case,
    before: BTreeMap<String, Value>,
    world: &World,
    saved: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut expected: Map<String, Value> = before.into_iter().collect();
    for (key, change) in &case.stored {
        let key = filled(key, saved);
        match change {
            Value::Object(fields) => {
                let link = expected.entry(key.clone()).or_insert_with(|| blank_link(&key));
                for (name, value) in fields {
                    link[name] = filled_json(value, saved);
                }
            }
            _ => drop(expected.remove(&key)),
        }
    }
    let actual = Value::Object(stored(world).into_iter().collect());
    let found = differences(&Value::Object(expected), &actual);
    found.into_iter().map(|fault| format!("stored {fault}")).collect()
}

fn run_step(
    world: &World,
    step: &Step,
    saved: &mut BTreeMap<String, String>,
    now: Timestamp,
) -> Vec<String> {
    let response = world.ask(request(world, step, saved));
    let text = String::from_utf8_lossy(response.body()).into_owned();
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    for (name, pointer) in &step.save {
        let value = body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        saved.insert(name.clone(), value.to_owned());
    }
    let mut faults = Vec::new();
    let status = response.status().as_u16();
    if status != step.expect.status {
        faults.push(format!("status {status}, expected {}", step.expect.status));
    }
    let expected = expected_body(&step.expect, saved, now);
    match &step.expect.links {
        Some(slugs) => faults.extend(check_list(slugs, step.expect.more, &body)),
        None => faults.extend(differences(&expected, &body)),
    }
    faults.extend(check_headers(step, &expected, &response, saved));
    if !faults.is_empty() {
        faults.push(format!("the answer was {body}"));
    }
    faults
}

fn request(world: &World, step: &Step, saved: &BTreeMap<String, String>) -> Request<Bytes> {
    let line = filled(&step.request, saved);
    let (method, uri) = line.split_once(' ').expect("method and path");
    let mut body = match (&step.body, &step.text) {
        (Some(json), None) => filled_json(json, saved).to_string(),
        (None, text) => text.clone().unwrap_or_default(),
        (Some(_), Some(_)) => panic!("body and text"),
    };
    body.push_str(&" ".repeat(step.padding));
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
    *request.uri_mut() = uri.parse().expect("a URI");
    let headers = request.headers_mut();
    if step.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let authorization = match step.caller.as_str() {
        "nobody" => None,
        header if header.contains(' ') => Some(header.to_owned()),
        name => Some(world.bearer(name)),
    };
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&text).expect("a header"));
    }
    for (name, value) in &step.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(&filled(value, saved)).expect("a value"));
    }
    request
}

fn check_headers(
    step: &Step,
    body: &Value,
    response: &Response<Bytes>,
    saved: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut expected = HeaderMap::new();
    expected.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    expected.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let is_head = step.request.starts_with("HEAD ");
    let media_type = match response.status().as_u16() {
        204 | 304 => None,
        400.. => Some("application/problem+json"),
        _ => Some("application/json"),
    };
    if let Some(media_type) = media_type {
        expected.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if let (Some(_), Some(version)) = (&step.expect.link, body.get("version")) {
        let tag = format!("\"v{version}\"");
        expected.insert(ETAG, HeaderValue::from_str(&tag).expect("a tag"));
    }
    for (name, value) in &step.expect.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        expected.insert(name, HeaderValue::from_str(&filled(value, saved)).expect("a value"));
    }
    let mut actual = response.headers().clone();
    let length = actual.get("content-length").cloned();
    // The length depends on the text of the body, which HEAD leaves out.
    if is_head && length.is_some_and(|length| length != "0") {
        actual.remove("content-length");
    }
    match actual == expected {
        true => Vec::new(),
        false => vec![format!("headers {actual:?}, expected {expected:?}")],
    }
}

fn check_list(slugs: &[String], more: bool, body: &Value) -> Vec<String> {
    let data = body["data"].as_array().cloned().unwrap_or_default();
    let found: Vec<&str> = data.iter().filter_map(|link| link["slug"].as_str()).collect();
    let mut faults = Vec::new();
    if found != *slugs {
        faults.push(format!("list {found:?}, expected {slugs:?}"));
    }
    if body["next_cursor"].is_string() != more {
        faults.push(format!("next_cursor is {}", body["next_cursor"]));
    }
    faults
}

fn expected_body(expect: &Expect, saved: &BTreeMap<String, String>, now: Timestamp) -> Value {
    let expected = match expect {
        Expect { body: Some(body), .. } => body.clone(),
        Expect { link: Some(fields), .. } => view(fields, now),
        Expect { problem: Some(fields), .. } => problem(fields, expect.status),
        _ => Value::String(String::new()),
    };
    filled_json(&expected, saved)
}

fn view(fields: &Map<String, Value>, now: Timestamp) -> Value {
    let mut view = blank_view(now);
    for (name, value) in fields {
        view[name] = value.clone();
    }
    if view.get("short_url").is_none() {
        let of = |name: &str| view[name].as_str().expect("a text").to_owned();
        view["short_url"] = format!("https://{}/{}", of("domain"), of("slug")).into();
    }
    view
}

/// A link as it is answered if its creation named nothing but a destination.
fn blank_view(now: Timestamp) -> Value {
    json!({
        "id": "<id>", "domain": "s.example", "slug": null, "destination": "https://example.com/",
        "title": null, "tags": [], "notes": null, "status": 302, "state": "active",
        "starts_at": null, "expires_at": null, "expired_destination": null, "max_clicks": null,
        "forward_query": false, "forward_path": false, "utm": null, "ios_destination": null,
        "android_destination": null, "has_password": false, "rules": [], "preview": null,
        "disabled": false, "blocked": null, "keep": false, "external_id": null, "clicks": 0,
        "version": 1, "created_at": format(now), "updated_at": format(now),
        "edits_visible_within_seconds": 0,
    })
}

/// A link as it is stored if its creation, at the usual time, named nothing but a destination.
fn blank_link(key: &str) -> Value {
    let (domain, slug) = key.split_once('/').expect("a key");
    let at = format(case::NOW);
    json!({
        "id": "<id>", "domain": domain, "slug": slug, "destination": "https://example.com/",
        "title": null, "tags": [], "notes": null, "status": 302, "starts_at": null,
        "expires_at": null, "expired_destination": null, "max_clicks": null,
        "forward_query": false, "forward_path": false, "utm": null, "ios_destination": null,
        "android_destination": null, "rules": [], "preview": null, "disabled": false,
        "keep": false, "external_id": null, "blocked": null, "password_hash": null,
        "password_version": 0, "used_up": false, "version": 1, "created_at": at,
        "updated_at": at, "deleted_at": null, "quarantine_until": null,
    })
}

fn problem(fields: &Map<String, Value>, status: u16) -> Value {
    let name = fields["type"].as_str().expect("a type");
    let kind = Kind::ALL.into_iter().find(|kind| kind.about().name == name);
    let about = kind.unwrap_or_else(|| panic!("{name} is no problem type")).about();
    assert_eq!(about.status, status, "the status of {name}");
    let mut document = Value::Object(fields.clone());
    document["type"] = format!("urn:waypost:problem:{name}").into();
    document["title"] = about.title.into();
    document["status"] = status.into();
    document["instance"] = "urn:waypost:request:r1".into();
    document
}

fn filled(text: &str, saved: &BTreeMap<String, String>) -> String {
    let fill = |text: String, (name, value): (&String, &String)| {
        text.replace(&format!("{{{name}}}"), value)
    };
    saved.iter().fold(text.to_owned(), fill)
}

fn filled_json(value: &Value, saved: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => filled(text, saved).into(),
        Value::Array(items) => items.iter().map(|item| filled_json(item, saved)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), filled_json(value, saved)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
