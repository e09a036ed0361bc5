//! Cleanup: what time has made superfluous goes, and only that.
//!
//! Work is found by index, never by reading everything: links due for each [`Due`] kind, earliest
//! first. Each step is one conditional write that takes its link off the index, so a run that was
//! cut off is continued by the next one without a trace of the first.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Serialize;
use waypost_wire::time::Timestamp;

use crate::ambient::Pause;
use crate::counting::salts::SALT_KEPT_MS;
use crate::counting::store::CounterStore;
use crate::links::{Host, RecordSink, Service, tombstone};
use crate::model::{Link, LinkId};
use crate::problem::{Kind, Problem};
use crate::seams::{Due, LinkStore, StoreError, StoredLink, Updated};

/// Links read at a time, and rows forgotten at a time.
pub const BATCH: usize = 1_000;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// An expired link is deleted this long after its end.
    pub expired_grace_days: u32,
    /// A link that nobody followed for this long is deleted, unless marked `keep`. `None`: never.
    pub unused_after_days: Option<u32>,
    /// The slug of a deleted link answers 410 for this long, then everything about it goes.
    pub quarantine_days: u32,
    /// Raw batches of clicks are kept this long; statistics stay.
    pub raw_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            expired_grace_days: 0,
            unused_after_days: Some(182),
            quarantine_days: 90,
            raw_days: 30,
        }
    }
}

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Only count what would be done.
    pub dry_run: bool,
    /// Most writes per second.
    pub per_second_max: NonZeroU32,
    /// Stop after this many links, with [`Report::next_cursor`]. `None`: go to the end.
    pub links_max: Option<usize>,
    /// Where an earlier run stopped.
    pub start: Cursor,
}

/// The kinds of links, in the order they are worked through.
const KINDS: [(Due, &str); 5] = [
    (Due::Transition, "transition"),
    (Due::Recompile, "recompile"),
    (Due::Expired, "expired"),
    (Due::Unused, "unused"),
    (Due::QuarantineEnded, "quarantine_ended"),
];

/// A place in the work: behind a link of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    kind: Due,
    after: Option<(Timestamp, LinkId)>,
}

impl Default for Cursor {
    /// The start.
    fn default() -> Self {
        Self { kind: KINDS[0].0, after: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, name)| name);
        match self.after {
            None => f.write_str(name),
            Some((at, id)) => write!(f, "{name}.{}.{id}", at.0),
        }
    }
}

/// The text is no cursor of a cleanup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one a cleanup gave")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut parts = text.split('.');
        let name = parts.next().unwrap_or_default();
        let (kind, _) = *KINDS.iter().find(|(_, its_name)| *its_name == name).ok_or(NoCursor)?;
        let after = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(at), Some(id), None) => {
                let at = at.parse().map_err(|_| NoCursor)?;
                Some((Timestamp(at), id.parse().map_err(|_| NoCursor)?))
            }
            _ => return Err(NoCursor),
        };
        Ok(Self { kind, after })
    }
}

/// What was done, or with [`Options::dry_run`] would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// Links whose state, as lists filter by it, was brought up to date.
    pub settled: u64,
    /// Links whose record was compiled anew.
    pub recompiled: u64,
    /// Expired links that were deleted.
    pub expired: u64,
    /// Unused links that were deleted.
    pub unused: u64,
    /// Deleted links that are gone for good, with their statistics.
    pub purged: u64,
    /// Links that were due but stay: blocked ones, whose block must stay visible, and those that
    /// have not started yet.
    pub kept: u64,
    /// Links that somebody changed meanwhile; the next run looks at them again.
    pub skipped: u64,
    /// Raw batches forgotten; not counted in a dry run.
    pub raw_batches: Option<u64>,
    /// Idempotency keys forgotten; not counted in a dry run.
    pub idempotency_keys: Option<u64>,
    /// Daily salts forgotten; not counted in a dry run.
    pub salts: Option<u64>,
    /// Links that could not be written because their record cannot be made.
    pub faults: u64,
    /// The first of them, with the reason; for the log and the person who reads it.
    pub fault_examples: Vec<String>,
    /// Where to go on; `None` at the end.
    pub next_cursor: Option<String>,
}

impl Report {
    /// Adds what the next part of the same round did.
    pub fn add(&mut self, part: Self) {
        let both = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or_default() + other.unwrap_or_default()),
        };
        self.settled += part.settled;
        self.recompiled += part.recompiled;
        self.expired += part.expired;
        self.unused += part.unused;
        self.purged += part.purged;
        self.kept += part.kept;
        self.skipped += part.skipped;
        self.raw_batches = both(self.raw_batches, part.raw_batches);
        self.idempotency_keys = both(self.idempotency_keys, part.idempotency_keys);
        self.salts = both(self.salts, part.salts);
        self.faults += part.faults;
        let room = FAULT_EXAMPLES_MAX.saturating_sub(self.fault_examples.len());
        self.fault_examples.extend(part.fault_examples.into_iter().take(room));
        self.next_cursor = part.next_cursor;
    }
}

const FAULT_EXAMPLES_MAX: usize = 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Runs. `progress` sees the report grow, after each batch.
///
/// # Errors
/// The store's fault. What was done until then stays done; run again.
pub async fn run<H: Host>(
    service: &Service<H>,
    options: &Options,
    now: Timestamp,
    mut progress: impl FnMut(&Report),
) -> Result<Report, Problem> {
    let report = Report { dry_run: options.dry_run, ..Report::default() };
    let mut run = Run { service, options, now, report, unpaused_writes: 0 };
    let mut left = options.links_max.unwrap_or(usize::MAX);
    let kinds = KINDS.iter().map(|(kind, _)| *kind);
    for kind in kinds.skip_while(|kind| *kind != options.start.kind) {
        let is_first = kind == options.start.kind;
        let mut after = if is_first { options.start.after } else { None };
        let Some(until) = run.until(kind) else { continue };
        loop {
            if left == 0 {
                run.report.next_cursor = Some(Cursor { kind, after }.to_string());
                return Ok(run.report);
            }
            let limit = BATCH.min(left);
            let due = service.host.links().due(kind, until, after, limit).await?;
            if due.is_empty() {
                break;
            }
            left = left.saturating_sub(due.len());
            for (at, stored) in due {
                after = Some((at, stored.link.id));
                run.step(kind, until, stored).await?;
            }
            progress(&run.report);
        }
    }
    if !options.dry_run {
        run.forget().await?;
    }
    progress(&run.report);
    Ok(run.report)
}

/// Brings the states that lists filter by up to date with the time, as a run does first; cheap
/// enough to do every few seconds. Answers how many.
///
/// # Errors
/// The store's fault.
pub async fn settle_due<H: Host>(service: &Service<H>, now: Timestamp) -> Result<u64, StoreError> {
    let links = service.host.links();
    let (mut settled, mut after) = (0, None);
    loop {
        let due = links.due(Due::Transition, now, after, BATCH).await?;
        let Some((at, last)) = due.last() else {
            return Ok(settled);
        };
        after = Some((*at, last.link.id));
        for (_, stored) in &due {
            links.settle(stored.link.id, now).await?;
        }
        settled += due.len() as u64;
    }
}

struct Run<'a, H> {
    service: &'a Service<H>,
    options: &'a Options,
    now: Timestamp,
    report: Report,
    unpaused_writes: u32,
}

/// How a step ended.
enum Step {
    Done,
    Kept,
    Skipped,
}

impl<H: Host> Run<'_, H> {
    /// Links of a kind are due up to this time; `None` if the kind is switched off.
    fn until(&self, kind: Due) -> Option<Timestamp> {
        let Retention { expired_grace_days, unused_after_days, .. } =
            self.service.settings.retention;
        let days_ago = |days: u32| self.now.plus_ms(-i64::from(days) * DAY_MS);
        match kind {
            Due::Expired => Some(days_ago(expired_grace_days)),
            Due::QuarantineEnded | Due::Recompile | Due::Transition => Some(self.now),
            Due::Unused => unused_after_days.map(days_ago),
        }
    }

    async fn step(
        &mut self,
        kind: Due,
        until: Timestamp,
        stored: StoredLink,
    ) -> Result<(), Problem> {
        if kind == Due::Unused && self.is_met_before(&stored.link) {
            return Ok(());
        }
        let id = stored.link.id;
        let step = match kind {
            Due::Transition => self.settle(id).await,
            Due::Recompile => self.rewrite(stored.link.clone(), stored.link.version).await,
            Due::Expired | Due::Unused if is_kept(&stored.link, until) => Ok(Step::Kept),
            Due::Expired | Due::Unused => self.delete(&stored.link).await,
            Due::QuarantineEnded => self.purge(&stored).await,
        };
        let report = &mut self.report;
        let count = match step {
            Ok(Step::Done) => match kind {
                Due::Transition => &mut report.settled,
                Due::Recompile => &mut report.recompiled,
                Due::Expired => &mut report.expired,
                Due::Unused => &mut report.unused,
                Due::QuarantineEnded => &mut report.purged,
            },
            Ok(Step::Kept) => &mut report.kept,
            Ok(Step::Skipped) => &mut report.skipped,
            // One link that cannot be written must not keep the others from being cleaned up.
            Err(problem) if problem.kind == Kind::Internal => {
                if report.fault_examples.len() < FAULT_EXAMPLES_MAX {
                    report.fault_examples.push(problem.log.unwrap_or(problem.detail));
                }
                &mut report.faults
            }
            Err(problem) => return Err(problem),
        };
        *count += 1;
        Ok(())
    }

    /// An expired link that is also unused has been deleted by now, or counted in a dry run.
    fn is_met_before(&self, link: &Link) -> bool {
        self.options.dry_run
            && self.until(Due::Expired).is_some_and(|until| {
                link.expires_at.is_some_and(|at| at <= until) && !is_kept(link, until)
            })
    }

    async fn settle(&mut self, id: LinkId) -> Result<Step, Problem> {
        if !self.options.dry_run {
            self.service.host.links().settle(id, self.now).await?;
            self.wrote(1).await;
        }
        Ok(Step::Done)
    }

    async fn delete(&mut self, link: &Link) -> Result<Step, Problem> {
        let days = self.service.settings.retention.quarantine_days;
        self.rewrite(tombstone(link, days, self.now), link.version).await
    }

    async fn rewrite(&mut self, link: Link, version: u64) -> Result<Step, Problem> {
        if self.options.dry_run {
            return Ok(Step::Done);
        }
        let written = self.service.replace(link, version, self.now).await?;
        self.wrote(1).await;
        Ok(if written.is_some() { Step::Done } else { Step::Skipped })
    }

    /// Statistics first: as long as the link is there, the next run finds it.
    async fn purge(&mut self, stored: &StoredLink) -> Result<Step, Problem> {
        if self.options.dry_run {
            return Ok(Step::Done);
        }
        let host = &self.service.host;
        host.counters().delete_link_statistics(stored.link.id, self.now).await?;
        let purged = host.links().purge(stored.link.id, stored.link.version).await?;
        self.wrote(1).await;
        if purged != Updated::Updated {
            return Ok(Step::Skipped);
        }
        host.records().removed(&stored.key);
        Ok(Step::Done)
    }

    /// What is not a link.
    async fn forget(&mut self) -> Result<(), Problem> {
        let host = &self.service.host;
        let raw_before =
            self.now.plus_ms(-i64::from(self.service.settings.retention.raw_days) * DAY_MS);
        let (mut raw, mut keys) = (0, 0);
        loop {
            let forgotten = host.counters().delete_batches(raw_before, BATCH).await?;
            raw += forgotten as u64;
            self.wrote(forgotten).await;
            if forgotten == 0 {
                break;
            }
        }
        loop {
            let forgotten = host.links().forget_idempotency(self.now, BATCH).await?;
            keys += forgotten as u64;
            self.wrote(forgotten).await;
            if forgotten == 0 {
                break;
            }
        }
        let salts = host.counters().delete_salts(self.now.plus_ms(-SALT_KEPT_MS)).await?;
        self.report.raw_batches = Some(raw);
        self.report.idempotency_keys = Some(keys);
        self.report.salts = Some(salts as u64);
        Ok(())
    }

    /// Keeps to the rate: pauses in steps of about a tenth of a second.
    async fn wrote(&mut self, writes: usize) {
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        self.unpaused_writes = self.unpaused_writes.saturating_add(writes);
        let per_second = self.options.per_second_max.get();
        if self.unpaused_writes < per_second.div_ceil(10) {
            return;
        }
        let ms = u64::from(self.unpaused_writes) * 1_000 / u64::from(per_second);
        self.service.host.ambient().pause_ms(ms).await;
        self.unpaused_writes = 0;
    }
}

fn is_kept(link: &Link, until: Timestamp) -> bool {
    link.blocked.is_some() || link.starts_at.is_some_and(|at| until < at)
}

#[cfg(test)]
mod tests;
