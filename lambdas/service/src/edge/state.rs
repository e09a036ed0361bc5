//! The state that edges share ([`waypost_wire::state`]), put together from the stores.

use waypost_wire::state::{CHANGES_MAX, Change, EdgeState, encode};
use waypost_wire::time::Timestamp;

use crate::ambient::Entropy;
use crate::counting::salts;
use crate::links::{Host, Service};
use crate::seams::{Changed, LinkStore, StoreError};

/// How far back changes are told, if they are not too many: a day. What an edge read before, it
/// reads again.
pub const SPAN_MS: i64 = 24 * 60 * 60 * 1_000;

/// A write has the time of its request, and can be read once it is durable: twice as long as
/// SQLite's writer waits for a lock.
pub const WRITE_LAG_MS: i64 = 10_000;

/// The changes that [`compose`] wants to see: one more than it tells, to know what it leaves out.
pub const CHANGES_WANTED: usize = CHANGES_MAX + 1;

/// The bytes of the state as of `now`. Whatever was written before it was asked for is in it.
///
/// # Errors
/// The store's fault.
pub async fn read<H: Host>(service: &Service<H>, now: Timestamp) -> Result<Vec<u8>, StoreError> {
    let mut candidates = [[0; 16]; 2];
    candidates.iter_mut().for_each(|candidate| service.host.ambient().fill(candidate));
    let salts = salts::today_and_tomorrow(service.host.counters(), now, candidates).await?;
    let changed = service.host.links().changed(now.plus_ms(-SPAN_MS), CHANGES_WANTED).await?;
    Ok(compose(&changed, &salts, now))
}

/// The bytes of a state: `changed` are the latest [`CHANGES_WANTED`] of the last [`SPAN_MS`], the
/// latest first.
pub fn compose(changed: &[Changed], salts: &[(Timestamp, [u8; 16])], now: Timestamp) -> Vec<u8> {
    let since = match changed.get(CHANGES_MAX) {
        // A record that was read before the latest change left out could be read is outdated too.
        Some(left_out) => left_out.at.plus_ms(WRITE_LAG_MS),
        None => now.plus_ms(-SPAN_MS),
    };
    encode(&EdgeState {
        published_at: now,
        since,
        salts: salts.to_vec(),
        changes: changed.iter().take(CHANGES_MAX).map(told).collect(),
    })
}

fn told(changed: &Changed) -> Change<'_> {
    let Changed { key, generation, stopped, .. } = changed;
    Change { key: key.as_str(), generation: *generation, stopped: *stopped }
}
