//! Counters that are taken from: uses of a limited link, and leases.

use waypost_service::model::LinkId;
use waypost_service::seams::{StoreError, Use};

use super::pointer_key;
use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, damaged, number, pair};
use crate::store::AwsStore;

/// Takes one use: one conditional write, of the item that goes when the link goes. If its answer
/// is lost and the SDK repeats it, one use is lost; one too many is never given.
pub(super) async fn take_use(
    store: &AwsStore,
    id: LinkId,
    max_clicks: u64,
) -> Result<Use, StoreError> {
    let mut tries = Tries::new();
    loop {
        let take = Write::update(&store.names.control, pointer_key(id), "SET used = used + :one")
            .only_if("used < :most")
            .with(":one", number(1))
            .with(":most", number(max_clicks));
        match take.alone(store).await? {
            Written::Done(item) => {
                let used: u64 = item.number("used")?;
                return Ok(Use::Taken { left: max_clicks.saturating_sub(used) });
            }
            Written::Refused(_) => return Ok(Use::Exhausted),
            Written::Met => tries.again("a use of a link").await?,
        }
    }
}

/// Leases values of a counter. If the answer is lost and the SDK repeats it, values are skipped;
/// none is leased twice.
pub(super) async fn lease(store: &AwsStore, counter: &str, count: u32) -> Result<u64, StoreError> {
    let mut tries = Tries::new();
    loop {
        let key = pair(format!("counter#{counter}"), "next");
        let take = Write::update(&store.names.control, key, "ADD next_value :count")
            .with(":count", number(count));
        match take.alone(store).await? {
            Written::Done(item) => {
                let next: u64 = item.number("next_value")?;
                return next
                    .checked_sub(count.into())
                    .ok_or_else(|| damaged(format!("counter {counter:?} is at {next}")));
            }
            Written::Refused(_) | Written::Met => tries.again("a lease of a counter").await?,
        }
    }
}
