//! Which rule of a record matches, and which of its variants a visitor gets.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;
use waypost_wire::record::{Condition, LinkRecord, Rule, TimeOfWeek, Variant};
use waypost_wire::time::Timestamp;

use crate::language;
use crate::query;
use crate::visitor::Visitor;

/// Learns how each rule fared; the edge passes `()`, `explain` a list.
pub trait Observer {
    /// The rule at `index` matched, or else the condition at `failed` (its position in the rule)
    /// did not hold. Rules behind the first match are not reported.
    fn rule(&mut self, index: usize, failed: Option<usize>);
}

impl Observer for () {
    fn rule(&mut self, _: usize, _: Option<usize>) {}
}

/// A rule's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matched<'a> {
    pub(crate) rule: usize,
    pub(crate) variant: usize,
    pub(crate) destination: &'a str,
}

/// The first rule whose conditions all hold and that has a variant with any weight.
pub(crate) fn first_match<'a>(
    record: &LinkRecord<'a>,
    visitor: &Visitor<'_>,
    now: Timestamp,
    sticky_key: &[u8; 16],
    observer: &mut impl Observer,
) -> Option<Matched<'a>> {
    for (index, rule) in record.rules.iter().enumerate() {
        let failed = rule.when.iter().position(|condition| !holds(condition, visitor, now));
        let variant = match failed {
            None => choose(rule, index, record.id, visitor, sticky_key),
            Some(_) => None,
        };
        // A rule without any weight is switched off: the position behind its last condition.
        let failed = failed.or(variant.is_none().then_some(rule.when.len()));
        observer.rule(index, failed);
        if let Some((variant, chosen)) = variant {
            return Some(Matched { rule: index, variant, destination: chosen.destination });
        }
    }
    None
}

/// Sticky without remembering anybody: the same visitor (address and agent) hashes to the same
/// point of the weights' sum, under a key of the service and apart for every rule.
fn choose<'r, 'a>(
    rule: &'r Rule<'a>,
    index: usize,
    link_id: u64,
    visitor: &Visitor<'_>,
    sticky_key: &[u8; 16],
) -> Option<(usize, &'r Variant<'a>)> {
    let total: u64 = rule.variants.iter().map(|v| u64::from(v.weight)).sum();
    if total == 0 {
        return None;
    }
    let point = match (rule.variants.len(), visitor.facts.client_ip) {
        (1, _) => 0,
        (_, None) => visitor.facts.draw,
        (_, Some(ip)) => {
            let mut hasher = SipHasher24::new_with_key(sticky_key);
            hasher.write(&link_id.to_le_bytes());
            hasher.write(&(index as u64).to_le_bytes());
            hasher.write(&ip.to_le_bytes());
            hasher.write(visitor.facts.user_agent.unwrap_or_default().as_bytes());
            hasher.finish()
        }
    };
    // A multiplication instead of a remainder keeps the shares exact to 1 in 2^64 / total.
    let mut left = ((u128::from(point) * u128::from(total)) >> 64) as u64;
    for (position, variant) in rule.variants.iter().enumerate() {
        let weight = u64::from(variant.weight);
        if left < weight {
            return Some((position, variant));
        }
        left -= weight;
    }
    None
}

fn holds(condition: &Condition<'_>, visitor: &Visitor<'_>, now: Timestamp) -> bool {
    let facts = visitor.facts;
    match condition {
        Condition::Browser(list) => list.contains(&visitor.agent().browser),
        Condition::City(list) => is_any(facts.city, list),
        Condition::Continent(list) => is_any(facts.continent, list),
        Condition::Country(list) => is_any(facts.country, list),
        Condition::Date { from, until } => {
            from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
        }
        Condition::Device(list) => list.contains(&visitor.agent().device),
        Condition::Ip(list) => {
            facts.client_ip.is_some_and(|ip| list.iter().any(|network| network.contains(ip)))
        }
        Condition::Language(list) => facts
            .accept_language
            .and_then(language::preferred)
            .is_some_and(|tag| list.iter().any(|range| language::matches(range, tag))),
        Condition::Not(inner) => !inner.iter().all(|inner| holds(inner, visitor, now)),
        Condition::Os(list) => list.contains(&visitor.agent().os),
        Condition::Query { name, equals } => {
            query::pairs(facts.query.unwrap_or_default()).any(|(its_name, its_value)| {
                query::decodes_to(its_name, name)
                    && equals.is_none_or(|value| query::decodes_to(its_value, value))
            })
        }
        Condition::Referrer(list) => facts
            .referer
            .and_then(referrer_host)
            .is_some_and(|host| list.iter().any(|domain| is_within(host, domain))),
        Condition::Region(list) => is_any(facts.region, list),
        Condition::Time(time) => time_holds(time, now),
    }
}

fn is_any(fact: Option<&str>, list: &[&str]) -> bool {
    fact.is_some_and(|fact| list.iter().any(|item| item.eq_ignore_ascii_case(fact)))
}

/// The host of a `Referer`, without user, port and final dot, case as given.
pub(crate) fn referrer_host(referer: &str) -> Option<&str> {
    let (_, rest) = referer.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => host.split(':').next()?,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

fn is_within(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    let (Some(tail), Some(head)) = (host.get(at..), host.get(..at)) else {
        return false;
    };
    tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.'))
}

fn time_holds(time: &TimeOfWeek, now: Timestamp) -> bool {
    let now = now.seconds();
    let changed = time.changes.iter().rev().find(|(at, _)| *at <= now);
    let offset = changed.map_or(time.offset_minutes, |(_, offset)| *offset);
    let minutes = now.div_euclid(60).saturating_add(i64::from(offset));
    let minute = minutes.rem_euclid(1_440);
    // 1970-01-01 was a Thursday, the fourth day of a week that starts on Monday.
    let today = (minutes.div_euclid(1_440) + 3).rem_euclid(7);
    let is_on = |day: i64| time.days & (1 << day.rem_euclid(7)) != 0;
    let (from, until) = (i64::from(time.from_minute), i64::from(time.until_minute));
    if from < until {
        return is_on(today) && (from..until).contains(&minute);
    }
    (is_on(today) && minute >= from) || (is_on(today - 1) && minute < until)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn referrer_hosts() {
        for (referer, host) in [
            ("https://www.Example.com/a?b#c", Some("www.Example.com")),
            ("http://user:pw@example.com:8080", Some("example.com")),
            ("https://[2001:db8::1]:80/", Some("2001:db8::1")),
            ("android-app://com.example/", Some("com.example")),
            ("https://example.com.", Some("example.com")),
            ("example.com", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(referrer_host(referer), host, "{referer}");
        }
    }

    #[test]
    fn a_domain_holds_its_subdomains_only() {
        assert!(is_within("example.com", "example.com"));
        assert!(is_within("WWW.example.COM", "example.com"));
        assert!(!is_within("notexample.com", "example.com"));
        assert!(!is_within("com", "example.com"));
        assert!(!is_within("exämple", "ämple.x"));
    }

    fn office_hours() -> TimeOfWeek {
        TimeOfWeek {
            days: 0b001_1111,
            from_minute: 540,
            until_minute: 1_020,
            offset_minutes: 60,
            // Central European summer time 2026.
            changes: vec![(1_774_746_000, 120), (1_792_890_000, 60)],
        }
    }

    #[test]
    fn time_of_day_follows_the_zone_through_its_changes() {
        let at = |seconds| time_holds(&office_hours(), Timestamp::from_seconds(seconds));
        // Monday 2026-03-02, before the change: 09:00 is 08:00Z.
        assert!(!at(1_772_438_399));
        assert!(at(1_772_438_400));
        assert!(at(1_772_467_199));
        assert!(!at(1_772_467_200));
        // Monday 2026-06-01, in summer: 09:00 is 07:00Z.
        assert!(!at(1_780_297_199));
        assert!(at(1_780_297_200));
        // Saturday 2026-06-06 noon.
        assert!(!at(1_780_740_000));
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_it_starts_on() {
        // Fridays 22:00 to 02:00, UTC.
        let time = TimeOfWeek {
            days: 0b001_0000,
            from_minute: 1_320,
            until_minute: 120,
            offset_minutes: 0,
            changes: vec![],
        };
        let at = |seconds| time_holds(&time, Timestamp::from_seconds(seconds));
        // Friday 2026-11-20 21:59:59, 22:00; Saturday 01:59:59, 02:00; Saturday 23:00.
        assert!(!at(1_795_211_999));
        assert!(at(1_795_212_000));
        assert!(at(1_795_226_399));
        assert!(!at(1_795_226_400));
        assert!(!at(1_795_302_000));
        // Friday 01:00 belongs to Thursday.
        assert!(!at(1_795_136_400));
    }

    #[test]
    fn no_time_is_out_of_range() {
        for ms in [i64::MIN, i64::MAX, 0, -1] {
            time_holds(&office_hours(), Timestamp(ms));
        }
    }
}
