//! The function that makes numbers of clicks.

use serde_json::{Value, json};
use waypost_aws::jobs::{RolledUp, roll_up};
use waypost_aws::store::AwsStore;
use waypost_service::ambient::Clock;
use waypost_service::counting::integrity::integrity;
use waypost_service::seams::StoreError;

use crate::invocation::Deadline;
use crate::metrics::{count, emit};

/// Works until nothing is due or the time is over; answers what was done.
///
/// # Errors
/// If the store fails. The next invocation goes on where this one was.
pub async fn handle(
    store: &AwsStore,
    clock: &(impl Clock + Sync),
    ends_at_ms: u64,
) -> Result<Value, StoreError> {
    let deadline = Deadline::of(ends_at_ms, clock.now());
    let RolledUp { booked, closed, compacted } =
        roll_up(store, clock, || deadline.is_over(clock.now())).await?;
    let now = clock.now();
    let account = integrity(store, now).await?;
    let metrics = [
        count("ClicksBooked", booked.stored),
        count("ClicksDuplicate", booked.duplicate),
        count("ClicksLate", booked.late),
        count("ClicksLost", account.lost),
        count("ObjectsMissing", booked.missing),
        count("ObjectsDamaged", booked.damaged),
        count("WindowsClosed", closed as u64),
    ];
    emit("rollup", &metrics, &[("left", booked.left.into())], now);
    Ok(json!({
        "objects": booked.objects,
        "batches": booked.batches,
        "clicks": booked.stored,
        "duplicate": booked.duplicate,
        "late": booked.late,
        "left": booked.left,
        "windows_closed": closed,
        "hours": compacted.hours,
        "days": compacted.days,
        "account": account,
    }))
}
