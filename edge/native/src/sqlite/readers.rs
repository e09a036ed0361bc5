//! Read-only connections, lent one reader at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};
use waypost_service::seams::StoreError;

use super::DbOptions;
use super::error::store_error;

/// Statements kept prepared per connection: more than the store has shapes of queries.
pub(super) const STATEMENTS: usize = 64;

/// The connections of a database.
#[derive(Debug)]
pub(super) struct Readers {
    /// Those not lent; `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
    returned: Condvar,
}

impl Readers {
    /// Opens `count` connections on a database that exists.
    pub(super) fn open(path: &Path, count: usize, options: &DbOptions) -> rusqlite::Result<Self> {
        let idle = (0..count).map(|_| open_one(path, options)).collect::<Result<_, _>>()?;
        Ok(Self { idle: Mutex::new(Some(idle)), returned: Condvar::new() })
    }

    /// Runs a job on a connection, waiting for one to come back if all are lent. A panic stays
    /// inside.
    pub(super) fn run<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.take()?;
        // A read leaves nothing behind that a panic could have broken.
        let result = catch_unwind(AssertUnwindSafe(|| job(&connection)));
        self.put_back(connection);
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(store_error(&error)),
            Err(_) => Err(StoreError::Damaged("a read panicked".into())),
        }
    }

    /// Closes all connections; those lent are closed when they come back.
    pub(super) fn close(&self) {
        *self.lock() = None;
        self.returned.notify_all();
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = self.lock();
        loop {
            let Some(connections) = idle.as_mut() else {
                return Err(super::closed());
            };
            if let Some(connection) = connections.pop() {
                return Ok(connection);
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_back(&self, connection: Connection) {
        if let Some(connections) = self.lock().as_mut() {
            connections.push(connection);
        }
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_one(path: &Path, options: &DbOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "mmap_size", options.mmap_bytes)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crate::sqlite::{Db, DbOptions};

    use super::*;

    fn open(directory: &tempfile::TempDir, options: &DbOptions) -> Db {
        Db::open(&directory.path().join("waypost.db"), options).expect("a new database opens")
    }

    #[tokio::test]
    async fn a_read_that_panics_gives_its_connection_back() {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let options = DbOptions { point_readers: 0, readers: 1, ..DbOptions::default() };
        let db = open(&directory, &options);
        for _ in 0..3 {
            let panics = |_: &Connection| -> rusqlite::Result<u8> { panic!("a bug in a job") };
            let fault = Err(StoreError::Damaged("a read panicked".into()));
            assert_eq!(db.read(panics).await, fault);
            assert_eq!(db.read_now(panics), fault);
        }
        assert_eq!(db.read(|_| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_read_cannot_write() {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let db = open(&directory, &DbOptions::default());
        let fault = StoreError::Unavailable("attempt to write a readonly database".into());
        let delete = |connection: &Connection| connection.execute("DELETE FROM links", []);
        assert_eq!(db.read(delete).await, Err(fault.clone()));
        assert_eq!(db.read_now(delete), Err(fault));
    }

    #[tokio::test]
    async fn long_reads_leave_the_hot_path_its_connections() {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let options = DbOptions { point_readers: 1, readers: 1, ..DbOptions::default() };
        let db = open(&directory, &options);
        let (release, held) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        let long = {
            let db = db.clone();
            tokio::spawn(async move {
                db.read(move |_| {
                    let _ = started.send(());
                    let _ = held.recv();
                    Ok(())
                })
                .await
            })
        };
        tokio::task::spawn_blocking(move || start.recv())
            .await
            .expect("no panic")
            .expect("started");
        // The only permit of `read` is taken, and stays so if the caller goes away; `record` does
        // not ask for one.
        long.abort();
        assert!(long.await.expect_err("it was aborted").is_cancelled());
        assert_eq!(db.0.read_permits.available_permits(), 0);
        assert_eq!(db.record("s.example/none"), Ok(None));
        drop(release);
        assert_eq!(db.read(|_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_read_sees_one_snapshot() {
        let directory = tempfile::tempdir().expect("a directory for the database");
        let db = open(&directory, &DbOptions::default());
        let (release, held) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM leases", [], |row| row.get::<_, i64>(0))
        };
        let reads = {
            let db = db.clone();
            tokio::spawn(async move {
                db.read(move |connection| {
                    let before = count(connection)?;
                    let _ = started.send(());
                    let _ = held.recv();
                    Ok((before, count(connection)?))
                })
                .await
            })
        };
        tokio::task::spawn_blocking(move || start.recv())
            .await
            .expect("no panic")
            .expect("started");
        let insert = "INSERT INTO leases (name, next) VALUES ('a', 1)";
        assert_eq!(db.write(move |connection| connection.execute(insert, [])).await, Ok(1));
        drop(release);
        assert_eq!(reads.await.expect("no panic"), Ok((0, 0)));
        assert_eq!(db.read(count).await, Ok(1));
    }
}
