//! Token buckets of the API: in memory if this process is the only one, else where all processes
//! share them.

use std::sync::Arc;

use waypost_service::limits::{Limits, MemoryLimits, Rate, Taken};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::store::Store;

/// Token buckets. Clones share them.
#[derive(Clone, Debug)]
pub enum Buckets {
    /// Of this process.
    Own(Arc<MemoryLimits>),
    /// Of many.
    #[cfg(feature = "aws")]
    Shared(waypost_aws::store::AwsStore),
}

impl From<&Store> for Buckets {
    fn from(store: &Store) -> Self {
        match store {
            Store::Embedded(_) => Self::Own(Arc::default()),
            #[cfg(feature = "aws")]
            Store::Shared(shared) => Self::Shared(shared.tables.clone()),
        }
    }
}

impl Limits for Buckets {
    async fn take_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        count: u32,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        match self {
            Self::Own(memory) => Ok(memory.take(bucket, rate, count, now)),
            #[cfg(feature = "aws")]
            // On the heap, like all calls over the network.
            Self::Shared(tables) => Box::pin(tables.take_tokens(bucket, rate, count, now)).await,
        }
    }

    async fn peek_tokens(
        &self,
        bucket: &str,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        match self {
            Self::Own(memory) => Ok(memory.peek(bucket, rate, now)),
            #[cfg(feature = "aws")]
            Self::Shared(tables) => Box::pin(tables.peek_tokens(bucket, rate, now)).await,
        }
    }
}
