//! The embedded database: one SQLite file, one writer, many readers.
//!
//! In scope: opening and migrating the file, durable writes in groups, reads that never wait for
//! writes, and the stores of the control plane on top. Out of scope: what is stored and why.

pub(crate) mod changed;
mod counters;
mod due;
mod error;
mod keys;
mod links;
mod list;
pub(crate) mod open;
#[cfg(test)]
mod plans;
mod readers;
mod rows;
pub(crate) mod seals;
pub(crate) mod secrets;
mod warm;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{Semaphore, mpsc, oneshot};
use waypost_service::model::LinkId;
use waypost_service::seal::fields::Sealing;
use waypost_service::seams::StoreError;

pub use open::{APPLICATION_ID, OpenError, SCHEMA_VERSION};
use readers::Readers;
pub use seals::{Swept, sweep};
use writer::{Order, Tally, Task};

/// The name of the database in a data directory.
pub const FILE_NAME: &str = "waypost.db";

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// How long SQLite waits for a lock of another process, such as a backup.
    pub busy_timeout: Duration,
    /// How much of the file is read through the page tables instead of copied.
    pub mmap_bytes: u32,
    /// Connections for [`Db::record`] and [`Db::read_now`]: one per thread that may call them.
    pub point_readers: usize,
    /// Writes that may wait for the writer before callers wait to hand theirs over.
    pub queue_jobs: usize,
    /// Connections for [`Db::read`].
    pub readers: usize,
    /// What links are sealed with. A database that is sealed with other keys is refused.
    pub sealing: Sealing,
    /// Links are of no interest, so nothing is asked for the keys that they are sealed with.
    pub without_links: bool,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            mmap_bytes: 1 << 30,
            point_readers: thread::available_parallelism().map_or(4, |cores| cores.get()),
            queue_jobs: 4_096,
            readers: 4,
            sealing: Sealing::default(),
            without_links: false,
        }
    }
}

/// A handle on the open database; clones share it.
#[derive(Clone, Debug)]
pub struct Db(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` only while dropped.
    orders: Option<mpsc::Sender<Order>>,
    /// Free connections for reads off the async threads; the others stay for the hot path.
    read_permits: Arc<Semaphore>,
    readers: Readers,
    sealing: Sealing,
    tally: Arc<Tally>,
    writer: Option<JoinHandle<()>>,
}

impl Db {
    /// Opens the database at `path`, creating and migrating it as needed, and keeps every other
    /// process from opening it.
    pub fn open(path: &Path, options: &DbOptions) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        let connection = open::open_writer(path, options)?;
        let readers = Readers::open(path, options.readers + options.point_readers, options)
            .map_err(|source| OpenError::sqlite(path, source))?;
        let (orders, received) = mpsc::channel(options.queue_jobs);
        let tally = Arc::new(Tally::default());
        let writer = spawn_writer(connection, received, Arc::clone(&tally), lock)
            .map_err(|source| OpenError::io(path, source))?;
        Ok(Self(Arc::new(Shared {
            orders: Some(orders),
            read_permits: Arc::new(Semaphore::new(options.readers)),
            readers,
            sealing: options.sealing.clone(),
            tally,
            writer: Some(writer),
        })))
    }

    /// Runs `job` on the writer thread, inside a transaction it shares with other jobs; answers
    /// when the commit is durable. An error or a panic undoes this job and no other.
    ///
    /// Dropping the future does not call the write back.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Run(Box::new(Task::new(job, reply)))).await?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs `job` on a read-only connection, off the async threads; it sees one snapshot, with
    /// every write that was acknowledged before. Must be called inside a Tokio runtime.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = Arc::clone(&self.0.read_permits);
        let permit = permits.acquire_owned().await.map_err(|_| closed())?;
        let shared = Arc::clone(&self.0);
        let snapshot = move || {
            // Held until the read ends, also if nobody waits for it any more.
            let _permit = permit;
            shared.readers.run(|connection| {
                let transaction = connection.unchecked_transaction()?;
                job(&transaction)
            })
        };
        match tokio::task::spawn_blocking(snapshot).await {
            Ok(result) => result,
            Err(_) => Err(closed()),
        }
    }

    /// Runs `job` on a read-only connection, here and now. For reads of a few microseconds, where
    /// a change of threads would cost more than the read.
    pub fn read_now<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.0.readers.run(job)
    }

    /// The record stored under a key, read here and now.
    pub fn record(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_now(|connection| {
            connection
                .prepare_cached("SELECT record, id FROM links WHERE key = ?1")?
                .query_row([key], |row| {
                    let id = LinkId(row.get::<_, i64>(1)?.cast_unsigned());
                    let record = self.0.sealing.record(id, row.get(0)?);
                    record.map_err(|fault| seals::unsealable(&fault))
                })
                .optional()
        })
    }

    /// What links are sealed with, for a job on another thread.
    fn sealing(&self) -> Sealing {
        self.0.sealing.clone()
    }

    fn sealing_ref(&self) -> &Sealing {
        &self.0.sealing
    }

    /// Writes that wait for the writer.
    pub fn queued(&self) -> usize {
        self.0.orders.as_ref().map_or(0, |orders| orders.max_capacity() - orders.capacity())
    }

    /// Writes run, and the commits they took, since the database was opened.
    pub fn written(&self) -> Written {
        Written {
            commits: self.0.tally.commits.load(Ordering::Relaxed),
            jobs: self.0.tally.jobs.load(Ordering::Relaxed),
        }
    }

    /// Commits every write that was handed over, moves the log into the database and lets other
    /// processes open it. Later calls of any method answer that the database is closed.
    pub async fn close(&self) {
        self.0.read_permits.close();
        self.0.readers.close();
        let (reply, answer) = oneshot::channel();
        if self.send(Order::Close(reply)).await.is_ok() {
            // An error means that another call closed it.
            let _ = answer.await;
        }
    }

    async fn send(&self, order: Order) -> Result<(), StoreError> {
        match &self.0.orders {
            Some(orders) => orders.send(order).await.map_err(|_| closed()),
            None => Err(closed()),
        }
    }
}

/// What [`Db::written`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Transactions committed.
    pub commits: u64,
    /// Jobs run in them, failed ones included.
    pub jobs: u64,
}

impl Drop for Shared {
    /// Waits for the writer, so that the file can be opened again right after.
    fn drop(&mut self) {
        self.readers.close();
        self.orders = None;
        if let Some(writer) = self.writer.take()
            // The last handle can be dropped by a job.
            && writer.thread().id() != thread::current().id()
        {
            // The writer catches the panics of jobs; it has none of its own to report.
            let _ = writer.join();
        }
    }
}

fn spawn_writer(
    connection: Connection,
    orders: mpsc::Receiver<Order>,
    tally: Arc<Tally>,
    lock: File,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("waypost-writer".into()).spawn(move || {
        let closing = writer::run(&connection, orders, &tally);
        drop(connection);
        drop(lock);
        if let Some(reply) = closing {
            // A caller that went away no longer asks.
            let _ = reply.send(());
        }
    })
}

fn closed() -> StoreError {
    StoreError::Unavailable("the database is closed".into())
}
