//! The function that compares the stores of edges with the table, and repairs them.

use serde::Deserialize;
use serde_json::Value;
use waypost_service::ambient::{Clock, Pause};
use waypost_service::publish::reconcile::{Cursor, Options, Reconciler, Report};
use waypost_service::publish::{Bookmarks, EdgeStore, LinkTable};

use super::deadline;
use crate::metrics::{count, emit};

/// What the function is called with: all stores, from where the run before came to, without words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// Only count; begins at the start, and leaves no bookmark.
    #[serde(default)]
    pub dry_run: bool,
    /// One store by its name.
    #[serde(default)]
    pub store: Option<String>,
    /// Begins at the start even if the run before had not come to the end.
    #[serde(default)]
    pub anew: bool,
    /// Most foreign keys to remove, if not 1,000.
    #[serde(default)]
    pub foreign_max: Option<u64>,
}

/// Runs until all stores are compared or the time is over; answers a report for each.
pub async fn handle<S, A, T>(
    reconcilers: &[Reconciler<S, A>],
    table: &T,
    clock: &impl Clock,
    order: &Order,
    ends_at_ms: u64,
) -> Vec<Report>
where
    S: EdgeStore,
    A: Clock + Pause,
    T: LinkTable + Bookmarks,
{
    let wanted = |one: &&Reconciler<S, A>| order.store.as_deref().is_none_or(|s| s == one.name());
    let wanted: Vec<_> = reconcilers.iter().filter(wanted).collect();
    let last = deadline(ends_at_ms, clock.now());
    let mut reports = Vec::new();
    for (at, reconciler) in wanted.iter().enumerate() {
        // The stores that are left share the time that is left.
        let left_ms = last.ms_since(clock.now()).max(0);
        let share_ms = left_ms / i64::try_from(wanted.len() - at).unwrap_or(1);
        let mut options = Options::until(clock.now().plus_ms(share_ms));
        options.dry_run = order.dry_run;
        options.foreign_max = order.foreign_max.unwrap_or(options.foreign_max);
        let report = one(reconciler, table, &options, order.anew || order.dry_run).await;
        told(&report, clock);
        reports.push(report);
    }
    reports
}

async fn one<S, A, T>(
    reconciler: &Reconciler<S, A>,
    table: &T,
    options: &Options,
    anew: bool,
) -> Report
where
    S: EdgeStore,
    A: Clock + Pause,
    T: LinkTable + Bookmarks,
{
    let name = reconciler.name();
    // A bookmark that cannot be read costs time, nothing else: the pass begins at the start.
    let cursor: Option<Cursor> = match anew {
        true => None,
        false => table.load(name).await.ok().flatten().and_then(|text| text.parse().ok()),
    };
    let mut report = reconciler.run(table, options, cursor).await;
    if !options.dry_run
        && let Err(error) = table.save(name, report.next_cursor.as_deref()).await
    {
        let known = report.fault.take().map(|fault| format!("{fault}; "));
        report.fault = Some(format!("{}the bookmark: {error}", known.unwrap_or_default()));
    }
    report
}

fn told(report: &Report, clock: &impl Clock) {
    let metrics = [
        count("EdgeStoreDrift", report.drift()),
        count("KeysCompared", report.checked),
        count("KeysMissing", report.missing),
        count("KeysOutdated", report.outdated),
        count("KeysForeign", report.foreign),
        count("KeysRepaired", report.repaired),
        count("KeysSent", report.sent),
        count("KeysFailed", report.failed),
        count("Faults", u64::from(report.fault.is_some())),
    ];
    let whole = serde_json::to_value(report).unwrap_or(Value::Null);
    emit("reconcile", &metrics, &[("report", whole)], clock.now());
}
