//! Reading a query string without copying it (WHATWG URL, application/x-www-form-urlencoded).

use crate::route::escaped;

/// Name and value, still encoded, of each parameter.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether an encoded name or value, decoded, is `plain`. Invalid escapes stand for themselves.
pub(crate) fn decodes_to(encoded: &str, plain: &str) -> bool {
    decoded(encoded).eq(plain.bytes())
}

/// The bytes an encoded name or value stands for.
pub(crate) fn decoded(encoded: &str) -> impl Iterator<Item = u8> {
    let mut rest = encoded.as_bytes();
    core::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let (byte, after) = match (first, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, behind @ ..]) => match escaped(*high, *low) {
                Some(byte) => (byte, behind),
                None => (b'%', after),
            },
            _ => (first, after),
        };
        rest = after;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn parameters_in_order_with_duplicates() {
        let all: Vec<_> = pairs("a=1&b&&a=2=3&=x").collect();
        assert_eq!(all, vec![("a", "1"), ("b", ""), ("a", "2=3"), ("", "x")]);
        assert_eq!(pairs("").count(), 0);
    }

    #[test]
    fn values_compare_decoded() {
        assert!(decodes_to("a+b%20c", "a b c"));
        assert!(decodes_to("K%C3%B6ln", "Köln"));
        assert!(decodes_to("100%", "100%"));
        assert!(decodes_to("%zz%4", "%zz%4"));
        assert!(!decodes_to("a", "ab"));
        assert!(!decodes_to("ab", "a"));
    }
}
