//! Statistics as the API answers them: what was counted, arranged as it was asked for.
//!
//! In scope: reading the question, arranging rollups into totals, a series without gaps and
//! breakdowns in any time zone, and hiding values that too few clicks have. Out of scope: how
//! clicks become rollups (see [`crate::counting`]), and HTTP.
//!
//! Clicks are kept by the hour of UTC, old ones by the day of UTC. Points of a series need not
//! start with these (Kolkata is five and a half hours ahead), so this is how clicks are told to
//! points: an hour belongs where it starts, a day where its middle is. [`Resolution`] tells
//! whether that made a difference. Visitors are told apart for a day of UTC: who comes on two days
//! is two visitors.

mod answer;
mod breakdown;
mod calendar;
mod integrity;
mod query;
mod read;
mod statistics;

pub use answer::{StatsFacts, answer};
pub use breakdown::Entry;
pub use integrity::IntegrityView;
pub use query::{Interval, POINTS_MAX, Scope, StatsQuery};
pub use read::{integrity, link, site};
pub use statistics::{Orphans, Point, Resolution, Statistics, TotalsView, Uniques};
