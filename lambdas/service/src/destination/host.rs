//! Which hosts a destination may have.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::{DestinationFault, DestinationRules};

/// Names that resolve on the visitor's machine or network, with everything below them: RFC 6761
/// (localhost), RFC 6762 (local), RFC 8375 (home.arpa), ICANN 2024 (internal), and
/// `localhost.localdomain`, which Linux distributions put into their hosts file.
const LOCAL_SUFFIXES: [&str; 5] = ["localhost", "localdomain", "local", "internal", "home.arpa"];

/// Public shorteners anyone can make links on. Shorteners of one company for its own pages
/// (youtu.be, amzn.to) are not here: where they lead is no secret.
const SHORTENERS: [&str; 30] = [
    "bit.do",
    "bit.ly",
    "buff.ly",
    "clck.ru",
    "cutt.ly",
    "dub.sh",
    "goo.gl",
    "goo.su",
    "is.gd",
    "j.mp",
    "lnkd.in",
    "ow.ly",
    "qr.net",
    "rb.gy",
    "rebrand.ly",
    "s.id",
    "short.gy",
    "shorte.st",
    "shorturl.at",
    "soo.gd",
    "t.co",
    "t.ly",
    "t2m.io",
    "tiny.cc",
    "tiny.one",
    "tinyurl.com",
    "tny.im",
    "u.to",
    "v.gd",
    "x.gd",
];

/// A host name or address as destinations carry it: lower case, A-label, no port, no trailing dot.
/// `None` if it is neither.
pub fn canonical_host(host: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{host}")).ok()?;
    let is_only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_plain = url.username().is_empty() && url.password().is_none() && is_only_host;
    is_plain.then(|| url.host_str().map(|host| host.trim_end_matches('.').to_owned()))?
}

/// Refuses the host of a parsed network URL. `authority` is host and port as typed.
pub(super) fn check(
    url: &Url,
    authority: &str,
    rules: &DestinationRules,
) -> Result<(), DestinationFault> {
    let Some(host) = url.host() else {
        return Err(DestinationFault::NoHost { scheme: url.scheme().to_owned() });
    };
    let name = host.to_string();
    if let Host::Domain(domain) = host {
        check_shape(domain)?;
    }
    if rules.own_domains.iter().any(|own| is_same_host(own, &name)) {
        return Err(DestinationFault::OwnDomain { host: name });
    }
    match host {
        Host::Domain(domain) => check_name(domain, rules),
        Host::Ipv4(address) => check_ipv4(address, authority, rules),
        Host::Ipv6(address) if rules.allow_private_hosts || is_public_v6(address) => Ok(()),
        Host::Ipv6(_) => Err(DestinationFault::PrivateAddress { host: name }),
    }
}

fn is_same_host(own: &str, host: &str) -> bool {
    own == host || canonical_host(own).is_some_and(|own| own == host)
}

/// RFC 1035 2.3.4 lengths, RFC 1123 2.1 characters; and underscores, and hyphens anywhere, which
/// real hosts have.
fn check_shape(domain: &str) -> Result<(), DestinationFault> {
    if domain.ends_with('.') {
        return Err(DestinationFault::TrailingDot { host: domain.to_owned() });
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if domain.len() > 253 || !domain.split('.').all(is_label) {
        return Err(DestinationFault::Host { host: domain.to_owned() });
    }
    Ok(())
}

fn check_name(domain: &str, rules: &DestinationRules) -> Result<(), DestinationFault> {
    let host = || domain.to_owned();
    if !rules.allow_private_hosts {
        if LOCAL_SUFFIXES.iter().any(|suffix| is_below(domain, suffix)) {
            return Err(DestinationFault::LocalName { host: host() });
        }
        if !domain.contains('.') {
            return Err(DestinationFault::SingleLabel { host: host() });
        }
    }
    let bare = domain.strip_prefix("www.").unwrap_or(domain);
    if !rules.allow_shorteners && SHORTENERS.contains(&bare) {
        return Err(DestinationFault::Shortener { host: host() });
    }
    Ok(())
}

/// Whether `domain` is `suffix` or a name below it.
fn is_below(domain: &str, suffix: &str) -> bool {
    domain.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn check_ipv4(
    address: Ipv4Addr,
    authority: &str,
    rules: &DestinationRules,
) -> Result<(), DestinationFault> {
    if !rules.allow_private_hosts && !is_public_v4(address) {
        return Err(DestinationFault::PrivateAddress { host: address.to_string() });
    }
    let typed = authority.split(':').next().unwrap_or_default();
    if typed != address.to_string() {
        return Err(DestinationFault::OddAddress {
            host: typed.to_owned(),
            address: address.to_string(),
        });
    }
    Ok(())
}

/// All but what the IANA IPv4 special-purpose registry (RFC 6890) lists as not globally reachable.
/// Documentation networks pass: they harm nobody.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]            // this network, private, loopback
            | [100, 64..=127, ..]     // carrier-grade NAT, RFC 6598
            | [169, 254, ..]          // link-local, cloud metadata
            | [172, 16..=31, ..]      // private
            | [192, 0, 0, _]          // protocol assignments
            | [192, 168, ..]          // private
            | [198, 18 | 19, ..]      // benchmarking, RFC 2544
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

/// Only what is allocated to the public internet (2000::/3, RFC 4291 2.4), and of the formats that
/// carry an IPv4 address only those that carry a public one. IPv4-mapped and IPv4-compatible
/// addresses are other spellings of an IPv4 address and so are refused altogether.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64, RFC 6052.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // Teredo, RFC 4380: a server, and a client in inverted bits.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            is_public_v4(embedded(high, low)) && is_public_v4(embedded(!client_high, !client_low))
        }
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
