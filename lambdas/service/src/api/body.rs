//! Media types: what the caller sends and what it accepts.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::problem::{FieldFault, Kind, Problem};

/// Largest body of a request in bytes.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// Refuses bodies that are too large.
pub(super) fn check_size(body: &[u8]) -> Result<(), Problem> {
    if body.len() <= BODY_MAX_BYTES {
        return Ok(());
    }
    let detail = format!("the body has {} bytes, at most {BODY_MAX_BYTES} are read", body.len());
    Err(Problem::new(Kind::BodyTooLarge, detail))
}

/// Refuses bodies that do not say they are JSON, or are coded.
pub(super) fn check_json(headers: &HeaderMap, merge_patch: bool) -> Result<(), Problem> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(unsupported("Content-Encoding is set; send the body as it is"));
    }
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(text) = text else {
        return Err(unsupported("there is no Content-Type; send application/json"));
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let is_json = match essence.as_str() {
        "application/json" => true,
        "application/merge-patch+json" => merge_patch,
        _ => false,
    };
    if is_json && is_utf8(parameters) {
        return Ok(());
    }
    Err(unsupported("the Content-Type is another one; send application/json in UTF-8"))
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(Kind::UnsupportedMediaType, detail)
}

/// JSON has no charset parameter (RFC 8259 11), but many clients send one.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

/// Reads a body that has a fixed form; `expected` says which. Bodies of links have their own
/// reader, which finds every fault at once.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, Problem> {
    // A derived reader would take a list for an object.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid(vec![FieldFault::new("", "is a list", expected)]));
    }
    let mut from = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let place = pointer(error.path());
        refused(error.inner(), &place, expected)
    })?;
    from.end().map_err(|error| refused(&error, "", expected))?;
    Ok(value)
}

fn refused(error: &serde_json::Error, pointer: &str, expected: &str) -> Problem {
    let detail = error.to_string();
    match error.classify() {
        Category::Data => Problem::invalid(vec![FieldFault::new(pointer, detail, expected)]),
        Category::Eof | Category::Io | Category::Syntax => {
            Problem::new(Kind::MalformedJson, detail)
        }
    }
}

/// A place as JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let parts = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    });
    parts.collect()
}

/// Refuses callers that accept no JSON (RFC 9110 12.5.1). Problems are always given as problem
/// documents, whatever the caller accepts.
pub(super) fn check_accept(headers: &HeaderMap) -> Result<(), Problem> {
    let texts: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).collect();
    // The most specific range decides, also if it says no.
    let weights = ["application/json", "application/*", "*/*"]
        .map(|wanted| ranges.iter().find_map(|range| weight(range, wanted)));
    let accepted = match weights.into_iter().flatten().next() {
        Some(weight) => weight > 0.0,
        None => ranges.iter().all(|range| range.trim().is_empty()),
    };
    match accepted {
        true => Ok(()),
        false => Err(Problem::new(Kind::NotAcceptable, "answers are application/json")),
    }
}

/// The weight of a range if it is `wanted`.
fn weight(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(q.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::HeaderName;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn bodies_up_to_the_limit_are_read() {
        assert_eq!(check_size(&[b' '; 65_536]), Ok(()));
        let refused = check_size(&[b' '; 65_537]).unwrap_err();
        assert_eq!(refused.kind, Kind::BodyTooLarge);
    }

    #[test]
    fn only_json_is_read() {
        for (value, create, patch) in [
            ("application/json", true, true),
            ("Application/JSON; charset=UTF-8", true, true),
            ("application/json;charset=\"utf-8\"; x=y", true, true),
            ("application/merge-patch+json", false, true),
            ("application/json; charset=latin1", false, false),
            ("application/x-www-form-urlencoded", false, false),
            ("application/jsonp", false, false),
            ("text/json", false, false),
            ("", false, false),
        ] {
            let headers = headers(CONTENT_TYPE, value);
            assert_eq!(check_json(&headers, false).is_ok(), create, "{value}");
            assert_eq!(check_json(&headers, true).is_ok(), patch, "{value}");
        }
        assert!(check_json(&HeaderMap::new(), true).is_err());
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        names: Vec<String>,
    }

    #[test]
    fn faults_of_fixed_forms_have_a_place() {
        let read = |text: &str| read::<Form>(text.as_bytes(), "names");
        assert_eq!(read(r#"{"names": ["a"]}"#), Ok(Form { names: vec!["a".into()] }));
        for (text, kind, pointer) in [
            (r#"{"names": ["a", 3]}"#, Kind::InvalidRequest, Some("/names/1")),
            (r#"{"names": [], "a/b": 1}"#, Kind::InvalidRequest, Some("/a~1b")),
            (r#"{"names": [], "names": []}"#, Kind::InvalidRequest, Some("")),
            ("{}", Kind::InvalidRequest, Some("")),
            (" [[\"a\"]]", Kind::InvalidRequest, Some("")),
            ("3", Kind::InvalidRequest, Some("")),
            ("", Kind::MalformedJson, None),
            (r#"{"names": []} x"#, Kind::MalformedJson, None),
            (r#"{"names": [}"#, Kind::MalformedJson, None),
        ] {
            let problem = read(text).unwrap_err();
            let place = problem.errors.first().map(|fault| fault.pointer.as_str());
            assert_eq!((problem.kind, place), (kind, pointer), "{text}");
        }
    }

    #[test]
    fn coded_bodies_are_refused() {
        let mut headers = headers(CONTENT_TYPE, "application/json");
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(check_json(&headers, false).unwrap_err().kind, Kind::UnsupportedMediaType);
    }

    #[test]
    fn callers_must_accept_json() {
        for (value, accepted) in [
            ("*/*", true),
            ("application/json", true),
            ("text/html, Application/*;q=0.1", true),
            ("text/html, */*; q=0.8", true),
            ("", true),
            ("application/json;q=0, */*", false),
            ("application/json, */*;q=0", true),
            ("application/*;q=0.0", false),
            ("application/json;q=x", false),
            ("text/html", false),
            ("application/problem+json", false),
        ] {
            assert_eq!(check_accept(&headers(ACCEPT, value)).is_ok(), accepted, "{value}");
        }
        assert_eq!(check_accept(&HeaderMap::new()), Ok(()));
    }
}
