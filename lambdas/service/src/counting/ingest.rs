//! Taking in batches: from the host's own queue, from SQS, from a file; once or many times.

use waypost_wire::click::BatchError;
use waypost_wire::time::Timestamp;

use super::batch::{Admission, ReceivedBatch};
use super::store::CounterStore;
use crate::seams::StoreError;

/// Why a batch was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// It never will be.
    #[error("not a batch of clicks: {0:?}")]
    Batch(BatchError),
    /// It may or may not have been stored: bring it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores what is new in a batch; durable when it answers. Bringing a batch again, cut otherwise
/// or in another order, changes nothing but the count of duplicates.
///
/// # Errors
/// See [`IngestError`].
pub async fn ingest(
    store: &impl CounterStore,
    bytes: Vec<u8>,
    now: Timestamp,
) -> Result<Admission, IngestError> {
    let batch = ReceivedBatch::parse(bytes).map_err(IngestError::Batch)?;
    Ok(store.store_batch(&batch, now).await?)
}
