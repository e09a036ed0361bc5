//! Opening a database file: whose it is, which version it has, who else has it open.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::DbOptions;
use super::readers::STATEMENTS;

/// "WAYP": marks the file as Waypost's in SQLite's header (`PRAGMA application_id`).
pub const APPLICATION_ID: i32 = 0x5741_5950;

/// The schema, step by step; the number of steps taken is the file's `user_version`. A step that
/// was released is never edited.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/0001_links.sql"),
    include_str!("../../migrations/0002_counters.sql"),
];

/// The schema version this program writes.
pub const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Pages in the log before a commit also moves them into the database: 16 MiB, so that a page
/// written often is moved once.
const CHECKPOINT_PAGES: u32 = 4_096;

/// What the log file is cut back to after a checkpoint: 64 MiB.
const LOG_MAX_BYTES: u32 = 64 << 20;

/// The writer's page cache: 32 MiB (negative: KiB), so that the upper levels of every index of a
/// database of millions of links stay in memory.
const CACHE_KIB: i32 = -32_768;

/// Why a database was not opened. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An SQLite file, but of another program.
    #[error(
        "{} is an SQLite database of another program (application id {application_id:#x}): \
         choose another data directory, or move the file away", .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its header says.
        application_id: i32,
    },
    /// Another process serves this data directory.
    #[error(
        "{} is in use by another Waypost process: stop it first, or choose another data \
         directory", .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file system did not let us.
    #[error("cannot open {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Written by a later version of Waypost.
    #[error(
        "{} has schema version {version}, and this Waypost knows versions up to {}: start the \
         newer Waypost again, or restore a backup from before the upgrade",
        .path.display(), SCHEMA_VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        version: i64,
    },
    /// The log that makes commits durable does not work here.
    #[error(
        "{} cannot use a write-ahead log, as on some network file systems: choose a data \
         directory on a local disk", .path.display()
    )]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// No database at all.
    #[error(
        "{} is not an SQLite database, or is damaged: move it away and restore a backup, or \
         choose another data directory", .path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refused for another reason.
    #[error("cannot open {}: {source}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::NotADatabase { path: path.into() }
            }
            _ => Self::Sqlite { path: path.into(), source },
        }
    }
}

/// Takes the lock that says a process serves this database; held until the file is dropped, even
/// by a crash. It is a file of its own: SQLite's locks on the database must not be disturbed.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    create_parent(path).map_err(|source| OpenError::io(path, source))?;
    let lock_path = path.with_added_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|source| OpenError::io(&lock_path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::io(&lock_path, source)),
    }
}

/// The data directory is for its owner alone: it holds password hashes.
fn create_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(parent)
}

/// Opens the writing connection of a database that is ours or new, and brings it up to date.
pub(super) fn open_writer(path: &Path, options: &DbOptions) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|source| OpenError::sqlite(path, source))?;
    let version = check(&connection, path)?;
    configure(&connection, path, options)?;
    migrate(&mut connection, version).map_err(|source| OpenError::sqlite(path, source))?;
    Ok(connection)
}

/// Refuses what is not ours, before anything is written. Answers the schema version.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let header = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<(i64, i64, bool)> {
        let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
        let empty = connection.query_row(empty, [], |row| row.get(0))?;
        Ok((header("application_id")?, header("user_version")?, empty))
    };
    let (application_id, version, empty) =
        read().map_err(|source| OpenError::sqlite(path, source))?;
    if application_id == 0 && version == 0 && empty {
        return Ok(0);
    }
    if application_id != i64::from(APPLICATION_ID) {
        // The header field has 32 bits.
        let application_id = application_id as i32;
        return Err(OpenError::Foreign { path: path.into(), application_id });
    }
    match usize::try_from(version) {
        Ok(version) if version <= SCHEMA_VERSION => Ok(version),
        _ => Err(OpenError::Newer { path: path.into(), version }),
    }
}

fn configure(connection: &Connection, path: &Path, options: &DbOptions) -> Result<(), OpenError> {
    let set = || -> rusqlite::Result<bool> {
        connection.busy_timeout(options.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let log = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let log = connection.pragma_update_and_check(None, "journal_mode", "wal", log)?;
        // FULL: a commit has reached the disk, not only the operating system, when it answers.
        connection.pragma_update(None, "synchronous", "full")?;
        // macOS: `fsync` alone does not empty the drive's cache.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_MAX_BYTES)?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        connection.pragma_update(None, "mmap_size", options.mmap_bytes)?;
        Ok(log == "wal")
    };
    match set() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NoLog { path: path.into() }),
        Err(source) => Err(OpenError::sqlite(path, source)),
    }
}

/// Takes the steps from `version` on, each whole or not at all.
fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (index, step) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
