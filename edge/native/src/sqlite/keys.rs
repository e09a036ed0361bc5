//! API keys in SQLite.

use rusqlite::{OptionalExtension, Row};
use waypost_service::keys::{ApiKey, KeyStore, Role};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::Db;
use super::error::damaged;

impl KeyStore for Db {
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |connection| {
            let ApiKey {
                id,
                name,
                role,
                requests_per_minute,
                hash,
                created_at,
                last_used_at,
                revoked_at,
            } = key;
            let (last_used_at, revoked_at) =
                (last_used_at.map(|at| at.0), revoked_at.map(|at| at.0));
            connection
                .prepare_cached(
                    "INSERT INTO api_keys
                         (id, name, role, requests_per_minute, hash, created_at, last_used_at,
                          revoked_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute((
                    id,
                    name,
                    role.name(),
                    requests_per_minute,
                    hash,
                    created_at.0,
                    last_used_at,
                    revoked_at,
                ))?;
            Ok(())
        })
        .await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        self.read_now(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, role, requests_per_minute, hash, created_at, last_used_at,
                         revoked_at
                     FROM api_keys WHERE hash = ?1",
                )?
                .query_row([hash], api_key)
                .optional()
        })
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, name, role, requests_per_minute, hash, created_at, last_used_at,
                         revoked_at
                     FROM api_keys ORDER BY created_at, id",
                )?
                .query_map([], api_key)?
                .collect()
        })
        .await
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            let revoked = connection
                .prepare_cached(
                    "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                )?
                .execute((id, now.0))?;
            Ok(revoked == 1)
        })
        .await
    }

    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE api_keys SET last_used_at = max(ifnull(last_used_at, ?2), ?2)
                     WHERE id = ?1",
                )?
                .execute((id, now.0))?;
            Ok(())
        })
        .await
    }
}

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let role: String = row.get(2)?;
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        role: Role::from_name(&role).ok_or_else(|| damaged(format!("key role {role:?}")))?,
        requests_per_minute: row.get(3)?,
        hash: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        last_used_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
    })
}
