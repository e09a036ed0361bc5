//! Where messages of the queue go: [`Inbox`].

use waypost_service::counting::inbox::Inbox;
use waypost_service::seams::StoreError;
use waypost_wire::click::BatchError;
use waypost_wire::time::Timestamp;

use crate::store::AwsStore;

impl Inbox for AwsStore {
    async fn collect(
        &self,
        batches: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Result<u64, BatchError>>, StoreError> {
        Self::collect(self, batches, now).await
    }
}
