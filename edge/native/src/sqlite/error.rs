//! Which faults of SQLite are worth another try.

use rusqlite::{ErrorCode, ffi};
use waypost_service::seams::StoreError;

/// Sorts an error by whose fault it is: what passes by itself is `Unavailable`, and everything
/// else means the file or this program is wrong.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::OperationInterrupted
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Damaged(error.to_string()),
    }
}

/// What a job could not get of the system, as SQLite says that the disk fails: it may pass.
pub(crate) fn exhausted(fault: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(fault.into()))
}

/// What a job found wrong with stored data, as SQLite says that a file is damaged.
pub(crate) fn damaged(fault: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(fault.into()))
}
