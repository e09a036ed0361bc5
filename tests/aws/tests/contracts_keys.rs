//! The contract of `KeyStore`, kept by DynamoDB.

use waypost_aws::store::AwsStore;
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod dynamodb {$(
            #[tokio::test]
            async fn $behaviour() {
                let store = super::store().await;
                waypost_tests::contracts::keys::$behaviour(&store).await;
            }
        )*}
    };
}

/// A store with tables of its own.
async fn store() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names))
}

kept! {
    a_key_is_found_by_its_hash,
    a_key_is_revoked_once,
    a_key_is_unique,
    keys_are_listed_in_order,
    the_last_use_only_rises,
}
