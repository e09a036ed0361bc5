//! The database file: whose it is, whether it is whole, whether its times make sense.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use url::Url;
use waypost_service::seal::fields::Sealing;
use waypost_service::time::format;
use waypost_wire::time::Timestamp;

use super::check::{Check, Verdict};
use crate::cli::table::grouped;
use crate::sqlite::open::check;
use crate::sqlite::{OpenError, SCHEMA_VERSION, seals};

const FILE: &str = "database";
const SCHEMA: &str = "schema";
const CONTENT: &str = "content";
const LOG: &str = "write-ahead log";
const CLOCK: &str = "clock";
const SEAL_KEYS: &str = "seal keys";

/// What the writer cuts its log back to; a log much larger is not moved into the database.
const LOG_WARN_BYTES: u64 = 256 << 20;

/// Clocks of one machine differ by less.
const CLOCK_BEHIND_MS: i64 = 60_000;

/// 2026-01-01T00:00:00Z: before Waypost was written, no clock is right.
const CLOCK_EARLIEST: Timestamp = Timestamp(1_767_225_600_000);

const RESTORE: &str =
    "stop the server and restore a backup (waypost restore); keep this file for the analysis";

/// All checks of a database, without writing to it.
pub(super) fn checks(path: &Path, now: Timestamp, sealing: &Result<Sealing, String>) -> Vec<Check> {
    let shown = path.display().to_string();
    let Ok(metadata) = fs::metadata(path) else {
        let advice = "start the server, which makes it; or name another directory with --data-dir";
        return vec![Check::fail(FILE, format!("there is no {shown}"), advice)];
    };
    let mut checks = vec![log(path)];
    let opened = open(path).and_then(|connection| Ok((check(&connection, path)?, connection)));
    let (version, connection) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            checks.push(Check::fail(FILE, error.to_string(), RESTORE));
            return checks;
        }
    };
    checks.push(Check::ok(FILE, format!("{} KiB", grouped(metadata.len() >> 10))));
    checks.push(schema(version));
    checks.push(content(&connection));
    if version == SCHEMA_VERSION {
        checks.push(clock(&connection, now));
        checks.extend(seal_keys(&connection, path, sealing));
    }
    checks
}

/// Whether the database can be opened for more checks, without being changed by that.
pub(super) fn are_sound(checks: &[Check]) -> bool {
    let is_ok =
        |name: &str| checks.iter().any(|check| check.name == name && check.verdict == Verdict::Ok);
    is_ok(FILE) && is_ok(SCHEMA) && is_ok(CONTENT)
}

/// A connection that leaves no trace. A reader of a log makes files beside the database, which
/// would belong to whoever runs this; without a log, they are not needed.
fn open(path: &Path) -> Result<Connection, OpenError> {
    let error = |source| OpenError::sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let absolute = path.canonicalize().map_err(|source| OpenError::io(path, source))?;
    if !log_path(path).exists()
        && let Ok(mut url) = Url::from_file_path(&absolute)
    {
        url.set_query(Some("immutable=1"));
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        return Connection::open_with_flags(url.as_str(), flags).map_err(error);
    }
    Connection::open_with_flags(absolute, flags).map_err(error)
}

fn log_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn log(path: &Path) -> Check {
    let bytes = fs::metadata(log_path(path)).map(|metadata| metadata.len()).unwrap_or_default();
    let found = format!("{} KiB", grouped(bytes >> 10));
    match bytes > LOG_WARN_BYTES {
        false => Check::ok(LOG, found),
        true => {
            Check::warn(LOG, found, "end long reads and other programs that have the database open")
        }
    }
}

fn schema(version: usize) -> Check {
    let found = format!("version {version} of {SCHEMA_VERSION}");
    match version {
        0 => Check::fail(SCHEMA, "none: the database is empty", "start the server, which makes it"),
        SCHEMA_VERSION => Check::ok(SCHEMA, found),
        _ => Check::warn(
            SCHEMA,
            found,
            "the next start of the server brings it up to date; make a backup before",
        ),
    }
}

fn content(connection: &Connection) -> Check {
    let faults = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("PRAGMA quick_check(10)")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match faults() {
        Ok(lines) if lines == ["ok"] => Check::ok(CONTENT, "every page is as it should be"),
        Ok(lines) => Check::fail(CONTENT, lines.join("; "), RESTORE),
        Err(error) => Check::fail(CONTENT, error.to_string(), RESTORE),
    }
}

/// Whether sealed links can be opened with the keys that the server would have; nothing if none is
/// sealed.
fn seal_keys(
    connection: &Connection,
    path: &Path,
    sealing: &Result<Sealing, String>,
) -> Option<Check> {
    const ADVICE: &str = "without these keys, the server does not start: find the file of keys";
    let numbers = match seals::numbers(connection) {
        Ok(numbers) if numbers.is_empty() => return None,
        Ok(numbers) => numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => return Some(Check::fail(SEAL_KEYS, error.to_string(), RESTORE)),
    };
    Some(match sealing {
        Err(fault) => Check::fail(SEAL_KEYS, fault.clone(), ADVICE),
        Ok(sealing) if !sealing.is_on() => Check::warn(
            SEAL_KEYS,
            format!("links are sealed with key {numbers}, and no keys are set here"),
            "run this with the server's settings file, or WAYPOST_SEAL_KEYS_FILE, to check them",
        ),
        Ok(sealing) => match seals::check(connection, path, sealing) {
            Ok(()) => Check::ok(SEAL_KEYS, format!("links are sealed with key {numbers}")),
            Err(error) => Check::fail(SEAL_KEYS, error.to_string(), ADVICE),
        },
    })
}

/// A clock that is behind what was written makes ids wait and links start late.
fn clock(connection: &Connection, now: Timestamp) -> Check {
    const ADVICE: &str = "set the clock right (for example with NTP) before the server starts";
    if now < CLOCK_EARLIEST {
        return Check::fail(CLOCK, format!("it is {}", format(now)), ADVICE);
    }
    let newest = "SELECT max(updated_at) FROM links WHERE state <> 'deleted'";
    match connection.query_row(newest, [], |row| row.get::<_, Option<i64>>(0)) {
        Err(error) => Check::fail(CLOCK, error.to_string(), RESTORE),
        Ok(Some(at)) if now.ms_since(Timestamp(at)) < -CLOCK_BEHIND_MS => {
            let at = format(Timestamp(at));
            let found = format!("it is {}, and a link was written at {at}", format(now));
            Check::fail(CLOCK, found, ADVICE)
        }
        Ok(_) => Check::ok(CLOCK, format(now)),
    }
}
