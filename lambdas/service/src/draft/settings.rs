//! The fields of a link that callers set, one by one and together.

use serde_json::{Map, Value};
use waypost_wire::codec::RECORD_MAX_BYTES;
use waypost_wire::record::RedirectStatus;
use waypost_wire::time::Timestamp;

use super::faults::At;
use super::rule;
use super::values::{Checker, put};
use crate::compile::{CompileError, Destinations, compile};
use crate::destination::LENGTH_CEILING_BYTES;
use crate::model::{Link, LinkId, Preview, Utm, When};
use crate::time;

const TITLE_MAX_CHARS: usize = 200;
const TAGS_MAX: usize = 20;
const TAG_MAX_CHARS: usize = 50;
const NOTES_MAX_CHARS: usize = 4_000;
const MAX_CLICKS_MAX: u64 = 1_000_000_000;
const EXTERNAL_ID_MAX_CHARS: usize = 200;
const UTM_MAX_CHARS: usize = 200;
const PREVIEW_TITLE_MAX_CHARS: usize = 200;
const PREVIEW_DESCRIPTION_MAX_CHARS: usize = 500;
const RULES_MAX: usize = 50;

/// Room left in a record for every condition on the time of day. Its table of UTC offsets is made
/// anew years later, when there may be more changes to it: from 20 to 42 in the tz database for
/// Asia/Gaza, 6 bytes each, and from none to 20 where a country takes up summer time.
pub(super) const ZONE_RESERVE_BYTES: usize = 160;

/// What callers can set.
pub(super) const FIELDS: [&str; 23] = [
    "android_destination",
    "destination",
    "disabled",
    "domain",
    "expired_destination",
    "expires_at",
    "external_id",
    "forward_path",
    "forward_query",
    "ios_destination",
    "keep",
    "max_clicks",
    "notes",
    "override_quarantine",
    "password",
    "preview",
    "rules",
    "slug",
    "starts_at",
    "status",
    "tags",
    "title",
    "utm",
];

/// What answers have and callers cannot set.
pub(super) const READ_ONLY: [&str; 13] = [
    "clicks",
    "created_at",
    "deleted_at",
    "destination_display",
    "edits_visible_within_seconds",
    "has_password",
    "id",
    "quarantine_until",
    "short_url",
    "state",
    "updated_at",
    "version",
    "warnings",
];

/// A link with nothing set.
pub(super) fn blank(domain: String, status: u16) -> Link {
    Link {
        id: LinkId(0),
        domain,
        slug: String::new(),
        destination: String::new(),
        title: None,
        tags: Vec::new(),
        notes: None,
        status,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        max_clicks: None,
        forward_query: false,
        forward_path: false,
        utm: None,
        ios_destination: None,
        android_destination: None,
        rules: Vec::new(),
        preview: None,
        disabled: false,
        keep: false,
        external_id: None,
        blocked: None,
        password_hash: None,
        password_version: 0,
        used_up: false,
        version: 1,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        deleted_at: None,
        quarantine_until: None,
    }
}

/// Sets every field that `document` mentions; null sets it back to its default.
pub(super) fn apply(
    to: &mut Checker<'_>,
    document: &Map<String, Value>,
    link: &mut Link,
    status_default: u16,
) {
    for (name, value) in document {
        let at = At::Body.field(name);
        match name.as_str() {
            "android_destination" => put(&mut link.android_destination, value, None, |value| {
                to.any_url(at, value).map(Some)
            }),
            "destination" => {
                // Null is refused here: no link is without a destination.
                if let Some(url) = to.web_url(at, value) {
                    link.destination = url;
                }
            }
            "disabled" => flag(to, &mut link.disabled, at, value),
            "expired_destination" => put(&mut link.expired_destination, value, None, |value| {
                to.web_url(at, value).map(Some)
            }),
            "expires_at" => {
                put(&mut link.expires_at, value, None, |value| to.time(at, value).map(Some))
            }
            "external_id" => put(&mut link.external_id, value, None, |value| {
                to.line(at, value, EXTERNAL_ID_MAX_CHARS).map(Some)
            }),
            "forward_path" => flag(to, &mut link.forward_path, at, value),
            "forward_query" => flag(to, &mut link.forward_query, at, value),
            "ios_destination" => {
                put(&mut link.ios_destination, value, None, |value| to.any_url(at, value).map(Some))
            }
            "keep" => flag(to, &mut link.keep, at, value),
            "max_clicks" => put(&mut link.max_clicks, value, None, |value| {
                to.number(at, value, 1, MAX_CLICKS_MAX).map(Some)
            }),
            "notes" => put(&mut link.notes, value, None, |value| {
                to.lines(at, value, NOTES_MAX_CHARS).map(Some)
            }),
            "preview" => {
                put(&mut link.preview, value, None, |value| preview(to, at, value).map(Some))
            }
            "rules" => put(&mut link.rules, value, Vec::new(), |value| {
                to.list(at, value, RULES_MAX, rule::read)
            }),
            "starts_at" => {
                put(&mut link.starts_at, value, None, |value| to.time(at, value).map(Some))
            }
            "status" => put(&mut link.status, value, status_default, |value| status(to, at, value)),
            "tags" => {
                put(&mut link.tags, value, Vec::new(), |value| to.set(at, value, TAGS_MAX, tag))
            }
            "title" => put(&mut link.title, value, None, |value| {
                to.line(at, value, TITLE_MAX_CHARS).map(Some)
            }),
            "utm" => put(&mut link.utm, value, None, |value| utm(to, at, value)),
            _ => not_settable(to, at, name),
        }
    }
}

fn flag(to: &mut Checker<'_>, into: &mut bool, at: At<'_>, value: &Value) {
    put(into, value, false, |value| to.boolean(at, value));
}

fn not_settable(to: &mut Checker<'_>, at: At<'_>, name: &str) {
    match name {
        "override_quarantine" => {
            to.add(at, "is for creations only", "a change without override_quarantine");
        }
        "blocked" => to.add(
            at,
            "is not the owner's to set",
            "no blocked; links are taken down by a call of their own",
        ),
        name if READ_ONLY.contains(&name) => {
            to.add(at, "is set by the service", format!("no {name}"));
        }
        name => to.unknown(at, name, &FIELDS),
    }
}

fn status(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<u16> {
    const EXPECTED: &str = "301, 302, 307 or 308";
    let Value::Number(number) = value else {
        let kind = super::json::kind_of(value);
        return to.refuse(at, format!("is {kind}"), format!("the number {EXPECTED}"));
    };
    let code = number.as_u64().and_then(|code| u16::try_from(code).ok());
    match code.and_then(RedirectStatus::from_code) {
        Some(status) => Some(status.code()),
        None => to.refuse(at, format!("{number} is no status a link can have"), EXPECTED),
    }
}

fn tag(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<String> {
    let tag = to.line(at, value, TAG_MAX_CHARS)?;
    if tag.trim() != tag {
        return to.refuse(at, "has white space around it", "the tag alone");
    }
    Some(tag)
}

/// No parameters at all are as good as no `utm`.
fn utm(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<Option<Utm>> {
    let mut utm = Utm::default();
    for (name, value) in to.object(at, value)? {
        let at = at.field(name);
        let into = match name.as_str() {
            "campaign" => &mut utm.campaign,
            "content" => &mut utm.content,
            "medium" => &mut utm.medium,
            "source" => &mut utm.source,
            "term" => &mut utm.term,
            other => {
                to.unknown(at, other, &["source", "medium", "campaign", "term", "content"]);
                continue;
            }
        };
        put(into, value, None, |value| to.line(at, value, UTM_MAX_CHARS).map(Some));
    }
    Some((utm != Utm::default()).then_some(utm))
}

/// A preview without fields is one: a card with the link's own title.
fn preview(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<Preview> {
    let mut card = Preview::default();
    for (name, value) in to.object(at, value)? {
        let at = at.field(name);
        match name.as_str() {
            "description" => put(&mut card.description, value, None, |value| {
                to.lines(at, value, PREVIEW_DESCRIPTION_MAX_CHARS).map(Some)
            }),
            "image" => put(&mut card.image, value, None, |value| to.web_url(at, value).map(Some)),
            "title" => put(&mut card.title, value, None, |value| {
                to.line(at, value, PREVIEW_TITLE_MAX_CHARS).map(Some)
            }),
            other => to.unknown(at, other, &["title", "description", "image"]),
        }
    }
    Some(card)
}

/// What no field can tell alone.
pub(super) fn check_together(to: &mut Checker<'_>, link: &Link, now: Timestamp) {
    if let (Some(starts_at), Some(expires_at)) = (link.starts_at, link.expires_at)
        && expires_at <= starts_at
    {
        let expected = format!("a time after starts_at, which is {}", time::format(starts_at));
        to.add(At::Body.field("expires_at"), "the link would end before it starts", expected);
    }
    // Sizes of fields that are at fault themselves would be wrong.
    if to.is_faultless() {
        check_lengths_with_utm(to, link);
        check_record(to, link, now);
    }
}

/// A creation that is over already is a mistake; a change may end a link this way.
pub(super) fn check_future(to: &mut Checker<'_>, link: &Link, now: Timestamp) {
    if link.expires_at.is_some_and(|expires_at| expires_at <= now) {
        let expected = format!("a time after now, which is {}", time::format(now));
        to.add(At::Body.field("expires_at"), "has passed", expected);
    }
}

fn check_lengths_with_utm(to: &mut Checker<'_>, link: &Link) {
    let destinations = Destinations::of(link);
    let deep_links = destinations.ios.iter().chain(&destinations.android);
    let rules = destinations.rules.iter().flatten();
    let longest =
        std::iter::once(&destinations.main).chain(deep_links).chain(rules).map(String::len).max();
    if let Some(bytes) = longest.filter(|bytes| *bytes > LENGTH_CEILING_BYTES) {
        let detail = format!("a destination has {bytes} bytes with these parameters");
        let expected = format!("at most {LENGTH_CEILING_BYTES} bytes: shorter values");
        to.add(At::Body.field("utm"), detail, expected);
    }
}

/// All of a link must fit into a record, now and with the largest version it can ever have.
fn check_record(to: &mut Checker<'_>, link: &Link, now: Timestamp) {
    let largest = Link {
        id: LinkId(u64::MAX),
        version: u64::MAX,
        password_hash: Some(String::new()),
        password_version: u32::MAX,
        ..link.clone()
    };
    let bytes = match compile(&largest, now) {
        Ok(compiled) => compiled.record.len(),
        Err(CompileError::TooLarge { bytes }) => bytes,
        // Every value was checked; what is left is a difference between this check and that one.
        Err(error) => return to.add(At::Body, error.to_string(), "a link without it"),
    };
    let zones: usize = link.rules.iter().map(|rule| times_of_day(&rule.when)).sum();
    let bytes = bytes + zones * ZONE_RESERVE_BYTES;
    if bytes > RECORD_MAX_BYTES {
        to.add(
            At::Body,
            format!("the link takes {bytes} bytes at the edge"),
            format!(
                "at most {RECORD_MAX_BYTES}: fewer or shorter rules, destinations and preview texts"
            ),
        );
    }
}

fn times_of_day(when: &When) -> usize {
    let inner = when.not.as_deref().map_or(0, times_of_day);
    inner + usize::from(when.time.is_some())
}
