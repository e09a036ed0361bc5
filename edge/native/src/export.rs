//! What edges are given of a database: keys, records, the state. Only read, while a server may
//! serve and write it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use waypost_host::keys::Keys;
use waypost_service::edge::state::{CHANGES_WANTED, SPAN_MS, compose};
use waypost_service::model::LinkId;
use waypost_service::seal::fields::Sealing;
use waypost_wire::time::Timestamp;

use crate::backup::open_source;
use crate::sqlite::changed::changed;
use crate::sqlite::open::check;
use crate::sqlite::{FILE_NAME, OpenError, SCHEMA_VERSION, seals, secrets};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Why there is nothing to give. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A key is missing.
    #[error("{} lacks a key: start the server once, which makes it", .path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
    },
    /// It is not to be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Made by an older version, or new.
    #[error(
        "{} has schema version {version}, and edges need version {SCHEMA_VERSION}: start the server \
         once, which brings it up to date", .path.display()
    )]
    Outdated {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        version: usize,
    },
    /// SQLite could not read it.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// An open database.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    path: PathBuf,
    sealing: Sealing,
}

impl Source {
    /// Opens the database in a data directory.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn open(data_directory: &Path) -> Result<Self, ExportError> {
        let path = data_directory.join(FILE_NAME);
        let connection = open_source(&path).map_err(|source| OpenError::sqlite(&path, source))?;
        match check(&connection, &path)? {
            SCHEMA_VERSION => Ok(Self { connection, path, sealing: Sealing::default() }),
            version => Err(ExportError::Outdated { path, version }),
        }
    }

    /// Opens sealed records with these keys: an edge reads them as they were.
    ///
    /// # Errors
    /// If the database is sealed with others.
    pub fn sealed_with(self, sealing: Sealing) -> Result<Self, ExportError> {
        seals::check(&self.connection, &self.path, &sealing)?;
        Ok(Self { sealing, ..self })
    }

    /// The keys of the installation.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn secrets(&self) -> Result<Keys, ExportError> {
        let stored = self.read(secrets::stored)?;
        stored.ok_or_else(|| ExportError::NoKeys { path: self.path.clone() })
    }

    /// How many records there are.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn count(&self) -> Result<u64, ExportError> {
        let count: i64 = self.read(|connection| {
            connection.query_row("SELECT count(*) FROM links", [], |row| row.get(0))
        })?;
        Ok(count.unsigned_abs())
    }

    /// Keys and records in the order of the keys, from the one behind `after` on, at most `limit`;
    /// those of deleted links too, which answer that they are gone.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn records_after(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, Vec<u8>)>, ExportError> {
        const PAGE: &str = "SELECT key, record, id FROM links WHERE key > ?1 ORDER BY key LIMIT ?2";
        self.read(|connection| {
            let mut page = connection.prepare_cached(PAGE)?;
            let rows = page.query_map((after, limit), |row| {
                let id = LinkId(row.get::<_, i64>(2)?.cast_unsigned());
                let record = self.sealing.record(id, row.get(1)?);
                Ok((row.get(0)?, record.map_err(|fault| seals::unsealable(&fault))?))
            })?;
            rows.collect()
        })
    }

    /// The state as of `now`. Salts are made by the server: without one, there may be none of
    /// today.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn state(&self, now: Timestamp) -> Result<Vec<u8>, ExportError> {
        const SALTS: &str = "SELECT day, salt FROM salts WHERE day > ?1 ORDER BY day";
        self.read(|connection| {
            let mut salts = connection.prepare_cached(SALTS)?;
            let salts = salts
                .query_map([now.0 - DAY_MS], |row| Ok((Timestamp(row.get(0)?), row.get(1)?)))?;
            let salts = salts.collect::<rusqlite::Result<Vec<(Timestamp, [u8; 16])>>>()?;
            let changed = changed(connection, now.plus_ms(-SPAN_MS), CHANGES_WANTED)?;
            Ok(compose(&changed, &salts, now))
        })
    }

    fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ExportError> {
        let failed = |source| ExportError::Read { path: self.path.clone(), source };
        // One snapshot.
        let transaction = self.connection.unchecked_transaction().map_err(failed)?;
        job(&transaction).map_err(failed)
    }
}
