//! Which faults of SQLite are worth another try.

use rusqlite::ErrorCode;
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

/// Wraps what a job found wrong with stored data, so that it can leave the job as an SQLite error.
pub(crate) fn damaged(fault: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(fault.into().into())
}
