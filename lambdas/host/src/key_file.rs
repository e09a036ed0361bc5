//! The file with the keys that links are sealed with.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use waypost_service::seal::SealKeys;
use waypost_service::seal::file::{self, KeyFileFault};

/// Larger than any file of keys.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Why a file gives no keys. Says nothing of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// What it holds are no keys.
    #[error("{}: {fault}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        fault: KeyFileFault,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error("{} is open to others, mode {mode:03o}: chmod 600 makes it its owner's alone", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The text of a file of keys that nobody but its owner may read.
///
/// # Errors
/// If it cannot be read, or others can.
pub fn text(path: &Path) -> Result<String, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    private(path, &file.metadata().map_err(io)?)?;
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// The keys in a file.
///
/// # Errors
/// See [`KeyFileError`].
pub fn keys(path: &Path) -> Result<SealKeys, KeyFileError> {
    let text = text(path)?;
    file::read(&text).map_err(|fault| KeyFileError::Content { path: path.into(), fault })
}

#[cfg(unix)]
fn private(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(KeyFileError::Open { path: path.into(), mode }),
    }
}

#[cfg(not(unix))]
fn private(_: &Path, _: &fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}
