//! How values that others wrote look on a page: addresses, titles, dates.

use alloc::format;
use alloc::string::String;

use waypost_wire::time::Timestamp;

use super::text::Text;

/// A URL in the three pieces a reader should tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UrlParts<'a> {
    pub(super) before: &'a str,
    /// The host; the scheme of a URL that has none.
    pub(super) emphasis: &'a str,
    pub(super) after: &'a str,
    /// The host of an http or https URL.
    pub(super) host: Option<&'a str>,
}

/// Splits a serialised URL. The authority of an app's own scheme is no host: the scheme decides
/// which app opens.
pub(super) fn url_parts(url: &str) -> UrlParts<'_> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web {
        let end = url.find(':').map_or(url.len(), |colon| colon + 1);
        return UrlParts { before: "", emphasis: &url[..end], after: &url[end..], host: None };
    }
    let start = url.find("//").map_or(0, |slashes| slashes + 2);
    let authority_end = end_before(url, start, &['/', '?', '#', '\\']);
    let host_start = url[start..authority_end].rfind('@').map_or(start, |at| start + at + 1);
    let host_end = match url[host_start..authority_end].find(']') {
        Some(bracket) => host_start + bracket + 1,
        None => end_before(&url[..authority_end], host_start, &[':']),
    };
    let host = &url[host_start..host_end];
    UrlParts {
        before: &url[..host_start],
        emphasis: host,
        after: &url[host_end..],
        host: Some(host),
    }
}

/// The position of the first of `ends` from `start` on, or the end of `text`.
fn end_before(text: &str, start: usize, ends: &[char]) -> usize {
    text[start..].find(ends).map_or(text.len(), |found| start + found)
}

/// An address as a reader may see it: what would be invisible, or would reorder the text around
/// it, is percent-encoded.
pub(super) fn link_text(url: &str) -> String {
    let mut shown = String::with_capacity(url.len());
    for c in url.chars() {
        if !is_unsettling(c) && !c.is_control() && !c.is_whitespace() {
            shown.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            shown.push_str(&format!("%{byte:02X}"));
        }
    }
    shown
}

/// A title or description as a reader may see it: control characters and line breaks are spaces,
/// and what is invisible or would reorder the text around it is left out.
pub(super) fn owner_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_unsettling(*c)) {
        shown.push(if c.is_control() || c.is_whitespace() { ' ' } else { c });
    }
    String::from(shown.trim())
}

/// Bidirectional controls (UAX #9), invisible format characters and line separators; not the
/// joiners U+200C and U+200D, which words and emoji need.
fn is_unsettling(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The UTC day of `time`, for people, in the order and with the month names of the language.
pub(super) fn date(time: Timestamp, text: &Text) -> String {
    let (year, month, day) = civil_day(time);
    let month = text.months[month as usize - 1];
    format!("{day}{} {month} {year}", text.day_suffix)
}

/// The UTC day of `time`, for programs: `2026-03-09`.
pub(super) fn iso_date(time: Timestamp) -> String {
    let (year, month, day) = civil_day(time);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month (1 to 12) and day of month in UTC: the days are counted from 1 March of year 0, in
/// eras of 400 years (146,097 days), so that the leap day ends its year.
fn civil_day(time: Timestamp) -> (i64, u32, u32) {
    let days = time.seconds().div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (&str, &str, &str, Option<&str>) {
        let UrlParts { before, emphasis, after, host } = url_parts(url);
        (before, emphasis, after, host)
    }

    #[test]
    fn the_host_stands_out() {
        let cases = [
            ("https://a.example/p?q#f", ("https://", "a.example", "/p?q#f")),
            ("http://a.example:8080/", ("http://", "a.example", ":8080/")),
            ("https://a.example?x@b.example", ("https://", "a.example", "?x@b.example")),
            ("https://a.example#@b.example", ("https://", "a.example", "#@b.example")),
            ("https://a.example\\@b.example/", ("https://", "a.example", "\\@b.example/")),
            ("https://good.example@b.example/", ("https://good.example@", "b.example", "/")),
            ("https://a:1@c:2@b.example:3/", ("https://a:1@c:2@", "b.example", ":3/")),
            ("https://[2001:db8::1]:80/x", ("https://", "[2001:db8::1]", ":80/x")),
            ("https://[2001:db8::1", ("https://", "[2001", ":db8::1")),
            ("https://", ("https://", "", "")),
            ("https://münchen.example", ("https://", "münchen.example", "")),
        ];
        for (url, (before, host, after)) in cases {
            assert_eq!(parts(url), (before, host, after, Some(host)), "{url}");
        }
    }

    #[test]
    fn the_scheme_of_an_app_stands_out() {
        assert_eq!(parts("shop://item/7"), ("", "shop:", "//item/7", None));
        assert_eq!(parts("mailto:a@b.example"), ("", "mailto:", "a@b.example", None));
        assert_eq!(parts("no scheme"), ("", "no scheme", "", None));
        assert_eq!(parts(""), ("", "", "", None));
    }

    #[test]
    fn addresses_show_what_would_be_invisible() {
        assert_eq!(link_text("https://é.example/a%20b?c=🏳️‍🌈"), "https://é.example/a%20b?c=🏳️‍🌈");
        assert_eq!(
            link_text("a\u{202e}fdp\u{2066}\u{200b}\u{feff}"),
            "a%E2%80%AEfdp%E2%81%A6%E2%80%8B%EF%BB%BF"
        );
        assert_eq!(
            link_text("a b\u{a0}c\u{2003}\r\n\0\u{85}"),
            "a%20b%C2%A0c%E2%80%83%0D%0A%00%C2%85"
        );
    }

    #[test]
    fn titles_lose_what_would_reorder_or_hide() {
        assert_eq!(owner_text("a\u{202e}b\u{2067}c\u{200f}\u{200b}\u{e0041}d\u{feff}"), "abcd");
        assert_eq!(owner_text(" \u{200b}two\r\nlines\0\u{2028}"), "two  lines");
        assert_eq!(owner_text("می\u{200c}خواهم 👩\u{200d}🚀"), "می\u{200c}خواهم 👩\u{200d}🚀");
        assert_eq!(owner_text("\u{202e}\u{2066}\n"), "");
    }

    #[test]
    fn dates_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400_000, "2000-02-29"),
            (951_868_799_999, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (4_107_542_399_999, "2100-02-28"),
            (4_107_542_400_000, "2100-03-01"),
            (1_798_761_599_999, "2026-12-31"),
            (253_402_300_799_999, "9999-12-31"),
            (-62_135_596_800_000, "0001-01-01"),
        ];
        for (ms, day) in cases {
            assert_eq!(iso_date(Timestamp(ms)), day, "{ms}");
        }
        for extreme in [i64::MIN, i64::MAX] {
            assert!(!iso_date(Timestamp(extreme)).is_empty());
        }
    }

    #[test]
    fn dates_read_naturally_in_each_language() {
        let day = Timestamp(1_773_014_400_000);
        let written = super::super::text::LANGUAGES.map(|text| date(day, text));
        assert_eq!(written, ["9 March 2026", "9. März 2026"]);
    }
}
