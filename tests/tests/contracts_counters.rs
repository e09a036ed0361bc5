//! The contract of `CounterStore`, kept by each implementation.

use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::counting::close::close_due;
use waypost_service::counting::store::CounterStore;
use waypost_service::counting::window::{GRACE_MS, WINDOW_MS};
use waypost_service::seams::{Created, Due, LinkStore};
use waypost_tests::clicks::{batch, click};
use waypost_tests::contracts::links::{NOW, sample, stored};
use waypost_wire::time::Timestamp;

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
                let store = waypost_service::counting::memory::MemoryCounters::default();
                waypost_tests::contracts::counters::$theme::$behaviour(&store).await;
            }
        )*)*}

        mod sqlite {$($(
            #[tokio::test]
            async fn $behaviour() {
                let (store, _directory) = super::database();
                waypost_tests::contracts::counters::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

waypost_tests::counters_contracts!(kept);

#[test]
fn many_bring_the_same_batch_to_memory() {
    let store = waypost_service::counting::memory::MemoryCounters::default();
    waypost_tests::contracts::counters::batches::many_bring_the_same_batch(&store);
}

#[test]
fn many_bring_the_same_batch_to_sqlite() {
    let (store, _directory) = database();
    waypost_tests::contracts::counters::batches::many_bring_the_same_batch(&store);
}

/// A click makes a link used, in the transaction that closes its window; the last one counts.
#[tokio::test]
async fn the_last_click_is_the_last_use_of_a_link() {
    let (db, _directory) = database();
    let link = stored(sample(7));
    let created = db.create(&link, None, false, NOW).await;
    assert_eq!(created, Ok(Created::Created));
    let used_at = async || {
        let due = db.due(Due::Unused, Timestamp(i64::MAX), None, 9).await.expect("links");
        due.into_iter().map(|(at, stored)| (stored.link.id.0, at)).collect::<Vec<_>>()
    };
    assert_eq!(used_at().await, [(7, link.link.created_at)]);
    let early = link.link.created_at.plus_ms(-60_000);
    let later = Timestamp(NOW.0 + 90_000);
    let bring = async |number, at: Timestamp, now| {
        let clicks = [click(7, at), click(8, at)];
        db.store_batch(&batch(1, number, &clicks), now).await.expect("stored");
    };
    bring(0, early, early).await;
    bring(2, later, later).await;
    close_due(&db, early.plus_ms(WINDOW_MS + GRACE_MS)).await.expect("closed");
    assert_eq!(used_at().await, [(7, link.link.created_at)], "an earlier one changes nothing");
    close_due(&db, later).await.expect("closed");
    assert_eq!(used_at().await, [(7, link.link.created_at)], "its window is open");
    close_due(&db, later.plus_ms(WINDOW_MS + GRACE_MS)).await.expect("closed");
    assert_eq!(used_at().await, [(7, later)]);
}
