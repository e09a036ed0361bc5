//! From a path to what is asked for. Reads nothing and allocates only for escaped slugs.

use alloc::borrow::Cow;
use alloc::string::String;

use waypost_wire::key::{SLUG_MAX_BYTES, SLUG_SEGMENTS_MAX};

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/favicon.ico`.
    Favicon,
    /// `/`.
    Home,
    /// No path that an honest client sends.
    Malformed,
    /// `/robots.txt`.
    Robots,
    /// A link.
    Slug(SlugPath<'a>),
    /// Well formed, but can be no slug: asks for no read.
    Unknown,
}

/// The path of a link, maybe longer than its slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlugPath<'a> {
    /// The path without its first `/`, as received.
    path: &'a str,
    /// A `+` was at its end: the visitor wants to see, not to go.
    pub(crate) preview: bool,
}

/// One reading of a path: this slug, followed by that suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    /// Only characters a slug can have.
    pub(crate) slug: Cow<'a, str>,
    /// What follows, empty or beginning with `/`; as received.
    pub(crate) suffix: &'a str,
}

impl<'a> Route<'a> {
    /// Reads a path.
    pub(crate) fn parse(path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix('/') else {
            return Self::Malformed;
        };
        match rest {
            "" => Self::Home,
            "favicon.ico" => Self::Favicon,
            "robots.txt" => Self::Robots,
            _ if !is_well_formed(rest) => Self::Malformed,
            _ => Self::slug(rest),
        }
    }

    fn slug(rest: &'a str) -> Self {
        let (path, preview) = match rest.strip_suffix('+') {
            Some(path) => (path, true),
            None => match strip_escaped_plus(rest) {
                Some(path) => (path, true),
                None => (rest, false),
            },
        };
        let slug_path = SlugPath { path, preview };
        match slug_path.candidate(1) {
            Some(_) => Self::Slug(slug_path),
            None => Self::Unknown,
        }
    }
}

impl<'a> SlugPath<'a> {
    /// How many readings are worth trying: the longest slug first.
    pub(crate) fn longest(&self, slashes: bool) -> usize {
        if !slashes {
            return 1;
        }
        let trimmed = self.path.strip_suffix('/').unwrap_or(self.path);
        trimmed.split('/').count().min(SLUG_SEGMENTS_MAX)
    }

    /// The reading whose slug has `segments` parts; `None` if those can be no slug.
    pub(crate) fn candidate(&self, segments: usize) -> Option<Candidate<'a>> {
        let end =
            self.path.match_indices('/').nth(segments - 1).map_or(self.path.len(), |(at, _)| at);
        let (slug, suffix) = self.path.split_at(end);
        let slug = unescape(slug)?;
        let fits = (1..=SLUG_MAX_BYTES).contains(&slug.len());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(legal);
        (fits && slug.split('/').all(is_part)).then_some(Candidate { slug, suffix })
    }
}

/// Whether a path has only what browsers send (WHATWG URL: more than RFC 3986 3.3 allows, such as
/// `|`), and no part that a client or a destination would take for "one level up".
fn is_well_formed(path: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'?');
    path.bytes().all(legal)
        && !path.starts_with('/')
        && path.split('/').all(|part| escapes_are_valid(part) && !is_dots(part))
}

fn escapes_are_valid(part: &str) -> bool {
    part.split('%').skip(1).all(|rest| match rest.as_bytes() {
        // An escaped control character has no honest use in a link's path.
        [high, low, ..] => escaped(*high, *low).is_some_and(|byte| byte >= 0x20 && byte != 0x7f),
        _ => false,
    })
}

/// `.` or `..`, escaped or not (WHATWG URL, double-dot path segment).
fn is_dots(part: &str) -> bool {
    if part.len() > 6 {
        return false;
    }
    let mut rest = part;
    let mut dots = 0;
    while !rest.is_empty() {
        let after = rest.strip_prefix('.').or_else(|| {
            let escape = rest.get(..3)?;
            escape.eq_ignore_ascii_case("%2e").then(|| &rest[3..])
        });
        match after {
            Some(after) => rest = after,
            None => return false,
        }
        dots += 1;
    }
    dots == 1 || dots == 2
}

fn strip_escaped_plus(path: &str) -> Option<&str> {
    let at = path.len().checked_sub(3)?;
    let escape = path.get(at..)?;
    escape.eq_ignore_ascii_case("%2b").then(|| &path[..at])
}

/// Undoes percent-encoding; `None` if the result is not ASCII.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => escaped(bytes.next()?, bytes.next()?)?,
            other => other,
        };
        // An escaped slash is data (RFC 3986 2.2), and no slug holds it as such.
        if !byte.is_ascii() || (byte == b'/') {
            return None;
        }
        plain.push(char::from(byte));
    }
    Some(Cow::Owned(plain))
}

/// The byte of a percent-escape's two hex digits.
pub(crate) fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(path: &str) -> (String, String, bool) {
        match Route::parse(path) {
            Route::Slug(slug) => {
                let candidate = slug.candidate(1).expect("a first reading");
                (candidate.slug.into(), candidate.suffix.into(), slug.preview)
            }
            Route::Favicon | Route::Home | Route::Malformed | Route::Robots | Route::Unknown => {
                panic!("{path} is no slug")
            }
        }
    }

    #[test]
    fn slugs_with_suffix_and_preview() {
        assert_eq!(slug("/abc"), ("abc".into(), "".into(), false));
        assert_eq!(slug("/abc+"), ("abc".into(), "".into(), true));
        assert_eq!(slug("/abc%2b"), ("abc".into(), "".into(), true));
        assert_eq!(slug("/abc/"), ("abc".into(), "/".into(), false));
        assert_eq!(slug("/abc/d%20e/f"), ("abc".into(), "/d%20e/f".into(), false));
        assert_eq!(slug("/%61b%2Dc"), ("ab-c".into(), "".into(), false));
        assert_eq!(slug("/a_b-9//x"), ("a_b-9".into(), "//x".into(), false));
    }

    #[test]
    fn readings_of_a_slug_with_slashes() {
        let Route::Slug(path) = Route::parse("/a/b/c/d/e") else {
            panic!("no slug");
        };
        assert_eq!(path.longest(false), 1);
        assert_eq!(path.longest(true), 4);
        let read = |segments| {
            let candidate = path.candidate(segments).expect("a reading");
            (String::from(candidate.slug), candidate.suffix)
        };
        assert_eq!(read(4), ("a/b/c/d".into(), "/e"));
        assert_eq!(read(2), ("a/b".into(), "/c/d/e"));
    }

    #[test]
    fn a_slug_has_no_empty_part() {
        let Route::Slug(path) = Route::parse("/a//b/") else {
            panic!("no slug");
        };
        assert!(path.candidate(1).is_some_and(|candidate| candidate.suffix == "//b/"));
        for segments in 2..=4 {
            assert_eq!(path.candidate(segments), None, "{segments}");
        }
    }

    #[test]
    fn fixed_paths_are_no_slugs() {
        assert_eq!(Route::parse("/"), Route::Home);
        assert_eq!(Route::parse("/robots.txt"), Route::Robots);
        assert_eq!(Route::parse("/favicon.ico"), Route::Favicon);
        for path in ["/.well-known/x", "/wp-login.php", "/a.b", "/%C3%BC", "/a%2Fb", "/+", "/%41!"]
        {
            assert_eq!(Route::parse(path), Route::Unknown, "{path}");
        }
        let long = alloc::format!("/{}", "a".repeat(65));
        assert_eq!(Route::parse(&long), Route::Unknown);
    }

    #[test]
    fn malformed_paths() {
        for path in [
            "",
            "abc",
            "*",
            "//",
            "//evil.example",
            "/a\\b",
            "/a b",
            "/a\tb",
            "/ü",
            "/%",
            "/%4",
            "/%zz",
            "/a%00",
            "/a%0d%0ab",
            "/a/../b",
            "/a/%2e%2E/b",
            "/..",
            "/a/.",
            "/a%7f",
            "/a#b",
            "/a\u{7f}",
        ] {
            assert_eq!(Route::parse(path), Route::Malformed, "{path:?}");
        }
        for path in ["/a/...", "/a/.b", "/a/..b"] {
            assert!(matches!(Route::parse(path), Route::Slug(_)), "{path:?}");
        }
    }
}
