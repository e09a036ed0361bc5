//! Where messages of the queue go: [`Inbox`].

use waypost_service::counting::inbox::Inbox;
use waypost_service::seams::StoreError;
use waypost_wire::click::{Batch, BatchError};
use waypost_wire::time::Timestamp;

use crate::store::AwsStore;

impl Inbox for AwsStore {
    async fn collect(
        &self,
        batches: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Result<u64, BatchError>>, StoreError> {
        let count = |bytes: &Vec<u8>| Batch::parse(bytes).map(|batch| batch.count());
        let counts: Vec<Result<u64, BatchError>> = batches.iter().map(count).collect();
        Self::collect(self, batches, now).await?;
        Ok(counts)
    }
}
