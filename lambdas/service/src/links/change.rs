//! Changing, deleting, blocking. Every write is conditional on the version it was computed from;
//! if somebody else wrote in between, it is computed anew.

use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::create::{external_id_taken, hashed};
use super::{Host, RecordSink, Service, WRITE_ATTEMPTS};
use crate::ambient::Draws;
use crate::draft::{PasswordChange, parse_patch};
use crate::model::{Block, Link};
use crate::problem::{Kind, Problem};
use crate::seams::{LinkStore, StoredLink, Updated};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The versions of a link that a write may replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any.
    Any,
    /// One of these.
    OneOf(Vec<u64>),
}

impl Expected {
    fn allows(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// `link` as it is once deleted at `now`: its slug answers 410 for `quarantine_days`.
pub fn tombstone(link: &Link, quarantine_days: u32, now: Timestamp) -> Link {
    Link {
        deleted_at: Some(now),
        quarantine_until: Some(now.plus_ms(i64::from(quarantine_days) * DAY_MS)),
        ..link.clone()
    }
}

impl<H: Host> Service<H> {
    /// Changes a link by a JSON merge patch.
    ///
    /// # Errors
    /// A problem; nothing was written.
    pub async fn update(
        &self,
        key: &LinkKey,
        body: &[u8],
        expected: &Expected,
        draws: &mut Draws,
        now: Timestamp,
    ) -> Result<Link, Problem> {
        // Hashing is slow on purpose: a repeated attempt takes the hash of the first.
        let mut hash = None;
        self.edit(key, expected, now, |link| {
            let patch = parse_patch(body, link, &self.rules, now)?;
            let password_hash = match patch.password {
                PasswordChange::Keep => return Ok(patch.link),
                PasswordChange::Remove => None,
                PasswordChange::Set(password) => Some(match &hash {
                    Some(hash) => String::clone(hash),
                    None => hash.insert(hashed(&password, draws)?).clone(),
                }),
            };
            let password_version = link.password_version.saturating_add(1);
            Ok(Link { password_hash, password_version, ..patch.link })
        })
        .await
    }

    /// Deletes a link; its slug is in quarantine from now on. A blocked link stays, or its owner
    /// could lift the block by making it anew.
    ///
    /// # Errors
    /// A problem; nothing was written.
    pub async fn delete(
        &self,
        key: &LinkKey,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Link, Problem> {
        let days = self.settings.retention.quarantine_days;
        self.edit(key, expected, now, |link| match link.blocked {
            None => Ok(tombstone(link, days, now)),
            Some(_) => {
                let detail = format!("{key} is blocked; an admin has to lift that first");
                Err(Problem::new(Kind::Forbidden, detail))
            }
        })
        .await
    }

    /// Takes a link down, or lets it work again.
    ///
    /// # Errors
    /// A problem; nothing was written.
    pub async fn block(
        &self,
        key: &LinkKey,
        reason: Option<Block>,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Link, Problem> {
        self.edit(key, expected, now, |link| Ok(Link { blocked: reason, ..link.clone() })).await
    }

    async fn edit(
        &self,
        key: &LinkKey,
        expected: &Expected,
        now: Timestamp,
        mut change: impl FnMut(&Link) -> Result<Link, Problem>,
    ) -> Result<Link, Problem> {
        for _ in 0..WRITE_ATTEMPTS {
            let stored = self.read(key).await?;
            let version = stored.link.version;
            if !expected.allows(version) {
                let detail = format!("{key} has version {version}; If-Match names another one");
                return Err(Problem::new(Kind::VersionMismatch, detail));
            }
            let changed = change(&stored.link)?;
            if let Some(written) = self.replace(changed, version, now).await? {
                return Ok(written.link);
            }
        }
        let detail = format!("{key} is being changed too often; nothing was changed");
        Err(Problem::new(Kind::Unavailable, detail).with_retry_after(1))
    }

    /// Writes `link` as the version after `version`; `None` if that is not the stored one.
    pub(crate) async fn replace(
        &self,
        link: Link,
        version: u64,
        now: Timestamp,
    ) -> Result<Option<StoredLink>, Problem> {
        let link = Link { version: version.saturating_add(1), updated_at: now, ..link };
        let stored = self.compiled(link, now)?;
        match self.host.links().update(&stored, version).await? {
            Updated::ExternalIdTaken => Err(external_id_taken(&stored.link)),
            Updated::Stale => Ok(None),
            Updated::Updated => {
                self.host.records().changed(&stored.key, stored.link.version, &stored.record);
                Ok(Some(stored))
            }
        }
    }
}
