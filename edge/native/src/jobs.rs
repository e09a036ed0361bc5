//! What happens by itself: windows close, states settle, salts change, and once a day things are
//! cleaned up.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::civil::Time;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use waypost_service::ambient::{Clock, Entropy};
use waypost_service::cleanup::{self, Cursor, Options, Report};
use waypost_service::counting::{close, compact, salts};
use waypost_service::links::Service;
use waypost_service::problem::Problem;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::clicks::Clicks;
use crate::counting::Counting;
use crate::host::NativeHost;
use crate::salts::Salts;

/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(5);

/// The jobs of a server.
pub struct Jobs {
    /// The control plane.
    pub service: Arc<Service<NativeHost>>,
    /// Where this process's clicks are.
    pub counting: Arc<Counting>,
    /// Where the day's salt is put.
    pub salts: Arc<Salts>,
    /// Where clicks are numbered.
    pub clicks: Arc<Clicks>,
    /// Time of day of the clean-up, UTC.
    pub cleanup_at: Time,
}

impl Jobs {
    /// Runs for ever, on the threads of `runtime`: counting a busy window takes a core for a while,
    /// and visitors must not wait for it.
    pub fn spawn(self, runtime: &Handle) -> JoinHandle<()> {
        runtime.spawn(async move {
            let mut last = self.now();
            loop {
                tokio::time::sleep(TICK).await;
                // A bug met once must not end counting and clean-up until the next start.
                match AssertUnwindSafe(self.look(last)).catch_unwind().await {
                    Ok(now) => last = now,
                    Err(_) => tracing::error!("a job met a bug; its panic is above"),
                }
            }
        })
    }

    /// Does what is due; answers the time it looked at.
    async fn look(&self, last: Timestamp) -> Timestamp {
        let now = self.now();
        self.tick(now).await;
        if self.service.host.db.is_shared() {
            return now;
        }
        if is_between(self.cleanup_at, last, now) {
            self.clean_up(now).await;
        }
        now
    }

    /// Puts the salts of today and tomorrow in place.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn refresh_salts(&self) -> Result<(), StoreError> {
        let ambient = &self.service.host.ambient;
        let mut candidates = [[0; 16]; 2];
        candidates.iter_mut().for_each(|candidate| ambient.fill(candidate));
        let found =
            salts::today_and_tomorrow(&self.service.host.db, self.now(), candidates).await?;
        self.salts.set(found);
        Ok(())
    }

    /// Each part does what is due and leaves the rest; what fails is due again next time.
    async fn tick(&self, now: Timestamp) {
        let db = &self.service.host.db;
        let progress = self.clicks.progress();
        // An idle server leaves the disk alone.
        if self.counting.wants_report(progress.accepted, progress.dropped) {
            let reported = self.counting.report(progress.accepted).await;
            logged("clicks could not be reported", reported);
        }
        if !self.salts.has_today_and_tomorrow(now) {
            logged("salts could not be refreshed", self.refresh_salts().await);
        }
        if db.is_shared() {
            return;
        }
        let closed = match self.counting.has_recovered() {
            true => close::close_due(db, now).await,
            false => Ok(0),
        };
        match closed {
            Ok(0) => {}
            Ok(windows) => {
                tracing::debug!(windows, "closed windows");
                logged(
                    "rollups could not be compacted",
                    compact::compact(db, now, compact::HOURS_KEPT_MS).await,
                );
            }
            Err(error) => tracing::warn!(%error, "windows could not be closed"),
        }
        logged("states could not be settled", cleanup::settle_due(&self.service, now).await);
    }

    async fn clean_up(&self, now: Timestamp) {
        let options = Options {
            dry_run: false,
            per_second_max: self.service.settings.cleanup_per_second_max,
            links_max: None,
            start: Cursor::default(),
        };
        match cleanup::run(&self.service, &options, now, |_| {}).await {
            Ok(report) => log_report(&report),
            Err(problem) => log_problem(&problem),
        }
    }

    fn now(&self) -> Timestamp {
        self.service.host.ambient.now()
    }
}

fn logged<T, E: std::fmt::Display>(what: &'static str, outcome: Result<T, E>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what}");
    }
}

pub(crate) fn log_report(report: &Report) {
    tracing::info!(
        expired = report.expired,
        unused = report.unused,
        purged = report.purged,
        recompiled = report.recompiled,
        kept = report.kept,
        faults = report.faults,
        raw_batches = report.raw_batches,
        "cleaned up"
    );
    for fault in &report.fault_examples {
        tracing::error!(fault, "a link could not be cleaned up");
    }
}

fn log_problem(problem: &Problem) {
    let log = problem.log.as_deref().unwrap_or(&problem.detail);
    tracing::error!(problem = log, "the clean-up ended early; the next one goes on");
}

/// Whether the time of day came round after `before`, up to and including `now`. After a jump of
/// the clock, or a long sleep of the machine, once is enough.
pub(crate) fn is_between(at: Time, before: Timestamp, now: Timestamp) -> bool {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let of_day_ms = i64::from(at.hour()) * 3_600_000 + i64::from(at.minute()) * 60_000;
    let days = |time: Timestamp| (time.0 - of_day_ms).div_euclid(DAY_MS);
    days(before) < days(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daily_time_comes_round_once_a_day() {
        let at = Time::constant(2, 0, 0, 0);
        let two = 2 * 3_600_000;
        let is = |before, now| is_between(at, Timestamp(before), Timestamp(now));
        assert!(!is(two - 2, two - 1));
        assert!(is(two - 1, two));
        assert!(!is(two, two + 5_000));
        assert!(is(two - 1, two + 10 * 24 * 3_600_000));
        assert!(!is(two + 1, two - 1), "a clock set back");
    }
}
