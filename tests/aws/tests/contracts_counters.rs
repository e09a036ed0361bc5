//! The contract of `CounterStore`, kept by DynamoDB and S3.

use waypost_aws::store::AwsStore;
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;

/// A store with tables and a bucket of its own.
async fn store() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names))
}

macro_rules! kept {
    ($($theme:ident: $($behaviour:ident),* $(,)?;)*) => {
        mod dynamodb {$($(
            #[tokio::test]
            async fn $behaviour() {
                let store = super::store().await;
                waypost_tests::contracts::counters::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

waypost_tests::counters_contracts!(kept);

#[tokio::test]
async fn many_bring_the_same_batch_to_dynamodb() {
    let store = store().await;
    waypost_tests::contracts::counters::batches::many_bring_the_same_batch(&store);
}
