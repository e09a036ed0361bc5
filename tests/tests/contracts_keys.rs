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

kept! {
    a_key_is_found_by_its_hash,
    a_key_is_revoked_once,
    a_key_is_unique,
    keys_are_listed_in_order,
    the_last_use_only_rises,
}
