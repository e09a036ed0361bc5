//! Workers KV, as a KV binding of workerd asks it.

use super::behind::Behind;
use super::{Mood, Reply, answer_bytes};

/// A read: the key, and how old the answer may be.
pub(super) struct Read {
    pub(super) key: String,
    pub(super) age_max_seconds: Option<u32>,
}

/// The read that a request target asks for.
pub(super) fn read(target: &str) -> Option<Read> {
    let (path, query) = target.strip_prefix('/')?.split_once('?')?;
    let mut age_max_seconds = None;
    let mut is_encoded = false;
    for parameter in query.split('&') {
        match parameter.split_once('=')? {
            ("urlencoded", "true") => is_encoded = true,
            ("cache_ttl", seconds) => age_max_seconds = Some(seconds.parse().ok()?),
            _ => return None,
        }
    }
    is_encoded.then_some(())?;
    Some(Read { key: decoded(path)?, age_max_seconds })
}

fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        match first {
            b'%' => {
                let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &behind[2..];
            }
            byte => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

impl Behind {
    pub(super) fn store_answers(&self, key: &str, mood: &Mood) -> Reply {
        let truth = || match self.store.get(key) {
            Some(value) => answer_bytes(200, &[], value),
            None => answer_bytes(404, &[], b"not found"),
        };
        Reply::of(mood, truth).unwrap_or_else(|| match mood {
            Mood::Status(status) => Reply::answer(*status, &[], b"an error of the store"),
            Mood::Damaged => Reply::answer(200, &[], b"\x01 no record"),
            Mood::OtherLink => Reply::answer(200, &[], &self.other_link(key)),
            _ => Reply::Send(truth()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_told_from_everything_else() {
        let read = |target| read(target).map(|read| (read.key, read.age_max_seconds));
        let key = "s.example/é %".to_owned();
        assert_eq!(
            read("/s.example%2F%C3%A9%20%25?urlencoded=true&cache_ttl=30"),
            Some((key.clone(), Some(30)))
        );
        assert_eq!(read("/s.example%2F%C3%A9%20%25?urlencoded=true"), Some((key, None)));
        for other in [
            "/a",
            "/a?cache_ttl=30",
            "/%zz?urlencoded=true",
            "/a?urlencoded=true&x=1",
            "/%ff?urlencoded=true",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
