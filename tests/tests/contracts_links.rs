//! The contract of `LinkStore`, kept by each implementation.

use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};

/// A database that goes away with the test.
fn database() -> (Db, TempDir) {
    let directory = tempfile::tempdir().expect("a directory for the database");
    let db = Db::open(&directory.path().join(FILE_NAME), &DbOptions::default());
    (db.expect("a new database opens"), directory)
}

macro_rules! kept {
    ($($theme:ident: $($behaviour:ident),* $(,)?;)*) => {
        mod memory {$($(
            #[tokio::test]
            async fn $behaviour() {
                let store = waypost_service::memory::MemoryLinks::default();
                waypost_tests::contracts::links::$theme::$behaviour(&store).await;
            }
        )*)*}

        mod sqlite {$($(
            #[tokio::test]
            async fn $behaviour() {
                let (store, _directory) = super::database();
                waypost_tests::contracts::links::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

waypost_tests::links_contracts!(kept);
