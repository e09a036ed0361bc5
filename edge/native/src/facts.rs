//! From an HTTP request to the facts of a decision. The only file that reads request headers for
//! it, so what is believed of whom stands here:
//!
//! - the client's address is the peer's; if the peer is a trusted proxy, the last address of
//!   `X-Forwarded-For` that is no trusted proxy itself;
//! - geography is what a trusted proxy says in Cloudflare's visitor location headers, if the operator
//!   said that it does (other proxies pass on what clients make up), or else what the MMDB file says
//!   of the client's address;
//! - the host is `Host`; `X-Forwarded-Host` is never looked at.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, REFERER, USER_AGENT};
use waypost_core::facts::{Method, RequestFacts};
use waypost_wire::record::Network;

use crate::geo::{GeoIp, Place};

/// Who asks, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address, as an IPv6 address; IPv4 is mapped.
    pub address: u128,
    /// Where that is.
    pub place: Place,
}

/// Who is believed about clients, and what is known without them.
#[derive(Debug, Default)]
pub struct Trust {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
    /// They also say where a client is, and let no client say it.
    pub geo_headers: bool,
    /// Where addresses are.
    pub geoip: Option<GeoIp>,
}

impl Client {
    /// Finds out who sent a request that arrived from `peer`.
    pub fn of(headers: &HeaderMap, peer: IpAddr, trust: &Trust) -> Self {
        let geoip = trust.geoip.as_ref();
        let is_trusted = |address: IpAddr| {
            let bits = bits(address);
            trust.proxies.iter().any(|network| network.contains(bits))
        };
        if !is_trusted(peer) {
            return Self::at(peer, geoip);
        }
        let forwarded = headers.get_all("x-forwarded-for");
        let hops: Vec<&str> = forwarded
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        // Each proxy appends who it heard from, so what is right of the first untrusted address,
        // seen from the right, was written by trusted ones; what is left of it can be made up.
        let addresses = hops.iter().rev().map(|hop| hop.trim().parse::<IpAddr>().ok());
        let client = addresses
            .map_while(|address| address)
            .find(|address| !is_trusted(*address))
            .unwrap_or(peer);
        let mut found = Self::at(client, geoip);
        if let Some(place) = trust.geo_headers.then(|| told_place(headers)).flatten() {
            found.place = Place { datacentre: found.place.datacentre, ..place };
        }
        found
    }

    fn at(address: IpAddr, geoip: Option<&GeoIp>) -> Self {
        let place = geoip.map_or_else(Place::default, |geoip| geoip.place(address.to_canonical()));
        Self { address: bits(address), place }
    }
}

/// Cloudflare's visitor location headers; one of them is always there if they are switched on.
fn told_place(headers: &HeaderMap) -> Option<Place> {
    let value = |name| text(headers, name).map(str::to_owned);
    let told = value("cf-ipcountry")?;
    // XX and T1 are Cloudflare's words for unknown and Tor.
    let country = Some(told).filter(|code| !matches!(code.as_str(), "" | "XX" | "T1"));
    let region = country.as_ref().zip(value("cf-region-code"));
    Some(Place {
        region: region.map(|(country, region)| format!("{country}-{region}")),
        city: value("cf-ipcity"),
        continent: value("cf-ipcontinent"),
        country,
        datacentre: false,
    })
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The facts of a request. A header that is no UTF-8 counts as missing.
pub fn facts<'a>(
    request: &'a http::request::Parts,
    client: &'a Client,
    form: &'a [u8],
    draw: u64,
) -> RequestFacts<'a> {
    let header = |name: &str| text(&request.headers, name);
    let place = &client.place;
    RequestFacts {
        method: Method::from_name(request.method.as_str()),
        // Only HTTP/1.0 clients may leave the host out; to a proxy it stands in the target.
        host: header(HOST.as_str())
            .or(request.uri.authority().map(|authority| authority.as_str()))
            .unwrap_or_default(),
        path: request.uri.path(),
        query: request.uri.query(),
        user_agent: header(USER_AGENT.as_str()),
        accept_language: header(ACCEPT_LANGUAGE.as_str()),
        referer: header(REFERER.as_str()),
        cookie: header(COOKIE.as_str()),
        purpose: header("sec-purpose").or(header("purpose")).or(header("x-moz")),
        do_not_track: header("dnt") == Some("1") || header("sec-gpc") == Some("1"),
        client_ip: Some(client.address),
        country: place.country.as_deref(),
        region: place.region.as_deref(),
        city: place.city.as_deref(),
        continent: place.continent.as_deref(),
        datacentre: place.datacentre,
        form,
        draw,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(forwarded: &[&str], peer: &str) -> IpAddr {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("value"));
        }
        let proxies =
            vec![Network { address: bits("10.0.0.0".parse().expect("ip")), prefix_bits: 104 }];
        let trust = Trust { proxies, ..Trust::default() };
        let found = Client::of(&headers, peer.parse().expect("ip"), &trust);
        IpAddr::from(found.address.to_be_bytes()).to_canonical()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (forwarded, peer, expected) in [
            (vec!["1.1.1.1"], "2.2.2.2", "2.2.2.2"),
            (vec!["1.1.1.1"], "10.0.0.1", "1.1.1.1"),
            (vec!["6.6.6.6, 1.1.1.1, 10.0.0.2"], "10.0.0.1", "1.1.1.1"),
            (vec!["6.6.6.6", "1.1.1.1"], "10.0.0.1", "1.1.1.1"),
            (vec!["6.6.6.6, made up"], "10.0.0.1", "10.0.0.1"),
            (vec!["10.0.0.3"], "10.0.0.1", "10.0.0.1"),
            (vec![], "10.0.0.1", "10.0.0.1"),
            (vec!["2001:db8::1"], "::ffff:10.0.0.1", "2001:db8::1"),
        ] {
            let found = client(&forwarded, peer);
            assert_eq!(found, expected.parse::<IpAddr>().expect("ip"), "{forwarded:?}");
        }
    }

    #[test]
    fn places_are_believed_from_trusted_proxies_only() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cf-ipcountry", "DE"),
            ("cf-region-code", "BE"),
            ("cf-ipcity", "Berlin"),
            ("cf-ipcontinent", "EU"),
        ] {
            headers.insert(name, value.parse().expect("value"));
        }
        let peer = "192.0.2.1".parse().expect("ip");
        let place = |headers: &HeaderMap, prefix_bits, geo_headers| {
            let proxies = vec![Network { address: 0xffff_0000_0000, prefix_bits }];
            Client::of(headers, peer, &Trust { proxies, geo_headers, geoip: None }).place
        };
        assert_eq!(place(&headers, 128, true), Place::default(), "not from this proxy");
        assert_eq!(place(&headers, 96, false), Place::default(), "not a proxy that tells");
        assert_eq!(place(&headers, 96, true).region.as_deref(), Some("DE-BE"));
        headers.insert("cf-ipcountry", "T1".parse().expect("value"));
        let told = place(&headers, 96, true);
        assert_eq!(
            (told.country, told.region, told.continent.as_deref()),
            (None, None, Some("EU"))
        );
    }
}
