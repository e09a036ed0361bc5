//! Batches, marks, the account, salts.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;

use waypost_service::counting::batch::{Admission, StoredBatch};
use waypost_service::counting::ledger::LOST_AFTER_MS;
use waypost_service::counting::levels::Levels;
use waypost_service::counting::store::{CounterStore, Open};
use waypost_service::counting::window::Window;
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

use super::super::{at_once, ok};
use crate::clicks::{at, batch, click};

fn numbers(range: Range<u64>) -> Vec<Range<u64>> {
    iter::once(range).collect()
}

fn five(from_minute: i64) -> [Click<'static>; 5] {
    [0, 1, 2, 3, 4].map(|minute| click(7, at(from_minute + minute, 0)))
}

/// What arrives again changes nothing; what is new in it is stored.
pub async fn a_click_is_stored_once(store: &impl CounterStore) {
    let now = at(9, 0);
    let whole = batch(1, 0, &five(0));
    let first = ok(store.store_batch(&whole, now).await);
    let expected = Admission {
        fresh: numbers(0..5),
        floor: Window::FIRST,
        ceil: Window::of(now),
        windows: BTreeSet::from([Window::of(at(0, 0))]),
        duplicate: 0,
        late: 0,
        accepted: 5,
    };
    assert_eq!(first, expected);
    let again = Admission {
        fresh: vec![],
        windows: BTreeSet::new(),
        duplicate: 5,
        accepted: 0,
        ..expected.clone()
    };
    assert_eq!(ok(store.store_batch(&whole, now).await), again);
    let front = batch(1, 0, &five(0)[..3]);
    assert_eq!(ok(store.store_batch(&front, now).await), Admission { duplicate: 3, ..again });
    let mut longer = five(0).to_vec();
    longer.extend(five(8));
    let overlapping = batch(1, 3, &longer);
    let rest = Admission { fresh: numbers(5..13), duplicate: 2, accepted: 8, ..expected.clone() };
    // Some of them say they are in the next window, which has not begun.
    assert_eq!(ok(store.store_batch(&overlapping, now).await), rest);
    let other_source = ok(store.store_batch(&batch(2, 0, &five(0)), now).await);
    assert_eq!(other_source, expected);

    let stored = ok(store.batches_after(0, 10).await);
    let kept = |row, fresh, bytes: &_| StoredBatch {
        row,
        fresh,
        floor: Window::FIRST,
        ceil: Window::of(now),
        bytes: Vec::clone(bytes),
    };
    let expected = [
        kept(1, numbers(0..5), &whole.bytes),
        kept(2, numbers(5..13), &overlapping.bytes),
        kept(3, numbers(0..5), &batch(2, 0, &five(0)).bytes),
    ];
    assert_eq!(stored, expected);
}

/// Batches come in the order of their rows, in pages without gap.
pub async fn batches_come_in_pages(store: &impl CounterStore) {
    for number in 0..7 {
        let minute = i64::from(number % 2 == 0) * 10;
        let one = batch(1, number, &[click(7, at(minute, 0))]);
        ok(store.store_batch(&one, at(11, 0)).await);
    }
    let rows = |page: &[StoredBatch]| page.iter().map(|batch| batch.row).collect::<Vec<_>>();
    assert_eq!(rows(&ok(store.batches_after(0, 3).await)), [1, 2, 3]);
    assert_eq!(rows(&ok(store.batches_after(3, 3).await)), [4, 5, 6]);
    assert_eq!(rows(&ok(store.batches_after(6, 3).await)), [7]);
    assert_eq!(rows(&ok(store.batches_after(7, 3).await)), [0; 0]);
    let second = Window::of(at(10, 0));
    assert_eq!(rows(&ok(store.batches_of(second, 0, 3).await)), [1, 3, 5]);
    assert_eq!(rows(&ok(store.batches_of(second, 5, 3).await)), [7]);
    assert_eq!(rows(&ok(store.batches_of(second.next(), 0, 3).await)), [0; 0]);
}

/// A batch is found by every window it has fresh clicks in, and by no other.
pub async fn a_batch_is_in_the_windows_of_its_fresh_clicks(store: &impl CounterStore) {
    let minutes = [5, 15, 25, 15];
    let clicks = minutes.map(|minute| click(7, at(minute, 0)));
    ok(store.store_batch(&batch(1, 0, &clicks[..1]), at(30, 0)).await);
    ok(store.store_batch(&batch(1, 0, &clicks), at(30, 0)).await);
    for (minute, rows) in [(5, vec![1]), (15, vec![2]), (25, vec![2]), (35, vec![])] {
        let found = ok(store.batches_of(Window::of(at(minute, 0)), 0, 9).await);
        assert_eq!(found.iter().map(|batch| batch.row).collect::<Vec<_>>(), rows, "{minute}");
    }
    let mut numbers = Vec::new();
    for stored in ok(store.batches_after(0, 9).await) {
        ok(stored.each(|source, sequence, _, window| numbers.push((source, sequence, window))));
    }
    let expected = minutes.map(|minute| Window::of(at(minute, 0)));
    let expected: Vec<_> = (0..).zip(expected).map(|(number, at)| (1, number, at)).collect();
    assert_eq!(numbers, expected);
}

/// Behind the seal nothing is stored: late clicks go to the oldest window before it, clicks ahead
/// of time to the window of now.
pub async fn sealed_windows_take_no_clicks(store: &impl CounterStore) {
    let floor = Window::of(at(20, 0));
    assert_eq!(store.seal(floor).await, Ok(()));
    assert_eq!(store.seal(Window::of(at(10, 0))).await, Ok(()), "does not move back");
    let times = [at(-9_000, 0), at(19, 59), at(20, 0), at(31, 0), at(32, 0), at(9_000, 0)];
    let clicks = times.map(|at| click(7, at));
    let now = at(31, 30);
    let admission = ok(store.store_batch(&batch(1, 0, &clicks), now).await);
    let expected = Admission {
        fresh: numbers(0..6),
        floor,
        ceil: Window::of(now),
        windows: BTreeSet::from([floor, Window::of(now)]),
        duplicate: 0,
        late: 2,
        accepted: 6,
    };
    assert_eq!(admission, expected);
    let mut windows = Vec::new();
    for stored in ok(store.batches_after(0, 9).await) {
        ok(stored.each(|_, _, _, window| windows.push(window)));
    }
    let ceil = Window::of(now);
    assert_eq!(windows, [floor, floor, floor, ceil, ceil, ceil]);
    // A clock set back does not let anything behind the seal either.
    let early = ok(store.store_batch(&batch(2, 0, &clicks), at(0, 0)).await);
    assert_eq!((early.floor, early.ceil), (floor, floor));
    assert_eq!(early.windows, BTreeSet::from([floor]));
}

/// What is open, and from which row on.
pub async fn the_open_windows_are_known(store: &impl CounterStore) {
    let none = Open {
        sealed_until: Window::FIRST,
        closed_until: Window::FIRST,
        oldest: None,
        after_row: 0,
        levels: Levels::NONE,
    };
    assert_eq!(store.open().await, Ok(none));
    ok(store.store_batch(&batch(1, 0, &[click(7, at(15, 0))]), at(16, 0)).await);
    ok(store.store_batch(&batch(1, 1, &[click(7, at(5, 0))]), at(16, 0)).await);
    let oldest = Window::of(at(5, 0));
    let two = Open { oldest: Some(oldest), ..none };
    assert_eq!(store.open().await, Ok(two));
    ok(store.seal(oldest.next()).await);
    assert_eq!(store.open().await, Ok(Open { sealed_until: oldest.next(), ..two }));
}

/// The account of sources is kept in the same transactions as their clicks.
pub async fn the_account_adds_up(store: &impl CounterStore) {
    let now = at(0, 0);
    ok(store.report(1, 9, now).await);
    ok(store.store_batch(&batch(1, 5, &five(0)), now).await);
    ok(store.store_batch(&batch(1, 5, &five(0)), now).await);
    ok(store.store_batch(&batch(u64::MAX, 0, &five(-1_000)), now).await);
    ok(store.seal(Window::of(now)).await);
    ok(store.store_batch(&batch(u64::MAX, 5, &five(-1_000)), now).await);
    ok(store.report(u64::MAX, 3, now).await);
    let account = ok(store.account(now.plus_ms(-1)).await);
    let sums = (account.accepted, account.stored, account.duplicate, account.late);
    assert_eq!(sums, (20, 15, 5, 5));
    let mut in_flight: Vec<u64> =
        account.recent.iter().map(|ledger| ledger.in_flight(now)).collect();
    in_flight.sort_unstable();
    assert_eq!(in_flight, [0, 5]);
    assert_eq!(ok(store.account(now).await).recent, [], "nobody was heard of after");
    ok(store.report(1, 12, now.plus_ms(LOST_AFTER_MS)).await);
    let later = ok(store.account(now).await);
    assert_eq!(later.accepted, 22);
    let tails = later.recent.iter().map(|ledger| ledger.in_flight(now.plus_ms(LOST_AFTER_MS)));
    assert_eq!(tails.collect::<Vec<_>>(), [2], "the gap is lost, the tail is not");
    // What was under way for long does not make a source look silent.
    ok(store.report(1, 12, now).await);
    assert_eq!(ok(store.account(now).await).recent.len(), 1);
}

/// A batch that many bring at once is stored once.
pub fn many_bring_the_same_batch(store: &(impl CounterStore + Sync)) {
    let clicks: Vec<Click<'_>> = (0..50).map(|second| click(7, at(0, second))).collect();
    let fresh = at_once(8, async |index| {
        let mut fresh = 0;
        for step in 0..25 {
            // Everybody cuts the fifty clicks in another way.
            let start = (step * (index + 3)) % 49;
            let end = (start + index + 1).min(50);
            let part = batch(1, start as u64, &clicks[start..end]);
            fresh += ok(store.store_batch(&part, at(1, 0)).await).stored();
        }
        fresh + ok(store.store_batch(&batch(1, 0, &clicks), at(1, 0)).await).stored()
    });
    assert_eq!(fresh.iter().sum::<u64>(), 50);
}

/// The first salt of a day stays until it is deleted.
pub async fn a_day_has_one_salt(store: &impl CounterStore) {
    let (monday, tuesday) = (Timestamp(0), Timestamp(86_400_000));
    assert_eq!(store.salt(monday, [1; 16]).await, Ok([1; 16]));
    assert_eq!(store.salt(monday, [2; 16]).await, Ok([1; 16]));
    assert_eq!(store.salt(tuesday, [3; 16]).await, Ok([3; 16]));
    assert_eq!(store.delete_salts(Timestamp(-1)).await, Ok(0));
    assert_eq!(store.delete_salts(monday).await, Ok(1));
    assert_eq!(store.salt(monday, [4; 16]).await, Ok([4; 16]));
    assert_eq!(store.salt(tuesday, [5; 16]).await, Ok([3; 16]));
}
