//! A window that is too large for one run.

use waypost_aws::store::AwsStore;
use waypost_service::counting::close::close_due;
use waypost_service::counting::memory::MemoryCounters;
use waypost_service::counting::store::CounterStore;
use waypost_service::model::LinkId;
use waypost_tests::clicks::{at, batch, click};
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Faults, Trouble};

const LINKS: u64 = 400;

/// What was written by the run that ended is read by the next one, and not written again.
#[tokio::test]
async fn what_is_staged_is_not_written_again() {
    let clicks: Vec<_> = (1..=LINKS).map(|link| click(link, at(link as i64 % 9, 0))).collect();
    let bytes = batch(1, 0, &clicks);
    let faults = Faults::default();
    let writes = || faults.calls().iter().filter(|call| *call == "TransactWriteItems").count();
    let begun = async || {
        let (_, names) = Emulator::shared().tables().await;
        let store = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
        store.store_batch(&bytes, at(10, 0)).await.expect("stored");
        store
    };

    let store = begun().await;
    faults.begin(vec![]);
    assert_eq!(close_due(&store, at(13, 0)).await, Ok(1));
    let (all, last) =
        (writes(), faults.calls().iter().rposition(|call| call == "TransactWriteItems"));
    assert!(all > 12, "33 links in each: {all}");

    let store = begun().await;
    faults.begin(vec![(last.expect("a transaction"), Trouble::Before)]);
    close_due(&store, at(13, 0)).await.expect_err("the mark could not be moved");
    assert_eq!(faults.met(), 1);
    faults.begin(vec![]);
    assert_eq!(close_due(&store, at(13, 0)).await, Ok(1));
    assert_eq!(writes(), 1, "the mark");

    let memory = MemoryCounters::default();
    memory.store_batch(&bytes, at(10, 0)).await.expect("memory");
    assert_eq!(close_due(&memory, at(13, 0)).await, Ok(1));
    let links: Vec<LinkId> = (1..=LINKS).map(LinkId).collect();
    assert_eq!(store.link_totals(&links).await, memory.link_totals(&links).await);
}
