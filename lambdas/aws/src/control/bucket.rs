//! Rate limits over all processes: [`Limits`]. What a bucket is, and what taking from it means, is
//! [`waypost_service::limits`]'; here it is one item with one number.

use waypost_service::limits::{Decision, Limits, Rate, Taken, Taking};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, Item, number, pair, unavailable};
use crate::store::AwsStore;

/// Buckets stay for so long after they are full, in seconds.
const KEPT_SECONDS: i64 = 3_600;

fn item_key(bucket: &str) -> Item {
    pair(format!("bucket#{bucket}"), "tokens")
}

impl Limits for AwsStore {
    /// One conditional write; two when the bucket was full.
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let (key, control) = (item_key(bucket), &self.names.control);
        let taking = Taking::new(rate, count, now);
        let full_seconds = taking.emptied_us().div_euclid(1_000_000);
        let ttl = number(full_seconds.saturating_add(KEPT_SECONDS));
        let mut tries = Tries::new();
        loop {
            let add =
                Write::update(control, key.clone(), "SET full_at = full_at + :cost, #ttl = :ttl")
                    .naming("#ttl", "ttl")
                    .with(":ttl", ttl.clone())
                    .only_if("full_at BETWEEN :now AND :latest")
                    .with(":cost", number(taking.cost_us()))
                    .with(":now", number(taking.now_us()))
                    .with(":latest", number(taking.latest_us()));
            let found = match add.alone(self).await? {
                Written::Done(item) => return Ok(taking.granted(item.number("full_at")?)),
                Written::Refused(found) => found,
                Written::Met => {
                    tries.again("taking from a bucket").await?;
                    continue;
                }
            };
            let full_at = found.map(|item| item.number("full_at")).transpose()?;
            if let Decision::Refuse(refused) = taking.decide(full_at) {
                return Ok(refused);
            }
            let mut fresh = key.clone();
            fresh.insert("full_at".to_owned(), number(taking.begun_us()));
            fresh.insert("ttl".to_owned(), ttl.clone());
            let begin = Write::put(control, fresh)
                .only_if("attribute_not_exists(pk) OR full_at < :now OR full_at > :absurd")
                .with(":now", number(taking.now_us()))
                .with(":absurd", number(taking.absurd_us()));
            if let Written::Done(_) = begin.alone(self).await? {
                return Ok(taking.granted(taking.begun_us()));
            }
            // Another was first.
            tries.again("taking from a bucket").await?;
        }
    }

    /// One read, which may be a moment old: it is half as dear, and who takes is counted anyway.
    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let call = self.clients.dynamo.get_item().table_name(&self.names.control);
        let call = call.set_key(Some(item_key(bucket)));
        let answer = call.send().await.map_err(|error| unavailable(&error))?;
        let full_at = answer.item.map(|item| item.number("full_at")).transpose()?;
        Ok(Taking::new(rate, 1, now).seen(full_at))
    }
}
