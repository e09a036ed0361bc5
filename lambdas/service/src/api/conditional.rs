//! Entity tags: `"v<version>"`, strong (RFC 9110 8.8.3, 13.1).

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::links::Expected;

/// The entity tag of a version.
pub(super) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

/// Reads `If-Match`. Weak, foreign and malformed tags match nothing, so they are left out.
pub(super) fn expected(headers: &HeaderMap) -> Expected {
    match tags(headers, &IF_MATCH) {
        None => Expected::Any,
        Some(tags) if tags.iter().any(|tag| tag == "*") => Expected::Any,
        Some(tags) => Expected::OneOf(tags.iter().filter_map(|tag| version(tag)).collect()),
    }
}

/// The version of an entity tag of ours.
fn version(tag: &str) -> Option<u64> {
    let version = tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok()?;
    // One spelling only: no sign, no leading zeros.
    (etag(version) == tag).then_some(version)
}

/// Whether the caller's copy, by `If-None-Match`, is of this version. The comparison is weak
/// (RFC 9110 13.1.2).
pub(super) fn has_version(headers: &HeaderMap, version: u64) -> bool {
    let wanted = etag(version);
    let matches = |tag: &String| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == wanted;
    tags(headers, &IF_NONE_MATCH).is_some_and(|tags| tags.iter().any(matches))
}

/// The members of all headers of a name; `None` without the header. Our tags hold no commas, so
/// a foreign tag that does falls apart into parts that match nothing.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    if !headers.contains_key(name) {
        return None;
    }
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    Some(texts.flat_map(|text| text.split(',')).map(|tag| tag.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn if_match_compares_strongly() {
        assert_eq!(expected(&HeaderMap::new()), Expected::Any);
        for (values, versions) in [
            (&["\"v3\""][..], vec![3]),
            (&["\"v1\", \"v3\""], vec![1, 3]),
            (&["\"v1\"", "\"v3\""], vec![1, 3]),
            (&["\"a,b\",\"v3\""], vec![3]),
            (&["W/\"v3\""], vec![]),
            (&["v3"], vec![]),
            (&["\"v3"], vec![]),
            (&["\"v03\", \"v+3\", \"v-3\", \"v\""], vec![]),
            (&["\"V3\""], vec![]),
            (&["\"v18446744073709551616\""], vec![]),
            (&[""], vec![]),
            (&["\"*\""], vec![]),
        ] {
            let read = expected(&headers(&IF_MATCH, values));
            assert_eq!(read, Expected::OneOf(versions), "{values:?}");
        }
        for values in [&["*"][..], &["\"v1\"", " * "]] {
            assert_eq!(expected(&headers(&IF_MATCH, values)), Expected::Any);
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (values, expected) in [
            (&[][..], false),
            (&["*"], true),
            (&["\"v3\""], true),
            (&["W/\"v3\""], true),
            (&["\"x\", W/\"v3\""], true),
            (&["w/\"v3\""], false),
            (&["\"v4\""], false),
            (&[""], false),
        ] {
            assert_eq!(has_version(&headers(&IF_NONE_MATCH, values), 3), expected, "{values:?}");
        }
    }
}
