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
