//! From a request, as Spin hands it over, to the facts of a decision. The only file that reads
//! request headers for it, so what is believed of whom stands here:
//!
//! - the client's address is what Spin says in `spin-client-addr`: the peer of its socket. Spin
//!   appends its header behind those that the client sent under the same name, so the last one is
//!   Spin's, and all before it are made up;
//! - if a proxy stands in front, and the operator named the header in which it says whom it heard
//!   from (`waypost_client_ip_header`), the last address in the last such header;
//! - geography is what a proxy says in Cloudflare's visitor location headers, if the operator said
//!   that one does (`waypost_geo_headers`): without one they are made up by clients;
//! - the host is the authority that the client asked for; `X-Forwarded-Host` is never looked at.

use std::net::{IpAddr, SocketAddr};

use waypost_core::facts::{Method, RequestFacts};

use crate::settings::Trust;

/// Where Spin says who the client is: an address and a port.
const SPIN_CLIENT: &str = "spin-client-addr";

/// A request's head.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The method's name.
    pub(crate) method: String,
    /// The authority that was asked for, if there is one.
    pub(crate) authority: Option<String>,
    /// Path and query, as received.
    pub(crate) target: String,
    /// Lower-case names and values, in the order received.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The first header of a name, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next().and_then(text)
    }

    /// The last header of a name, if it is text.
    fn last(&self, name: &str) -> Option<&str> {
        self.values(name).next_back().and_then(text)
    }

    fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
        let named = self.headers.iter().filter(move |(its_name, _)| its_name == name);
        named.map(|(_, value)| value.as_slice())
    }

    /// Whether a form is posted, the only body that following looks at.
    pub(crate) fn is_form(&self) -> bool {
        let content_type = self.header("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self.method == "POST" && essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The facts of the request. `form` is its body, `draw` uniformly random.
    pub(crate) fn facts<'a>(
        &'a self,
        client: &'a Client,
        form: &'a [u8],
        draw: u64,
    ) -> RequestFacts<'a> {
        let header = |name: &str| self.header(name);
        RequestFacts {
            method: Method::from_name(&self.method),
            host: self.authority.as_deref().or_else(|| header("host")).unwrap_or_default(),
            path: self.path(),
            query: self.target.split_once('?').map(|(_, query)| query),
            user_agent: header("user-agent"),
            accept_language: header("accept-language"),
            referer: header("referer"),
            cookie: header("cookie"),
            purpose: header("sec-purpose").or(header("purpose")).or(header("x-moz")),
            do_not_track: header("dnt") == Some("1") || header("sec-gpc") == Some("1"),
            client_ip: client.address,
            country: client.place.country.as_deref(),
            region: client.place.region.as_deref(),
            city: client.place.city.as_deref(),
            continent: client.place.continent.as_deref(),
            // Nobody tells.
            datacentre: false,
            form,
            draw,
        }
    }
}

/// Who asks, from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address, as an IPv6 address; IPv4 is mapped.
    pub(crate) address: Option<u128>,
    /// Where that is.
    pub(crate) place: Place,
}

/// Where a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    country: Option<String>,
    region: Option<String>,
    city: Option<String>,
    continent: Option<String>,
}

impl Client {
    /// Finds out who sent a request.
    pub(crate) fn of(head: &Head, trust: &Trust) -> Self {
        let told = trust.client_ip_header.as_deref().and_then(|name| head.last(name));
        // Each proxy appends whom it heard from.
        let told = told.and_then(|list| address(list.rsplit(',').next().unwrap_or_default()));
        let address = told.or_else(|| address(head.last(SPIN_CLIENT)?));
        let place = trust.geo_headers.then(|| told_place(head)).flatten();
        Self { address: address.map(bits), place: place.unwrap_or_default() }
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Cloudflare's visitor location headers; one of them is always there if they are switched on.
fn told_place(head: &Head) -> Option<Place> {
    let value = |name| head.last(name).map(str::to_owned);
    let told = value("cf-ipcountry")?;
    // XX and T1 are Cloudflare's words for unknown and Tor.
    let country = Some(told).filter(|code| !matches!(code.as_str(), "" | "XX" | "T1"));
    let region = country.as_ref().zip(value("cf-region-code"));
    Some(Place {
        region: region.map(|(country, region)| format!("{country}-{region}")),
        city: value("cf-ipcity"),
        continent: value("cf-ipcontinent"),
        country,
    })
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Head {
            method: "GET".to_owned(),
            authority: Some("go.example".to_owned()),
            target: "/abc?x=1&y?z".to_owned(),
            headers: headers.iter().map(owned).collect(),
        }
    }

    fn client(headers: &[(&str, &str)], header: Option<&str>) -> Option<String> {
        let trust = Trust { client_ip_header: header.map(str::to_owned), geo_headers: false };
        let address = Client::of(&head(headers), &trust).address?;
        Some(IpAddr::from(address.to_be_bytes()).to_canonical().to_string())
    }

    #[test]
    fn spin_is_believed_and_a_client_that_plays_spin_is_not() {
        let spin = ("spin-client-addr", "192.0.2.1:50000");
        for (headers, expected) in [
            (vec![spin], Some("192.0.2.1")),
            (vec![("spin-client-addr", "6.6.6.6:1"), spin], Some("192.0.2.1")),
            (
                vec![("x-forwarded-for", "6.6.6.6"), ("true-client-ip", "6.6.6.6"), spin],
                Some("192.0.2.1"),
            ),
            (vec![("spin-client-addr", "[2001:db8::1]:443")], Some("2001:db8::1")),
            (vec![("spin-client-addr", "192.0.2.1")], Some("192.0.2.1")),
            (vec![("spin-client-addr", "localhost:1")], None),
            (vec![], None),
        ] {
            assert_eq!(client(&headers, None).as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_proxy_is_believed_in_the_header_that_the_operator_named() {
        let spin = ("spin-client-addr", "10.0.0.1:1");
        for (headers, name, expected) in [
            (vec![("true-client-ip", "192.0.2.9"), spin], "true-client-ip", "192.0.2.9"),
            (vec![("x-forwarded-for", "6.6.6.6, 192.0.2.9"), spin], "x-forwarded-for", "192.0.2.9"),
            (
                vec![("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.9"), spin],
                "x-forwarded-for",
                "192.0.2.9",
            ),
            (vec![("x-forwarded-for", "unknown"), spin], "x-forwarded-for", "10.0.0.1"),
            (vec![spin], "x-forwarded-for", "10.0.0.1"),
        ] {
            assert_eq!(client(&headers, Some(name)).as_deref(), Some(expected), "{headers:?}");
        }
    }

    #[test]
    fn places_are_believed_only_if_the_operator_says_so() {
        let told = [
            ("cf-ipcountry", "DE"),
            ("cf-region-code", "BE"),
            ("cf-ipcity", "Berlin"),
            ("cf-ipcontinent", "EU"),
        ];
        let place = |headers: &[(&str, &str)], geo_headers| {
            Client::of(&head(headers), &Trust { client_ip_header: None, geo_headers }).place
        };
        assert_eq!(place(&told, false), Place::default());
        let text = |text: &str| Some(text.to_owned());
        let (city, continent) = (text("Berlin"), text("EU"));
        assert_eq!(
            place(&told, true),
            Place { country: text("DE"), region: text("DE-BE"), city, continent }
        );
        let tor = [("cf-ipcountry", "T1"), ("cf-region-code", "BE"), ("cf-ipcontinent", "EU")];
        assert_eq!(place(&tor, true), Place { continent: text("EU"), ..Place::default() });
        assert_eq!(place(&told[1..], true), Place::default(), "no country, no proxy");
    }

    #[test]
    fn facts_are_what_was_asked() {
        let mut head = head(&[
            ("user-agent", "one"),
            ("user-agent", "two"),
            ("purpose", "prefetch"),
            ("sec-gpc", "1"),
            ("host", "other.example"),
        ]);
        head.headers.push(("referer".to_owned(), vec![0xff]));
        let client = Client::default();
        let facts = head.facts(&client, b"password=x", 7);
        assert_eq!((facts.path, facts.query), ("/abc", Some("x=1&y?z")));
        assert_eq!((facts.host, facts.user_agent), ("go.example", Some("one")));
        assert_eq!((facts.purpose, facts.referer), (Some("prefetch"), None));
        assert_eq!((facts.do_not_track, facts.form, facts.draw), (true, &b"password=x"[..], 7));
        head.authority = None;
        assert_eq!(head.facts(&client, b"", 0).host, "other.example");
    }

    #[test]
    fn only_posted_forms_are_forms() {
        for (method, content_type, expected) in [
            ("POST", "application/x-www-form-urlencoded", true),
            ("POST", "Application/X-WWW-Form-Urlencoded; charset=utf-8", true),
            ("POST", "application/json", false),
            ("PUT", "application/x-www-form-urlencoded", false),
        ] {
            let mut head = head(&[("content-type", content_type)]);
            head.method = method.to_owned();
            assert_eq!(head.is_form(), expected, "{method} {content_type}");
        }
        let bare = Head { method: "POST".to_owned(), ..head(&[]) };
        assert!(!bare.is_form());
    }
}
