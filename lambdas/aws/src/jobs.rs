//! What happens by itself, as one step each: for the functions that schedules call, and for the
//! loops of a process that runs all the time.

use waypost_service::ambient::Clock;
use waypost_service::counting::close::close_due;
use waypost_service::counting::compact::{Compacted, HOURS_KEPT_MS, compact_until};
use waypost_service::seams::StoreError;

use crate::counters::inbox::Booked;
use crate::store::AwsStore;

/// What a step of counting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RolledUp {
    /// What was booked.
    pub booked: Booked,
    /// Windows that were closed.
    pub closed: usize,
    /// Rollups that became coarser ones.
    pub compacted: Compacted,
}

/// Books what was collected, closes the windows that are due, and compacts what they leave. Ends
/// early when `is_over` says so; the next step goes on. Several at once do no harm, and no good.
///
/// # Errors
/// If the store fails; what was done before stays done.
pub async fn roll_up(
    store: &AwsStore,
    clock: &(impl Clock + Sync),
    is_over: impl Fn() -> bool + Send + Sync,
) -> Result<RolledUp, StoreError> {
    let mut done =
        RolledUp { booked: store.book(clock.now(), &is_over).await?, ..RolledUp::default() };
    // A window that closed now would make what still lies in the inbox late.
    if done.booked.left || is_over() {
        return Ok(done);
    }
    done.closed = close_due(store, clock.now()).await?;
    if done.closed > 0 && !is_over() {
        done.compacted = compact_until(store, clock.now(), HOURS_KEPT_MS, &is_over).await?;
    }
    Ok(done)
}
