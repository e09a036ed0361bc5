//! Exactly once on AWS, under everything that may go wrong between a click and its number.

#[path = "../../../tests/counting/draws.rs"]
mod draws;
#[path = "../../../tests/counting/hosts.rs"]
mod hosts;
#[path = "../../../tests/counting/oracle.rs"]
mod oracle;
mod together;
mod world;
mod year;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use draws::Draws;
use together::{Task, join_all};
use waypost_aws::counters::inbox::Booked;
use waypost_aws::store::AwsStore;
use waypost_service::counting::batch::ReceivedBatch;
use waypost_service::counting::close::{Proof, close_due, verify};
use waypost_service::counting::integrity::integrity;
use waypost_service::counting::memory::MemoryCounters;
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::store::CounterStore;
use waypost_service::counting::window::{GRACE_MS, Span, WINDOW_MS, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::{Created, Due, LinkStore, StoreError};
use waypost_tests::clicks::{at, batch, click, packed};
use waypost_tests::contracts::links::{NOW, sample, stored};
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Faults, Trouble};
use waypost_wire::click::BatchError;
use waypost_wire::time::Timestamp;
use world::World;

/// Worlds; `WAYPOST_WORLDS` asks for more.
const WORLDS: u64 = 3;

async fn store() -> AwsStore {
    let (clients, names) = Emulator::shared().tables().await;
    AwsStore::new(clients, names)
}

/// Small worlds, each with its own troubles. A failing seed is named; run it alone with
/// `WAYPOST_SEED=<seed>`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_click_is_lost_or_counted_twice() {
    let seeds = match number("WAYPOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WAYPOST_WORLDS").unwrap_or(WORLDS),
    };
    for seed in seeds {
        eprintln!("the world of seed {seed}");
        World::new(seed).await.live().await;
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What is no batch is told apart, kept nowhere, and in nobody's way.
#[tokio::test]
async fn what_is_no_batch_is_answered_by_itself() {
    let store = store().await;
    let good = packed(1, 0, &[click(7, at(0, 0))]);
    let mut cut = good.clone();
    cut.pop();
    let brought = vec![b"".to_vec(), good.clone(), cut.clone(), good.clone()];
    let results = store.collect(brought, at(1, 0)).await.expect("it collects");
    let parsed = |bytes: &[u8]| ReceivedBatch::parse(bytes.to_vec()).map(|batch| batch.count);
    assert_eq!(results, [parsed(b""), Ok(1), parsed(&cut), Ok(1)]);
    assert!(results[0].is_err() && results[2].is_err());
    let booked = store.book(at(1, 0), || false).await;
    let expected = Booked { objects: 1, batches: 2, stored: 1, duplicate: 1, ..Booked::default() };
    assert_eq!(booked, Ok(expected));
    assert_eq!(store.book(at(1, 0), || false).await, Ok(Booked::default()));
    let none: Result<Vec<Result<u64, BatchError>>, _> = Ok(vec![]);
    assert_eq!(store.collect(vec![], at(1, 0)).await, none);
    let bad = store.collect(vec![cut], at(1, 0)).await.expect("it answers");
    assert!(bad[0].is_err());
    assert_eq!(store.book(at(1, 0), || false).await, Ok(Booked::default()), "nothing was kept");
}

/// An object that somebody removed is reported, and the others are booked.
#[tokio::test]
async fn an_object_that_is_gone_is_in_nobodys_way() {
    let store = store().await;
    for number in 0..3 {
        let one = packed(1, number, &[click(7, at(0, 0))]);
        store.collect(vec![one], at(number as i64, 0)).await.expect("it collects");
    }
    let objects = store.clients.s3.list_objects_v2().bucket(&store.names.raw_bucket).send();
    let objects = objects.await.expect("a list").contents.unwrap_or_default();
    let gone = objects.first().and_then(|object| object.key()).expect("an object").to_owned();
    let delete = store.clients.s3.delete_object().bucket(&store.names.raw_bucket).key(gone);
    delete.send().await.expect("deleted");
    let booked = store.book(at(5, 0), || false).await;
    let expected = Booked { objects: 2, batches: 2, stored: 2, missing: 1, ..Booked::default() };
    assert_eq!(booked, Ok(expected));
    let missed = Ok(Booked { missing: 1, ..Booked::default() });
    for now in [at(1_439, 0), at(1_442, 0)] {
        assert_eq!(store.book(now, || false).await, missed);
    }
    assert_eq!(store.book(at(1_443, 0), || false).await, Ok(Booked::default()), "given up");
}

/// Objects end by themselves. For closed windows that is as if their batches had been removed; an
/// open one is not counted without them.
#[tokio::test]
async fn a_window_is_not_closed_without_its_objects() {
    let store = store().await;
    for (number, minute) in [(0, 1), (1, 11)] {
        let one = batch(1, number, &[click(7, at(minute, 0))]);
        store.store_batch(&one, at(minute, 0)).await.expect("stored");
    }
    assert_eq!(close_due(&store, at(12, 0)).await, Ok(1));
    let first = Window::of(at(0, 0));
    assert_eq!(verify(&store, first).await, Ok(Proof::Same));
    let objects = store.clients.s3.list_objects_v2().bucket(&store.names.raw_bucket).send();
    for object in objects.await.expect("a list").contents.unwrap_or_default() {
        let key = object.key().expect("a name");
        let delete = store.clients.s3.delete_object().bucket(&store.names.raw_bucket).key(key);
        delete.send().await.expect("deleted");
    }
    assert_eq!(verify(&store, first).await, Ok(Proof::Gone));
    let closed = close_due(&store, at(30, 0)).await;
    assert!(matches!(closed, Err(StoreError::Damaged(_))), "{closed:?}");
    assert_eq!(store.open().await.map(|open| open.closed_until), Ok(first.next()));
}

/// Hundreds of batches in one object need several transactions; between them it can end.
#[tokio::test]
async fn booking_ends_in_time_and_goes_on() {
    let store = store().await;
    let memory = MemoryCounters::default();
    let batches: Vec<Vec<u8>> = (0..230)
        .map(|number| {
            let minute = (number * 7) % 60;
            packed(number % 50, number / 50, &[click(1 + number % 9, at(minute as i64, 0))])
        })
        .collect();
    for bytes in &batches {
        let received = ReceivedBatch::parse(bytes.clone()).expect("a batch");
        memory.store_batch(&received, at(61, 0)).await.expect("memory");
    }
    store.collect(batches, at(60, 0)).await.expect("it collects");
    let mut runs = Vec::new();
    loop {
        let asked = AtomicUsize::new(0);
        let is_over = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
        let booked = store.book(at(61, 0), is_over).await.expect("it books");
        runs.push(booked.batches);
        if !booked.left {
            break;
        }
    }
    assert_eq!(runs.iter().sum::<u64>(), 230);
    assert!(runs.len() > 1 && runs[0] > 20, "{runs:?}");
    same(&store, &memory).await;
    for store in [close_due(&store, at(90, 0)).await, close_due(&memory, at(90, 0)).await] {
        assert_eq!(store, Ok(7), "six, and an empty one");
    }
    same(&store, &memory).await;
}

async fn same(store: &AwsStore, memory: &MemoryCounters) {
    assert_eq!(store.open().await, memory.open().await);
    assert_eq!(store.batches_after(0, 1_000).await, memory.batches_after(0, 1_000).await);
    let (first, last) = (Timestamp(i64::MIN), at(9_999, 0));
    for by in [Span::Hour, Span::Day] {
        let site = store.read(Subject::Site, first, last, by).await;
        assert_eq!(site, memory.read(Subject::Site, first, last, by).await);
    }
    let integrity = [integrity(store, at(61, 0)).await, integrity(memory, at(61, 0)).await];
    assert_eq!(integrity[0], integrity[1]);
}

/// A batch with clicks in more windows than a transaction has room for.
#[tokio::test]
async fn a_batch_may_span_days() {
    let store = store().await;
    let memory = MemoryCounters::default();
    let clicks: Vec<_> = (0..400).map(|number| click(7, at(number * 10, 0))).collect();
    let now = at(4_001, 0);
    for part in [batch(1, 0, &clicks[..300]), batch(1, 0, &clicks), batch(2, 0, &clicks[..3])] {
        let expected = memory.store_batch(&part, now).await;
        assert_eq!(store.store_batch(&part, now).await, expected);
    }
    same(&store, &memory).await;
    for minute in [0, 10, 2_990, 3_000, 3_990] {
        let window = Window::of(at(minute, 0));
        let batches = store.batches_of(window, 0, 9).await;
        assert_eq!(batches, memory.batches_of(window, 0, 9).await, "{minute}");
    }
    for counters in [close_due(&store, at(50, 0)).await, close_due(&memory, at(50, 0)).await] {
        assert_eq!(counters, Ok(4));
    }
    same(&store, &memory).await;
}

/// Many values of many dimensions are more than an item has room for.
#[tokio::test]
async fn a_rollup_may_be_larger_than_an_item() {
    let store = store().await;
    let memory = MemoryCounters::default();
    let texts: Vec<[String; 5]> = (0..450)
        .map(|number| {
            ["a", "b", "c", "d", "e"].map(|letter| format!("{number:04}{}", letter.repeat(240)))
        })
        .collect();
    for (number, chunk) in (0..).zip(texts.chunks(90)) {
        let clicks: Vec<_> = chunk
            .iter()
            .map(|utm| {
                let mut one = click(7, at(1, 0));
                one.utm = utm.each_ref().map(String::as_str);
                one
            })
            .collect();
        let part = batch(1, number * 90, &clicks);
        store.store_batch(&part, at(2, 0)).await.expect("stored");
        memory.store_batch(&part, at(2, 0)).await.expect("memory");
    }
    let later = batch(1, 450, &[click(7, at(61, 0)), click(7, at(1_441, 0))]);
    store.store_batch(&later, at(1_445, 0)).await.expect("stored");
    memory.store_batch(&later, at(1_445, 0)).await.expect("memory");
    assert_eq!(close_due(&memory, at(1_500, 0)).await, close_due(&store, at(1_500, 0)).await);
    let parts = async || count(&store, "part#").await;
    same(&store, &memory).await;
    assert!(parts().await >= 4, "site and link");
    for store in [compacted(&store).await, compacted(&memory).await] {
        assert_eq!(store, (4, 2));
    }
    same(&store, &memory).await;
    let link = LinkId(7);
    store.delete_link_statistics(link, at(1_500, 0)).await.expect("deleted");
    memory.delete_link_statistics(link, at(1_500, 0)).await.expect("memory");
    same(&store, &memory).await;
    assert_eq!(parts().await, 2, "those of the site's day");
}

async fn compacted(store: &impl CounterStore) -> (usize, usize) {
    let compacted = waypost_service::counting::compact::compact(store, at(1_500, 0), 0).await;
    let compacted = compacted.expect("compacted");
    (compacted.hours, compacted.days)
}

/// How many items have keys that begin so. Only tests look at everything.
async fn count(store: &AwsStore, pk: &str) -> usize {
    let scan = store.clients.dynamo.scan().table_name(&store.names.counters);
    let items = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let keys = items.expect("items");
    let begins = |item: &waypost_aws::item::Item| {
        use waypost_aws::item::Fields as _;
        item.text("pk").is_ok_and(|key| key.starts_with(pk))
    };
    keys.into_iter().filter(begins).count()
}

/// The same, three times at once.
async fn three<T, F: Future<Output = T> + Send>(run: impl Fn() -> F) -> Vec<T> {
    let tasks: Vec<Task<'_, T>> = (0..3).map(|_| Box::pin(run()) as Task<'_, T>).collect();
    join_all(tasks).await
}

/// Runs that book, close and compact side by side come to what one comes to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_side_by_side_are_as_one() {
    let store = store().await;
    let memory = MemoryCounters::default();
    let mut draws = Draws::new(7);
    let mut batches = Vec::new();
    for number in 0..120 {
        let clicks: Vec<_> =
            (0..5).map(|_| click(1 + draws.below(60), at(draws.below(70) as i64, 0))).collect();
        batches.push(packed(number % 7, number / 7 * 5, &clicks));
    }
    for chunk in batches.chunks(13) {
        store.collect(chunk.to_vec(), at(70, 0)).await.expect("it collects");
    }
    let now = at(71, 0);
    let runs = three(|| store.book(now, || false)).await;
    let runs: Vec<Booked> = runs.into_iter().map(|run| run.expect("it books")).collect();
    let sum = |of: fn(&Booked) -> u64| runs.iter().map(of).sum::<u64>();
    assert_eq!((sum(|run| run.batches), sum(|run| run.stored)), (120, 600));
    assert_eq!(sum(|run| run.duplicate), 0, "no batch is booked twice");
    // In the order they were booked in, which is another one each time.
    for stored in store.batches_after(0, 1_000).await.expect("batches") {
        let received = ReceivedBatch::parse(stored.bytes).expect("a batch");
        memory.store_batch(&received, now).await.expect("memory");
    }
    same(&store, &memory).await;
    let now = at(1_500, 0);
    for result in three(|| close_due(&store, now)).await {
        result.expect("it closes");
    }
    close_due(&memory, now).await.expect("memory");
    let closed = memory.open().await.expect("memory").closed_until;
    while store.open().await.expect("marks").closed_until
        > memory.open().await.expect("memory").closed_until
    {
        // Each run closes one empty window at its end.
        close_due(&memory, now).await.expect("memory");
    }
    assert!(closed <= store.open().await.expect("marks").closed_until);
    same(&store, &memory).await;
    let links: Vec<_> = (1..=60).map(LinkId).collect();
    let totals = async || (store.link_totals(&links).await, memory.link_totals(&links).await);
    let (found, expected) = totals().await;
    assert_eq!(found, expected);
    let runs = three(|| waypost_service::counting::compact::compact(&store, now, 0));
    for result in runs.await {
        result.expect("it compacts");
    }
    compacted(&memory).await;
    same(&store, &memory).await;
    let subjects: BTreeSet<Subject> = links.iter().map(|link| Subject::Link(*link)).collect();
    for subject in subjects {
        for by in [Span::Hour, Span::Day] {
            let read = store.read(subject, Timestamp(i64::MIN), now, by).await;
            assert_eq!(read, memory.read(subject, Timestamp(i64::MIN), now, by).await);
        }
    }
}

/// A click makes a link used when its window closes; the last one counts. Links that are not
/// there do not come into being by it.
#[tokio::test]
async fn the_last_click_is_the_last_use_of_a_link() {
    let store = store().await;
    let link = stored(sample(7));
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(Created::Created));
    let used_at = async |until| {
        let due = store.due(Due::Unused, until, None, 9).await.expect("links");
        due.into_iter().map(|(_, stored)| stored.link.id.0).collect::<Vec<_>>()
    };
    let created_at = link.link.created_at;
    let later = Timestamp(NOW.0 + 90_000);
    let tomorrow = later.plus_ms(86_400_000);
    let exact = async || {
        assert_eq!(used_at(Timestamp(i64::MAX)).await, [7]);
        for at in [created_at, later, tomorrow] {
            assert!(used_at(at.plus_ms(-1)).await.is_empty(), "before {at:?}");
            if used_at(at).await == [7] {
                return at;
            }
        }
        panic!("it was used at none of these times");
    };
    assert_eq!(exact().await, created_at);
    let bring = async |number, at: Timestamp, now| {
        let clicks = [click(7, at), click(8, at)];
        store.store_batch(&batch(1, number, &clicks), now).await.expect("stored");
    };
    let early = created_at.plus_ms(-60_000);
    bring(0, early, early).await;
    bring(2, later, later).await;
    close_due(&store, early.plus_ms(WINDOW_MS + GRACE_MS)).await.expect("closed");
    assert_eq!(exact().await, created_at, "an earlier one changes nothing");
    close_due(&store, later.plus_ms(WINDOW_MS + GRACE_MS)).await.expect("closed");
    assert_eq!(exact().await, later);
    bring(4, tomorrow, tomorrow).await;
    close_due(&store, tomorrow.plus_ms(WINDOW_MS + GRACE_MS)).await.expect("closed");
    assert_eq!(exact().await, tomorrow);
}

/// What is in a window when it is sealed is all there will ever be in it, even if a batch is just
/// being booked.
#[tokio::test]
async fn nothing_passes_a_seal() {
    let store = store().await;
    let mut before = Vec::new();
    for round in 0..14 {
        // Those that are late are counted in a window of no round.
        let minute = round * 20;
        let window = Window::of(at(minute, 0));
        let one = batch(1, round as u64, &[click(7, at(minute, 0))]);
        let count = async || store.batches_of(window, 0, 9).await.map(|batches| batches.len());
        let seal = async {
            // Later each round, so that it comes between any two calls of the booking.
            for _ in 0..round / 2 {
                store.closed_window(window).await?;
            }
            store.seal(window.next()).await?;
            count().await
        };
        let (sealed, stored) = tokio::join!(seal, store.store_batch(&one, at(minute, 0)));
        assert_eq!(count().await, sealed, "round {round}");
        let late = stored.expect("stored").late;
        assert_eq!(sealed.map(|sealed| sealed as u64), Ok(1 - late), "round {round}");
        before.push(late == 0);
    }
    assert!(before.contains(&true) && before.contains(&false), "{before:?}");
}

/// A link that is deleted while its windows close, or while they become hours, has no numbers left
/// and gets none; all links together keep them.
#[tokio::test]
async fn a_deleted_link_gets_no_numbers_back() {
    let store = store().await;
    let faults = Faults::default();
    let slow = AwsStore::new(faults.clients(&Emulator::shared().url()).await, store.names.clone());
    let clicks = async |subject| {
        let reading = store.read(subject, at(0, 0), at(9_999, 0), Span::Hour).await.expect("read");
        reading.rows.iter().map(|row| row.rollup.totals.all()).sum::<u64>()
    };
    let mut closed_before = Vec::new();
    for round in 0..20 {
        let (minute, link) = (round * 180, LinkId(1 + round as u64));
        // The last one, on another link, is in the next hour.
        let clicks_at = [(link.0, 0), (link.0, 11), (99, 61)];
        let three = clicks_at.map(|(link, at_minute)| click(link, at(minute + at_minute, 0)));
        let three = batch(1, round as u64 * 3, &three);
        store.store_batch(&three, at(minute + 61, 0)).await.expect("stored");
        let closes = round % 2 == 0;
        if !closes {
            close_due(&store, at(minute + 75, 0)).await.expect("closed");
            store.compact(Span::Hour, at(minute, 0), 99).await.expect("compacted");
        }
        // Its transaction, the tenth call, is met by others, five times, so that all of the
        // deletion has time to be before it.
        faults.begin((9..14).map(|call| (call, Trouble::Conflict)).collect());
        let delete = async {
            // Later each round, so that it comes between any two calls.
            for _ in 0..if closes { round } else { 0 } {
                store.closed_window(Window::of(at(minute, 0))).await?;
            }
            while !closes && faults.calls().len() < 3 + round as usize / 2 {
                tokio::task::yield_now().await;
            }
            closed_before.push(clicks(Subject::Link(link)).await);
            store.delete_link_statistics(link, at(minute + 62, 0)).await
        };
        let work = async {
            match closes {
                true => close_due(&store, at(minute + 75, 0)).await,
                false => slow.compact(Span::Hour, at(minute + 75, 0), 99).await,
            }
        };
        let (deleted, worked) = tokio::join!(delete, work);
        assert_eq!((deleted, worked.map(|worked| worked > 0)), (Ok(()), Ok(true)));
        let totals = store.link_totals(&[link]).await.map(|(_, totals)| totals[0].all());
        assert_eq!((clicks(Subject::Link(link)).await, totals), (0, Ok(0)), "round {round}");
        assert_eq!(clicks(Subject::Site).await, 3 * (round as u64 + 1));
        // What the last click of the round is in.
        close_due(&store, at(minute + 179, 0)).await.expect("closed");
        if closes {
            store.compact(Span::Hour, at(minute + 75, 0), 99).await.expect("compacted");
        } else {
            assert_eq!(faults.met(), 5, "{:?}", faults.calls());
        }
        assert_eq!(count(&store, &format!("rollup#{:016x}", link.0)).await, 0);
    }
    assert!(closed_before.contains(&0) && closed_before.contains(&2), "{closed_before:?}");
}

/// Conflicts and throttles that do not end are the caller's to know, soon and without harm.
#[tokio::test]
async fn conflicts_without_end_are_an_error() {
    let faults = Faults::default();
    let (_, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
    let one = batch(1, 0, &[click(7, at(1, 0))]);
    let sealed = Window::of(at(10, 0));
    let conflicts = |count| (0..count).map(|number| (number, Trouble::Conflict)).collect();
    faults.begin(conflicts(1_000));
    let error = StoreError::Unavailable(
        "transactions of others in the way: 10 tries met other writes or throttles".to_owned(),
    );
    assert_eq!(store.seal(sealed).await, Err(error.clone()));
    assert_eq!(faults.calls(), ["TransactWriteItems"; 10]);
    assert_eq!(store.store_batch(&one, at(2, 0)).await, Err(error));
    faults.begin(Vec::new());
    same(&store, &MemoryCounters::default()).await;
    // Those that end are waited for.
    faults.begin(conflicts(9));
    assert_eq!(store.seal(sealed).await, Ok(()));
    assert_eq!((faults.met(), faults.calls().len()), (9, 10));
}

/// What a batch and a window cost: how many calls. infra/data.md names them.
#[tokio::test]
async fn calls_are_as_documented() {
    let faults = Faults::default();
    let (_, names) = Emulator::shared().tables().await;
    let store = AwsStore::new(faults.clients(&Emulator::shared().url()).await, names);
    let calls = async |what: &str| {
        let mut calls = faults.calls();
        calls.sort();
        let counted: Vec<String> = calls
            .chunk_by(|one, next| one == next)
            .map(|group| format!("{} {}", group.len(), group[0]))
            .collect();
        faults.begin(Vec::new());
        format!("{what}: {}", counted.join(", "))
    };
    let clicks: Vec<_> = (0..500).map(|number| click(1 + number % 300, at(1, 0))).collect();
    let mut found = Vec::new();
    store.collect(vec![packed(1, 0, &clicks)], at(2, 0)).await.expect("it collects");
    found.push(calls("collect").await);
    store.book(at(2, 0), || false).await.expect("it books");
    found.push(calls("book").await);
    let more: Vec<_> = (0..1_500).map(|number| click(1 + number % 1_000, at(11, 0))).collect();
    for (number, chunk) in (0..).zip(more.chunks(500)) {
        store.store_batch(&batch(2, number * 500, chunk), at(12, 0)).await.expect("stored");
    }
    close_due(&store, at(13, 0)).await.expect("closed");
    faults.begin(Vec::new());
    close_due(&store, at(22, 0)).await.expect("closed");
    found.push(calls("close").await);
    let subject = Subject::Link(LinkId(7));
    store.read(subject, at(0, 0), at(1_440, 0), Span::Day).await.expect("read");
    found.push(calls("read").await);
    assert_eq!(
        found,
        [
            "collect: 1 BatchWriteItem, 1 PUTObject",
            "book: 1 BatchGetItem, 1 GETObject, 1 GetItem, 2 Query, 1 TransactWriteItems",
            "close: 31 BatchGetItem, 1 BatchWriteItem, 3 GETObject, 7 GetItem, 7 Query, \
             33 TransactWriteItems",
            "read: 1 GetItem, 1 Query",
        ]
    );
}
