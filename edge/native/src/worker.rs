//! A worker beside nodes that share a store: takes clicks from the queue, makes numbers of them, and
//! cleans up. Any number can run; one at a time closes windows and cleans up.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use waypost_aws::jobs::roll_up;
use waypost_aws::queue::{Queue, Received};
use waypost_aws::store::AwsStore;
use waypost_host::ambient::Ambient;
use waypost_host::settings::{Settings, StoreSettings};
use waypost_service::ambient::Clock;
use waypost_service::cleanup::{self, Cursor, Options};
use waypost_service::counting::inbox::{Collected, collect};
use waypost_service::counting::store::CounterStore;
use waypost_service::links::Service;
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::host::NativeHost;
use crate::jobs::is_between;
use crate::serve::{StartError, control_plane, open_store, runtime, terminated};
use crate::shared::Shared;
use crate::store::Store;

/// How long the queue may take to answer that there is nothing.
const RECEIVE_SECONDS: u8 = 10;
/// Between two runs of what has a time of its own.
const TICK: Duration = Duration::from_secs(10);
/// Waits after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Longest run before the lease is renewed by a new one.
const RUN_MS: i64 = 60_000;
/// The lease of a run: longer than a run and its last call take.
const LEASE_MS: i64 = 120_000;
/// Links cleaned up in one go.
const CLEANUP_LINKS: usize = 1_000;

/// Runs a worker until it is interrupted or told to terminate.
pub fn run(settings: Settings) -> ExitCode {
    crate::logs::start(&settings);
    let outcome = runtime("waypost", None)
        .map_err(StartError::Thread)
        .and_then(|runtime| runtime.block_on(start(settings, Ambient::system(), terminated())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word before the end; if standard error is gone, nobody can be told.
            let _ = writeln!(io::stderr(), "waypost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Works until `shutdown`. What is under way then is left to the next worker.
///
/// # Errors
/// Why it could not start.
pub async fn start(
    settings: Settings,
    ambient: Ambient,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let StoreSettings::DynamoDb(names) = settings.store.clone() else {
        return Err(StartError::NotShared);
    };
    let (store, keys) = open_store(&settings, &ambient).await?;
    let Store::Shared(shared) = store.clone() else {
        return Err(StartError::NotShared);
    };
    let service = control_plane(&settings, &ambient, &store, &keys)?;
    let worker = Worker { shared, service, ambient: ambient.clone(), settings };
    tracing::info!("working");
    let gone = names.cleanup_queue_url.as_deref();
    let gone = gone.map(|url| Queue::new(&worker.tables().clients, url));
    tokio::select! {
        () = shutdown => {}
        () = worker.clicks() => {}
        () = worker.statistics(gone.as_ref()) => {}
        () = worker.upkeep() => {}
    }
    store.close(ambient.now()).await;
    tracing::info!("stopped");
    Ok(())
}

struct Worker {
    shared: Shared,
    service: Arc<Service<NativeHost>>,
    ambient: Ambient,
    settings: Settings,
}

impl Worker {
    fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    const fn tables(&self) -> &AwsStore {
        &self.shared.tables
    }

    /// Takes clicks from the queue, for ever.
    async fn clicks(&self) {
        loop {
            if let Err(error) = self.take_clicks().await {
                tracing::warn!(%error, "clicks could not be taken from the queue");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn take_clicks(&self) -> Result<(), StoreError> {
        let received = self.shared.clicks.receive(RECEIVE_SECONDS).await?;
        if received.is_empty() {
            return Ok(());
        }
        let messages = received.iter().map(|received| received.message.clone()).collect();
        let Collected { failed, malformed, fault, .. } =
            collect(self.tables(), messages, self.now()).await;
        let is_done = |received: &&Received| !failed.contains(&received.message.id);
        let done = received.iter().filter(is_done).map(|received| received.receipt.as_str());
        self.shared.clicks.delete(done).await?;
        if malformed > 0 {
            tracing::error!(malformed, "messages are no clicks; the queue puts them aside");
        }
        fault.map_or(Ok(()), |fault| Err(StoreError::Unavailable(fault)))
    }

    /// Deletes the statistics of links that are gone, for ever.
    async fn statistics(&self, gone: Option<&Queue>) {
        let Some(queue) = gone else {
            return std::future::pending().await;
        };
        loop {
            if let Err(error) = self.delete_statistics(queue).await {
                tracing::warn!(%error, "statistics could not be deleted");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn delete_statistics(&self, queue: &Queue) -> Result<(), StoreError> {
        for received in queue.receive(RECEIVE_SECONDS).await? {
            match received.message.body.trim().parse::<LinkId>() {
                Ok(id) => self.tables().delete_link_statistics(id, self.now()).await?,
                Err(fault) => {
                    tracing::error!(%fault, "a message names no link; the queue puts it aside");
                    continue;
                }
            }
            queue.delete([received.receipt.as_str()]).await?;
        }
        Ok(())
    }

    /// Books, closes, compacts and cleans up, each when it is time, for ever.
    async fn upkeep(&self) {
        let mut last = self.now();
        loop {
            let now = self.now();
            let done = self.rolled_up(now).await;
            logged("clicks could not be counted", done);
            let done = cleanup::settle_due(&self.service, now).await.map(drop);
            logged("states could not be settled", done);
            if is_between(self.settings.cleanup_at, last, now) {
                logged("the clean-up ended early; the next one goes on", self.clean_up(now).await);
            }
            last = now;
            tokio::time::sleep(TICK).await;
        }
    }

    async fn rolled_up(&self, now: Timestamp) -> Result<(), StoreError> {
        let tables = self.tables();
        let Some(run) = tables.begin_run("rollup", LEASE_MS, now).await? else {
            return Ok(());
        };
        let end = now.plus_ms(RUN_MS);
        let done = roll_up(tables, &self.ambient, || self.now() >= end).await;
        tables.end_run(&run, self.now()).await?;
        let done = done?;
        if done.booked.objects > 0 || done.closed > 0 {
            let (clicks, windows) = (done.booked.stored, done.closed);
            tracing::info!(clicks, windows, "counted");
        }
        Ok(())
    }

    async fn clean_up(&self, now: Timestamp) -> Result<(), StoreError> {
        let tables = self.tables();
        let mut start = Cursor::default();
        loop {
            let Some(run) = tables.begin_run("cleanup", LEASE_MS, self.now()).await? else {
                return Ok(());
            };
            let options = Options {
                dry_run: false,
                per_second_max: self.service.settings.cleanup_per_second_max,
                links_max: Some(CLEANUP_LINKS),
                start,
            };
            let report = cleanup::run(&self.service, &options, now, |_| {}).await;
            tables.end_run(&run, self.now()).await?;
            let report = report.map_err(|problem| {
                StoreError::Unavailable(problem.log.unwrap_or(problem.detail))
            })?;
            crate::jobs::log_report(&report);
            match report.next_cursor.as_deref().map(str::parse) {
                Some(Ok(next)) => start = next,
                _ => return Ok(()),
            }
        }
    }
}

fn logged(what: &'static str, outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what}");
    }
}
