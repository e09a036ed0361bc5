//! A rule: conditions, and one destination or several by weight.

use serde_json::Value;

use super::faults::At;
use super::values::{Checker, put};
use super::when;
use crate::model::{Rule, Weighted, When};

const NAME_MAX_CHARS: usize = 100;
const VARIANTS_MAX: usize = 10;
const WEIGHT_MAX: u64 = 10_000;

/// Reads a rule.
pub(super) fn read(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<Rule> {
    let fields = to.object(at, value)?;
    let mut rule =
        Rule { name: None, when: When::default(), destination: None, destinations: Vec::new() };
    for (name, value) in fields {
        let at = at.field(name);
        match name.as_str() {
            "destination" => {
                put(&mut rule.destination, value, None, |value| to.any_url(at, value).map(Some))
            }
            "destinations" => {
                put(&mut rule.destinations, value, Vec::new(), |value| variants(to, at, value))
            }
            "name" => put(&mut rule.name, value, None, |value| {
                to.line(at, value, NAME_MAX_CHARS).map(Some)
            }),
            "when" => {
                put(&mut rule.when, value, When::default(), |value| when::read(to, at, value, 0))
            }
            other => to.unknown(at, other, &["name", "when", "destination", "destinations"]),
        }
    }
    let is_given = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    const EXPECTED: &str = "either destination, or destinations with weights";
    match (is_given("destination"), is_given("destinations")) {
        (true, true) => to.refuse(at, "has both destination and destinations", EXPECTED),
        (false, false) => to.refuse(at, "has no destination", EXPECTED),
        _ => Some(rule),
    }
}

fn variants(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<Vec<Weighted>> {
    if value.as_array().is_some_and(Vec::is_empty) {
        return to.refuse(at, "is empty", format!("1 to {VARIANTS_MAX} destinations"));
    }
    to.list(at, value, VARIANTS_MAX, variant)
}

fn variant(to: &mut Checker<'_>, at: At<'_>, value: &Value) -> Option<Weighted> {
    let fields = to.object(at, value)?;
    for name in fields.keys() {
        if !["destination", "weight"].contains(&name.as_str()) {
            to.unknown(at.field(name), name, &["destination", "weight"]);
        }
    }
    let destination = match fields.get("destination") {
        Some(url) => to.any_url(at.field("destination"), url),
        None => to.refuse(at.field("destination"), "is missing", "a URL"),
    };
    let weight = match fields.get("weight") {
        Some(weight) => to.number(at.field("weight"), weight, 0, WEIGHT_MAX),
        None => {
            let expected = format!("a whole number from 0 to {WEIGHT_MAX}");
            to.refuse(at.field("weight"), "is missing", expected)
        }
    };
    Some(Weighted { destination: destination?, weight: u32::try_from(weight?).ok()? })
}
