//! The day's salt, which makes a visitor another one tomorrow.

use waypost_wire::time::Timestamp;

use super::store::CounterStore;
use super::window::Span;
use crate::seams::StoreError;

/// How long after the start of its day a salt is kept. Behind that, nobody can find out any more
/// which visitor a hash stands for.
pub const SALT_KEPT_MS: i64 = 48 * 60 * 60 * 1_000;

/// The salts of the day (UTC) that `now` is in and of the next, each with the start of its day.
/// All hosts of a store get the same: of all `candidates`, 16 random bytes each, the first win.
/// Salts that are too old are deleted.
///
/// # Errors
/// If the store fails.
pub async fn today_and_tomorrow(
    store: &impl CounterStore,
    now: Timestamp,
    candidates: [[u8; 16]; 2],
) -> Result<[(Timestamp, [u8; 16]); 2], StoreError> {
    store.delete_salts(now.plus_ms(-SALT_KEPT_MS)).await?;
    let today = Span::Day.start(now);
    let tomorrow = today.plus_ms(Span::Day.ms());
    let [first, second] = candidates;
    Ok([(today, store.salt(today, first).await?), (tomorrow, store.salt(tomorrow, second).await?)])
}
