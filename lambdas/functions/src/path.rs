//! Paths of links as they come from API Gateway.
//!
//! An HTTP API decodes the path before it hands it on (`rawPath` of payload format 2.0), so that
//! `links/docs%2F2026` arrives as `links/docs/2026`; a function URL hands it on as it was asked for.
//! Of an escaped escape (`%252F`) some say that it is decoded once, some that it is left alone. No
//! slug has a `%`, so each of these can be told, but for one: a slug that ends in the name of a
//! resource, which must be escaped twice.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

const LINKS: &str = "/api/v1/links/";

/// What there is below a link.
const BELOW: [&str; 3] = ["block", "explain", "stats"];

/// The address with the slashes of a slug escaped once, whatever became of them on the way.
pub fn restored(uri: &Uri) -> Option<Uri> {
    let Cow::Owned(path) = escaped(uri.path()) else { return None };
    let whole = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(parts).ok()
}

fn escaped(path: &str) -> Cow<'_, str> {
    let Some(below) = path.strip_prefix(LINKS) else { return path.into() };
    let (slug, resource) = match below.rsplit_once('/') {
        Some((slug, resource)) if BELOW.contains(&resource) => (slug, Some(resource)),
        _ => (below, None),
    };
    if !slug.contains('/') && !slug.contains("%25") {
        return path.into();
    }
    let slug = slug.replace('/', "%2F").replace("%252F", "%2F").replace("%252f", "%2F");
    match resource {
        Some(resource) => format!("{LINKS}{slug}/{resource}").into(),
        None => format!("{LINKS}{slug}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_slugs_are_escaped_once() {
        for (path, expected) in [
            ("docs/2026", "docs%2F2026"),
            ("docs%2F2026", "docs%2F2026"),
            ("docs%252F2026", "docs%2F2026"),
            ("docs%252f2026/block", "docs%2F2026/block"),
            ("a/b/c/d/stats", "a%2Fb%2Fc%2Fd/stats"),
            ("a%2Fb/explain", "a%2Fb/explain"),
            ("docs/stats", "docs/stats"),
            ("docs%252Fstats", "docs%2Fstats"),
            ("docs%252Fstats/stats", "docs%2Fstats/stats"),
            ("stats", "stats"),
            ("stats/stats", "stats/stats"),
            ("hello", "hello"),
            ("a//b/", "a%2F%2Fb%2F"),
            ("", ""),
        ] {
            assert_eq!(escaped(&format!("{LINKS}{path}")), format!("{LINKS}{expected}"), "{path}");
        }
        for path in ["/", "/api/v1/links", "/api/v1/keys/a/b", "/api/v1/stats/integrity"] {
            assert!(matches!(escaped(path), Cow::Borrowed(same) if same == path));
        }
    }

    #[test]
    fn the_rest_of_an_address_stays() {
        let uri = |text: &'static str| Uri::from_static(text);
        assert_eq!(restored(&uri("https://a.example/api/v1/links/a%2Fb?x=/y/z")), None);
        assert_eq!(
            restored(&uri("https://a.example/api/v1/links/a/b?x=/y/z")),
            Some(uri("https://a.example/api/v1/links/a%2Fb?x=/y/z"))
        );
        assert_eq!(
            restored(&uri("/api/v1/links/a/b/stats")),
            Some(uri("/api/v1/links/a%2Fb/stats"))
        );
    }
}
