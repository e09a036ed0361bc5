//! The contract of `KeyStore`, kept by each implementation.

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod memory {$(
            #[tokio::test]
            async fn $behaviour() {
                let store = waypost_service::memory::MemoryKeys::default();
                waypost_tests::contracts::keys::$behaviour(&store).await;
            }
        )*}

        mod sqlite {
            use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let directory = tempfile::tempdir().expect("a directory for the database");
                    let store = Db::open(&directory.path().join(FILE_NAME), &DbOptions::default())
                        .expect("a new database opens");
                    waypost_tests::contracts::keys::$behaviour(&store).await;
                }
            )*
        }
    };
}

waypost_tests::keys_contracts!(kept);
