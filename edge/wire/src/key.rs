//! The key a link record is stored and read under.

use alloc::string::String;
use core::fmt;

/// Longest slug in bytes; with the longest host name (253, RFC 1035 2.3.4) a key stays below the
/// 512-byte keys of Workers KV, the tightest store that Waypost writes to with long keys.
pub const SLUG_MAX_BYTES: usize = 64;

/// Most `/`-separated parts of a slug, where slashes are allowed at all. Bounds the reads of one
/// request whose path may continue behind the slug.
pub const SLUG_SEGMENTS_MAX: usize = 4;

/// `domain/slug`, the slug in lower case if the domain ignores case.
///
/// Keys of the system itself start with `!`, which no domain does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey(String);

impl LinkKey {
    /// The key of `slug` on `domain` (a lower-case host name without port).
    pub fn new(domain: &str, slug: &str, ignore_case: bool) -> Self {
        let mut key = String::with_capacity(domain.len() + 1 + slug.len());
        key.push_str(domain);
        key.push('/');
        key.push_str(slug);
        if ignore_case {
            key.make_ascii_lowercase();
        }
        Self(key)
    }

    /// The whole key, as stores see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host name part.
    pub fn domain(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(domain, _)| domain)
    }

    /// The slug part, case already folded if the domain ignores case.
    pub fn slug(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, slug)| slug)
    }
}

impl fmt::Display for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_splits_at_its_first_slash() {
        let key = LinkKey::new("s.example", "docs/2026", false);
        assert_eq!(key.as_str(), "s.example/docs/2026");
        assert_eq!(key.domain(), "s.example");
        assert_eq!(key.slug(), "docs/2026");
    }

    #[test]
    fn case_is_kept_unless_the_domain_ignores_it() {
        assert_ne!(LinkKey::new("s.example", "Ab", false), LinkKey::new("s.example", "ab", false));
        assert_eq!(LinkKey::new("s.example", "Ab", true), LinkKey::new("s.example", "ab", true));
    }
}
