//! The one thread that writes, and its group commits.
//!
//! A durable commit costs a flush of the disk, whatever is in it. So the writer takes all jobs
//! that wait, runs each inside its own savepoint, commits once and then answers all of them.
//! While the disk flushes, the next group gathers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use waypost_service::seams::StoreError;

use super::error::store_error;

/// Most jobs in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 256;

/// What the writer has done since the database was opened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Transactions committed.
    pub(super) commits: AtomicU64,
    /// Jobs run.
    pub(super) jobs: AtomicU64,
}

/// A message to the writer.
pub(super) enum Order {
    /// Commit what came before, tidy up and stop.
    Close(oneshot::Sender<()>),
    /// Run a job.
    Run(Box<dyn Job>),
}

/// Work for the writer, its type erased.
pub(super) trait Job: Send {
    /// Does the work inside a savepoint; `false` undoes it.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Tells the caller. `committed` is about the transaction around all jobs.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A closure, its result and who waits for it.
pub(super) struct Task<T, F> {
    work: Option<F>,
    result: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        let result = Err(StoreError::Unavailable("the write was not started".into()));
        Self { work: Some(work), result, reply }
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        if let Some(work) = self.work.take() {
            // The savepoint is undone after a panic, so nothing half done is ever seen.
            self.result = match catch_unwind(AssertUnwindSafe(|| work(connection))) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(store_error(&error)),
                Err(_) => Err(StoreError::Damaged("a write panicked".into())),
            };
        }
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        // A caller that went away no longer asks.
        let _ = self.reply.send(self.result.and_then(|value| committed.map(|()| value)));
    }
}

/// Runs orders until told to close or nobody can send any more. Answers who waits for the end.
pub(super) fn run(
    connection: &Connection,
    mut orders: mpsc::Receiver<Order>,
    tally: &Tally,
) -> Option<oneshot::Sender<()>> {
    let mut closing = None;
    while let Some(order) = orders.blocking_recv() {
        let mut group = Vec::new();
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Close(reply) => {
                    // Orders already sent are still served; new ones are refused.
                    orders.close();
                    closing = Some(reply);
                }
                Order::Run(job) => group.push(job),
            }
            next = match group.len() < GROUP_MAX {
                true => orders.try_recv().ok(),
                false => None,
            };
        }
        if !group.is_empty() {
            commit(connection, group, tally);
        }
    }
    tidy(connection);
    closing
}

/// One group: all jobs, one commit, all answers.
fn commit(connection: &Connection, mut group: Vec<Box<dyn Job>>, tally: &Tally) {
    let committed = run_group(connection, &mut group).map_err(|error| {
        // Leaves no transaction open for the next group; fails if SQLite has ended it already.
        let _ = connection.execute_batch("ROLLBACK");
        StoreError::Unavailable(format!("the commit failed: {error}"))
    });
    if committed.is_ok() {
        tally.commits.fetch_add(1, Ordering::Relaxed);
    }
    tally.jobs.fetch_add(group.len() as u64, Ordering::Relaxed);
    for job in group {
        job.answer(committed.clone());
    }
}

fn run_group(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let execute = |sql| connection.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE")?;
    for job in group {
        execute("SAVEPOINT job")?;
        if !job.run(connection) {
            // A full disk or a failed read may have ended the whole transaction, and the work of
            // the jobs before with it: then this fails, and so does the group.
            execute("ROLLBACK TO job")?;
        }
        execute("RELEASE job")?;
    }
    execute("COMMIT").map(|_| ())
}

/// Leaves one compact file behind. What fails here costs only time at the next start.
fn tidy(connection: &Connection) {
    let _ = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
}
