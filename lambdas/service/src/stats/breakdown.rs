//! One breakdown: the values most clicks have, and one entry for all that is not told apart.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::counting::rollup::OTHER;
use crate::model::{Link, Rule};

/// Clicks of people that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The value they have; null for the two entries that are of no one value.
    pub value: Option<String>,
    /// How many they are.
    pub clicks: u64,
    /// Their share of all clicks of people, 0 to 1, to four digits.
    pub share: f64,
    /// Where clicks of this value are sent today, if the link still has this destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present_destination: Option<String>,
    /// They are those of which no value is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// They have this many different values, or more: each too few clicks to be told, or beyond
    /// the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folded_values: Option<usize>,
}

impl Entry {
    fn new(value: Option<String>, clicks: u64, human: u64) -> Self {
        Self {
            value,
            clicks,
            share: share(clicks, human),
            present_destination: None,
            unknown: false,
            folded_values: None,
        }
    }
}

/// The entries of a breakdown of `human` clicks: at most `limit` values that have at least
/// `fold_under` clicks, the most frequent first, of equal ones the first by spelling; then what
/// is not known, then what was folded. Their clicks add up to `human`.
pub(super) fn entries(
    mut clicks_by_value: BTreeMap<String, u64>,
    human: u64,
    limit: usize,
    fold_under: u64,
) -> Vec<Entry> {
    let known: u64 = clicks_by_value.values().sum();
    let folded_before = clicks_by_value.remove(OTHER);
    let mut values: Vec<(String, u64)> = clicks_by_value.into_iter().collect();
    // Stable: values with as many clicks stay in the order of their spelling.
    values.sort_by_key(|(_, clicks)| Reverse(*clicks));
    let shown = values.partition_point(|(_, clicks)| fold_under <= *clicks).min(limit);
    let folded = values.split_off(shown);
    let mut entries: Vec<Entry> =
        values.into_iter().map(|(value, clicks)| Entry::new(Some(value), clicks, human)).collect();
    let unknown = human.saturating_sub(known);
    if unknown > 0 {
        entries.push(Entry { unknown: true, ..Entry::new(None, unknown, human) });
    }
    if folded_before.is_some() || !folded.is_empty() {
        let clicks = folded.iter().map(|(_, clicks)| clicks).chain(&folded_before).sum();
        let folded_values = Some(folded.len() + usize::from(folded_before.is_some()));
        entries.push(Entry { folded_values, ..Entry::new(None, clicks, human) });
    }
    entries
}

/// The entries of a breakdown by destination, with what the values lead to today.
pub(super) fn with_destinations(mut entries: Vec<Entry>, link: &Link) -> Vec<Entry> {
    for entry in &mut entries {
        let present = entry.value.as_deref().and_then(|value| present_destination(link, value));
        entry.present_destination = present.map(str::to_owned);
    }
    entries
}

/// What a value of [`crate::counting::rollup::Dimension::Destination`] leads to.
fn present_destination<'a>(link: &'a Link, value: &str) -> Option<&'a str> {
    match value {
        "destination" => return Some(&link.destination),
        "ios_destination" => return link.ios_destination.as_deref(),
        "android_destination" => return link.android_destination.as_deref(),
        "expired_destination" => return link.expired_destination.as_deref(),
        _ => {}
    }
    let (rule, variant) = value.strip_prefix("rules/")?.split_once('/')?;
    let Rule { destination, destinations, .. } = link.rules.get(rule.parse::<usize>().ok()?)?;
    match (destination, variant.parse::<usize>().ok()?) {
        (Some(destination), 0) => Some(destination),
        (Some(_), _) => None,
        (None, variant) => destinations.get(variant).map(|weighted| weighted.destination.as_str()),
    }
}

fn share(clicks: u64, human: u64) -> f64 {
    match human {
        0 => 0.0,
        human => (clicks as f64 / human as f64 * 10_000.0).round() / 10_000.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(values: &[(&str, u64)], human: u64, limit: usize, fold_under: u64) -> Value {
        let values = values.iter().map(|(value, clicks)| ((*value).to_owned(), *clicks)).collect();
        json!(entries(values, human, limit, fold_under))
    }

    #[test]
    fn the_most_frequent_come_first_then_unknown_then_folded() {
        let values = [("at", 5), ("be", 4), ("ch", 20), ("de", 5), ("", 7), ("fr", 1)];
        let expected = json!([
            {"value": "ch", "clicks": 20, "share": 0.4},
            {"value": "at", "clicks": 5, "share": 0.1},
            {"value": "de", "clicks": 5, "share": 0.1},
            {"value": null, "clicks": 8, "share": 0.16, "unknown": true},
            {"value": null, "clicks": 12, "share": 0.24, "folded_values": 3},
        ]);
        assert_eq!(shown(&values, 50, 50, 5), expected);
    }

    #[test]
    fn values_beyond_the_limit_are_folded() {
        let expected = json!([
            {"value": "b", "clicks": 9, "share": 0.5625},
            {"value": null, "clicks": 7, "share": 0.4375, "folded_values": 2},
        ]);
        assert_eq!(shown(&[("a", 6), ("b", 9), ("c", 1)], 16, 1, 0), expected);
    }

    #[test]
    fn nothing_is_folded_without_need() {
        for fold_under in [0, 1] {
            let expected = json!([{"value": "a", "clicks": 1, "share": 1.0}]);
            assert_eq!(shown(&[("a", 1)], 1, 50, fold_under), expected);
        }
        let expected = json!([{"value": null, "clicks": 4, "share": 1.0, "folded_values": 1}]);
        assert_eq!(shown(&[("a", 4)], 4, 50, 5), expected);
        assert_eq!(shown(&[("", 4)], 4, 50, 0), expected);
    }

    #[test]
    fn no_clicks_have_no_entries() {
        assert_eq!(shown(&[], 0, 50, 5), json!([]));
        let unknown = json!([{"value": null, "clicks": 3, "share": 1.0, "unknown": true}]);
        assert_eq!(shown(&[], 3, 50, 5), unknown);
    }

    #[test]
    fn shares_of_huge_numbers_are_numbers() {
        let huge = u64::MAX / 4;
        let expected = json!([
            {"value": "a", "clicks": huge, "share": 0.5},
            {"value": "b", "clicks": huge, "share": 0.5},
        ]);
        assert_eq!(shown(&[("a", huge), ("b", huge)], 2 * huge, 50, 5), expected);
    }
}
