//! What a redirect needs from where links are written: a use of a limited link, and the check of
//! a password.

use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::{Host, Service, WRITE_ATTEMPTS};
use crate::model::{Link, LinkId, LinkState};
use crate::password::{self, HashError};
use crate::problem::Problem;
use crate::seams::{LinkStore, StoreError, Use};

/// A password that is waiting to be checked. Checking takes tens of milliseconds of a core, so it
/// is apart from the read: a host with an event loop does it elsewhere.
pub struct Challenge {
    hash: Option<String>,
    password_version: u32,
}

impl Challenge {
    /// The version of the password, if `given` is the right one. Takes as long where there is no
    /// password or no link.
    ///
    /// # Errors
    /// The stored hash cannot be read.
    pub fn answer(&self, given: &str) -> Result<Option<u32>, HashError> {
        let right = password::verify(given, self.hash.as_deref())?;
        Ok(right.then_some(self.password_version))
    }
}

impl<H: Host> Service<H> {
    /// What the password of a link must be; a link that does not redirect at `now` has none that
    /// is right.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn challenge(&self, key: &LinkKey, now: Timestamp) -> Result<Challenge, StoreError> {
        let stored = self.host.links().link(key).await?.map(|stored| stored.link);
        let link = stored.filter(|link| link.state(now) == LinkState::Active);
        let password_version = link.as_ref().map_or(0, |link| link.password_version);
        Ok(Challenge { hash: link.and_then(|link| link.password_hash), password_version })
    }

    /// Takes one use of a link, strictly: no more than `max_clicks` are ever given. After the last
    /// one the link's record says that it is used up.
    ///
    /// # Errors
    /// The store's fault; no use was taken, or the answer got lost.
    pub async fn take_use(&self, id: LinkId, now: Timestamp) -> Result<Use, StoreError> {
        let link = self.host.links().link_by_id(id).await?.map(|stored| stored.link);
        let Some(link) = link.filter(|link| link.deleted_at.is_none() && !link.used_up) else {
            return Ok(Use::Exhausted);
        };
        let Some(max_clicks) = link.max_clicks else {
            // The limit was lifted after the edge read the record.
            return Ok(Use::Taken { left: u64::MAX });
        };
        let taken = self.host.links().take_use(id, max_clicks).await?;
        if matches!(taken, Use::Exhausted | Use::Taken { left: 0 }) {
            // Should this fail, the visitor's use is still taken, and the next one's refusal
            // comes back to it.
            let _ = self.mark_used_up(id, max_clicks, now).await;
        }
        Ok(taken)
    }

    /// Marks a link as used up, as long as its limit is still the one that was reached.
    pub(super) async fn mark_used_up(
        &self,
        id: LinkId,
        limit: u64,
        now: Timestamp,
    ) -> Result<(), Problem> {
        for _ in 0..WRITE_ATTEMPTS {
            let stored = self.host.links().link_by_id(id).await?;
            let is_open = |link: &Link| {
                link.max_clicks == Some(limit) && !link.used_up && link.deleted_at.is_none()
            };
            let Some(link) = stored.map(|stored| stored.link).filter(is_open) else {
                return Ok(());
            };
            let version = link.version;
            if self.replace(Link { used_up: true, ..link }, version, now).await?.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}
