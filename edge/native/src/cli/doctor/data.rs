//! The data directory: is it there, is it private, is there room, is anything left over?

use std::fs::{self, File};
use std::io;
use std::path::Path;

use waypost_service::seal::fields::Sealing;
use waypost_wire::time::Timestamp;

use super::check::Check;
use super::{database, windows};
use crate::cli::table::grouped;
use crate::sqlite::FILE_NAME;

/// Below this, commits fail soon.
const SPACE_FAIL_BYTES: u64 = 100 << 20;
/// Below this, or below the size of the database, a backup or a busy week does not fit.
const SPACE_WARN_BYTES: u64 = 1 << 30;

/// All checks of a data directory. Without a directory or a database, the others make no sense.
pub(super) fn checks(
    directory: &Path,
    now: Timestamp,
    sealing: &Result<Sealing, String>,
) -> Vec<Check> {
    let mut checks = vec![is_directory(directory)];
    let path = directory.join(FILE_NAME);
    if !directory.is_dir() {
        return checks;
    }
    checks.push(privacy(directory));
    let bytes = fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or_default();
    checks.push(space(directory, bytes));
    let (running, is_running) = running(&path);
    checks.push(running);
    let database = database::checks(&path, now, sealing);
    let is_sound = database::are_sound(&database);
    checks.extend(database);
    checks.push(journal(&directory.join("journal"), is_running));
    if is_sound {
        checks.push(windows::check(&path, is_running, now));
    }
    checks
}

fn is_directory(directory: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = directory.display().to_string();
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Check::ok(NAME, shown),
        Ok(_) => {
            Check::fail(NAME, format!("{shown} is no directory"), "name another with --data-dir")
        }
        Err(error) => Check::fail(
            NAME,
            format!("{shown}: {error}"),
            "name it with --data-dir, or start the server, which makes it",
        ),
    }
}

#[cfg(unix)]
fn privacy(directory: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    const NAME: &str = "permissions";
    match fs::metadata(directory) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let mode = metadata.permissions().mode() & 0o777;
            let advice =
                format!("chmod 700 {}: it holds hashes of passwords and keys", directory.display());
            Check::warn(NAME, format!("{mode:o}: others can look into it"), advice)
        }
        Ok(_) => Check::ok(NAME, "only its owner can look into it"),
        Err(error) => Check::fail(NAME, error.to_string(), "run this as the server's user"),
    }
}

#[cfg(not(unix))]
fn privacy(_: &Path) -> Check {
    Check::ok("permissions", "not checked on this system")
}

fn space(directory: &Path, database_bytes: u64) -> Check {
    const NAME: &str = "free space";
    const ADVICE: &str = "make room: without it, no link can be made and no click counted";
    match fs4::available_space(directory) {
        Ok(free) => {
            let found = format!("{} MiB; the database has {} MiB", mib(free), mib(database_bytes));
            match free {
                free if free < SPACE_FAIL_BYTES => Check::fail(NAME, found, ADVICE),
                free if free < SPACE_WARN_BYTES.max(database_bytes) => {
                    Check::warn(NAME, found, ADVICE)
                }
                _ => Check::ok(NAME, found),
            }
        }
        Err(error) => Check::warn(NAME, error.to_string(), "look with df"),
    }
}

fn mib(bytes: u64) -> String {
    grouped(bytes >> 20)
}

/// Whether a server has the database open. Looks whether its lock is free, without keeping it.
fn running(path: &Path) -> (Check, bool) {
    const NAME: &str = "server";
    let held = match File::open(path.with_added_extension("lock")) {
        Ok(file) => matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    };
    let found = if held { "is running" } else { "is not running" };
    (Check::ok(NAME, found), held)
}

/// Clicks that a process did not hand on before it ended.
fn journal(directory: &Path, is_running: bool) -> Check {
    const NAME: &str = "click journal";
    let files = match journal_files(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Check::fail(NAME, error.to_string(), "run this as the server's user"),
    };
    let bytes: u64 = files.iter().sum();
    let found = format!("{} files, {} bytes", files.len(), grouped(bytes));
    match (files.is_empty(), is_running) {
        (true, _) => Check::ok(NAME, "empty"),
        (false, true) => Check::ok(NAME, format!("{found}, in use")),
        (false, false) => {
            Check::warn(NAME, found, "start the server: these clicks are counted then")
        }
    }
}

fn journal_files(directory: &Path) -> io::Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "clicks") {
            sizes.push(entry.metadata()?.len());
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn space_is_judged_by_what_is_needed() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(space(directory.path(), u64::MAX).verdict, Verdict::Warn);
        assert_ne!(space(directory.path(), 0).verdict, Verdict::Fail);
    }

    #[test]
    fn journals_matter_when_nobody_is_at_work() {
        let directory = tempfile::tempdir().expect("a directory");
        let journal = |is_running| {
            let check = super::journal(&directory.path().join("journal"), is_running);
            (check.verdict, check.found)
        };
        assert_eq!(journal(false), (Verdict::Ok, "empty".into()));
        fs::create_dir(directory.path().join("journal")).expect("a journal");
        fs::write(directory.path().join("journal/a.clicks"), [0; 1_500]).expect("a file");
        fs::write(directory.path().join("journal/b.other"), "x").expect("a file");
        assert_eq!(journal(false), (Verdict::Warn, "1 files, 1 500 bytes".into()));
        assert_eq!(journal(true), (Verdict::Ok, "1 files, 1 500 bytes, in use".into()));
    }

    #[test]
    fn a_held_lock_means_a_running_server() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        assert!(!running(&path).1);
        let lock = crate::sqlite::open::lock(&path).expect("the lock is free");
        assert!(running(&path).1);
        drop(lock);
        assert!(!running(&path).1);
    }
}
