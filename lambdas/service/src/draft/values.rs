//! Reading one value: its type, its limits, and what would be right if it is neither.

use serde_json::{Map, Value};
use waypost_wire::time::Timestamp;

use super::faults::{At, Faults};
use super::json::kind_of;
use crate::destination::{DestinationFault, DestinationRules, parse};
use crate::problem::Problem;
use crate::time;

/// What a destination for everybody is.
pub(super) const WEB_URL: &str = "a URL that starts with https:// or http://";

/// Times are within the years 2000 to 2200: beyond, a number in the wrong unit is more likely than
/// a plan. 2000-01-01T00:00:00Z and 2201-01-01T00:00:00Z.
const TIMES: std::ops::Range<i64> = 946_684_800_000..7_289_654_400_000;

/// Longest text from a body that a fault repeats.
const QUOTED_MAX_CHARS: usize = 60;

/// Reads values and collects their faults. Every reader answers `None` after adding a fault.
pub(super) struct Checker<'r> {
    faults: Faults,
    rules: &'r DestinationRules,
    web: DestinationRules,
}

impl<'r> Checker<'r> {
    pub(super) fn new(rules: &'r DestinationRules) -> Self {
        Self {
            faults: Faults::default(),
            rules,
            web: DestinationRules { app_schemes: Vec::new(), ..rules.clone() },
        }
    }

    pub(super) fn add(
        &mut self,
        at: At<'_>,
        detail: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.faults.add(at, detail, expected);
    }

    pub(super) fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        self.faults.finish()
    }

    /// A fault as the value of an expression.
    pub(super) fn refuse<T>(
        &mut self,
        at: At<'_>,
        detail: impl Into<String>,
        expected: impl Into<String>,
    ) -> Option<T> {
        self.add(at, detail, expected);
        None
    }

    fn wrong_type<T>(&mut self, at: At<'_>, value: &Value, expected: &str) -> Option<T> {
        self.refuse(at, format!("is {}", kind_of(value)), expected)
    }

    /// A field that does not exist.
    pub(super) fn unknown(&mut self, at: At<'_>, name: &str, known: &[&str]) {
        let expected = match closest(name, known) {
            Some(closest) => format!("{closest}, if that was meant"),
            None => format!("only {}", known.join(", ")),
        };
        self.add(at, "is no field here", expected);
    }

    pub(super) fn string<'v>(&mut self, at: At<'_>, value: &'v Value) -> Option<&'v str> {
        match value {
            Value::String(text) => Some(text),
            other => self.wrong_type(at, other, "a string"),
        }
    }

    /// A text of one line.
    pub(super) fn line(&mut self, at: At<'_>, value: &Value, max_chars: usize) -> Option<String> {
        self.text(at, value, max_chars, |_| false)
    }

    /// A text that may have several lines.
    pub(super) fn lines(&mut self, at: At<'_>, value: &Value, max_chars: usize) -> Option<String> {
        self.text(at, value, max_chars, |c| matches!(c, '\n' | '\r' | '\t'))
    }

    fn text(
        &mut self,
        at: At<'_>,
        value: &Value,
        max_chars: usize,
        is_allowed: impl Fn(char) -> bool,
    ) -> Option<String> {
        let text = self.string(at, value)?;
        let expected = format!("1 to {max_chars} characters");
        if text.is_empty() {
            return self.refuse(at, "is empty", format!("{expected}, or leave it out"));
        }
        let characters = text.chars().count();
        if characters > max_chars {
            return self.refuse(at, format!("has {characters} characters"), expected);
        }
        match text.chars().find(|c| c.is_control() && !is_allowed(*c)) {
            None => Some(text.to_owned()),
            Some(control) => {
                let detail = format!("has the control character U+{:04X}", control as u32);
                self.refuse(at, detail, "visible characters only")
            }
        }
    }

    pub(super) fn boolean(&mut self, at: At<'_>, value: &Value) -> Option<bool> {
        match value {
            Value::Bool(flag) => Some(*flag),
            other => self.wrong_type(at, other, "true or false"),
        }
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(&mut self, at: At<'_>, value: &Value, min: u64, max: u64) -> Option<u64> {
        let expected = format!("a whole number from {min} to {max}");
        let Value::Number(number) = value else {
            return self.wrong_type(at, value, &expected);
        };
        match number.as_u64() {
            Some(whole) if (min..=max).contains(&whole) => Some(whole),
            _ => self.refuse(at, format!("is {number}"), expected),
        }
    }

    pub(super) fn time(&mut self, at: At<'_>, value: &Value) -> Option<Timestamp> {
        const EXPECTED: &str = "an RFC 3339 time with offset, such as 2030-01-31T08:00:00Z";
        let Value::String(text) = value else {
            return self.wrong_type(at, value, EXPECTED);
        };
        let Some(parsed) = time::parse(text) else {
            return self.refuse(at, format!("{} is no such time", quoted(text)), EXPECTED);
        };
        if !TIMES.contains(&parsed.0) {
            let detail = format!("{} is out of range", time::format(parsed));
            return self.refuse(at, detail, "a time in the years 2000 to 2200");
        }
        Some(parsed)
    }

    /// A destination that everybody can follow.
    pub(super) fn web_url(&mut self, at: At<'_>, value: &Value) -> Option<String> {
        let Value::String(text) = value else {
            return self.wrong_type(at, value, WEB_URL);
        };
        let (detail, expected) = match parse(text, &self.web) {
            Ok(destination) => return Some(destination.serialised),
            Err(fault @ DestinationFault::SchemeNotAllowed { .. }) => {
                (fault.detail(), WEB_URL.to_owned())
            }
            Err(fault) => (fault.detail(), fault.expected()),
        };
        self.refuse(at, detail, expected)
    }

    /// A destination that may lead into an app.
    pub(super) fn any_url(&mut self, at: At<'_>, value: &Value) -> Option<String> {
        let text = self.string(at, value)?;
        match parse(text, self.rules) {
            Ok(destination) => Some(destination.serialised),
            Err(fault) => self.refuse(at, fault.detail(), fault.expected()),
        }
    }

    pub(super) fn object<'v>(
        &mut self,
        at: At<'_>,
        value: &'v Value,
    ) -> Option<&'v Map<String, Value>> {
        match value {
            Value::Object(fields) => Some(fields),
            other => self.wrong_type(at, other, "an object"),
        }
    }

    /// A list of at most `max` items; those at fault are left out.
    pub(super) fn list<T>(
        &mut self,
        at: At<'_>,
        value: &Value,
        max: usize,
        mut read: impl FnMut(&mut Self, At<'_>, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(items) = value else {
            return self.wrong_type(at, value, "a list");
        };
        if items.len() > max {
            let detail = format!("has {} items", items.len());
            return self.refuse(at, detail, format!("at most {max}"));
        }
        let items = items.iter().enumerate();
        Some(items.filter_map(|(index, item)| read(self, at.item(index), item)).collect())
    }

    /// A list as sets are written: items that come again are left out.
    pub(super) fn set<T: PartialEq>(
        &mut self,
        at: At<'_>,
        value: &Value,
        max: usize,
        read: impl FnMut(&mut Self, At<'_>, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut distinct = Vec::new();
        for item in self.list(at, value, max, read)? {
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        Some(distinct)
    }
}

/// Puts a field's value in its place: null is its default.
pub(super) fn put<T>(
    into: &mut T,
    value: &Value,
    default: T,
    read: impl FnOnce(&Value) -> Option<T>,
) {
    match value {
        Value::Null => *into = default,
        value => {
            if let Some(read) = read(value) {
                *into = read;
            }
        }
    }
}

/// Text from a body, repeated in a fault: escaped, and cut if long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
    }
}

/// The known name that a wrong one was most likely meant to be: at most a third of it differs, or
/// it is what other shorteners call the field.
fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    const LONGEST_CHARS: usize = 40;
    if name.chars().count() > LONGEST_CHARS {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let wrong = plain(name);
    let meant = ALIASES.iter().find(|(alias, _)| *alias == wrong).map(|(_, meant)| *meant);
    if let Some(meant) = known.iter().find(|name| meant == Some(**name)) {
        return Some(meant);
    }
    let ranked = known.iter().map(|name| (strsim::osa_distance(&wrong, &plain(name)), name));
    let (distance, name) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len()).then_some(name)
}

/// What other shorteners call a field, without separators and in lower case.
const ALIASES: [(&str, &str); 12] = [
    ("alias", "slug"),
    ("code", "slug"),
    ("customslug", "slug"),
    ("description", "notes"),
    ("keyword", "slug"),
    ("longurl", "destination"),
    ("name", "title"),
    ("originalurl", "destination"),
    ("target", "destination"),
    ("targeturl", "destination"),
    ("uri", "destination"),
    ("url", "destination"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_names_lead_to_the_right_ones() {
        let known = ["destination", "expires_at", "ios_destination", "max_clicks", "slug", "title"];
        for (wrong, right) in [
            ("url", Some("destination")),
            ("longUrl", Some("destination")),
            ("Destination", Some("destination")),
            ("destinaton", Some("destination")),
            ("iosDestination", Some("ios_destination")),
            ("expiresAt", Some("expires_at")),
            ("expire_at", Some("expires_at")),
            ("maxClicks", Some("max_clicks")),
            ("tilte", Some("title")),
            ("Slug", Some("slug")),
            ("description", None),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(closest(wrong, &known), right, "{wrong}");
        }
        assert_eq!(closest(&"slug".repeat(1_000), &known), None);
    }

    #[test]
    fn repeated_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\r\n\"b"), "\"a\\r\\n\\\"b\"");
        assert_eq!(quoted(&"ü".repeat(60)), format!("\"{}\"", "ü".repeat(60)));
        assert_eq!(quoted(&"ü".repeat(61)), format!("\"{}\"...", "ü".repeat(60)));
    }
}
