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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Sender, channel};

    use tempfile::TempDir;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;
    use crate::sqlite::{Db, DbOptions, Written};

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a directory for the database")
    }

    fn open(path: &Path, queue_jobs: usize) -> Db {
        let options = DbOptions { queue_jobs, ..DbOptions::default() };
        Db::open(&path.join("waypost.db"), &options).expect("a new database opens")
    }

    fn insert(connection: &Connection, name: &str) -> rusqlite::Result<usize> {
        connection.execute("INSERT INTO leases (name, next) VALUES (?1, 0)", [name])
    }

    async fn names(db: &Db) -> Vec<String> {
        db.read(|connection| {
            connection
                .prepare("SELECT name FROM leases ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .await
        .expect("the names are readable")
    }

    /// Keeps the writer busy until the sender is dropped, so that a group gathers behind it.
    async fn hold(db: &Db) -> (Sender<()>, JoinHandle<Result<(), StoreError>>) {
        let (release, held) = channel::<()>();
        let (started, start) = oneshot::channel();
        let db = db.clone();
        let job = tokio::spawn(async move {
            db.write(move |_| {
                let _ = started.send(());
                let _ = held.recv();
                Ok(())
            })
            .await
        });
        start.await.expect("the job starts");
        (release, job)
    }

    async fn queue<T: Send + 'static>(
        db: &Db,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T, StoreError>> {
        let before = db.queued();
        let writer = db.clone();
        let handle = tokio::spawn(async move { writer.write(job).await });
        while db.queued() == before {
            yield_now().await;
        }
        handle
    }

    #[tokio::test]
    async fn writes_that_wait_share_one_commit() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, held) = hold(&db).await;
        let mut waiting = Vec::new();
        for index in 0..100 {
            let job = move |connection: &Connection| insert(connection, &format!("{index:02}"));
            waiting.push(queue(&db, job).await);
        }
        assert_eq!(db.written(), Written { commits: 0, jobs: 0 });
        drop(release);
        for handle in waiting {
            assert_eq!(handle.await.expect("no panic"), Ok(1));
        }
        assert_eq!(held.await.expect("no panic"), Ok(()));
        assert_eq!(db.written(), Written { commits: 2, jobs: 101 });
        assert_eq!(names(&db).await.len(), 100);
    }

    #[tokio::test]
    async fn a_group_is_bounded() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, held) = hold(&db).await;
        let mut waiting = Vec::new();
        for _ in 0..=GROUP_MAX {
            waiting.push(queue(&db, |_| Ok(())).await);
        }
        drop(release);
        for handle in waiting {
            assert_eq!(handle.await.expect("no panic"), Ok(()));
        }
        assert_eq!(held.await.expect("no panic"), Ok(()));
        assert_eq!(db.written(), Written { commits: 3, jobs: 2 + GROUP_MAX as u64 });
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait_and_loses_nothing() {
        let directory = directory();
        let db = open(directory.path(), 2);
        let (release, held) = hold(&db).await;
        let waiting: Vec<_> = (0..9)
            .map(|index| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(move |connection| insert(connection, &index.to_string())).await
                })
            })
            .collect();
        while db.queued() < 2 {
            yield_now().await;
        }
        yield_now().await;
        assert_eq!(db.queued(), 2);
        drop(release);
        for handle in waiting {
            assert_eq!(handle.await.expect("no panic"), Ok(1));
        }
        assert_eq!(held.await.expect("no panic"), Ok(()));
        assert_eq!(names(&db).await.len(), 9);
    }

    #[tokio::test]
    async fn a_job_that_fails_or_panics_undoes_itself_alone() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, _held) = hold(&db).await;
        let before = queue(&db, |connection| insert(connection, "before")).await;
        let panics = queue(&db, |connection| -> rusqlite::Result<()> {
            insert(connection, "half done")?;
            panic!("a bug in a job")
        })
        .await;
        let fails = queue(&db, |connection| {
            insert(connection, "half done too")?;
            insert(connection, "before")
        })
        .await;
        let after = queue(&db, |connection| insert(connection, "after")).await;
        drop(release);
        assert_eq!(before.await.expect("no panic"), Ok(1));
        assert_eq!(
            panics.await.expect("the panic stays with the writer"),
            Err(StoreError::Damaged("a write panicked".into()))
        );
        assert_eq!(
            fails.await.expect("no panic"),
            Err(StoreError::Damaged("UNIQUE constraint failed: leases.name".into()))
        );
        assert_eq!(after.await.expect("no panic"), Ok(1));
        assert_eq!(names(&db).await, ["after", "before"]);
        assert_eq!(db.written(), Written { commits: 2, jobs: 5 });
    }

    #[tokio::test]
    async fn a_commit_that_fails_acknowledges_nothing() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, _held) = hold(&db).await;
        let good = queue(&db, |connection| insert(connection, "good")).await;
        let orphan = queue(&db, |connection| {
            connection.execute_batch(
                "PRAGMA defer_foreign_keys = on; INSERT INTO uses (link, used) VALUES (1, 1)",
            )
        })
        .await;
        drop(release);
        let fault = "the commit failed: FOREIGN KEY constraint failed".to_owned();
        let fault = StoreError::Unavailable(fault);
        assert_eq!(good.await.expect("no panic"), Err(fault.clone()));
        assert_eq!(orphan.await.expect("no panic"), Err(fault));
        assert_eq!(db.write(|connection| insert(connection, "next")).await, Ok(1));
        assert_eq!(names(&db).await, ["next"]);
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_gives_up_acknowledges_nothing() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, _held) = hold(&db).await;
        let good = queue(&db, |connection| insert(connection, "good")).await;
        // As a full disk can.
        let ends = queue(&db, |connection| connection.execute_batch("ROLLBACK")).await;
        let late = queue(&db, |connection| insert(connection, "late")).await;
        drop(release);
        let fault = StoreError::Unavailable("the commit failed: no such savepoint: job".into());
        assert_eq!(good.await.expect("no panic"), Err(fault.clone()));
        assert_eq!(ends.await.expect("no panic"), Err(fault));
        let fault = StoreError::Unavailable("the write was not started".into());
        assert_eq!(late.await.expect("no panic"), Err(fault));
        assert_eq!(db.write(|connection| insert(connection, "next")).await, Ok(1));
        assert_eq!(names(&db).await, ["next"]);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_harms_nobody() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, _held) = hold(&db).await;
        queue(&db, |connection| insert(connection, "gone")).await.abort();
        let stays = queue(&db, |connection| insert(connection, "stays")).await;
        drop(release);
        assert_eq!(stays.await.expect("no panic"), Ok(1));
        assert_eq!(names(&db).await, ["gone", "stays"]);
    }

    #[tokio::test]
    async fn closing_commits_what_was_handed_over_and_refuses_the_rest() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        let (release, _held) = hold(&db).await;
        let early = queue(&db, |connection| insert(connection, "early")).await;
        let closing = db.clone();
        let closing = tokio::spawn(async move { closing.close().await });
        while db.queued() < 2 {
            yield_now().await;
        }
        drop(release);
        assert_eq!(early.await.expect("no panic"), Ok(1));
        closing.await.expect("no panic");
        let closed = Err(StoreError::Unavailable("the database is closed".into()));
        assert_eq!(db.write(|connection| insert(connection, "late")).await, closed);
        assert_eq!(db.read(|_| Ok(1)).await, closed);
        assert_eq!(db.read_now(|_| Ok(1)), closed);
        db.close().await;
        // One compact file is left, and is free although a handle is still there.
        assert!(!directory.path().join("waypost.db-wal").exists());
        assert_eq!(names(&open(directory.path(), 1)).await, ["early"]);
    }

    #[tokio::test]
    async fn what_was_acknowledged_outlives_the_process() {
        let directory = directory();
        let db = open(directory.path(), 4_096);
        for name in ["a", "b", "c"] {
            assert_eq!(db.write(move |connection| insert(connection, name)).await, Ok(1));
        }
        let (_release, _held) = hold(&db).await;
        let _unanswered = queue(&db, |connection| insert(connection, "d")).await;
        // The files as a killed process leaves them: no close, no checkpoint.
        let after_crash = self::directory();
        for name in ["waypost.db", "waypost.db-wal"] {
            std::fs::copy(directory.path().join(name), after_crash.path().join(name))
                .expect("the file is there");
        }
        assert_eq!(names(&open(after_crash.path(), 1)).await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn dropping_every_handle_frees_the_file_at_once() {
        let directory = directory();
        for _ in 0..20 {
            let db = open(directory.path(), 4_096);
            assert_eq!(db.write(|_| Ok(7)).await, Ok(7));
        }
    }
}
