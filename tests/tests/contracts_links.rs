//! The contract of `LinkStore`, kept by each implementation.

use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::seal::fields::Sealing;
use waypost_tests::contracts::seals::{OLD, keys};

/// A database that goes away with the test.
fn database(sealing: Sealing) -> (Db, TempDir) {
    let directory = tempfile::tempdir().expect("a directory for the database");
    let options = DbOptions { sealing, ..DbOptions::default() };
    let db = Db::open(&directory.path().join(FILE_NAME), &options);
    (db.expect("a new database opens"), directory)
}

/// The contract of a database whose links are sealed: the same, but that notes are not searched.
mod sealed {
    pub use waypost_tests::contracts::links::{changes, contention, due, lists, writes};

    pub mod searches {
        use waypost_service::seams::LinkStore;
        pub use waypost_tests::contracts::links::searches::*;

        /// What a sealed database promises instead is in `sqlite_seals.rs`.
        pub async fn all_texts_of_a_link_are_searched(_: &impl LinkStore) {}
    }
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
                let (store, _directory) = super::database(Default::default());
                waypost_tests::contracts::links::$theme::$behaviour(&store).await;
            }
        )*)*}

        mod sealed_sqlite {$($(
            #[tokio::test]
            async fn $behaviour() {
                let sealing = super::Sealing::with(Some(super::keys(super::OLD)));
                let (store, _directory) = super::database(sealing);
                super::sealed::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

waypost_tests::links_contracts!(kept);
