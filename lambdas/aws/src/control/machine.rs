//! Numbers of Snowflake machines: 10 bits, one for each process that makes ids.
//!
//! A process takes a number when it makes its first id ([`OwnMachine`](super::own::OwnMachine)),
//! renews it while it makes more, and makes none when its lease has ended: a function that was frozen
//! for an hour takes another one first. A number is
//! given to another process only [`TERMS`]`.safe_ms` after its lease ended, which is more than
//! clocks differ by and ids run ahead of them (`SnowflakeFault::Wait`). The last net is elsewhere:
//! an id that a link has is not written twice.

use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::lease::{Lease, Terms};
use crate::calls::random;
use crate::item::{Fields, Item, pair, text, unavailable};
use crate::store::AwsStore;

/// How many there are.
pub const MACHINES: u16 = 1_024;

/// Five minutes, and five more: 1,024 numbers are enough for 102 processes started a minute that
/// end without giving theirs back.
pub const TERMS: Terms = Terms { lease_ms: 300_000, safe_ms: 300_000 };

/// Numbers tried at random before all leases are read.
const GUESSES: u32 = 4;
/// Numbers tried that were free a moment ago.
const FREE_TRIED_MAX: usize = 32;

/// A number that this process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// 0 to 1,023: five bits of datacentre and five of worker.
    pub number: u16,
    /// For how long.
    pub lease: Lease,
}

impl Machine {
    /// Whether ids may be made with it.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        now < self.lease.until
    }

    /// Whether it is time to renew it: half of it is over.
    pub fn wants_renewal(&self, now: Timestamp) -> bool {
        self.lease.until.ms_since(now) < TERMS.lease_ms / 2
    }
}

impl AwsStore {
    /// Takes a number.
    ///
    /// # Errors
    /// The store's fault; [`StoreError::Unavailable`] if all numbers are in use.
    pub async fn lease_machine(&self, now: Timestamp) -> Result<Machine, StoreError> {
        for _ in 0..GUESSES {
            let number = u16::from_be_bytes(random()?) % MACHINES;
            if let Some(machine) = self.try_machine(number, now).await? {
                return Ok(machine);
            }
        }
        let start = u16::from_be_bytes(random()?) % MACHINES;
        let mut free = self.free_machines(now).await?;
        // Whoever looks at the same moment tries others first.
        free.sort_unstable_by_key(|number| (number + MACHINES - start) % MACHINES);
        for number in free.into_iter().take(FREE_TRIED_MAX) {
            if let Some(machine) = self.try_machine(number, now).await? {
                return Ok(machine);
            }
        }
        Err(StoreError::Unavailable(format!("all {MACHINES} machine numbers are in use")))
    }

    /// Holds on to a number, also after its end if nobody took it. `None`: another process has it.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn renew_machine(
        &self,
        machine: &Machine,
        now: Timestamp,
    ) -> Result<Option<Machine>, StoreError> {
        let key = item_key(machine.number);
        let renewed = self.renew_lease(&key, &machine.lease, TERMS, now).await?;
        Ok(renewed.map(|lease| Machine { lease, ..*machine }))
    }

    /// Gives a number back, at the end of a process.
    ///
    /// # Errors
    /// The store's fault; then it becomes free by itself.
    pub async fn end_machine(&self, machine: &Machine, now: Timestamp) -> Result<(), StoreError> {
        self.end_lease(&item_key(machine.number), &machine.lease, now).await
    }

    async fn try_machine(
        &self,
        number: u16,
        now: Timestamp,
    ) -> Result<Option<Machine>, StoreError> {
        let lease = self.take_lease(&item_key(number), TERMS, now).await?;
        Ok(lease.map(|lease| Machine { number, lease }))
    }

    /// Numbers that nobody has.
    async fn free_machines(&self, now: Timestamp) -> Result<Vec<u16>, StoreError> {
        let mut is_free = [true; MACHINES as usize];
        let free_from = now.plus_ms(-TERMS.safe_ms);
        let mut start = None;
        loop {
            let call = self.clients.dynamo.query().table_name(&self.names.control);
            let call = call
                .key_condition_expression("pk = :machines")
                .expression_attribute_values(":machines", text(PARTITION))
                .projection_expression("sk, expires_at")
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let answer = call.send().await.map_err(|error| unavailable(&error))?;
            for item in answer.items() {
                let number = item.text("sk")?.parse::<usize>().unwrap_or(usize::MAX);
                if let Some(is_free) = is_free.get_mut(number) {
                    *is_free = item.time("expires_at")? <= free_from;
                }
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        Ok((0..MACHINES).zip(is_free).filter(|(_, is_free)| *is_free).map(|(n, _)| n).collect())
    }
}

/// One partition: together they are renewed seven times a second at most.
const PARTITION: &str = "machines";

fn item_key(number: u16) -> Item {
    pair(PARTITION, format!("{number:04}"))
}
