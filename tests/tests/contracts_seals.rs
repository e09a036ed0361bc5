//! The contract of `SealedLinks`, kept by each implementation.

use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::memory::MemoryLinks;
use waypost_service::seal::SealKeys;
use waypost_service::seal::fields::Sealing;
use waypost_tests::contracts::seals::Vault;

struct InMemory(MemoryLinks);

impl Vault for InMemory {
    type Store = MemoryLinks;

    async fn open(&self, keys: Option<SealKeys>) -> MemoryLinks {
        self.0.sealed_with(keys)
    }
}

struct InFile(TempDir);

impl Vault for InFile {
    type Store = Db;

    async fn open(&self, keys: Option<SealKeys>) -> Db {
        let options = DbOptions { sealing: Sealing::with(keys), ..DbOptions::default() };
        // Which keys a database needs is asked elsewhere: here they are taken away.
        let path = self.0.path().join(FILE_NAME);
        if path.exists() {
            let connection = rusqlite::Connection::open(&path).expect("SQLite opens it");
            connection.execute("DELETE FROM seal_keys", []).expect("it is written");
        }
        Db::open(&path, &options).expect("the database opens")
    }
}

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod memory {$(
            #[tokio::test]
            async fn $behaviour() {
                let vault = super::InMemory(Default::default());
                waypost_tests::contracts::seals::$behaviour(&vault).await;
            }
        )*}

        mod sqlite {$(
            #[tokio::test]
            async fn $behaviour() {
                let vault = super::InFile(tempfile::tempdir().expect("a directory"));
                waypost_tests::contracts::seals::$behaviour(&vault).await;
            }
        )*}
    };
}

waypost_tests::seals_contracts!(kept);
