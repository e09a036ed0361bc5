//! Copies of a database: made while it is served, and put back while it is not.
//!
//! A copy is one file, checked from end to end before it gets its name. Both directions go
//! through SQLite, never through a plain copy of the file: commits may still be in the log
//! beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::{Builder, TempPath};

use crate::sqlite::open::{check, lock};
use crate::sqlite::{FILE_NAME, OpenError};

/// Pages copied between two reports of progress: 4 MiB.
const STEP_PAGES: i32 = 1_024;

/// How long to wait for a file that another program has locked.
const LOCKED_WAIT: Duration = Duration::from_millis(100);

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many pages are written.
    Copying {
        /// Written.
        pages: u32,
        /// In all.
        of_pages: u32,
    },
    /// The copy is whole and is read through.
    Checking,
}

/// Why there is no copy. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// SQLite could not read the one or write the other.
    #[error("cannot copy {} to {}: {source}", .from.display(), .to.display())]
    Copy {
        /// Read.
        from: PathBuf,
        /// Written.
        to: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The copy is faulty, so what it was made from is.
    #[error("{} is damaged: {fault}: use another backup, if there is one", .path.display())]
    Damaged {
        /// What the copy was made from.
        path: PathBuf,
        /// The first fault.
        fault: String,
    },
    /// There is no Waypost data in it.
    #[error("{} is an empty database: is this the right file?", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something is there already, and stays.
    #[error("{} exists: choose another name, or move it away first", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file system did not let us.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of the databases is not to be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path: path.into() },
            _ => Self::Io { path: path.into(), source },
        }
    }
}

/// Copies the database in `data_directory` to the new file `to`, as it is at one moment. Other
/// processes may serve and write it meanwhile. Answers the size of the copy in bytes.
pub fn backup(
    data_directory: &Path,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists { path: to.into() });
    }
    let copy = copy(&data_directory.join(FILE_NAME), to, progress)?;
    copy.persist_noclobber(to).map_err(|error| BackupError::io(to)(error.error))?;
    settle(to)
}

/// Makes the backup `from` the database in `data_directory`, which no process may serve. A
/// database that is there is lost if `replace`, and stays otherwise. Answers the size in bytes.
pub fn restore(
    from: &Path,
    data_directory: &Path,
    replace: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, BackupError> {
    let to = data_directory.join(FILE_NAME);
    let _lock = lock(&to)?;
    if to.exists() && !replace {
        return Err(BackupError::Exists { path: to });
    }
    let copy = copy(from, &to, progress)?;
    skip_codes(&copy).map_err(|source| BackupError::Copy {
        from: from.into(),
        to: to.clone(),
        source,
    })?;
    // A log belongs to the database that is replaced: left there, it would be applied to this one.
    for suffix in ["wal", "shm"] {
        remove(&data_directory.join(format!("{FILE_NAME}-{suffix}")))?;
    }
    copy.persist(&to).map_err(|error| BackupError::io(&to)(error.error))?;
    settle(&to)
}

/// A checked copy under a temporary name beside `to`, readable by its owner alone.
fn copy(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<TempPath, BackupError> {
    let source = open_source(from).map_err(|source| OpenError::sqlite(from, source))?;
    if check(&source, from)? == 0 {
        return Err(BackupError::Empty { path: from.into() });
    }
    let directory = to.parent().unwrap_or(Path::new(""));
    // An empty parent is the working directory.
    let directory = if directory == Path::new("") { Path::new(".") } else { directory };
    let temporary = Builder::new()
        .prefix(".waypost-")
        .suffix(".tmp")
        .tempfile_in(directory)
        .map_err(BackupError::io(to))?
        .into_temp_path();
    let fault = |source| BackupError::Copy { from: from.into(), to: to.into(), source };
    let mut target = Connection::open(&temporary).map_err(fault)?;
    copy_pages(&source, &mut target, progress).map_err(fault)?;
    progress(Progress::Checking);
    match first_fault(&target).map_err(fault)? {
        Some(fault) => Err(BackupError::Damaged { path: from.into(), fault }),
        None => Ok(temporary),
    }
}

/// Codes from a counter that were given out after the backup was made may be printed somewhere: the
/// counters start well behind them.
fn skip_codes(copy: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(copy)?;
    connection.execute("UPDATE leases SET next = next + ?1", [SKIPPED_CODES]).map(drop)
}

/// More links than anybody makes between two backups, and 0.02 % of the codes of six characters.
const SKIPPED_CODES: i64 = 10_000_000;

/// Opened for writing, though nothing is written: the last connection to close then takes the files
/// of the log away again, which would else stay and belong to whoever made the backup. Where the
/// file cannot be written, it is only read.
pub(crate) fn open_source(from: &Path) -> rusqlite::Result<Connection> {
    let open = |flags| Connection::open_with_flags(from, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    open(OpenFlags::SQLITE_OPEN_READ_WRITE).or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_ONLY))
}

fn copy_pages(
    source: &Connection,
    target: &mut Connection,
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<()> {
    // A read transaction over all steps: with a fixed view of the source, writes that happen
    // meanwhile do not make the copy start over.
    let view = source.unchecked_transaction()?;
    view.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let backup = Backup::new(&view, target)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let now = backup.progress();
        progress(Progress::Copying {
            pages: now.pagecount.abs_diff(now.remaining),
            of_pages: now.pagecount.unsigned_abs(),
        });
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => thread::sleep(LOCKED_WAIT),
        }
    }
    drop(backup);
    // Without a log of its own the copy is one file, and opens on a read-only disk as well.
    target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
}

/// Reads the whole database.
fn first_fault(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::io(path)(error)),
        _ => Ok(()),
    }
}

/// Makes a new name durable. Answers the size of the file.
fn settle(path: &Path) -> Result<u64, BackupError> {
    let settle = || -> io::Result<u64> {
        let file = File::open(path)?;
        file.sync_all()?;
        #[cfg(unix)]
        if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
            File::open(parent)?.sync_all()?;
        }
        Ok(file.metadata()?.len())
    };
    settle().map_err(BackupError::io(path))
}

#[cfg(test)]
mod tests {
    use waypost_service::seams::LinkStore;

    use std::os::unix::fs::PermissionsExt;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::sqlite::{Db, DbOptions};

    fn directory() -> TempDir {
        tempdir().expect("a directory for the test")
    }

    fn open(directory: &Path) -> Db {
        Db::open(&directory.join(FILE_NAME), &DbOptions::default()).expect("the database opens")
    }

    async fn write(db: &Db, name: &'static str) {
        let insert = "INSERT INTO leases (name, next) VALUES (?1, 1)";
        let written = db.write(move |connection| connection.execute(insert, [name])).await;
        assert_eq!(written, Ok(1));
    }

    fn names(db: &Db) -> Vec<String> {
        db.read_now(|connection| {
            let mut statement = connection.prepare("SELECT name FROM leases ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
        .expect("the names are readable")
    }

    fn quiet(_: Progress) {}

    fn files(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("it is readable");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_backup_of_a_served_database_is_restored_whole() {
        let (served, backups, restored) = (directory(), directory(), directory());
        let db = open(served.path());
        write(&db, "before").await;
        let to = backups.path().join("a.db");
        let mut steps = Vec::new();
        let bytes = backup(served.path(), &to, &mut |step| steps.push(step)).expect("it works");
        write(&db, "after").await;

        assert_eq!(files(&backups), ["a.db"]);
        let metadata = fs::metadata(&to).expect("it is there");
        assert_eq!(metadata.len(), bytes);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        // One file: the header's format versions say that there is no log beside it.
        assert_eq!(fs::read(&to).expect("it is there")[18..20], [1, 1]);
        let pages = u32::try_from(bytes / 4_096).expect("a small file");
        assert_eq!(steps, [Progress::Copying { pages, of_pages: pages }, Progress::Checking]);

        let size = restore(&to, restored.path(), false, &mut quiet).expect("it works");
        assert_eq!(size, bytes);
        assert_eq!(names(&open(restored.path())), ["before"]);
        assert_eq!(names(&db), ["after", "before"]);
    }

    #[tokio::test]
    async fn a_backup_is_of_one_moment_whatever_is_written_meanwhile() {
        let (served, backups) = (directory(), directory());
        let db = open(served.path());
        let fill = "INSERT INTO leases (name, next)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
            SELECT 'name ' || i || hex(zeroblob(100)), i FROM n";
        assert_eq!(db.write(|connection| connection.execute(fill, [])).await, Ok(60_000));
        let to = backups.path().join("a.db");
        let mut steps = 0;
        let writer = Connection::open(served.path().join(FILE_NAME)).expect("SQLite opens it");
        let mut meanwhile = |_| {
            steps += 1;
            writer.execute_batch("UPDATE leases SET next = next + 1").expect("it is written");
        };
        backup(served.path(), &to, &mut meanwhile).expect("it works");
        assert!((4..20).contains(&steps), "{steps} steps");
        let copy = Connection::open(&to).expect("SQLite opens it");
        let sum = copy.query_row("SELECT sum(next) FROM leases", [], |row| row.get::<_, i64>(0));
        assert_eq!(sum, Ok(60_000 * 60_001 / 2));
    }

    #[tokio::test]
    async fn a_database_that_was_not_closed_is_copied_with_its_log() {
        let (crashed, copied, backups) = (directory(), directory(), directory());
        let db = open(crashed.path());
        write(&db, "in the log").await;
        for file in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
            fs::copy(crashed.path().join(&file), copied.path().join(&file)).expect("it is there");
        }
        let to = backups.path().join("a.db");
        backup(copied.path(), &to, &mut quiet).expect("it works");
        restore(&to, backups.path(), false, &mut quiet).expect("it works");
        assert_eq!(names(&open(backups.path())), ["in the log"]);
    }

    #[tokio::test]
    async fn a_backup_of_a_database_at_rest_leaves_nothing_beside_it() {
        let (served, backups) = (directory(), directory());
        let db = open(served.path());
        write(&db, "at rest").await;
        db.close().await;
        drop(db);
        let files = || {
            let entries = fs::read_dir(served.path()).expect("a directory");
            let mut names: Vec<_> =
                entries.map(|entry| entry.expect("an entry").file_name()).collect();
            names.sort();
            names
        };
        let before = files();
        backup(served.path(), &backups.path().join("a.db"), &mut quiet).expect("it works");
        assert_eq!(files(), before);
    }

    #[tokio::test]
    async fn codes_given_out_after_the_backup_are_not_given_out_again() {
        let (served, backups, restored) = (directory(), directory(), directory());
        let db = open(served.path());
        assert_eq!(db.lease("codes", 100).await, Ok(0));
        let to = backups.path().join("a.db");
        backup(served.path(), &to, &mut quiet).expect("it works");
        assert_eq!(db.lease("codes", 100).await, Ok(100));
        restore(&to, restored.path(), false, &mut quiet).expect("it works");
        let again = open(restored.path()).lease("codes", 100).await;
        assert!(again.is_ok_and(|first| first >= 1_000_000));
    }

    #[tokio::test]
    async fn nothing_is_overwritten_unless_asked() {
        let (served, backups, other) = (directory(), directory(), directory());
        let db = open(served.path());
        write(&db, "wanted").await;
        let to = backups.path().join("a.db");
        fs::write(&to, "precious").expect("it is written");
        let refused = backup(served.path(), &to, &mut quiet);
        assert!(matches!(refused, Err(BackupError::Exists { path }) if path == to));
        assert_eq!(fs::read(&to).expect("it is there"), b"precious");
        fs::remove_file(&to).expect("it is there");
        backup(served.path(), &to, &mut quiet).expect("it works");

        let in_place = open(other.path());
        write(&in_place, "in place").await;
        let refused = restore(&to, other.path(), true, &mut quiet);
        assert!(matches!(refused, Err(BackupError::Open(OpenError::InUse { .. }))));
        drop(in_place);
        let refused = restore(&to, other.path(), false, &mut quiet);
        assert!(matches!(refused, Err(BackupError::Exists { .. })));
        assert_eq!(names(&open(other.path())), ["in place"]);
        // As after a crash: a log that does not belong to the backup.
        fs::write(other.path().join(format!("{FILE_NAME}-wal")), [7; 5_000]).expect("written");
        restore(&to, other.path(), true, &mut quiet).expect("it works");
        assert_eq!(files(&other), [FILE_NAME, &format!("{FILE_NAME}.lock")]);
        assert_eq!(names(&open(other.path())), ["wanted"]);
    }

    #[tokio::test]
    async fn what_is_no_sound_waypost_database_is_refused() {
        let (served, sources, target) = (directory(), directory(), directory());
        let db = open(served.path());
        write(&db, "wanted").await;
        db.close().await;
        let source = |name: &str| sources.path().join(name);
        fs::write(source("empty"), "").expect("it is written");
        fs::write(source("text"), "hello, world\n".repeat(99)).expect("it is written");
        let foreign = Connection::open(source("foreign")).expect("SQLite opens it");
        foreign.execute_batch("CREATE TABLE t (a)").expect("it is written");
        let mut bytes = fs::read(served.path().join(FILE_NAME)).expect("it is there");
        bytes.truncate(bytes.len() - 4_096);
        fs::write(source("cut"), &bytes).expect("it is written");
        let page = bytes.len() / 2 / 4_096 * 4_096;
        bytes.extend([0; 4_096]);
        bytes[page..page + 4_096].fill(0xff);
        fs::write(source("scratched"), &bytes).expect("it is written");

        for (name, wanted) in [
            ("none", "cannot open FILE: "),
            ("empty", "FILE is an empty database: "),
            ("text", "FILE is not an SQLite database, or is damaged: "),
            ("foreign", "FILE is an SQLite database of another program "),
            ("cut", "FILE is "),
            ("scratched", "FILE is "),
        ] {
            let from = source(name);
            let refused = restore(&from, target.path(), false, &mut quiet);
            let text = refused.expect_err(name).to_string();
            let text = text.replace(&from.display().to_string(), "FILE");
            assert!(text.starts_with(wanted), "{name}: {text}");
            assert_eq!(files(&target), [format!("{FILE_NAME}.lock")], "{name}");
        }
        let nothing = backup(target.path(), &source("copy"), &mut quiet);
        assert!(matches!(nothing, Err(BackupError::Open(OpenError::Sqlite { .. }))));
    }
}
