//! What everything must come to, as told by the plainest store.

use std::collections::BTreeSet;

use waypost_aws::store::AwsStore;
use waypost_service::counting::integrity::integrity;
use waypost_service::counting::memory::MemoryCounters;
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::store::{Account, CounterStore};
use waypost_service::counting::window::{Span, WINDOW_MS, Window};
use waypost_service::model::LinkId;
use waypost_tests::clicks::{MIDNIGHT, at};
use waypost_wire::time::Timestamp;

/// What the plainest store tells.
pub(crate) struct Told {
    pub(crate) store: MemoryCounters,
    /// Whether something was brought again, by whoever did not hear that it was stored.
    pub(crate) duplicates_may_differ: bool,
}

const FIRST: Timestamp = Timestamp(i64::MIN);
const LAST: Timestamp = at(100_000, 0);

/// Everything that can be read is the same.
pub(crate) async fn equal(store: &AwsStore, told: &Told, when: &str) {
    let Told { store: memory, duplicates_may_differ } = told;
    assert_eq!(store.open().await, memory.open().await, "{when}");
    let mut account = sorted(store.account(FIRST).await.expect("an account"));
    let expected = sorted(memory.account(FIRST).await.expect("memory"));
    if *duplicates_may_differ {
        account.duplicate = expected.duplicate;
    }
    assert_eq!(account, expected, "{when}");
    let sums = integrity(store, at(30, 0)).await.expect("an account");
    assert_eq!(sums.counted + sums.lost + sums.in_flight, sums.accepted, "{when}");
    let batches = store.batches_after(0, 1_000).await;
    assert_eq!(batches, memory.batches_after(0, 1_000).await, "{when}");
    let links: Vec<LinkId> = (1..=42).map(LinkId).collect();
    assert_eq!(store.link_totals(&links).await, memory.link_totals(&links).await, "{when}");
    // Those that something was done to, and some that nothing was.
    let links = links.iter().filter(|link| [1, 7, 9, 40, 42].contains(&link.0));
    let mut subjects = BTreeSet::from([Subject::Site, Subject::Orphans]);
    subjects.extend(links.map(|link| Subject::Link(*link)));
    for subject in subjects {
        for by in [Span::Hour, Span::Day] {
            let read = store.read(subject, FIRST, LAST, by).await;
            assert_eq!(read, memory.read(subject, FIRST, LAST, by).await, "{when}: {subject:?}");
        }
    }
    for number in [0, 1, 2, 6, 144] {
        let window = Window::of(MIDNIGHT.plus_ms(number * WINDOW_MS));
        let record = store.closed_window(window).await;
        assert_eq!(record, memory.closed_window(window).await, "{when}: {number}");
        let batches = store.batches_of(window, 0, 1_000).await;
        assert_eq!(batches, memory.batches_of(window, 0, 1_000).await, "{when}: {number}");
    }
}

fn sorted(mut account: Account) -> Account {
    account.recent.sort_by_key(waypost_service::counting::ledger::Ledger::encode);
    account
}
