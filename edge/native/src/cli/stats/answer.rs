//! Statistics as the API answers them, as far as they are shown.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) interval: String,
    pub(super) tz: String,
    pub(super) complete_until: String,
    pub(super) fold_under: u64,
    pub(super) totals: Totals,
    pub(super) uniques: Uniques,
    pub(super) series: Vec<Point>,
    pub(super) breakdowns: BTreeMap<String, Vec<Entry>>,
    /// By day, from Monday on, and hour.
    pub(super) hour_of_week: Option<Vec<Vec<u64>>>,
    pub(super) orphans: Option<Orphans>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Totals {
    pub(super) all: u64,
    pub(super) human: u64,
    pub(super) by_reason: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Uniques {
    pub(super) estimate: u64,
    pub(super) error_percent: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Point {
    pub(super) start: String,
    pub(super) all: u64,
    pub(super) human: u64,
    pub(super) uniques: Uniques,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) value: Option<String>,
    pub(super) clicks: u64,
    pub(super) share: f64,
    pub(super) present_destination: Option<String>,
    pub(super) folded_values: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Orphans {
    pub(super) totals: Totals,
    pub(super) slugs: Vec<Entry>,
}

/// What became of every accepted click.
#[derive(Debug, Deserialize)]
pub(super) struct Integrity {
    pub(super) at: String,
    pub(super) accepted: u64,
    pub(super) counted: u64,
    pub(super) lost: u64,
    pub(super) in_flight: u64,
    pub(super) duplicate: u64,
    pub(super) late: u64,
}
