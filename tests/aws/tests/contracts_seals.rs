//! The contract of `SealedLinks`, kept by DynamoDB.

use waypost_aws::store::AwsStore;
use waypost_service::seal::SealKeys;
use waypost_tests::contracts::seals::Vault;
use waypost_tests_aws::emulator::Emulator;

struct InTables(AwsStore);

impl Vault for InTables {
    type Store = AwsStore;

    async fn open(&self, keys: Option<SealKeys>) -> AwsStore {
        self.0.clone().sealed_with(keys)
    }
}

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod dynamodb {$(
            #[tokio::test]
            async fn $behaviour() {
                let (clients, names) = super::Emulator::shared().tables().await;
                let vault = super::InTables(super::AwsStore::new(clients, names));
                waypost_tests::contracts::seals::$behaviour(&vault).await;
            }
        )*}
    };
}

waypost_tests::seals_contracts!(kept);
