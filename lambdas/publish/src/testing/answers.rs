//! What the stand-in answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ACCOUNT_ID, Answer, Call, Cut, Kept, NAMESPACE_ID, Shared, TOKEN, Upset};

/// Most pairs and most keys of a bulk call.
const BULK_MAX: usize = 10_000;

/// Longest body: 100 MB.
const BODY_MAX_BYTES: usize = 100_000_000;

/// Longest key, longest metadata.
const KEY_MAX_BYTES: usize = 512;
const METADATA_MAX_BYTES: usize = 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    key: String,
    value: String,
    #[serde(default)]
    base64: bool,
    #[serde(default)]
    metadata: Value,
}

/// Answers a request.
///
/// # Errors
/// [`Cut`]: not at all.
pub(super) fn answer(shared: &mut Shared, parts: &Parts, body: &Bytes) -> Result<Answer, Cut> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let prefix = format!("/client/v4/accounts/{ACCOUNT_ID}/storage/kv/namespaces/{NAMESPACE_ID}/");
    let Some(path) = target.strip_prefix(&prefix) else {
        return Ok(match target.starts_with("/client/") {
            true => failed(404, 10_013, "namespace not found"),
            false => binding(shared, parts),
        });
    };
    let is_known = parts
        .headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == format!("Bearer {TOKEN}").as_bytes());
    if !is_known {
        return Ok(failed(401, 10_000, "Authentication error"));
    }
    shared.calls.push(Call {
        method: parts.method.to_string(),
        target: target.to_owned(),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    });
    let upset = match shared.upsets.is_empty() {
        true => None,
        false => shared.upsets.remove(0),
    };
    match upset {
        Some(Upset::Cut { done }) => {
            if done {
                drop(called(shared, &parts.method, path, body, None));
            }
            Err(Cut)
        }
        Some(Upset::Status { status, retry_after_seconds }) => {
            let mut answer = failed(status, 10_429, "upset");
            if let Some(seconds) = retry_after_seconds {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            Ok(answer)
        }
        Some(Upset::NoSuccess) => Ok(failed(200, 10_001, "service failure")),
        Some(Upset::NoJson) => Ok(reply(200, "text/html", b"<html>".as_slice())),
        Some(Upset::Half { success }) => {
            Ok(called(shared, &parts.method, path, body, Some(success)))
        }
        None => Ok(called(shared, &parts.method, path, body, None)),
    }
}

fn called(
    shared: &mut Shared,
    method: &Method,
    path: &str,
    body: &Bytes,
    half: Option<bool>,
) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match (method.as_str(), path) {
        ("PUT", "bulk") => put(shared, body, half),
        ("POST", "bulk/delete") => delete(shared, body, half),
        ("GET", "keys") => list(shared, query),
        ("GET", path) => match path.split_once('/') {
            Some(("values", key)) => value(shared, key),
            Some(("metadata", key)) => match decoded(key).and_then(|key| shared.kept.get(&key)) {
                Some(kept) => succeeded(json!(kept.metadata), Value::Null),
                None => failed(404, 10_009, "key not found"),
            },
            _ => failed(404, 7_003, "no route"),
        },
        _ => failed(404, 7_003, "no route"),
    }
}

fn put(shared: &mut Shared, body: &Bytes, half: Option<bool>) -> Answer {
    let pairs: Vec<Pair> = match serde_json::from_slice(body) {
        Ok(pairs) => pairs,
        Err(error) => return failed(400, 10_026, &error.to_string()),
    };
    let is_too_much = |pair: &Pair| {
        let is_key = (1..=KEY_MAX_BYTES).contains(&pair.key.len());
        !is_key || METADATA_MAX_BYTES < pair.metadata.to_string().len()
    };
    let is_large = BULK_MAX < pairs.len() || BODY_MAX_BYTES < body.len();
    if pairs.is_empty() || is_large || pairs.iter().any(is_too_much) {
        return failed(400, 10_027, "too much, or too little");
    }
    let mut left_out = Vec::new();
    for (at, pair) in pairs.into_iter().enumerate() {
        if half.is_some() && at % 2 == 1 {
            left_out.push(pair.key);
            continue;
        }
        let value = match pair.base64 {
            true => STANDARD.decode(&pair.value).ok(),
            false => Some(pair.value.into_bytes()),
        };
        let Some(value) = value else { return failed(400, 10_028, "no base64") };
        shared.kept.insert(pair.key, Kept { value, metadata: pair.metadata });
    }
    bulk(left_out, half)
}

fn delete(shared: &mut Shared, body: &Bytes, half: Option<bool>) -> Answer {
    let keys: Vec<String> = match serde_json::from_slice(body) {
        Ok(keys) => keys,
        Err(error) => return failed(400, 10_026, &error.to_string()),
    };
    if keys.is_empty() || BULK_MAX < keys.len() {
        return failed(400, 10_027, "too many, or none");
    }
    let mut left_out = Vec::new();
    for (at, key) in keys.into_iter().enumerate() {
        match half.is_some() && at % 2 == 1 {
            true => left_out.push(key),
            false => drop(shared.kept.remove(&key)),
        }
    }
    bulk(left_out, half)
}

fn bulk(left_out: Vec<String>, half: Option<bool>) -> Answer {
    let result = json!({"successful_key_count": 0, "unsuccessful_keys": left_out});
    let wrapped = json!({
        "success": half.unwrap_or(true), "errors": [], "messages": [], "result": result,
    });
    reply(200, "application/json", wrapped.to_string())
}

fn list(shared: &Shared, query: &str) -> Answer {
    let (mut limit, mut after, mut prefix) = (1_000, String::new(), String::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decoded(&value.replace('+', " ")).unwrap_or_default();
        match name {
            "limit" => limit = value.parse().unwrap_or(0),
            "cursor" => match value.strip_prefix("after:") {
                Some(key) => after = key.to_owned(),
                None => return failed(400, 10_029, "bad cursor"),
            },
            "prefix" => prefix = value,
            _ => return failed(400, 10_029, "unknown parameter"),
        }
    }
    if !(10..=1_000).contains(&limit) {
        return failed(400, 10_029, "limit is from 10 to 1000");
    }
    let mut rest = shared.kept.iter().filter(|(key, _)| key.starts_with(&prefix) && after < **key);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let cursor = match (rest.next(), page.last()) {
        (Some(_), Some((last, _))) => format!("after:{last}"),
        _ => String::new(),
    };
    let count = page.len();
    let told = |(key, kept): (&String, &Kept)| match kept.metadata.is_null() {
        true => json!({"name": key}),
        false => json!({"name": key, "metadata": kept.metadata}),
    };
    let result: Vec<Value> = page.into_iter().map(told).collect();
    succeeded(json!(result), json!({"count": count, "cursor": cursor}))
}

/// A read as a KV binding of workerd asks for it.
fn binding(shared: &mut Shared, parts: &Parts) -> Answer {
    let is_encoded = parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|word| word == "urlencoded=true"));
    match (parts.method.as_str(), is_encoded) {
        ("GET", true) => value(shared, parts.uri.path().trim_start_matches('/')),
        _ => reply(404, "text/plain", b"not found".as_slice()),
    }
}

fn value(shared: &mut Shared, key: &str) -> Answer {
    shared.reads += 1;
    match decoded(key).and_then(|key| shared.kept.get(&key)) {
        Some(kept) => {
            let mut answer = reply(200, "application/octet-stream", kept.value.clone());
            if let Ok(metadata) = kept.metadata.to_string().parse() {
                answer.headers_mut().insert("cf-kv-metadata", metadata);
            }
            answer
        }
        None => failed(404, 10_009, "key not found"),
    }
}

/// A percent-encoded text.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let byte = match first {
            b'%' => {
                let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
                rest = &behind[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

fn succeeded(result: Value, result_info: Value) -> Answer {
    let wrapped = json!({
        "success": true, "errors": [], "messages": [], "result": result,
        "result_info": result_info,
    });
    reply(200, "application/json", wrapped.to_string())
}

fn failed(status: u16, code: u32, message: &str) -> Answer {
    let errors = [json!({"code": code, "message": message})];
    let wrapped = json!({"success": false, "errors": errors, "messages": [], "result": null});
    reply(status, "application/json", wrapped.to_string())
}

fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    answer
}
