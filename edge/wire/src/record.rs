//! A link as the edge sees it: everything a redirect needs, nothing it must not know.
//!
//! Owner, notes, tags and password hashes stay with the control plane. Strings are borrowed: from
//! the control plane's link when a record is written, from the stored bytes when it is read.

use alloc::vec::Vec;

use crate::agent::{Browser, Device, Os};
use crate::time::Timestamp;

/// A link record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRecord<'a> {
    /// The link's id; clicks carry it, so that a re-used slug starts its own statistics.
    pub id: u64,
    /// Rises with every write of the link. A store never replaces a record by an older one.
    pub version: u64,
    /// Whether the link may redirect at all.
    pub state: LinkState,
    /// When the link was created.
    pub created_at: Timestamp,
    /// Where the link leads: a serialised URL, UTM parameters included.
    pub destination: &'a str,
    /// The destination with its host in Unicode, for people, if that differs.
    pub readable_destination: Option<&'a str>,
    /// The status of the redirect.
    pub status: RedirectStatus,
    /// The link does not exist for visitors before this time.
    pub starts_at: Option<Timestamp>,
    /// The link is gone from this time on (inclusive).
    pub expires_at: Option<Timestamp>,
    /// Where visitors of an expired or used up link are sent, if not to a 410 page.
    pub expired_destination: Option<&'a str>,
    /// The link has a click limit: a redirect must take one use at the origin first.
    pub limited: bool,
    /// The click limit is reached.
    pub used_up: bool,
    /// The request's query is appended to the destination.
    pub forward_query: bool,
    /// The request's path behind the slug is appended to the destination's path.
    pub forward_path: bool,
    /// Destination for iOS and iPadOS, if no rule matched.
    pub ios_destination: Option<&'a str>,
    /// Destination for Android, if no rule matched.
    pub android_destination: Option<&'a str>,
    /// The link asks for a password; the number rises when the password changes, which ends the
    /// validity of every cookie given for the old one.
    pub password_version: Option<u32>,
    /// The title, for the preview page.
    pub title: Option<&'a str>,
    /// The card shown to the link preview agents of social networks.
    pub preview: Option<Preview<'a>>,
    /// Tried in order; the first whose conditions all hold gives the destination.
    pub rules: Vec<Rule<'a>>,
}

/// Which writing of which link a record is. Of two records under one key the greater is the newer:
/// ids rise from link to link, and a slug is used again only by a later link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// [`LinkRecord::id`].
    pub link_id: u64,
    /// [`LinkRecord::version`].
    pub version: u64,
}

/// Whether a link may redirect at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Taken down: abuse.
    BlockedAbuse,
    /// Taken down: legal demand (RFC 7725).
    BlockedLegal,
    /// Deleted; the slug is in quarantine and answers 410.
    Deleted,
    /// Switched off by its owner.
    Disabled,
    /// In use; times and limits still decide.
    Live,
}

/// The statuses a link can redirect with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 302: clients ask again each time.
    Found,
    /// 301: clients may remember.
    MovedPermanently,
    /// 308: clients may remember, and must keep method and body.
    PermanentRedirect,
    /// 307: clients must keep method and body.
    TemporaryRedirect,
}

impl RedirectStatus {
    /// The status code (RFC 9110 15.4).
    pub const fn code(self) -> u16 {
        match self {
            Self::Found => 302,
            Self::MovedPermanently => 301,
            Self::PermanentRedirect => 308,
            Self::TemporaryRedirect => 307,
        }
    }

    /// The status of a code; `None` for codes a link cannot have.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            301 => Some(Self::MovedPermanently),
            302 => Some(Self::Found),
            307 => Some(Self::TemporaryRedirect),
            308 => Some(Self::PermanentRedirect),
            _ => None,
        }
    }

    /// Whether clients may remember the answer.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::MovedPermanently | Self::PermanentRedirect)
    }

    /// Whether the client repeats method and body at the destination.
    pub const fn keeps_method(self) -> bool {
        matches!(self, Self::PermanentRedirect | Self::TemporaryRedirect)
    }
}

/// The card of a link, for social networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preview<'a> {
    /// `og:title`.
    pub title: Option<&'a str>,
    /// `og:description`.
    pub description: Option<&'a str>,
    /// `og:image`: a serialised http or https URL.
    pub image: Option<&'a str>,
}

/// A rule: if all conditions hold, one of the variants is the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// All must hold. An empty list always holds.
    pub when: Vec<Condition<'a>>,
    /// At least one; more than one are chosen between by weight, sticky per visitor.
    pub variants: Vec<Variant<'a>>,
}

/// One of the destinations of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant<'a> {
    /// A serialised URL, UTM parameters included.
    pub destination: &'a str,
    /// Share among the rule's variants; 0 switches the variant off.
    pub weight: u32,
}

/// A test on the request. A list holds if any of its members does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// The visitor's browser is one of these.
    Browser(Vec<Browser>),
    /// The visitor's city (as the geography source spells it), compared without ASCII case.
    City(Vec<&'a str>),
    /// Two-letter continent code: AF, AN, AS, EU, NA, OC, SA.
    Continent(Vec<&'a str>),
    /// ISO 3166-1 alpha-2 country code.
    Country(Vec<&'a str>),
    /// From (inclusive) and until (exclusive); either may be open.
    Date {
        /// First moment that holds.
        from: Option<Timestamp>,
        /// First moment after it that does not.
        until: Option<Timestamp>,
    },
    /// Class of the visitor's device.
    Device(Vec<Device>),
    /// The visitor's address lies in one of these networks.
    Ip(Vec<Network>),
    /// The visitor's most preferred language matches one of these ranges (RFC 4647 3.3.1).
    Language(Vec<&'a str>),
    /// Not all of the inner conditions hold.
    Not(Vec<Condition<'a>>),
    /// The visitor's operating system is one of these.
    Os(Vec<Os>),
    /// A parameter of the request's query, decoded, is present, or equals a value.
    Query {
        /// The parameter's name, decoded.
        name: &'a str,
        /// `None`: any value, even an empty one.
        equals: Option<&'a str>,
    },
    /// The host of the `Referer` header is one of these or a subdomain of one.
    Referrer(Vec<&'a str>),
    /// ISO 3166-2 code of the visitor's region, for example DE-BE.
    Region(Vec<&'a str>),
    /// Weekdays and time of day in a zone.
    Time(TimeOfWeek),
}

/// Weekdays and a time of day, with what the edge needs to know of the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOfWeek {
    /// Bit 0 is Monday, bit 6 Sunday. A span over midnight belongs to the day it starts on.
    pub days: u8,
    /// Minutes after local midnight at which the span starts, 0 to 1439.
    pub from_minute: u16,
    /// Minutes after local midnight at which it ends, exclusive, 1 to 1440. At or before
    /// `from_minute`, the span runs over midnight.
    pub until_minute: u16,
    /// UTC offset of the zone, from the start of time, in minutes east.
    pub offset_minutes: i16,
    /// Later changes of the offset, in order: (UTC time in seconds, minutes east).
    pub changes: Vec<(i64, i16)>,
}

/// An IP network (RFC 4632, RFC 4291). IPv4 networks are kept as IPv4-mapped IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The network's address; bits behind the prefix are zero.
    pub address: u128,
    /// Prefix length, 0 to 128; an IPv4 prefix has 96 added.
    pub prefix_bits: u8,
}

impl Network {
    /// Whether `address` (IPv4 as IPv4-mapped IPv6) lies in this network. An IPv6 network holds no
    /// IPv4 address, although all of them are written inside `::/0` here.
    pub const fn contains(self, address: u128) -> bool {
        let is_ipv4 = address >> 32 == 0xffff;
        if is_ipv4 && self.prefix_bits < 96 {
            return false;
        }
        let host_bits = 128u32.saturating_sub(self.prefix_bits as u32);
        match host_bits {
            128 => true,
            bits => (address >> bits) == (self.address >> bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4: u128 = 0xffff_c000_0201;
    const IPV6: u128 = 0x2001_0db8 << 96 | 1;

    #[test]
    fn networks_hold_the_addresses_of_their_own_family() {
        let network = |address, prefix_bits| Network { address, prefix_bits };
        for (network, holds_ipv4, holds_ipv6) in [
            (network(0, 0), false, true),
            (network(0xffff_0000_0000, 96), true, false),
            (network(0xffff_c000_0200, 120), true, false),
            (network(0xffff_c000_0200, 128), false, false),
            (network(IPV4, 128), true, false),
            (network(0x2001_0db8 << 96, 32), false, true),
            (network(0x2001_0db9 << 96, 32), false, false),
        ] {
            assert_eq!(network.contains(IPV4), holds_ipv4, "{network:?}");
            assert_eq!(network.contains(IPV6), holds_ipv6, "{network:?}");
        }
    }
}
