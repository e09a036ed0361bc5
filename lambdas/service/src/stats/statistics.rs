//! The answer as the API writes it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::breakdown::Entry;
use super::query::Interval;
use crate::counting::classify::Class;
use crate::counting::rollup::Totals;
use crate::counting::sketch::{EXACT_MAX, Sketch};

/// Standard error of an estimate that is not exact: see [`EXACT_MAX`].
const ERROR_PERCENT: f64 = 1.6;

/// Estimates below this are exact: more visitors than [`EXACT_MAX`] are never taken for so few.
const EXACT_BELOW: u64 = EXACT_MAX as u64 * 9 / 10;

/// Statistics of a link or of all links. Times have the offset of the zone asked for. Clicks of
/// people are called human; only they have visitors and breakdowns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// The span's first moment.
    pub from: String,
    /// The first moment after it.
    pub to: String,
    /// Steps of the series.
    pub interval: Interval,
    /// The zone's name.
    pub tz: String,
    /// How exactly points begin and end.
    pub resolution: Resolution,
    /// Within the span, clicks before this time are all counted; what comes after it can change.
    pub complete_until: String,
    /// Values with fewer clicks than this are folded.
    pub fold_under: u64,
    /// All clicks of the span.
    pub totals: TotalsView,
    /// All visitors of the span.
    pub uniques: Uniques,
    /// Without gaps, the oldest first. A point ends where the next one starts, the last at `to`.
    pub series: Vec<Point>,
    /// By name.
    pub breakdowns: BTreeMap<&'static str, Vec<Entry>>,
    /// Clicks of people by day, from Monday on, and hour on the zone's clocks; if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour_of_week: Option<[[u64; 24]; 7]>,
    /// Visits to slugs that are not there; of the whole site only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphans: Option<Orphans>,
}

/// How exactly points begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// To the millisecond.
    Exact,
    /// Points begin within hours of UTC; an hour counts where it starts.
    UtcHour,
    /// Points begin within days of UTC, of some of which hours are no longer kept; such a day
    /// counts where its middle is.
    UtcDay,
}

/// Clicks by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalsView {
    /// Everything.
    pub all: u64,
    /// Clicks of people.
    pub human: u64,
    /// The others, by why they are none: names of [`Class`].
    pub by_reason: BTreeMap<&'static str, u64>,
}

/// Different visitors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Uniques {
    /// About how many.
    pub estimate: u64,
    /// The estimate's standard error; 0 if it is exact.
    pub error_percent: f64,
}

/// A step of the series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Its first moment.
    pub start: String,
    /// Clicks.
    pub all: u64,
    /// Clicks of people.
    pub human: u64,
    /// Visitors.
    pub uniques: Uniques,
}

/// Visits to slugs that are not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Orphans {
    /// All of the span.
    pub totals: TotalsView,
    /// Those of people, by slug.
    pub slugs: Vec<Entry>,
}

impl TotalsView {
    pub(super) fn of(totals: &Totals) -> Self {
        let reasons = Class::ALL.into_iter().filter(|class| *class != Class::Human);
        Self {
            all: totals.all(),
            human: totals.of(Class::Human),
            by_reason: reasons.map(|class| (class.name(), totals.of(class))).collect(),
        }
    }
}

impl Uniques {
    pub(super) fn of(visitors: &Sketch) -> Self {
        let estimate = visitors.estimate();
        let error_percent = match estimate < EXACT_BELOW {
            true => 0.0,
            false => ERROR_PERCENT,
        };
        Self { estimate, error_percent }
    }
}

impl Point {
    pub(super) fn of(start: String, (totals, uniques): &(Totals, Sketch)) -> Self {
        Self {
            start,
            all: totals.all(),
            human: totals.of(Class::Human),
            uniques: Uniques::of(uniques),
        }
    }
}
