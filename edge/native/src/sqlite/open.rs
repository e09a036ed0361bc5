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
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_links.sql"),
    include_str!("../../migrations/0002_counters.sql"),
    include_str!("../../migrations/0003_secrets.sql"),
    include_str!("../../migrations/0004_seals.sql"),
    include_str!("../../migrations/0005_key_limits.sql"),
    include_str!("../../migrations/0006_days.sql"),
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
    /// Links are sealed, and the key that opens them is not here.
    #[error(
        "{} is sealed with key {number}, which is not among the keys of seal_keys_file or seal_keys: \
         put it back, behind the first if another one is to seal; without it, these links cannot be \
         read", .path.display()
    )]
    NoSealKey {
        /// The file.
        path: PathBuf,
        /// The number of the key.
        number: u32,
    },
    /// Links are sealed, and the key of that number is another one.
    #[error(
        "{} is sealed with another key {number} than that of seal_keys_file or seal_keys: put the \
         right one in its place, and give a new key a number of its own", .path.display()
    )]
    OtherSealKey {
        /// The file.
        path: PathBuf,
        /// The number of the key.
        number: u32,
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
    if !options.without_links {
        super::seals::begin(&connection, path, &options.sealing)?;
    }
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
    for (step, version) in MIGRATIONS.iter().zip(1_u32..).skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use waypost_service::keys::KeyStore;

    use super::*;
    use crate::sqlite::Db;

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a directory for the database")
    }

    fn open(path: &Path) -> Result<Db, OpenError> {
        Db::open(path, &DbOptions::default())
    }

    /// The text an operator reads, without the directory.
    fn refusal(path: &Path) -> String {
        let error = open(path).expect_err("this file must be refused");
        error.to_string().replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn a_new_database_is_marked_and_has_the_newest_schema() {
        let directory = directory();
        let path = directory.path().join("new/waypost.db");
        drop(open(&path).expect("a new database opens"));
        let connection = Connection::open(&path).expect("SQLite opens it too");
        assert_eq!(check(&connection, &path).expect("it is ours"), SCHEMA_VERSION);
        let header = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .expect("a header field")
        };
        assert_eq!(header("application_id"), APPLICATION_ID);
        assert_eq!(header("user_version"), i32::try_from(SCHEMA_VERSION).expect("few steps"));
        drop(open(&path).expect("it opens again"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_data_directory_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = directory();
        let path = directory.path().join("new/waypost.db");
        drop(open(&path).expect("a new database opens"));
        let mode = fs::metadata(directory.path().join("new")).expect("it exists").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
    }

    #[test]
    fn the_writer_commits_durably() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        let writer = open_writer(&path, &DbOptions::default()).expect("a new database opens");
        let pragma = |name| {
            writer
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .expect("a setting")
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        // 2 is FULL.
        assert_eq!(pragma("synchronous"), 2.into());
        assert_eq!(pragma("foreign_keys"), 1.into());
    }

    #[test]
    fn a_second_process_is_refused_until_the_first_is_gone() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        let first = open(&path).expect("a new database opens");
        assert_eq!(
            refusal(&path),
            "FILE is in use by another Waypost process: stop it first, or choose another data \
             directory"
        );
        drop(first);
        drop(open(&path).expect("it is free again"));
    }

    #[test]
    fn a_newer_database_is_refused_untouched() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        drop(open(&path).expect("a new database opens"));
        let newer = i64::try_from(SCHEMA_VERSION).expect("few steps") + 1;
        let connection = Connection::open(&path).expect("SQLite opens it");
        connection.pragma_update(None, "user_version", newer).expect("it is written");
        drop(connection);
        let before = fs::read(&path).expect("it is there");
        assert_eq!(
            refusal(&path),
            format!(
                "FILE has schema version {newer}, and this Waypost knows versions up to \
                 {SCHEMA_VERSION}: start the newer Waypost again, or restore a backup from before \
                 the upgrade"
            )
        );
        assert_eq!(fs::read(&path).expect("it is there"), before);
    }

    #[tokio::test]
    async fn keys_from_before_they_had_limits_have_the_one_of_the_setting() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        let connection = Connection::open(&path).expect("SQLite opens it");
        for step in &MIGRATIONS[..4] {
            connection.execute_batch(step).expect("a step");
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("it is ours");
        connection.pragma_update(None, "user_version", 4).expect("it is old");
        connection
            .execute(
                "INSERT INTO api_keys (id, hash, name, role, created_at)
                 VALUES ('a', ?1, 'old', 'editor', 5)",
                [[7; 32]],
            )
            .expect("a key");
        drop(connection);
        let db = open(&path).expect("it is brought up to date");
        let key = db.key_by_hash(&[7; 32]).await.expect("it answers").expect("it is there");
        assert_eq!((key.name.as_str(), key.requests_per_minute), ("old", None));
    }

    #[test]
    fn a_database_of_another_program_is_refused_untouched() {
        let directory = directory();
        for (name, set_up, application_id) in [
            ("tables.db", "CREATE TABLE moz_places (id INTEGER)", "0x0"),
            ("id.db", "PRAGMA application_id = 252006674", "0xf055112"),
            ("version.db", "PRAGMA user_version = 1", "0x0"),
        ] {
            let path = directory.path().join(name);
            let connection = Connection::open(&path).expect("SQLite opens it");
            connection.execute_batch(set_up).expect("it is written");
            drop(connection);
            let before = fs::read(&path).expect("it is there");
            assert_eq!(
                refusal(&path),
                format!(
                    "FILE is an SQLite database of another program (application id \
                     {application_id}): choose another data directory, or move the file away"
                )
            );
            assert_eq!(fs::read(&path).expect("it is there"), before, "{name}");
        }
    }

    #[test]
    fn what_is_no_database_is_refused_untouched() {
        let directory = directory();
        let mut cut_off = b"SQLite format 3\0".to_vec();
        cut_off.extend([0xff; 200]);
        for content in [b"hello, world\n".repeat(100), vec![0; 4096], cut_off] {
            let path = directory.path().join("waypost.db");
            fs::write(&path, &content).expect("it is written");
            assert_eq!(
                refusal(&path),
                "FILE is not an SQLite database, or is damaged: move it away and restore a \
                 backup, or choose another data directory"
            );
            assert_eq!(fs::read(&path).expect("it is there"), content);
        }
    }

    #[test]
    fn an_empty_file_is_a_new_database() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        fs::write(&path, "").expect("it is written");
        drop(open(&path).expect("a crash can leave an empty file"));
    }

    #[test]
    fn a_directory_in_the_way_is_named() {
        let directory = directory();
        let path = directory.path().join("waypost.db");
        fs::create_dir(&path).expect("it is made");
        assert_eq!(refusal(&path), "cannot open FILE: unable to open database file: FILE");
    }
}
