//! Campaign parameters in a destination's query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The serialised URL with `utm` (full names, such as `utm_source`, and plain values) in its query.
///
/// A parameter that is there already is replaced where it stands, further ones of its name are
/// removed, and new ones come last, before the fragment. All other bytes stay as they are. The
/// result may be longer than the installation's limit: the caller checks.
pub fn with_utm(serialised: &str, utm: &[(&str, &str)]) -> String {
    if utm.is_empty() {
        return serialised.to_owned();
    }
    let (base, fragment) = split_before(serialised, '#');
    let (base, query) = split_before(base, '?');
    let mut missing: Vec<_> = utm.iter().collect();
    let mut pairs: Vec<String> = Vec::new();
    for pair in query.get(1..).unwrap_or_default().split('&') {
        let Some(wanted) = utm.iter().find(|(name, _)| is_named(pair, name)) else {
            pairs.push(pair.to_owned());
            continue;
        };
        if let Some(at) = missing.iter().position(|(name, _)| *name == wanted.0) {
            missing.remove(at);
            pairs.push(encoded(wanted));
        }
    }
    // No query, and one like `a=1&`, end in an empty pair; the first new one takes its place.
    if !missing.is_empty() && pairs.last().is_some_and(String::is_empty) {
        pairs.pop();
    }
    pairs.extend(missing.into_iter().map(encoded));
    format!("{base}?{}{fragment}", pairs.join("&"))
}

/// `text` cut before the first `separator`.
fn split_before(text: &str, separator: char) -> (&str, &str) {
    text.split_at(text.find(separator).unwrap_or(text.len()))
}

fn is_named(pair: &str, name: &str) -> bool {
    let (given, _) = split_before(pair, '=');
    percent_decode_str(given).eq(name.bytes())
}

fn encoded((name, value): &(&str, &str)) -> String {
    let name = utf8_percent_encode(name, ESCAPED);
    format!("{name}={}", utf8_percent_encode(value, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_before_the_fragment() {
        for (url, expected) in [
            ("https://e.example/", "https://e.example/?utm_source=x"),
            ("https://e.example/?", "https://e.example/?utm_source=x"),
            ("https://e.example/?a=1", "https://e.example/?a=1&utm_source=x"),
            ("https://e.example/?a=1&", "https://e.example/?a=1&utm_source=x"),
            ("https://e.example/p#f?g", "https://e.example/p?utm_source=x#f?g"),
            ("https://e.example/?a#", "https://e.example/?a&utm_source=x#"),
            ("https://e.example/?a?b=1", "https://e.example/?a?b=1&utm_source=x"),
            ("app:open", "app:open?utm_source=x"),
        ] {
            assert_eq!(with_utm(url, &[("utm_source", "x")]), expected, "{url}");
        }
    }

    #[test]
    fn parameters_of_the_same_name_are_replaced_once() {
        for (query, expected) in [
            ("utm_source=old", "utm_source=x"),
            ("utm_source", "utm_source=x"),
            ("utm_source=", "utm_source=x"),
            ("utm_source=1&", "utm_source=x&"),
            ("a=1&utm_source=old&b=2", "a=1&utm_source=x&b=2"),
            ("utm_source=1&a&utm_source=2", "utm_source=x&a"),
            ("utm%5Fsource=old&a", "utm_source=x&a"),
            (
                "utm_sourc=1&utm_sources=2&xutm_source=3",
                "utm_sourc=1&utm_sources=2&xutm_source=3&utm_source=x",
            ),
            ("UTM_SOURCE=1", "UTM_SOURCE=1&utm_source=x"),
            ("r=utm_source=1", "r=utm_source=1&utm_source=x"),
            ("utm_source=a=b", "utm_source=x"),
        ] {
            let url = format!("https://e.example/?{query}#utm_source=f");
            let expected = format!("https://e.example/?{expected}#utm_source=f");
            assert_eq!(with_utm(&url, &[("utm_source", "x")]), expected, "{query}");
        }
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        let url = "https://e.example/a%2fb/+?q=a+b&x=%c3%bc&&=&y=[1]'#%zz";
        assert_eq!(with_utm(url, &[]), url);
        assert_eq!(
            with_utm(url, &[("utm_medium", "m")]),
            "https://e.example/a%2fb/+?q=a+b&x=%c3%bc&&=&y=[1]'&utm_medium=m#%zz"
        );
    }

    #[test]
    fn values_cannot_leave_their_place() {
        assert_eq!(
            with_utm("https://e.example/", &[("utm_term", "a b&c=d#e?f%20+/\r\nü\u{1F600}")]),
            "https://e.example/?utm_term=a%20b%26c%3Dd%23e%3Ff%2520%2B%2F%0D%0A%C3%BC%F0%9F%98%80"
        );
        assert_eq!(
            with_utm("https://e.example/", &[("utm_term", "Az09-._~")]),
            "https://e.example/?utm_term=Az09-._~"
        );
    }

    #[test]
    fn new_parameters_keep_their_order_and_adding_again_changes_nothing() {
        let utm = [("utm_source", "s"), ("utm_medium", "m"), ("utm_campaign", "")];
        let once = with_utm("https://e.example/?utm_medium=old", &utm);
        assert_eq!(once, "https://e.example/?utm_medium=m&utm_source=s&utm_campaign=");
        assert_eq!(with_utm(&once, &utm), once);
    }
}
