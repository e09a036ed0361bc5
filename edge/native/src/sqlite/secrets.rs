//! Keys of the installation, made once.

use rusqlite::{Connection, OptionalExtension};
use waypost_host::keys::Keys;
use waypost_service::ambient::Entropy;
use waypost_service::seams::StoreError;

use super::Db;

impl Db {
    /// The keys; missing ones are made from `entropy`.
    ///
    /// # Errors
    /// If the database fails, or holds a key of another length.
    pub async fn secrets(&self, entropy: &impl Entropy) -> Result<Keys, StoreError> {
        let (check, cookie, origin) = (fresh(entropy), fresh(entropy), fresh(entropy));
        let (sequence, sticky) = (fresh(entropy), fresh(entropy));
        self.write(move |connection| {
            Ok(Keys {
                check: kept(connection, "check", check)?,
                cookie: kept(connection, "cookie", cookie)?,
                origin: kept(connection, "origin", origin)?,
                sequence: kept(connection, "sequence", sequence)?,
                sticky: kept(connection, "sticky", sticky)?,
            })
        })
        .await
    }
}

/// The keys that are there; `None` if one is missing, as no server of this version has started yet.
pub(crate) fn stored(connection: &Connection) -> rusqlite::Result<Option<Keys>> {
    fn key<const N: usize>(
        connection: &Connection,
        name: &str,
    ) -> rusqlite::Result<Option<[u8; N]>> {
        connection.query_row(SELECT, [name], |row| row.get(0)).optional()
    }
    let (Some(check), Some(cookie), Some(origin), Some(sequence), Some(sticky)) = (
        key(connection, "check")?,
        key(connection, "cookie")?,
        key(connection, "origin")?,
        key(connection, "sequence")?,
        key(connection, "sticky")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Keys { check, cookie, origin, sequence, sticky }))
}

const SELECT: &str = "SELECT value FROM secrets WHERE name = ?1";

fn fresh<const N: usize>(entropy: &impl Entropy) -> [u8; N] {
    let mut key = [0; N];
    entropy.fill(&mut key);
    key
}

/// The stored key of a name, or `fresh` from now on.
fn kept<const N: usize>(
    connection: &Connection,
    name: &str,
    fresh: [u8; N],
) -> rusqlite::Result<[u8; N]> {
    connection
        .execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?1, ?2)", (name, fresh))?;
    connection.query_row(SELECT, [name], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::DbOptions;
    use waypost_host::ambient::Ambient;

    #[tokio::test]
    async fn keys_are_made_once_and_differ() {
        let directory = TempDir::new().expect("directory");
        let path = directory.path().join("a.db");
        let db = Db::open(&path, &DbOptions::default()).expect("opened");
        let first = db.secrets(&Ambient::system()).await.expect("keys");
        db.close().await;
        drop(db);
        let db = Db::open(&path, &DbOptions::default()).expect("opened");
        let second = db.secrets(&Ambient::system()).await.expect("keys");
        assert_eq!(first.check, second.check);
        assert_eq!(first.cookie, second.cookie);
        assert_eq!(first.origin, second.origin);
        assert_ne!(first.origin, first.cookie);
        assert_eq!(first.sequence, second.sequence);
        assert_eq!(first.sticky, second.sticky);
        assert_ne!(first.check, first.sticky);
        assert_eq!(format!("{first:?}"), "Keys");
    }
}
