//! From the text that the shim packs a request into, to the facts of a decision.

use std::net::IpAddr;

use waypost_core::facts::{Method, RequestFacts};

/// A request as the shim hands it over: lines of text, then the bytes of a form. A header that
/// was not sent is an empty line. What can hold line breaks stands last.
///
/// 1. method, 2. URL as received, 3. `User-Agent`, 4. `Accept-Language`, 5. `Referer`,
///    6. `Cookie`, 7. `Sec-Purpose`, else `Purpose`, else `X-Moz`, 8. `1` for `DNT: 1` or
///    `Sec-GPC: 1`, 9. `CF-Connecting-IP`, 10. country, 11. region code, 12. continent, 13. city
#[derive(Debug)]
pub(crate) struct Packed<'a> {
    method: &'a str,
    url: Url<'a>,
    user_agent: Option<&'a str>,
    accept_language: Option<&'a str>,
    referer: Option<&'a str>,
    cookie: Option<&'a str>,
    purpose: Option<&'a str>,
    do_not_track: bool,
    client_ip: Option<u128>,
    country: Option<&'a str>,
    region: Option<String>,
    continent: Option<&'a str>,
    city: Option<&'a str>,
}

impl<'a> Packed<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let mut rest = text;
        let method = line(&mut rest);
        let url = Url::read(line(&mut rest));
        let mut header = || usable(line(&mut rest));
        let (user_agent, accept_language) = (header(), header());
        let (referer, cookie, purpose) = (header(), header(), header());
        let do_not_track = header() == Some("1");
        let client_ip = header().and_then(|ip| ip.parse().ok()).map(bits);
        // XX and T1 are Cloudflare's words for unknown and Tor.
        let country = header().filter(|code| !matches!(*code, "XX" | "T1"));
        let region = header().zip(country).map(|(region, country)| [country, region].join("-"));
        let continent = header();
        Self {
            method,
            url,
            user_agent,
            accept_language,
            referer,
            cookie,
            purpose,
            do_not_track,
            client_ip,
            country,
            region,
            continent,
            city: usable(rest),
        }
    }

    pub(crate) fn facts(&'a self, form: &'a [u8], draw: u64) -> RequestFacts<'a> {
        RequestFacts {
            method: Method::from_name(self.method),
            host: self.url.host,
            path: self.url.path,
            query: self.url.query,
            user_agent: self.user_agent,
            accept_language: self.accept_language,
            referer: self.referer,
            cookie: self.cookie,
            purpose: self.purpose,
            do_not_track: self.do_not_track,
            client_ip: self.client_ip,
            country: self.country,
            region: self.region.as_deref(),
            city: self.city,
            continent: self.continent,
            // Cloudflare names the network of a client, not what kind of network that is.
            datacentre: false,
            form,
            draw,
        }
    }
}

/// Takes the first line. Lines are short: a plain loop finds their ends sooner than a search does.
fn line<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.bytes().position(|byte| byte == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line
}

/// A value that was sent and is text: the runtime puts U+FFFD where the bytes were no UTF-8.
fn usable(line: &str) -> Option<&str> {
    let is_text = line.is_ascii() || !line.contains('\u{fffd}');
    Some(line).filter(|line| is_text && !line.is_empty())
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Whom the rate limit of misses counts: an address, or for IPv6 the network of 64 bits that one
/// customer has at least.
pub(crate) fn limited_as(client_ip: u128) -> String {
    const MAPPED_V4: u128 = 0xffff_0000_0000;
    match client_ip & !0xffff_ffff == MAPPED_V4 {
        true => format!("{:x}", client_ip & 0xffff_ffff),
        false => format!("{:x}::", client_ip >> 64),
    }
}

/// The parts of a URL, unchanged. No client sends a fragment: one is part of what it stands in.
#[derive(Debug, PartialEq, Eq)]
struct Url<'a> {
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn read(url: &'a str) -> Self {
        let find = |text: &str, ends: &[u8]| text.bytes().position(|byte| ends.contains(&byte));
        let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.unwrap_or(url);
        let (host, target) = rest.split_at(find(rest, b"/?").unwrap_or(rest.len()));
        let (path, query) = target.split_at(find(target, b"?").unwrap_or(target.len()));
        let path = if path.is_empty() { "/" } else { path };
        Self { host, path, query: query.strip_prefix('?') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_facts(text: &str, expected: &RequestFacts<'_>) {
        let packed = Packed::read(text);
        let facts = packed.facts(expected.form, expected.draw);
        assert_eq!(format!("{facts:?}"), format!("{expected:?}"));
    }

    fn packed(lines: [&str; 13]) -> String {
        lines.join("\n")
    }

    #[test]
    fn all_that_is_sent_becomes_facts() {
        let text = packed([
            "POST",
            "https://Go.example:8443/a%2fb//?q=%zz&x",
            "Firefox",
            "de",
            "https://news.example/",
            "a=b",
            "prefetch",
            "1",
            "203.0.113.9",
            "DE",
            "BE",
            "EU",
            "Halle\n(Saale)",
        ]);
        assert_facts(
            &text,
            &RequestFacts {
                method: Method::Post,
                host: "Go.example:8443",
                path: "/a%2fb//",
                query: Some("q=%zz&x"),
                user_agent: Some("Firefox"),
                accept_language: Some("de"),
                referer: Some("https://news.example/"),
                cookie: Some("a=b"),
                purpose: Some("prefetch"),
                do_not_track: true,
                client_ip: Some(0xffff_cb00_7109),
                country: Some("DE"),
                region: Some("DE-BE"),
                city: Some("Halle\n(Saale)"),
                continent: Some("EU"),
                datacentre: false,
                form: b"password=x",
                draw: 7,
            },
        );
    }

    #[test]
    fn what_is_absent_or_no_text_stays_absent() {
        let bare = RequestFacts { path: "/", ..RequestFacts::default() };
        assert_facts("GET", &bare);
        let text = packed([
            "GET",
            "",
            "Fire\u{fffd}fox",
            "",
            "\u{fffd}",
            "",
            "",
            "true",
            "203.0.113",
            "T1",
            "BE",
            "",
            "\u{fffd}",
        ]);
        assert_facts(&text, &bare);
        let unknown = packed(["GET", "", "", "", "", "", "", "", "", "XX", "", "", ""]);
        assert_facts(&unknown, &bare);
    }

    #[test]
    fn urls_are_cut_not_changed() {
        for (url, host, path, query) in [
            ("http://a", "a", "/", None),
            ("http://a/", "a", "/", None),
            ("http://a?", "a", "/", Some("")),
            ("http://a/?", "a", "/", Some("")),
            ("http://a/b?c?d/e", "a", "/b", Some("c?d/e")),
            ("http://a/b#c?d", "a", "/b#c", Some("d")),
            ("http://a/b?#", "a", "/b", Some("#")),
            ("https://ä/ö?ü", "ä", "/ö", Some("ü")),
            ("http://[::1]:80//b/../c", "[::1]:80", "//b/../c", None),
            ("http://a/http://b/c", "a", "/http://b/c", None),
            ("/b", "", "/b", None),
        ] {
            assert_eq!(Url::read(url), Url { host, path, query }, "{url}");
        }
    }

    #[test]
    fn networks_of_ipv6_are_limited_as_one() {
        let of = |ip: &str| limited_as(bits(ip.parse().expect("an address")));
        assert_eq!(of("203.0.113.9"), "cb007109");
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
        assert_eq!(of("2001:db8:1:2:3::4"), "20010db800010002::");
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::"));
    }
}
