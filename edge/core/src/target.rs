//! A destination and what a request adds to it.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::Write;

/// The `Location`: the stored destination, byte for byte, plus the path `suffix` behind its path
/// and `query` behind its query. Order and duplicates of parameters are kept; bytes that WHATWG
/// URL would percent-encode are, all others stay as they came.
///
/// Destinations of app schemes are opaque and never extended.
pub(crate) fn location<'a>(destination: &'a str, suffix: &str, query: &str) -> Cow<'a, str> {
    let is_web = destination.starts_with("https://") || destination.starts_with("http://");
    if (suffix.is_empty() && query.is_empty()) || !is_web {
        return Cow::Borrowed(destination);
    }
    let (rest, fragment) = split_before(destination, '#');
    let (path, own_query) = split_before(rest, '?');
    let mut to = String::with_capacity(destination.len() + suffix.len() + query.len() + 1);
    match suffix.is_empty() {
        true => to.push_str(path),
        // The suffix brings its own slash.
        false => to.push_str(path.strip_suffix('/').unwrap_or(path)),
    }
    push_encoded(&mut to, suffix, is_encoded_in_path);
    to.push_str(own_query);
    if !query.is_empty() {
        match own_query {
            "" => to.push('?'),
            "?" => {}
            _ => to.push('&'),
        }
        push_encoded(&mut to, query, is_encoded_in_query);
    }
    to.push_str(fragment);
    Cow::Owned(to)
}

/// A query as it may stand in a `Location`.
pub(crate) fn encoded_query(query: &str) -> String {
    let mut to = String::with_capacity(query.len());
    push_encoded(&mut to, query, is_encoded_in_query);
    to
}

fn split_before(text: &str, mark: char) -> (&str, &str) {
    text.split_at(text.find(mark).unwrap_or(text.len()))
}

fn push_encoded(to: &mut String, text: &str, is_encoded: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        match is_encoded(byte) {
            // Writing to a String cannot fail.
            true => drop(write!(to, "%{byte:02X}")),
            false => to.push(char::from(byte)),
        }
    }
}

/// WHATWG URL, special-query percent-encode set.
fn is_encoded_in_query(byte: u8) -> bool {
    !byte.is_ascii_graphic() || matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\'')
}

/// WHATWG URL, path percent-encode set; a backslash never gets here.
fn is_encoded_in_path(byte: u8) -> bool {
    !byte.is_ascii_graphic()
        || matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'^' | b'`' | b'{' | b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_add_means_the_stored_bytes() {
        let stored = "https://example.com/a?b=%zz&b#c?d";
        assert!(matches!(location(stored, "", ""), Cow::Borrowed(text) if text == stored));
    }

    #[test]
    fn queries_are_appended_before_the_fragment() {
        for (destination, query, expected) in [
            ("https://e.example/", "a=1", "https://e.example/?a=1"),
            ("https://e.example/?", "a=1", "https://e.example/?a=1"),
            ("https://e.example/?x=1", "a=1", "https://e.example/?x=1&a=1"),
            ("https://e.example/?x=1#f", "x=2&x=3", "https://e.example/?x=1&x=2&x=3#f"),
            ("https://e.example/#f?g", "a", "https://e.example/?a#f?g"),
            ("https://e.example/", "a=<b>\"'#", "https://e.example/?a=%3Cb%3E%22%27%23"),
            ("https://e.example/", "a=ü&b=%C3%BC", "https://e.example/?a=%C3%BC&b=%C3%BC"),
            ("https://e.example/", "a=1\r\nx: y", "https://e.example/?a=1%0D%0Ax:%20y"),
        ] {
            assert_eq!(location(destination, "", query), expected);
        }
    }

    #[test]
    fn suffixes_go_behind_the_path() {
        for (destination, suffix, expected) in [
            ("https://e.example/", "/a/b", "https://e.example/a/b"),
            ("https://e.example/docs", "/a", "https://e.example/docs/a"),
            ("https://e.example/docs/?q#f", "/a", "https://e.example/docs/a?q#f"),
            ("https://e.example/docs", "/", "https://e.example/docs/"),
            ("https://e.example/", "//evil.example", "https://e.example//evil.example"),
            ("https://e.example/", "/{a}^`", "https://e.example/%7Ba%7D%5E%60"),
        ] {
            assert_eq!(location(destination, suffix, ""), expected);
        }
    }

    #[test]
    fn app_links_are_left_alone() {
        assert_eq!(location("myapp://open", "/a", "b=c"), "myapp://open");
    }
}
