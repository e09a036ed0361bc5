//! A link as its owner sees it: the stored document and, less the secrets, the API's answer.

use serde::{Deserialize, Serialize};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::time::{rfc3339, rfc3339_option};

/// A link's id: a Snowflake number, written in base62.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A stored link. Every field a caller can set is here under the API's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Identity; a re-used slug gets a new one.
    pub id: LinkId,
    /// Lower-case host name.
    pub domain: String,
    /// As its owner spelled it; [`Link::key`] folds case where the domain does.
    pub slug: String,
    /// The serialised URL the link leads to, without `utm`.
    pub destination: String,
    /// For people.
    pub title: Option<String>,
    /// For people; in the order given, without duplicates.
    pub tags: Vec<String>,
    /// For people; never leaves the control plane.
    pub notes: Option<String>,
    /// 301, 302, 307 or 308.
    pub status: u16,
    /// Unknown to visitors before.
    #[serde(with = "rfc3339_option")]
    pub starts_at: Option<Timestamp>,
    /// Gone from this moment on.
    #[serde(with = "rfc3339_option")]
    pub expires_at: Option<Timestamp>,
    /// Where visitors are sent once the link is expired or used up, instead of a 410 page.
    pub expired_destination: Option<String>,
    /// Most redirects the link gives.
    pub max_clicks: Option<u64>,
    /// Append the request's query.
    pub forward_query: bool,
    /// Append the request's path behind the slug.
    pub forward_path: bool,
    /// Campaign parameters added to every destination.
    pub utm: Option<Utm>,
    /// Destination on iOS.
    pub ios_destination: Option<String>,
    /// Destination on Android.
    pub android_destination: Option<String>,
    /// Tried in order; first match wins.
    pub rules: Vec<Rule>,
    /// The card for social networks.
    pub preview: Option<Preview>,
    /// Switched off by its owner.
    pub disabled: bool,
    /// Never cleaned up for being unused.
    pub keep: bool,
    /// The caller's own id for this link; unique.
    pub external_id: Option<String>,
    /// Taken down, and why.
    pub blocked: Option<Block>,
    /// Argon2id hash (PHC string) of the password visitors must give.
    pub password_hash: Option<String>,
    /// Rises with every change of the password.
    pub password_version: u32,
    /// `max_clicks` is reached.
    pub used_up: bool,
    /// Rises by one with every write; the `ETag`.
    pub version: u64,
    /// When it was created.
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(with = "rfc3339")]
    pub updated_at: Timestamp,
    /// When it was deleted; the slug answers 410 until `quarantine_until`.
    #[serde(with = "rfc3339_option")]
    pub deleted_at: Option<Timestamp>,
    /// When a deleted link's slug becomes free.
    #[serde(with = "rfc3339_option")]
    pub quarantine_until: Option<Timestamp>,
}

impl Link {
    /// The key its record is stored under.
    pub fn key(&self, ignore_case: bool) -> LinkKey {
        LinkKey::new(&self.domain, &self.slug, ignore_case)
    }

    /// The state at `now`, as lists filter by it.
    pub fn state(&self, now: Timestamp) -> LinkState {
        match self {
            Self { deleted_at: Some(_), .. } => LinkState::Deleted,
            Self { blocked: Some(_), .. } => LinkState::Blocked,
            Self { disabled: true, .. } => LinkState::Disabled,
            Self { starts_at: Some(at), .. } if now < *at => LinkState::Scheduled,
            Self { expires_at: Some(at), .. } if *at <= now => LinkState::Expired,
            Self { used_up: true, .. } => LinkState::Expired,
            _ => LinkState::Active,
        }
    }

    /// Whether it redirects at no time, as it was deleted, blocked or disabled: the state of its
    /// record is not `Live`.
    pub const fn is_stopped(&self) -> bool {
        self.deleted_at.is_some() || self.blocked.is_some() || self.disabled
    }

    /// The next moment at which [`Link::state`] changes by itself, if any.
    pub fn next_transition(&self, now: Timestamp) -> Option<Timestamp> {
        [self.starts_at, self.expires_at].into_iter().flatten().filter(|at| now < *at).min()
    }
}

/// What a link does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Redirects.
    Active,
    /// Taken down.
    Blocked,
    /// Deleted, slug in quarantine.
    Deleted,
    /// Switched off.
    Disabled,
    /// Past its end or its click limit.
    Expired,
    /// Before its start.
    Scheduled,
}

/// Why a link was taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// Phishing, malware, spam: answers 403.
    Abuse,
    /// Legal demand: answers 451 (RFC 7725).
    Legal,
}

/// Campaign parameters; each becomes `utm_<name>` in the destination's query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Utm {
    /// `utm_source`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `utm_medium`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// `utm_campaign`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// `utm_term`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// `utm_content`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// The card for social networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// `og:title`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `og:description`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `og:image`: an http or https URL
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A rule: all of `when` must hold; then `destination`, or one of `destinations` by weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For people and for `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The conditions.
    #[serde(default)]
    pub when: When,
    /// The one destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Or several, chosen between by weight, sticky per visitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Weighted>,
}

/// A destination and its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The URL.
    pub destination: String,
    /// 0 to 10,000; shares are relative to the sum.
    pub weight: u32,
}

/// Conditions of a rule. Every field given must hold; a list holds if any of its members does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// ISO 3166-1 alpha-2 codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    /// ISO 3166-2 codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub region: Vec<String>,
    /// City names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub city: Vec<String>,
    /// Two-letter continent codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continent: Vec<String>,
    /// Language ranges (RFC 4647).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// mobile, tablet, desktop, bot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device: Vec<String>,
    /// Operating systems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<String>,
    /// Browsers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub browser: Vec<String>,
    /// Query parameters; all of them must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryTest>,
    /// Referrer hosts; subdomains included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrer: Vec<String>,
    /// Networks in CIDR notation, or single addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<String>,
    /// A span of dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<DateSpan>,
    /// Weekdays and time of day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeSpan>,
    /// Must not all hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<When>>,
}

/// A test on a query parameter: present, or equal to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryTest {
    /// The parameter.
    pub name: String,
    /// The value it must have; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

/// From (inclusive) until (exclusive).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateSpan {
    /// Open if missing.
    #[serde(default, with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Open if missing.
    #[serde(default, with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Weekdays and a time of day in a named zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSpan {
    /// IANA name, for example Europe/Berlin.
    pub zone: String,
    /// mon, tue, wed, thu, fri, sat, sun; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
    /// HH:MM; 00:00 if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// HH:MM, exclusive; 24:00 if missing. Before `from`, the span runs over midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
