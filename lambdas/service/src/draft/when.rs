//! The conditions of a rule, checked word by word and written in one way.

use serde_json::Value;
use waypost_wire::agent::{Browser, Device, Os};
use waypost_wire::codec::NESTING_MAX;

use super::faults::At;
use super::values::{Checker, put, quoted};
use crate::condition::{
    CONTINENTS, DAYS, is_country, is_language_range, is_region, minute_of_day, parse_network,
};
use crate::destination::canonical_host;
use crate::model::{DateSpan, QueryTest, TimeSpan, When};
use crate::{time, zone};

const LIST_MAX: usize = 100;
const CITY_MAX_CHARS: usize = 100;
const QUERY_NAME_MAX_CHARS: usize = 100;
const QUERY_VALUE_MAX_CHARS: usize = 200;

const FIELDS: [&str; 14] = [
    "country",
    "region",
    "city",
    "continent",
    "language",
    "device",
    "os",
    "browser",
    "query",
    "referrer",
    "ip",
    "date",
    "time",
    "not",
];

/// Reads conditions; `depth` is how many `not` they are in.
pub(super) fn read(to: &mut Checker<'_>, at: At<'_>, value: &Value, depth: usize) -> Option<When> {
    let mut when = When::default();
    for (name, value) in to.object(at, value)? {
        let at = at.field(name);
        match name.as_str() {
            "browser" => words(to, &mut when.browser, at, value, browser),
            "city" => words(to, &mut when.city, at, value, city),
            "continent" => words(to, &mut when.continent, at, value, continent),
            "country" => words(to, &mut when.country, at, value, country),
            "date" => put(&mut when.date, value, None, |value| date(to, at, value).map(Some)),
            "device" => words(to, &mut when.device, at, value, device),
            "ip" => words(to, &mut when.ip, at, value, ip),
            "language" => words(to, &mut when.language, at, value, language),
            "not" => put(&mut when.not, value, None, |value| {
                not(to, at, value, depth).map(|not| Some(Box::new(not)))
            }),
            "os" => words(to, &mut when.os, at, value, os),
            "query" => words(to, &mut when.query, at, value, query),
            "referrer" => words(to, &mut when.referrer, at, value, referrer),
            "region" => words(to, &mut when.region, at, value, region),
            "time" => put(&mut when.time, value, None, |value| time_span(to, at, value).map(Some)),
            other => to.unknown(at, other, &FIELDS),
        }
    }
    Some(when)
}

/// A list of which one must hold. An empty one never would, which nobody means.
fn words<T: PartialEq>(
    to: &mut Checker<'_>,
    into: &mut Vec<T>,
    at: At<'_>,
    value: &Value,
    read: impl FnMut(&mut Checker<'_>, At<'_>, &Value) -> Option<T>,
) {
    if value.as_array().is_some_and(Vec::is_empty) {
        return to.add(at, "is empty", format!("1 to {LIST_MAX} items, or leave it out"));
    }
    put(into, value, Vec::new(), |value| to.set(at, value, LIST_MAX, read));
}

fn not(to: &mut Checker<'_>, at: At<'_>, value: &Value, depth: usize) -> Option<When> {
    if depth == NESTING_MAX {
        let expected = format!("at most {NESTING_MAX}");
        return to.refuse(at, format!("is a not within {NESTING_MAX} others"), expected);
    }
    let inner = read(to, at, value, depth + 1)?;
    // Of faulty conditions none may be left.
    if to.is_faultless() && inner == When::default() {
        return to.refuse(at, "has no conditions, so the rule could never match", "a condition");
    }
    Some(inner)
}

/// A word that is read by `read` after `fold` gave it its usual case.
fn word(
    to: &mut Checker<'_>,
    at: At<'_>,
    value: &Value,
    fold: fn(&str) -> String,
    is_known: impl Fn(&str) -> bool,
    expected: &str,
) -> Option<String> {
    let text = to.string(at, value)?;
    let folded = fold(text);
    if is_known(&folded) {
        return Some(folded);
    }
    to.refuse(at, format!("{} is not known", quoted(text)), expected)
}

fn upper(text: &str) -> String {
    text.to_ascii_uppercase()
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn country(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = match value.as_str() {
        Some("UK" | "uk") => "GB for the United Kingdom",
        _ => "an ISO 3166-1 alpha-2 code such as DE",
    };
    word(to, at, value, upper, is_country, expected)
}

fn region(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    word(to, at, value, upper, is_region, "an ISO 3166-2 code such as DE-BE")
}

fn city(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    to.line(at, value, CITY_MAX_CHARS)
}

fn continent(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = format!("one of {}", CONTINENTS.join(", "));
    word(to, at, value, upper, |code| CONTINENTS.contains(&code), &expected)
}

fn language(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    const EXPECTED: &str = "a language range (RFC 4647) such as de, pt-BR or *";
    word(to, at, value, str::to_owned, is_language_range, EXPECTED)
}

fn device(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = one_of(Device::ALL.iter().map(|device| device.name()));
    word(to, at, value, lower, |name| Device::from_name(name).is_some(), &expected)
}

fn os(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = one_of(Os::ALL.iter().map(|os| os.name()));
    word(to, at, value, lower, |name| Os::from_name(name).is_some(), &expected)
}

fn browser(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = one_of(Browser::ALL.iter().map(|browser| browser.name()));
    word(to, at, value, lower, |name| Browser::from_name(name).is_some(), &expected)
}

fn one_of(names: impl Iterator<Item = &'static str>) -> String {
    format!("one of {}", names.collect::<Vec<_>>().join(", "))
}

fn query(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<QueryTest> {
    let fields = to.object(at, value)?;
    let mut equals = None;
    for (name, value) in fields {
        let at = at.field(name);
        match name.as_str() {
            "name" => {}
            "equals" => put(&mut equals, value, None, |value| {
                match value.as_str() {
                    // A parameter without value is a thing to look for.
                    Some("") => Some(Some(String::new())),
                    _ => to.line(at, value, QUERY_VALUE_MAX_CHARS).map(Some),
                }
            }),
            other => to.unknown(at, other, &["name", "equals"]),
        }
    }
    let name = match fields.get("name") {
        Some(name) => to.line(at.field("name"), name, QUERY_NAME_MAX_CHARS),
        None => to.refuse(at.field("name"), "is missing", "a parameter's name"),
    };
    Some(QueryTest { name: name?, equals })
}

/// A host name, as A-label. Addresses of IPv6 hosts are no names.
fn referrer(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    const EXPECTED: &str = "a host name such as example.com, which includes its subdomains";
    let text = to.string(at, value)?;
    let is_name_character = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_name = |host: &String| !host.is_empty() && host.bytes().all(is_name_character);
    let is_bare = !text.contains([':', '/', '*']);
    match canonical_host(text).filter(|host| is_bare && is_name(host)) {
        Some(host) => Some(host),
        None => to.refuse(at, format!("{} is no host name", quoted(text)), EXPECTED),
    }
}

fn ip(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    const EXPECTED: &str = "an address, or a network such as 192.0.2.0/24 or 2001:db8::/32";
    let text = to.string(at, value)?;
    match parse_network(text) {
        None => to.refuse(at, format!("{} is no network", quoted(text)), EXPECTED),
        Some(parsed) if !parsed.is_exact => {
            to.refuse(at, "has bits set behind its prefix", parsed.text)
        }
        Some(parsed) => Some(parsed.text),
    }
}

fn date(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<DateSpan> {
    let fields = to.object(at, value)?;
    let mut span = DateSpan { from: None, until: None };
    for (name, value) in fields {
        let at = at.field(name);
        let into = match name.as_str() {
            "from" => &mut span.from,
            "until" => &mut span.until,
            other => {
                to.unknown(at, other, &["from", "until"]);
                continue;
            }
        };
        put(into, value, None, |value| to.time(at, value).map(Some));
    }
    match (span.from, span.until) {
        (Some(from), Some(until)) if until <= from => {
            let expected = format!("a time after from, which is {}", time::format(from));
            to.refuse(at.field("until"), "is not after from", expected)
        }
        (None, None) if fields.values().all(Value::is_null) => {
            to.refuse(at, "is empty", "from, until or both")
        }
        _ => Some(span),
    }
}

fn time_span(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<TimeSpan> {
    let fields = to.object(at, value)?;
    let mut span = TimeSpan { zone: String::new(), days: Vec::new(), from: None, until: None };
    let mut is_limited = false;
    for (name, value) in fields {
        let at = at.field(name);
        is_limited |= name != "zone" && !value.is_null();
        match name.as_str() {
            "days" => words(to, &mut span.days, at, value, day),
            "from" => put(&mut span.from, value, None, |value| {
                time_of_day(to, at, value, 1_439).map(Some)
            }),
            "until" => put(&mut span.until, value, None, |value| {
                time_of_day(to, at, value, 1_440).map(Some)
            }),
            "zone" => put(&mut span.zone, value, String::new(), |value| zone_name(to, at, value)),
            other => to.unknown(at, other, &["zone", "days", "from", "until"]),
        }
    }
    if fields.get("zone").is_none_or(Value::is_null) {
        to.add(at.field("zone"), "is missing", ZONE);
    }
    match is_limited {
        true => Some(span),
        false => to.refuse(at, "holds at all times", "days, from or until"),
    }
}

const ZONE: &str = "a name from the tz database such as Europe/Berlin";

fn zone_name(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let text = to.string(at, value)?;
    match zone::canonical_name(text) {
        Some(name) => Some(name),
        None => to.refuse(at, format!("{} is not known", quoted(text)), ZONE),
    }
}

fn day(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let expected = one_of(DAYS.into_iter());
    word(to, at, value, lower, |name| DAYS.contains(&name), &expected)
}

fn time_of_day(to: &mut Checker<'_>, at: At<'_>, value: &Value, max: u16) -> Option<String> {
    let text = to.string(at, value)?;
    match minute_of_day(text).filter(|minute| *minute <= max) {
        Some(_) => Some(text.to_owned()),
        None => {
            let expected = format!("HH:MM from 00:00 to {:02}:{:02}", max / 60, max % 60);
            to.refuse(at, format!("{} is no time of day", quoted(text)), expected)
        }
    }
}
