//! The contract of `LinkStore`, kept by DynamoDB, with links sealed at rest.

use waypost_aws::store::AwsStore;
use waypost_service::seal::SealKeys;
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;

const SEAL_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// A store with tables of its own.
async fn store() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names).sealed_with(SealKeys::read(SEAL_KEY).ok()))
}

macro_rules! kept {
    ($($theme:ident: $($behaviour:ident),* $(,)?;)*) => {
        mod dynamodb {$($(
            #[tokio::test]
            async fn $behaviour() {
                let store = super::store().await;
                waypost_tests::contracts::links::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

waypost_tests::links_contracts!(kept);
