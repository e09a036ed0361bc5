//! The decision itself. [`decide`] is the one place that fixes what comes before what.

use alloc::format;
use alloc::string::String;

use waypost_wire::record::{LinkRecord, LinkState, Preview};
use waypost_wire::time::Timestamp;

use crate::agent::Robot;
use crate::decision::{
    Cache, Card, Decision, GoneReason, LinkPage, NotFoundReason, Redirect, RefuseReason, Via,
};
use crate::facts::{Method, RequestFacts};
use crate::pages::PasswordState;
use crate::policy::Policy;
use crate::rule::{self, Observer};
use crate::target;
use crate::unlock;
use crate::visitor::Visitor;
use waypost_wire::agent::Os;

/// A link that was found, and how it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The link.
    pub record: LinkRecord<'a>,
    /// The path behind the slug, as received.
    pub suffix: &'a str,
    /// The visitor wants to see where it leads.
    pub preview: bool,
}

/// Decides: the same facts, link, time and policy give the same decision, and every input gives
/// one.
pub fn decide<'a>(
    facts: &'a RequestFacts<'a>,
    found: &Found<'a>,
    now: Timestamp,
    policy: &Policy,
) -> Decision<'a> {
    decide_observed(facts, found, now, policy, &mut ())
}

/// [`decide`], telling `observer` how each rule fared.
pub fn decide_observed<'a>(
    facts: &'a RequestFacts<'a>,
    found: &Found<'a>,
    now: Timestamp,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Decision<'a> {
    let record = &found.record;
    let visitor = Visitor::new(facts);
    let fallback = record.expired_destination;
    match standing(record, now) {
        Standing::BlockedAbuse => Decision::Refuse(RefuseReason::BlockedAbuse),
        Standing::BlockedLegal => Decision::Refuse(RefuseReason::BlockedLegal),
        Standing::Deleted => gone(GoneReason::Deleted, None),
        Standing::Disabled => Decision::NotFound(NotFoundReason::Disabled),
        Standing::NotYet => Decision::NotFound(NotFoundReason::NotYet),
        Standing::Expired => gone(GoneReason::Expired, fallback),
        Standing::UsedUp => gone(GoneReason::UsedUp, fallback),
        Standing::Open => match access(found, &visitor, now, policy) {
            Access::Method => Decision::Refuse(RefuseReason::Method),
            Access::Card(card) => Decision::Card(card),
            Access::Password(password) => Decision::Unlock(password),
            Access::Locked => Decision::AskPassword(PasswordState::Asked),
            Access::Free if found.preview => Decision::Preview(link_page(record)),
            Access::Free => redirect(found, &visitor, now, policy, observer),
        },
    }
}

/// The decision after the origin found a password right.
pub fn unlocked(
    facts: &RequestFacts<'_>,
    link_id: u64,
    password_version: u32,
    now: Timestamp,
    policy: &Policy,
) -> Decision<'static> {
    let to = match facts.query {
        Some(query) => format!("{}?{}", facts.path, target::encoded_query(query)),
        None => String::from(facts.path),
    };
    Decision::Unlocked { cookie: unlock::cookie(policy, link_id, password_version, now), to }
}

/// What a record is at a moment, by precedence.
enum Standing {
    BlockedAbuse,
    BlockedLegal,
    Deleted,
    Disabled,
    NotYet,
    Expired,
    UsedUp,
    Open,
}

fn standing(record: &LinkRecord<'_>, now: Timestamp) -> Standing {
    match record.state {
        LinkState::BlockedAbuse => Standing::BlockedAbuse,
        LinkState::BlockedLegal => Standing::BlockedLegal,
        LinkState::Deleted => Standing::Deleted,
        LinkState::Disabled => Standing::Disabled,
        LinkState::Live if record.starts_at.is_some_and(|at| now < at) => Standing::NotYet,
        LinkState::Live if record.expires_at.is_some_and(|at| at <= now) => Standing::Expired,
        LinkState::Live if record.used_up => Standing::UsedUp,
        LinkState::Live => Standing::Open,
    }
}

const fn gone<'a>(reason: GoneReason, to: Option<&'a str>) -> Decision<'a> {
    Decision::Gone { reason, to }
}

/// Whether this request may see an open link.
enum Access<'a> {
    Card(Card<'a>),
    Free,
    Locked,
    Method,
    Password(String),
}

fn access<'a>(
    found: &Found<'a>,
    visitor: &Visitor<'_>,
    now: Timestamp,
    policy: &Policy,
) -> Access<'a> {
    let (record, facts) = (&found.record, visitor.facts);
    let reads = matches!(facts.method, Method::Get | Method::Head);
    // A card is public even where the link is not; where the link leads stays hidden.
    if let (Some(preview), true, false) = (record.preview, reads, found.preview)
        && visitor.agent().robot == Some(Robot::LinkPreview)
    {
        let destination = record.password_version.is_none().then_some(record.destination);
        // The link's own title is not meant for everybody where the link is not.
        let own_title = record.title.filter(|_| destination.is_some());
        let preview = Preview { title: preview.title.or(own_title), ..preview };
        return Access::Card(Card { preview, destination });
    }
    let passes = record.status.keeps_method() && facts.method != Method::Other && !found.preview;
    if let Some(version) = record.password_version {
        // A password is for us even if it was given before: a link that keeps the method would
        // pass the form on and tell it to the destination.
        if facts.method == Method::Post
            && let Some(password) = unlock::password(facts.form)
        {
            return Access::Password(password);
        }
        if !unlock::opens(policy, facts.cookie, record.id, version, now) {
            return match facts.method {
                Method::Get | Method::Head | Method::Post => Access::Locked,
                Method::Write | Method::Other => Access::Method,
            };
        }
    }
    match reads || passes {
        true => Access::Free,
        false => Access::Method,
    }
}

const fn link_page<'a>(record: &LinkRecord<'a>) -> LinkPage<'a> {
    LinkPage {
        destination: record.destination,
        readable_destination: record.readable_destination,
        title: record.title,
        created_at: record.created_at,
        varies: varies(record),
    }
}

const fn varies(record: &LinkRecord<'_>) -> bool {
    !record.rules.is_empty()
        || record.ios_destination.is_some()
        || record.android_destination.is_some()
}

fn redirect<'a>(
    found: &Found<'a>,
    visitor: &Visitor<'a>,
    now: Timestamp,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Decision<'a> {
    let (record, facts) = (&found.record, visitor.facts);
    let (destination, via) = choose(record, visitor, now, policy, observer);
    let suffix = if record.forward_path { found.suffix } else { "" };
    let query = match facts.query {
        Some(query) if record.forward_query => query,
        _ => "",
    };
    Decision::Redirect(Redirect {
        to: target::location(destination, suffix, query),
        status: record.status,
        cache: cache(record, now, policy),
        via,
        takes_use: record.limited && takes_use(visitor),
    })
}

fn choose<'a>(
    record: &LinkRecord<'a>,
    visitor: &Visitor<'_>,
    now: Timestamp,
    policy: &Policy,
    observer: &mut impl Observer,
) -> (&'a str, Via) {
    let key = &policy.secrets.sticky_key;
    if let Some(matched) = rule::first_match(record, visitor, now, key, observer) {
        let via = Via::Rule { rule: matched.rule, variant: matched.variant };
        return (matched.destination, via);
    }
    match (record.ios_destination, record.android_destination) {
        (Some(ios), _) if visitor.agent().os == Os::Ios => (ios, Via::Ios),
        (_, Some(android)) if visitor.agent().os == Os::Android => (android, Via::Android),
        _ => (record.destination, Via::Default),
    }
}

/// The longest that a client may remember the redirect without breaking a promise: an edit, an
/// expiry, or an answer that was for one visitor only.
fn cache(record: &LinkRecord<'_>, now: Timestamp, policy: &Policy) -> Cache {
    let is_the_same_for_all =
        !varies(record) && !record.limited && record.password_version.is_none();
    if !record.status.is_permanent() || !is_the_same_for_all {
        return Cache::NoStore;
    }
    let until_expiry = record.expires_at.map_or(i64::MAX, |at| at.ms_since(now) / 1_000);
    let seconds = until_expiry.min(i64::from(policy.edit_delay_seconds));
    match u32::try_from(seconds) {
        Ok(max_age_seconds) if max_age_seconds > 0 => Cache::Private { max_age_seconds },
        _ => Cache::NoStore,
    }
}

/// Looking at a link takes no use of it: HEAD, prefetching browsers, link preview agents.
fn takes_use(visitor: &Visitor<'_>) -> bool {
    visitor.facts.method != Method::Head
        && !visitor.facts.is_prefetch()
        && visitor.agent().robot != Some(Robot::LinkPreview)
}
