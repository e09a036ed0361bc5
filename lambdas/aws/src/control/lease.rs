//! Something that one process at a time has, until a time.
//!
//! Each lease has a fencing number, which rises with every new holder: what a holder writes can be
//! bound to it, so that one that was paused past its time writes nothing. Clocks of processes may
//! differ: a lease is given to another only some time after it ended, if its terms say so.

use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written, random};
use crate::item::{Fields, Item, bytes, number, time};
use crate::store::AwsStore;

/// A lease that ends later than its terms allow and this (a day) was written under a wrong clock,
/// and is nobody's: else it would last as long as the clock was wrong.
const ABSURD_MS: i64 = 24 * 60 * 60 * 1_000;

/// How long something is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// From taking or renewing it on, in milliseconds.
    pub lease_ms: i64,
    /// Nobody else takes it for so long after its end, in milliseconds.
    pub safe_ms: i64,
}

/// A lease that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Rises with every new holder.
    pub fence: u64,
    /// Its end by the holder's clock; it may be renewed before and, if nobody took it, after.
    pub until: Timestamp,
    holder: [u8; 16],
}

impl AwsStore {
    /// Takes what is free. `None`: another has it.
    pub(super) async fn take_lease(
        &self,
        key: &Item,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let (holder, until): ([u8; 16], _) = (random()?, now.plus_ms(terms.lease_ms));
        let mut tries = Tries::new();
        loop {
            // Its own holder, too: a call whose answer was lost is repeated.
            let take = Write::update(
                &self.names.control,
                key.clone(),
                "SET holder = :holder, expires_at = :until ADD fence :one",
            )
            .only_if(
                "attribute_not_exists(pk) OR expires_at <= :free OR expires_at > :absurd \
                 OR holder = :holder",
            )
            .with(":holder", bytes(holder))
            .with(":until", time(until))
            .with(":one", number(1))
            .with(":free", time(now.plus_ms(-terms.safe_ms)))
            .with(":absurd", time(until.plus_ms(ABSURD_MS)));
            match take.alone(self).await? {
                Written::Done(item) => {
                    return Ok(Some(Lease { fence: item.number("fence")?, until, holder }));
                }
                Written::Refused(_) => return Ok(None),
                Written::Met => tries.again("taking a lease").await?,
            }
        }
    }

    /// Holds on to a lease, also one that has ended and that nobody took since. `None`: another
    /// has it.
    pub(super) async fn renew_lease(
        &self,
        key: &Item,
        lease: &Lease,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        self.move_end(key, lease, now.plus_ms(terms.lease_ms)).await
    }

    /// Gives a lease back; whoever takes it next still waits for the safe time.
    pub(super) async fn end_lease(
        &self,
        key: &Item,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.move_end(key, lease, now).await.map(drop)
    }

    async fn move_end(
        &self,
        key: &Item,
        lease: &Lease,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let mut tries = Tries::new();
        loop {
            let moved = Write::update(&self.names.control, key.clone(), "SET expires_at = :until")
                .only_if("holder = :holder AND fence = :fence")
                .with(":until", time(until))
                .with(":holder", bytes(lease.holder))
                .with(":fence", number(lease.fence));
            match moved.alone(self).await? {
                Written::Done(_) => return Ok(Some(Lease { until, ..*lease })),
                Written::Refused(_) => return Ok(None),
                Written::Met => tries.again("renewing a lease").await?,
            }
        }
    }
}
