//! Control data over DynamoDB: leases, tries at passwords, bookmarks.

use std::collections::BTreeSet;

use waypost_aws::calls::{Transacted, Write};
use waypost_aws::control::machine::{MACHINES, Machine, TERMS};
use waypost_aws::item::{Item, pair};
use waypost_aws::store::AwsStore;
use waypost_service::edge::Gate;
use waypost_service::keys::KeyStore;
use waypost_service::limits::attempts::{PER_CLIENT, PER_LINK, SPAN_MS, admits};
use waypost_service::publish::{Bookmarks, LinkTable};
use waypost_service::seams::{Created, Due, LinkStore, ListQuery, StoreError};
use waypost_tests::contracts::links::{sample, stored};
use waypost_tests::contracts::{at_once, ok};
use waypost_tests_aws::driven::driven;
use waypost_tests_aws::emulator::Emulator;
use waypost_wire::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const V6: u128 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;

/// A store with tables of its own.
async fn store() -> AwsStore {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    AwsStore::new(clients, names)
}

async fn machine(store: &AwsStore, now: Timestamp) -> Machine {
    ok(driven(store.lease_machine(now)).await)
}

#[tokio::test]
async fn two_processes_never_share_a_machine() {
    let store = store().await;
    let machines = at_once(64, async |_| machine(&store, NOW).await);
    let numbers: BTreeSet<u16> = machines.iter().map(|machine| machine.number).collect();
    assert_eq!(numbers.len(), 64, "{numbers:?}");
    assert!(numbers.iter().all(|number| *number < MACHINES));
    assert!(machines.iter().all(|machine| machine.lease.fence == 1));
}

/// A machine's lease that somebody had seven times, with this end.
fn held(number: u16, until: Timestamp) -> Item {
    let mut item = pair("machines", format!("{number:04}"));
    item.insert("expires_at".into(), waypost_aws::item::time(until));
    item.insert("holder".into(), waypost_aws::item::bytes([0; 16]));
    item.insert("fence".into(), waypost_aws::item::number(7));
    item
}

async fn put_all(store: &AwsStore, items: &[Item]) {
    driven(async {
        for some in items.chunks(100) {
            let puts = some.iter().map(|item| Write::put(&store.names.control, item.clone()));
            let puts = puts.map(Write::in_transaction).collect::<Result<_, _>>();
            assert_eq!(store.transact(ok(puts)).await, Ok(Transacted::Done));
        }
    })
    .await;
}

fn full(result: Result<Machine, StoreError>) {
    let text = "all 1024 machine numbers are in use".to_owned();
    assert_eq!(result, Err(StoreError::Unavailable(text)));
}

/// With all numbers taken, the next process gets one when it is safe, and not earlier.
#[tokio::test]
async fn a_number_is_given_on_only_when_that_is_safe() {
    let store = store().await;
    // All numbers but one are somebody's for ever.
    let kept = machine(&store, NOW).await;
    let others = (0..MACHINES).filter(|number| *number != kept.number);
    let for_ever = NOW.plus_ms(24 * 60 * 60 * 1_000);
    let taken: Vec<Item> = others.map(|number| held(number, for_ever)).collect();
    put_all(&store, &taken).await;
    full(driven(store.lease_machine(NOW)).await);

    assert!(kept.is_usable(NOW.plus_ms(TERMS.lease_ms - 1)));
    assert!(!kept.is_usable(NOW.plus_ms(TERMS.lease_ms)));
    assert!(!kept.wants_renewal(NOW.plus_ms(TERMS.lease_ms / 2)));
    assert!(kept.wants_renewal(NOW.plus_ms(TERMS.lease_ms / 2 + 1)));
    let later = NOW.plus_ms(60_000);
    let renewed = ok(driven(store.renew_machine(&kept, later)).await).expect("it is still its");
    assert_eq!((renewed.number, renewed.lease.fence), (kept.number, 1));
    assert_eq!(renewed.lease.until, later.plus_ms(TERMS.lease_ms));

    let safe = renewed.lease.until.plus_ms(TERMS.safe_ms);
    full(driven(store.lease_machine(safe.plus_ms(-1))).await);
    // After its time, it is its own as long as nobody took it.
    let late = safe.plus_ms(-1);
    let renewed = ok(driven(store.renew_machine(&renewed, late)).await).expect("nobody took it");
    full(driven(store.lease_machine(safe)).await);

    let safe = renewed.lease.until.plus_ms(TERMS.safe_ms);
    let next = machine(&store, safe).await;
    assert_eq!((next.number, next.lease.fence), (kept.number, 2));
    assert_eq!(driven(store.renew_machine(&renewed, safe)).await, Ok(None));
    assert_eq!(driven(store.end_machine(&renewed, safe)).await, Ok(()));
    full(driven(store.lease_machine(safe)).await);

    // Given back, it is free after the safe time.
    assert_eq!(driven(store.end_machine(&next, safe)).await, Ok(()));
    full(driven(store.lease_machine(safe.plus_ms(TERMS.safe_ms - 1))).await);
    let last = machine(&store, safe.plus_ms(TERMS.safe_ms)).await;
    assert_eq!((last.number, last.lease.fence), (kept.number, 3));
}

/// Numbers whose lease ended a moment ago are not given on, whichever is tried first.
#[tokio::test]
async fn no_number_is_given_on_too_early() {
    let store = store().await;
    let all: Vec<Item> = (0..MACHINES).map(|number| held(number, NOW)).collect();
    put_all(&store, &all).await;
    let safe = NOW.plus_ms(TERMS.safe_ms);
    full(driven(store.lease_machine(safe.plus_ms(-1))).await);
    assert_eq!(machine(&store, safe).await.lease.fence, 8);
}

#[tokio::test]
async fn one_run_of_a_name_at_a_time() {
    let store = store().await;
    let begun = at_once(20, async |_| ok(driven(store.begin_run("rollup", 1_000, NOW)).await));
    let runs: Vec<_> = begun.into_iter().flatten().collect();
    let [run] = &runs[..] else { panic!("{runs:?} all run") };
    assert_eq!((run.lease.fence, run.lease.until), (1, NOW.plus_ms(1_000)));
    let other = ok(driven(store.begin_run("cleanup", 1_000, NOW)).await);
    assert_eq!(other.map(|run| run.lease.fence), Some(1));

    let begin = async |ms| ok(driven(store.begin_run("rollup", 1_000, NOW.plus_ms(ms))).await);
    assert_eq!(begin(999).await, None);
    let run = ok(driven(store.renew_run(run, NOW.plus_ms(999))).await).expect("it is its own");
    assert_eq!(begin(1_998).await, None);
    let next = begin(1_999).await.expect("the time is over");
    assert_eq!(next.lease.fence, 2);
    assert_eq!(driven(store.renew_run(&run, NOW.plus_ms(1_999))).await, Ok(None));

    // What the late one writes is fenced off; what the other writes is not.
    let names = &store.names;
    let write = async |run: &waypost_aws::control::run::Run, name: &str| {
        let writes = [run.is_mine(&store), Write::put(&names.control, pair(name, "x"))];
        let writes = writes.into_iter().map(Write::in_transaction).collect::<Result<_, _>>();
        ok(driven(store.transact(ok(writes))).await)
    };
    assert_eq!(write(&run, "late").await, Transacted::Refused(vec![0]));
    assert_eq!(write(&next, "timely").await, Transacted::Done);
    assert_eq!(driven(store.get(&names.control, pair("late", "x"))).await, Ok(None));

    // The late one's end ends nothing; its own does.
    assert_eq!(driven(store.end_run(&run, NOW.plus_ms(2_000))).await, Ok(()));
    assert_eq!(begin(2_000).await, None);
    assert_eq!(driven(store.end_run(&next, NOW.plus_ms(2_000))).await, Ok(()));
    assert_eq!(begin(2_000).await.map(|run| run.lease.fence), Some(3));
}

/// A lease that was taken under a clock far ahead does not last until then.
#[tokio::test]
async fn a_wrong_clock_blocks_nothing_for_long() {
    let store = store().await;
    let day_ms = 24 * 60 * 60 * 1_000;
    let far = NOW.plus_ms(400 * day_ms);
    assert!(ok(driven(store.begin_run("rollup", 1_000, far)).await).is_some());
    assert!(ok(driven(store.begin_run("rollup", 1_000, NOW)).await).is_some());
    let near = NOW.plus_ms(day_ms);
    assert!(ok(driven(store.begin_run("rollup", 1_000, near)).await).is_some());
    assert!(ok(driven(store.begin_run("rollup", 1_000, NOW)).await).is_none());
}

async fn granted(store: &AwsStore, link: &str, client: u128, now: Timestamp, tries: u32) -> u32 {
    let mut granted = 0;
    for _ in 0..tries {
        granted += u32::from(ok(driven(admits(store, link, Some(client), now)).await));
    }
    granted
}

#[tokio::test]
async fn a_client_gets_a_few_tries_a_minute() {
    let store = store().await;
    let last = NOW.plus_ms(SPAN_MS - 1);
    assert_eq!(granted(&store, "s/a", V6, NOW, 20).await, PER_CLIENT);
    assert_eq!(granted(&store, "s/a", V6 + 1, last, 1).await, 0, "the same /64");
    assert_eq!(granted(&store, "s/a", V6 + (1 << 64), last, 1).await, 1);
    assert_eq!(granted(&store, "s/a", V6, NOW.plus_ms(SPAN_MS), 20).await, PER_CLIENT);
    assert_eq!(granted(&store, "s/b", V6, NOW.plus_ms(SPAN_MS), 1).await, 1, "another link");
    // A clock that was set back starts a new span.
    assert_eq!(granted(&store, "s/a", V6, NOW, 1).await, 1);
}

#[tokio::test]
async fn all_clients_together_are_limited_too() {
    let store = store().await;
    let counts = at_once(16, async |thread| {
        let mut count = 0;
        for client in 0..25 {
            let client = (thread as u128 * 100 + client) << 64;
            count += granted(&store, "s/a", client, NOW, 1).await;
        }
        count
    });
    assert_eq!(counts.iter().sum::<u32>(), PER_LINK);
}

/// Guesses at the same moment, from many processes, are all counted.
#[tokio::test]
async fn tries_at_the_same_moment_are_counted() {
    let store = store().await;
    let counts = at_once(40, async |_| granted(&store, "s/a", V6, NOW, 1).await);
    assert_eq!(counts.iter().sum::<u32>(), PER_CLIENT);
}

#[tokio::test]
async fn a_bookmark_is_found_again() {
    let store = store().await;
    driven(async {
        assert_eq!(store.load("workers-kv").await, Ok(None));
        assert_eq!(store.save("workers-kv", Some("a")).await, Ok(()));
        assert_eq!(store.save("workers-kv", Some("b")).await, Ok(()));
        assert_eq!(store.save("redis", Some("c")).await, Ok(()));
        assert_eq!(store.load("workers-kv").await, Ok(Some("b".into())));
        assert_eq!(store.save("workers-kv", None).await, Ok(()));
        assert_eq!(store.save("workers-kv", None).await, Ok(()));
        assert_eq!(store.load("workers-kv").await, Ok(None));
        assert_eq!(store.load("redis").await, Ok(Some("c".into())));
    })
    .await;
}

/// Servers move calls between threads: this compiles only if they can.
#[tokio::test]
async fn calls_may_move_between_threads() {
    let store = store().await;
    let calls = tokio::spawn(driven(async move {
        let link = stored(sample(1));
        assert_eq!(store.create(&link, None, true, NOW).await, Ok(Created::Created));
        ok(store.update(&link, 9).await);
        ok(store.list(&ListQuery { limit: 9, ..ListQuery::default() }, NOW).await);
        ok(store.due(Due::Unused, NOW, None, 9).await);
        ok(store.changed(NOW, 9).await);
        ok(store.settle(link.link.id, NOW).await);
        ok(store.take_use(link.link.id, 1).await);
        ok(store.forget_idempotency(NOW, 9).await);
        ok(store.purge(link.link.id, 9).await);
        ok(store.list_keys().await);
        ok(store.page(None).await);
        ok(store.load("a").await);
        ok(store.admits_attempt(&link.key, None, NOW).await)
    }));
    assert!(calls.await.expect("it ends"));
}
