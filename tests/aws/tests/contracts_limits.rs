//! The contract of `Limits`, kept by DynamoDB.

use waypost_aws::store::AwsStore;
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod dynamodb {$(
            #[tokio::test]
            async fn $behaviour() {
                let store = super::store().await;
                waypost_tests::contracts::limits::$behaviour(&store).await;
            }
        )*}
    };
}

/// A store with tables of its own.
async fn store() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names))
}

waypost_tests::limits_contracts!(kept);
