//! Links in SQLite.

use rusqlite::{Connection, OptionalExtension};
use waypost_service::model::{Link, LinkId};
use waypost_service::seal::fields::Sealing;
use waypost_service::seams::{
    Changed, Created, Due, Idempotency, LinkStore, ListQuery, Page, StoreError, StoredLink,
    Updated, Use,
};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::error::damaged;
use super::rows::{self, row_id};
use super::seals::{nonce, unsealable};
use super::{Db, changed, due, list};

impl LinkStore for Db {
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let (link, idempotency) = (link.clone(), idempotency.cloned());
        let sealing = self.sealing();
        self.write(move |connection| {
            create(connection, &sealing, &link, idempotency.as_ref(), replace_deleted, now)
        })
        .await
    }

    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        self.read_now(|connection| remembered(connection, self.sealing_ref(), key, now))
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError> {
        self.read_now(|connection| rows::by_key(connection, key.as_str(), self.sealing_ref()))
    }

    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError> {
        // No link has an id that does not fit.
        let Ok(id) = row_id(id) else { return Ok(None) };
        self.read_now(|connection| rows::by_id(connection, id, self.sealing_ref()))
    }

    async fn update(
        &self,
        link: &StoredLink,
        expected_version: u64,
    ) -> Result<Updated, StoreError> {
        let (link, sealing) = (link.clone(), self.sealing());
        self.write(move |connection| update(connection, &sealing, &link, expected_version)).await
    }

    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError> {
        let sealing = self.sealing();
        self.write(move |connection| purge(connection, &sealing, id, expected_version)).await
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
        list::list(self, query, now).await
    }

    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError> {
        let sealing = self.sealing();
        self.read(move |connection| due::due(connection, kind, until, after, limit, &sealing)).await
    }

    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.read(move |connection| changed::changed(connection, after, limit)).await
    }

    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
        let sealing = self.sealing();
        self.write(move |connection| settle(connection, &sealing, row_id(id)?, now)).await
    }

    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError> {
        self.write(move |connection| take_use(connection, row_id(id)?, max_clicks)).await
    }

    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError> {
        let counter = counter.to_owned();
        self.write(move |connection| lease(connection, &counter, count)).await
    }

    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM idempotency WHERE rowid IN (
                         SELECT rowid FROM idempotency WHERE expires_at <= ?1
                         ORDER BY expires_at LIMIT ?2)",
                )?
                .execute((now.0, limit))
        })
        .await
    }
}

fn create(
    connection: &Connection,
    sealing: &Sealing,
    stored: &StoredLink,
    idempotency: Option<&Idempotency>,
    replace_deleted: bool,
    now: Timestamp,
) -> rusqlite::Result<Created> {
    if let Some(wanted) = idempotency
        && let Some(found) = remembered(connection, sealing, &wanted.key, now)?
    {
        return Ok(Created::Replayed(found));
    }
    if external_id_taken(connection, &stored.link)? {
        return Ok(Created::ExternalIdTaken);
    }
    let holder = rows::by_key(connection, stored.key.as_str(), sealing)?;
    if let Some(StoredLink { link: holder, .. }) = holder {
        let deleted = holder.deleted_at.is_some();
        if !(deleted && replace_deleted) {
            let quarantine_until = deleted.then(|| holder.quarantine_until.unwrap_or(now));
            return Ok(Created::SlugTaken { quarantine_until });
        }
        rows::erase(connection, &holder)?;
    }
    rows::insert(connection, stored, sealing)?;
    if let Some(answer) = idempotency {
        remember(connection, sealing, answer)?;
    }
    Ok(Created::Created)
}

fn update(
    connection: &Connection,
    sealing: &Sealing,
    stored: &StoredLink,
    expected_version: u64,
) -> rusqlite::Result<Updated> {
    let old = match rows::by_id(connection, row_id(stored.link.id)?, sealing)? {
        Some(old) if old.key == stored.key && old.link.version == expected_version => old.link,
        _ => return Ok(Updated::Stale),
    };
    if external_id_taken(connection, &stored.link)? {
        return Ok(Updated::ExternalIdTaken);
    }
    rows::replace(connection, &old, stored, sealing)?;
    Ok(Updated::Updated)
}

fn purge(
    connection: &Connection,
    sealing: &Sealing,
    id: LinkId,
    expected_version: u64,
) -> rusqlite::Result<Updated> {
    let link = match rows::by_id(connection, row_id(id)?, sealing)? {
        Some(StoredLink { link, .. })
            if link.version == expected_version && link.deleted_at.is_some() =>
        {
            link
        }
        _ => return Ok(Updated::Stale),
    };
    rows::erase(connection, &link)?;
    Ok(Updated::Updated)
}

fn settle(
    connection: &Connection,
    sealing: &Sealing,
    id: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let found = rows::by_id(connection, id, sealing)?;
    let Some(StoredLink { link, .. }) = found else { return Ok(()) };
    connection
        .prepare_cached("UPDATE links SET state = ?2, next_transition_at = ?3 WHERE id = ?1")?
        .execute((id, rows::state_name(link.state(now)), rows::next_transition(&link, now)))?;
    Ok(())
}

fn take_use(connection: &Connection, id: i64, max_clicks: u64) -> rusqlite::Result<Use> {
    // No link is followed 2^63 times.
    let max_clicks = i64::try_from(max_clicks).unwrap_or(i64::MAX);
    let used: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO uses (link, used) SELECT id, 1 FROM links WHERE id = ?1 AND 0 < ?2
             ON CONFLICT DO UPDATE SET used = used + 1 WHERE used < ?2
             RETURNING used",
        )?
        .query_row((id, max_clicks), |row| row.get(0))
        .optional()?;
    Ok(match used {
        Some(used) => Use::Taken { left: max_clicks.abs_diff(used) },
        None => Use::Exhausted,
    })
}

fn lease(connection: &Connection, counter: &str, count: u32) -> rusqlite::Result<u64> {
    let next: i64 = connection
        .prepare_cached(
            "INSERT INTO leases (name, next) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET next = next + ?2
             RETURNING next",
        )?
        .query_row((counter, count), |row| row.get(0))?;
    u64::try_from(next - i64::from(count))
        .map_err(|_| damaged(format!("counter {counter:?} is at {next}")))
}

fn external_id_taken(connection: &Connection, link: &Link) -> rusqlite::Result<bool> {
    let Some(external_id) = link.external_id.as_ref().filter(|_| link.deleted_at.is_none()) else {
        return Ok(false);
    };
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM links
             WHERE external_id = ?1 AND state <> 'deleted' AND id <> ?2)",
        )?
        .query_row((external_id, row_id(link.id)?), |row| row.get(0))
}

fn remembered(
    connection: &Connection,
    sealing: &Sealing,
    key: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Idempotency>> {
    let opened = |answer| sealing.open_answer(key, answer).map_err(|fault| unsealable(&fault));
    connection
        .prepare_cached(
            "SELECT key, body_hash, answer, expires_at FROM idempotency
             WHERE key = ?1 AND ?2 < expires_at",
        )?
        .query_row((key, now.0), |row| {
            Ok(Idempotency {
                key: row.get(0)?,
                body_hash: row.get(1)?,
                answer: opened(row.get(2)?)?,
                expires_at: Timestamp(row.get(3)?),
            })
        })
        .optional()
}

fn remember(
    connection: &Connection,
    sealing: &Sealing,
    answer: &Idempotency,
) -> rusqlite::Result<()> {
    let Idempotency { key, body_hash, answer, expires_at } = answer;
    let answer = sealing.seal_answer(key, answer, &nonce).map_err(|fault| unsealable(&fault))?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency (key, body_hash, answer, expires_at)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((key, body_hash, answer, expires_at.0))?;
    Ok(())
}
