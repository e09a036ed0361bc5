//! The languages a visitor asks for: `Accept-Language` and the matching of language tags.

/// The language a visitor prefers most: the language range of an `Accept-Language` header
/// (RFC 9110 12.5.4) with the highest weight, the first of equals, as the header spells it.
///
/// Ranges with weight 0 are refused by the visitor and `*` names no language: neither is returned.
/// A part of the header that does not follow the grammar is as if it were not there.
pub fn preferred(accept_language: &str) -> Option<&str> {
    let mut best: Option<Weighted<'_>> = None;
    for candidate in ranges(accept_language) {
        if best.is_none_or(|best| candidate.thousandths > best.thousandths) {
            best = Some(candidate);
        }
    }
    best.map(|best| best.range)
}

/// The offered language tag that suits the visitor best, by lookup (RFC 4647 3.4): the visitor's
/// ranges are tried by falling weight, each shortened from its end until a tag equals it.
///
/// `None` if no range leads to an offered tag; the caller then has its own default.
pub fn choose<'a>(accept_language: &str, offered: &[&'a str]) -> Option<&'a str> {
    let mut best: Option<(u16, &'a str)> = None;
    for candidate in ranges(accept_language) {
        if best.is_some_and(|(thousandths, _)| candidate.thousandths <= thousandths) {
            continue;
        }
        if let Some(tag) = lookup(candidate.range, offered) {
            best = Some((candidate.thousandths, tag));
        }
    }
    best.map(|(_, tag)| tag)
}

/// Whether a language range matches a language tag by basic filtering (RFC 4647 3.3.1): they are
/// equal, or the range is a prefix of the tag that ends where a subtag ends, or it is `*`.
/// ASCII case does not count.
pub fn matches(range: &str, tag: &str) -> bool {
    if range == "*" {
        return true;
    }
    match tag.split_at_checked(range.len()) {
        Some((start, rest)) => {
            start.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.starts_with('-'))
        }
        None => false,
    }
}

/// The primary subtag, which names the language without script or region: `pt` of `pt-BR`.
/// In the spelling of the tag; counts must fold its ASCII case first.
pub fn primary(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(primary, _)| primary)
}

/// A language range other than `*`, and its weight in thousandths, 1 to 1000.
#[derive(Clone, Copy)]
struct Weighted<'a> {
    range: &'a str,
    thousandths: u16,
}

/// The well-formed ranges of a header that name a language the visitor accepts, in header order.
fn ranges(accept_language: &str) -> impl Iterator<Item = Weighted<'_>> {
    accept_language.split(',').filter_map(|part| {
        let (range, thousandths) = match part.split_once(';') {
            Some((range, weight)) => (range, weight_thousandths(trim(weight))?),
            None => (part, 1000),
        };
        let range = trim(range);
        (thousandths > 0 && is_range(range)).then_some(Weighted { range, thousandths })
    })
}

/// Removes what RFC 9110 5.6.3 calls optional white space.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a text is a language range other than `*` (RFC 4647 2.1).
fn is_range(text: &str) -> bool {
    text.split('-').enumerate().all(|(position, subtag)| {
        let allowed = match position {
            0 => u8::is_ascii_alphabetic,
            _ => u8::is_ascii_alphanumeric,
        };
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| allowed(&byte))
    })
}

/// A weight parameter, `q=` and 0 to 1 with at most three decimals (RFC 9110 12.4.2), in
/// thousandths; `None` if it is anything else.
fn weight_thousandths(parameter: &str) -> Option<u16> {
    let value = parameter.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !matches!(whole, "0" | "1") {
        return None;
    }
    let mut thousandths = u16::from(whole == "1") * 1000;
    for (digit, place) in decimals.bytes().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * place;
    }
    (thousandths <= 1000).then_some(thousandths)
}

/// The first offered tag that equals the range or one of its shorter forms, longest form first.
fn lookup<'a>(range: &str, offered: &[&'a str]) -> Option<&'a str> {
    let mut form = range;
    loop {
        if let Some(tag) = offered.iter().find(|tag| tag.eq_ignore_ascii_case(form)) {
            return Some(tag);
        }
        form = shorter(form)?;
    }
}

/// A range without its last subtag, and without a single letter then left at its end, which only
/// introduces what followed it (RFC 4647 3.4).
fn shorter(range: &str) -> Option<&str> {
    let (rest, _) = range.rsplit_once('-')?;
    match rest.rsplit_once('-') {
        Some((before, single)) if single.len() == 1 => Some(before),
        _ => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    #[test]
    fn the_highest_weight_is_preferred_and_the_first_of_equals() {
        let cases = [
            ("de", Some("de")),
            ("de-AT,de;q=0.9,en;q=0.8", Some("de-AT")),
            ("en;q=0.8,de;q=0.9,de-AT", Some("de-AT")),
            ("en;q=0.8,de;q=0.8", Some("en")),
            ("en, de", Some("en")),
            ("en;q=0.999, de;q=1", Some("de")),
            ("en;q=1, de;q=1.000", Some("en")),
            ("en;q=0.09, de;q=0.1", Some("de")),
            ("en;q=0.1, de;q=0.10, fr;q=0.100", Some("en")),
            ("en;q=0., de;q=0.001", Some("de")),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Some("fr-CH")),
            ("DE-at", Some("DE-at")),
            ("zh-Hant-TW", Some("zh-Hant-TW")),
            ("i-klingon", Some("i-klingon")),
            ("x-pig-latin", Some("x-pig-latin")),
            ("\t de \t; \tQ=0.5 , en ;q=0.4", Some("de")),
        ];
        for (header, expected) in cases {
            assert_eq!(preferred(header), expected, "{header:?}");
        }
    }

    #[test]
    fn refused_languages_stars_and_nothing_give_nothing() {
        let headers =
            ["", " ", ",", ",,;,", "*", "*;q=0.5", "de;q=0", "de;q=0.000", "de;q=0.", "*, de;q=0"];
        for header in headers {
            assert_eq!(preferred(header), None, "{header:?}");
        }
        assert_eq!(preferred("de;q=0, *, en;q=0.1"), Some("en"));
    }

    #[test]
    fn malformed_parts_are_skipped_and_the_others_count() {
        let malformed = [
            "de_AT",
            "-de",
            "de-",
            "de--AT",
            "d3",
            "1",
            "abcdefghi",
            "de-abcdefghi",
            "dé",
            "de AT",
            "de\u{a0}",
            "\u{ff44}\u{ff45}",
            "*-AT",
            "de-*",
            "de;",
            "de;q",
            "de;q=",
            "de;q=.5",
            "de;q=1.001",
            "de;q=1.1",
            "de;q=2",
            "de;q=-0",
            "de;q=+1",
            "de;q=0.1234",
            "de;q=00.1",
            "de;q=0,5x",
            "de;q=0.5x",
            "de;q=\"1\"",
            "de;q =1",
            "de;q= 1",
            "de;level=1",
            "de;level=1;q=1",
            "de;q=1;level=1",
            "de;q=NaN",
            "de;q=0.\u{661}",
            "\r\nde",
            "\0",
        ];
        for part in malformed {
            assert_eq!(preferred(part), None, "{part:?}");
            assert_eq!(preferred(&format!("{part}, fr;q=0.1,{part}")), Some("fr"), "{part:?}");
            assert_eq!(choose(&format!("{part}, fr;q=0.1"), &["de", "fr"]), Some("fr"), "{part:?}");
        }
    }

    #[test]
    fn a_huge_header_is_read_to_its_end() {
        let mut header = String::new();
        for _ in 0..20_000 {
            header.push_str("xx;q=0.5,");
        }
        header.push_str("de;q=0.6");
        assert_eq!(preferred(&header), Some("de"));
        assert_eq!(choose(&header, &["en", "de"]), Some("de"));
    }

    #[test]
    fn a_range_matches_its_tag_and_longer_ones_at_subtag_borders() {
        let cases = [
            ("de", "de", true),
            ("de", "DE-at", true),
            ("DE-AT", "de-at", true),
            ("de-de", "de-DE-1996", true),
            ("de-de", "de-Deva", false),
            ("de-de", "de-Latn-DE", false),
            ("de", "den", false),
            ("de-AT", "de", false),
            ("", "de", false),
            ("", "", true),
            ("de-", "de-AT", false),
            ("*", "de", true),
            ("*", "", true),
            ("d", "d\u{e9}", false),
            ("d\u{301}", "d\u{301}-x", true),
            ("de", "d\u{20ac}", false),
        ];
        for (range, tag, expected) in cases {
            assert_eq!(matches(range, tag), expected, "{range:?} {tag:?}");
        }
    }

    #[test]
    fn the_primary_subtag_is_what_stands_before_the_first_hyphen() {
        let cases = [
            ("de", "de"),
            ("pt-BR", "pt"),
            ("zh-Hant-TW", "zh"),
            ("EN-us", "EN"),
            ("", ""),
            ("-x", ""),
        ];
        for (tag, expected) in cases {
            assert_eq!(primary(tag), expected, "{tag:?}");
        }
    }

    #[test]
    fn lookup_shortens_each_range_before_it_tries_the_next() {
        let offered = ["en", "de", "de-CH", "zh-Hant", "pt"];
        let cases = [
            ("de-CH", Some("de-CH")),
            ("DE-ch-1996", Some("de-CH")),
            ("de-AT", Some("de")),
            ("de-AT, en", Some("de")),
            ("fr-FR, en;q=0.5", Some("en")),
            ("en;q=0.5, de;q=0.6", Some("de")),
            ("en;q=0.5, de;q=0.5", Some("en")),
            // RFC 4647 3.4: zh-Hant-CN-x-private1-private2 goes by zh-Hant-CN to zh-Hant.
            ("zh-Hant-CN-x-private1-private2", Some("zh-Hant")),
            ("zh-Hans", None),
            ("de-x", Some("de")),
            ("fr", None),
            ("den", None),
            ("*", None),
            ("*, pt;q=0.1", Some("pt")),
            ("de;q=0", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(choose(header, &offered), expected, "{header:?}");
        }
        assert_eq!(choose("de", &[]), None);
        assert_eq!(choose("x-de", &["x"]), Some("x"));
        assert_eq!(choose("de-x-dialect", &["de-x"]), None);
        assert_eq!(choose("de-a-x-b", &["de-a"]), Some("de-a"));
    }
}
