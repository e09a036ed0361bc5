//! Entity tags: `"v<version>"`, strong (RFC 9110 8.8.3, 13.1).

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

/// The entity tag of a version.
pub(super) fn etag(version: u64) -> String {
    format!("\"v{version}\"")
}

/// What `If-Match` asks of the version of a link that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No header, or `*`: any version.
    Any,
    /// One of these tags. Weak and malformed ones are left out: they match nothing.
    OneOf(Vec<String>),
}

impl Expected {
    /// Reads `If-Match`.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        match tags(headers, &IF_MATCH) {
            None => Self::Any,
            Some(tags) if tags.iter().any(|tag| tag == "*") => Self::Any,
            Some(tags) => Self::OneOf(tags),
        }
    }

    /// Whether a link of this version may be written.
    pub(crate) fn allows(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(&etag(version)),
        }
    }
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
        for (values, expected) in [
            (&[][..], true),
            (&["*"], true),
            (&["\"v3\""], true),
            (&["\"v1\", \"v3\""], true),
            (&["\"v1\"", "\"v3\""], true),
            (&["\"a,b\",\"v3\""], true),
            (&["W/\"v3\""], false),
            (&["\"v2\""], false),
            (&["v3"], false),
            (&["\"v3"], false),
            (&["\"v33\""], false),
            (&["\"V3\""], false),
            (&[""], false),
            (&["\"*\""], false),
        ] {
            let read = Expected::from_headers(&headers(&IF_MATCH, values));
            assert_eq!(read.allows(3), expected, "{values:?}");
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
