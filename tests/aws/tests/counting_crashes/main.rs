//! Every call of every step of counting goes wrong once, in every way there is; the step is
//! repeated, and everything must be as if nothing had happened.

mod goes_on;
mod told;

use told::{Told, equal};
use waypost_aws::store::AwsStore;
use waypost_service::counting::close::{Recounted, close_due, recount_hour};
use waypost_service::counting::compact::compact;
use waypost_service::counting::memory::MemoryCounters;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::{CounterStore, WindowRecord};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_tests::clicks::{MIDNIGHT, at, batch, click};
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Faults, Trouble};
use waypost_wire::click::Click;
use waypost_wire::time::Timestamp;

/// Longer than all of it.
const EVER_MS: i64 = 400 * Span::Day.ms();

const TROUBLES: [Trouble; 3] = [Trouble::Before, Trouble::After, Trouble::Conflict];

/// A step of counting.
trait Step {
    async fn take(&self, store: &AwsStore) -> Result<(), StoreError>;
}

impl<F: AsyncFn(&AwsStore) -> Result<(), StoreError>> Step for F {
    async fn take(&self, store: &AwsStore) -> Result<(), StoreError> {
        self(store).await
    }
}

/// Of calls that only read, so many are left out between two that go wrong: what a failed reading
/// leaves behind is what the writing before it did.
const READS_LEFT_OUT: usize = 4;

/// Prepares a store, takes a step in which one call goes wrong until it succeeds, and compares;
/// for every call that writes and every trouble.
async fn every_call_goes_wrong(told: &Told, prepare: impl Step, step: impl Step) {
    let plain = one_call_goes_wrong(told, &prepare, &step, usize::MAX, Trouble::Before).await;
    let mut reads = 0;
    let mut troubles = Vec::new();
    for (number, operation) in plain.calls().into_iter().enumerate() {
        match operation.as_str() {
            "GetItem" | "BatchGetItem" | "Query" | "GETObject" => {
                if reads % (READS_LEFT_OUT + 1) == 0 {
                    troubles.push((number, Trouble::Before));
                }
                reads += 1;
            }
            "BatchWriteItem" | "TransactWriteItems" => {
                troubles.extend(TROUBLES.map(|trouble| (number, trouble)));
            }
            "PUTObject" => {
                troubles.extend([Trouble::Before, Trouble::After].map(|trouble| (number, trouble)));
            }
            _ => panic!("{operation} is of no known kind"),
        }
    }
    assert!(troubles.len() > 6, "too little is done: {troubles:?}");
    for (number, trouble) in troubles {
        let faults = one_call_goes_wrong(told, &prepare, &step, number, trouble).await;
        assert_eq!(faults.met(), 1, "{trouble:?} at {number}");
    }
}

async fn one_call_goes_wrong(
    told: &Told,
    prepare: &impl Step,
    step: &impl Step,
    number: usize,
    trouble: Trouble,
) -> Faults {
    let faults = Faults::default();
    let (clients, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
    prepare.take(&store).await.expect("nothing goes wrong yet");
    faults.begin(vec![(number, trouble)]);
    let mut results = Vec::new();
    while results.last() != Some(&Ok(())) {
        assert!(results.len() < 3, "{trouble:?} at {number}: {results:?}");
        results.push(step.take(&store).await);
    }
    let plain = AwsStore::new(clients, store.names);
    equal(&plain, told, &format!("{trouble:?} at {number}")).await;
    faults
}

/// Clicks on forty links, in three windows of an hour, by people.
fn many(from_minute: i64) -> Vec<Click<'static>> {
    (0..60).map(|number| click(1 + number % 40, at(from_minute + number as i64 % 28, 0))).collect()
}

/// Batches of three sources, in two objects; some come twice, one is a gap's end.
fn objects() -> [Vec<Vec<u8>>; 2] {
    let clicks = many(0);
    let first = batch(1, 0, &clicks[..30]).bytes;
    let second = batch(1, 40, &clicks[40..]).bytes;
    let other = batch(2, 0, &clicks[..7]).bytes;
    let both = batch(1, 25, &clicks[25..45]).bytes;
    let orphan = Click { link_id: 0, slug: "typo", ..click(0, at(3, 0)) };
    let third = batch(3, 5, &[orphan]).bytes;
    [vec![first.clone(), second, first], vec![other.clone(), both, third, other]]
}

const BOOKED_AT: Timestamp = at(29, 0);

async fn collect_all(store: &AwsStore) -> Result<(), StoreError> {
    for (minute, batches) in (0..).zip(objects()) {
        let results = store.collect(batches, at(20 + minute, 0)).await?;
        assert!(results.iter().all(Result::is_ok));
    }
    Ok(())
}

async fn book_all(store: &AwsStore) -> Result<(), StoreError> {
    let booked = store.book(BOOKED_AT, || false).await?;
    assert!(!booked.left);
    Ok(())
}

async fn booked(store: &AwsStore) -> Result<(), StoreError> {
    collect_all(store).await?;
    book_all(store).await
}

async fn told_of_booking() -> Told {
    let memory = MemoryCounters::default();
    for bytes in objects().into_iter().flatten() {
        let received = waypost_service::counting::batch::ReceivedBatch::parse(bytes);
        memory.store_batch(&received.expect("a batch"), BOOKED_AT).await.expect("memory");
    }
    Told { store: memory, duplicates_may_differ: false }
}

#[tokio::test]
async fn collecting_and_booking() {
    let told = told_of_booking().await;
    let nothing = async |_: &AwsStore| Ok(());
    every_call_goes_wrong(&told, nothing, collect_all_and_book).await;
}

async fn collect_all_and_book(store: &AwsStore) -> Result<(), StoreError> {
    // As from a queue: what was answered is acknowledged and does not come again.
    collect_all(store).await?;
    for _ in 0..2 {
        if book_all(store).await.is_ok() {
            break;
        }
    }
    Ok(())
}

#[tokio::test]
async fn storing_and_reporting() {
    let one = batch(1, 3, &many(0)[..9]);
    let told = Told { store: MemoryCounters::default(), duplicates_may_differ: true };
    told.store.store_batch(&one, BOOKED_AT).await.expect("memory");
    told.store.report(1, 44, BOOKED_AT).await.expect("memory");
    let nothing = async |_: &AwsStore| Ok(());
    let step = async |store: &AwsStore| {
        store.store_batch(&one, BOOKED_AT).await?;
        store.report(1, 44, BOOKED_AT).await
    };
    every_call_goes_wrong(&told, nothing, step).await;
}

#[tokio::test]
async fn closing() {
    let told = told_of_booking().await;
    assert_eq!(close_due(&told.store, at(22, 0)).await, Ok(2));
    let step = async |store: &AwsStore| {
        let closed = close_due(store, at(22, 0)).await.map(drop);
        all_are_there(store, &told.store).await?;
        closed
    };
    every_call_goes_wrong(&told, booked, step).await;
}

/// However the step ended, every click is in the numbers once.
async fn all_are_there(store: &AwsStore, told: &MemoryCounters) -> Result<(), StoreError> {
    let (found, expected) = (sums(store).await?, sums(told).await?);
    assert_eq!(found, expected, "in the middle of it");
    Ok(())
}

async fn sums(store: &impl CounterStore) -> Result<Vec<u64>, StoreError> {
    let open = OpenWindows::new();
    let mut sums = Vec::new();
    for subject in [Subject::Site, Subject::Orphans, Subject::Link(LinkId(7))] {
        for by in [Span::Hour, Span::Day] {
            let rows = rollups(store, &open, subject, MIDNIGHT, at(9_999, 0), by).await?;
            sums.push(rows.iter().map(|row| row.rollup.totals.all()).sum());
        }
    }
    let links: Vec<LinkId> = (1..=40).map(LinkId).collect();
    sums.extend(link_totals(store, &open, &links).await?.iter().map(Totals::all));
    Ok(sums)
}

/// Few links, so that few calls come to much.
async fn some_hours(store: &impl CounterStore) -> Result<(), StoreError> {
    let clicks = [1, 12, 61, 1_441].map(|minute| click(7, at(minute, 0)));
    store.store_batch(&batch(1, 0, &clicks), at(1_445, 0)).await?;
    close_due(store, at(1_500, 0)).await.map(drop)
}

async fn told_of_hours() -> Told {
    let memory = MemoryCounters::default();
    some_hours(&memory).await.expect("memory");
    Told { store: memory, duplicates_may_differ: false }
}

#[tokio::test]
async fn compaction() {
    let told = told_of_hours().await;
    compact(&told.store, at(1_500, 0), 0).await.expect("memory");
    let step = async |store: &AwsStore| {
        let compacted = compact(store, at(1_500, 0), 0).await.map(drop);
        all_are_there(store, &told.store).await?;
        compacted
    };
    every_call_goes_wrong(&told, some_hours, step).await;
}

#[tokio::test]
async fn counting_an_hour_again() {
    let told = told_of_hours().await;
    rewrite(&told.store).await.expect("memory");
    let rewrite = async |store: &AwsStore| rewrite(store).await;
    every_call_goes_wrong(&told, some_hours, rewrite).await;
}

/// The day goes with it, whenever it is made, and the hours can go afterwards.
#[tokio::test]
async fn counting_an_hour_of_a_day_again() {
    let told = told_of_hours().await;
    some_days(&told.store).await.expect("memory");
    rewrite(&told.store).await.expect("memory");
    compact(&told.store, at(1_500, 0), 0).await.expect("memory");
    let prepare = async |store: &AwsStore| {
        some_hours(store).await?;
        some_days(store).await
    };
    let step = async |store: &AwsStore| {
        // Once the hours begin to go it is too late to count them again.
        if store.open().await?.levels.hours_from <= MIDNIGHT {
            rewrite(store).await?;
        }
        let compacted = compact(store, at(1_500, 0), 0).await.map(drop);
        all_are_there(store, &told.store).await?;
        compacted
    };
    every_call_goes_wrong(&told, prepare, step).await;
}

async fn some_days(store: &impl CounterStore) -> Result<(), StoreError> {
    compact(store, at(1_500, 0), EVER_MS).await.map(drop)
}

async fn rewrite(store: &impl CounterStore) -> Result<(), StoreError> {
    let mut counted = Counted::default();
    for subject in [Subject::Site, Subject::Link(LinkId(7)), Subject::Link(LinkId(9))] {
        let mut rollup = Rollup::default();
        rollup.totals.add(waypost_service::counting::classify::Class::Human, 5);
        counted.rollups.insert(subject, rollup);
    }
    let record = WindowRecord { batches: 2, digest: [9; 32], revision: 2, closed_at: at(130, 0) };
    let windows = [(Window::of(at(10, 0)), record)];
    assert!(store.rewrite_hour(MIDNIGHT, &windows, &counted).await?);
    Ok(())
}

#[tokio::test]
async fn an_hour_counted_again_can_be_compacted() {
    let (clients, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(clients, names);
    some_hours(&store).await.expect("stored");
    let told = told_of_hours().await;
    for now in [at(130, 0), at(131, 0)] {
        for store in [&told.store as &dyn Recounting, &store] {
            store.again(now).await;
        }
        compact(&store, at(1_500, 0), 3 * Span::Day.ms()).await.expect("compacted");
        compact(&told.store, at(1_500, 0), 3 * Span::Day.ms()).await.expect("memory");
        equal(&store, &told, "hours").await;
    }
    compact(&store, at(1_500, 0), 0).await.expect("compacted");
    compact(&told.store, at(1_500, 0), 0).await.expect("memory");
    equal(&store, &told, "days").await;
}

trait Recounting {
    fn again(&self, now: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;
}

impl<S: CounterStore> Recounting for S {
    fn again(&self, now: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            let recounted = recount_hour(self, MIDNIGHT, now).await;
            assert_eq!(recounted, Ok(Recounted::Recounted { changed: 0 }));
        })
    }
}

#[tokio::test]
async fn removing() {
    let remove = async |store: &AwsStore| remove(store).await;
    let told = told_of_hours().await;
    self::remove(&told.store).await.expect("memory");
    every_call_goes_wrong(&told, some_hours, remove).await;
}

async fn remove(store: &impl CounterStore) -> Result<(), StoreError> {
    store.delete_link_statistics(LinkId(7), at(1_600, 0)).await?;
    store.delete_batches(at(1_601, 0), 9).await.map(drop)
}
