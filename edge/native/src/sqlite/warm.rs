//! Which links are worth reading before anybody asks for them.

use waypost_service::seams::StoreError;

use super::Db;

impl Db {
    /// The keys of links that were followed in the latest windows and hours with clicks, latest
    /// first, at most `limit` of each; a key can come more than once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keys_followed_last(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        self.read(move |connection| {
            let mut keys = Vec::new();
            let mut query = connection.prepare(QUERY)?;
            for span in [0, 1] {
                let found = query.query_map((span, limit as i64), |row| row.get(0))?;
                for key in found {
                    keys.push(key?);
                }
            }
            Ok(keys)
        })
        .await
    }
}

/// `span < 2` lets SQLite use the index of rollups that will be compacted.
const QUERY: &str = "SELECT links.key FROM rollups JOIN links ON links.id = rollups.subject
     WHERE rollups.span < 2 AND rollups.span = ?1 ORDER BY rollups.start DESC LIMIT ?2";
