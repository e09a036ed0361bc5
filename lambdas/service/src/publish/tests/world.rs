//! Worlds that follow from a number: links change, events come late, twice and in any order, calls
//! fail before and after they took effect, processes end between any two calls. In the end store
//! and table are the same, and no record was ever replaced by an older one.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pollster::block_on;
use waypost_wire::record::Generation;

use super::super::memory::{Call, MemoryEdge, MemoryTable, Upset, current};
use super::super::reconcile::{Cursor, Options, Reconciler};
use super::super::*;
use super::{RecentOnly, Time};
use crate::ambient::Clock;
use crate::model::LinkId;
use crate::seams::StoreError;

const WORLDS: u64 = 400;

/// A moment at which others may act, or the process may end.
pub(in crate::publish) async fn step() {
    let mut is_first = true;
    poll_fn(|context| match std::mem::take(&mut is_first) {
        true => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

/// Something whose calls take their time, before and behind what they do.
struct Slow<'a, T> {
    inner: &'a T,
    dice: &'a Dice,
    /// Longest time, in steps.
    most: u64,
}

impl<T> Slow<'_, T> {
    async fn wait(&self) {
        for _ in 0..=self.dice.roll(self.most) {
            step().await;
        }
    }
}

impl EdgeStore for Slow<'_, MemoryEdge> {
    fn name(&self) -> &str {
        "kv"
    }

    fn limits(&self, budget: Budget) -> Limits {
        self.inner.limits(budget)
    }

    fn ways(&self) -> Ways {
        self.inner.ways()
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        self.wait().await;
        let kept = self.inner.put(records).await;
        self.wait().await;
        kept
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        self.wait().await;
        let kept = self.inner.remove(removals).await;
        self.wait().await;
        kept
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        self.wait().await;
        self.inner.put_state(state).await
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        let listed = self.inner.list(cursor).await;
        self.wait().await;
        listed
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        let marks = self.inner.marks(keys).await;
        self.wait().await;
        marks
    }
}

impl LinkTable for Slow<'_, MemoryTable> {
    async fn current(&self, keys: &[&str]) -> Vec<Result<Option<Current>, StoreError>> {
        self.wait().await;
        let found = self.inner.current(keys).await;
        self.wait().await;
        found
    }

    async fn page(&self, cursor: Option<&str>) -> Result<TablePage, StoreError> {
        self.wait().await;
        self.inner.page(cursor).await
    }
}

/// Numbers that follow from a number.
struct Dice(Cell<u64>);

impl Dice {
    /// A number below `sides`.
    fn roll(&self, sides: u64) -> u64 {
        // splitmix64.
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

struct World {
    dice: Dice,
    time: Time,
    edge: MemoryEdge,
    table: MemoryTable,
    events: std::cell::RefCell<Vec<Change>>,
    last_id: Cell<u64>,
    /// Nobody writes any more.
    is_quiet: Cell<bool>,
    gone: std::cell::RefCell<BTreeSet<LinkId>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let ways = [Ways::Lists, Ways::ListsAndReads, Ways::Reads, Ways::Writes];
        let ways = ways[usize::try_from(seed % 4).unwrap()];
        let limits = Limits { puts_max: 3, removals_max: 2, marks_max: 2, ..MemoryEdge::LIMITS };
        Self {
            dice: Dice(Cell::new(seed)),
            time: Time::new(),
            edge: MemoryEdge::new("kv", limits, ways),
            table: MemoryTable::default(),
            events: Vec::new().into(),
            last_id: Cell::new(0),
            is_quiet: Cell::new(false),
            gone: BTreeSet::new().into(),
        }
    }

    const fn slow<'a, T>(&'a self, inner: &'a T, most: u64) -> Slow<'a, T> {
        Slow { inner, dice: &self.dice, most }
    }

    /// Somebody writes a link.
    fn change(&self) {
        let key = format!("s.example/{}", self.dice.roll(7));
        let before = self.table.links().remove(&key);
        let next_id = || {
            self.last_id.set(self.last_id.get() + 1);
            self.last_id.get()
        };
        let now = self.time.now();
        let (after, gone) = match &before {
            None => (Some((next_id(), 1, false)), None),
            Some(old) => {
                let Generation { link_id, version } = old.generation;
                match (old.stopped, self.dice.roll(3)) {
                    (true, 0) => (None, Some(LinkId(link_id))),
                    (true, 1) => (Some((next_id(), 1, false)), Some(LinkId(link_id))),
                    (_, roll) => (Some((link_id, version + 1, roll == 2)), None),
                }
            }
        };
        let after = after.map(|(link_id, version, stopped)| {
            current(Generation { link_id, version }, stopped, now)
        });
        let generation = after.as_ref().or(before.as_ref()).unwrap().generation;
        self.table.set(&key, after);
        self.gone.borrow_mut().extend(gone);
        self.events.borrow_mut().push(Change { key, generation, gone });
    }

    fn upset(&self) {
        let upset = || match self.dice.roll(8) {
            0 => Some(Upset::Before(StoreFault::Unavailable("before".into()))),
            1 => Some(Upset::After(StoreFault::Unavailable("after".into()))),
            2 => Some(Upset::Half),
            _ => None,
        };
        self.edge.upset((0..12).map(|_| upset()).collect::<Vec<_>>());
    }

    /// Some of the events from `from` on, with older ones among them, in any order.
    fn batch(&self, from: usize) -> (usize, Vec<Change>) {
        let events = self.events.borrow();
        let until = events.len().min(from + 1 + usize::try_from(self.dice.roll(6)).unwrap());
        let mut batch = events[from..until].to_vec();
        for _ in 0..self.dice.roll(4).min(until as u64) {
            let at = usize::try_from(self.dice.roll(until as u64)).unwrap();
            batch.push(events[at].clone());
        }
        for at in (1..batch.len()).rev() {
            batch.swap(at, usize::try_from(self.dice.roll(at as u64 + 1)).unwrap());
        }
        (until, batch)
    }

    /// Lets a future run while links change; `None` if its process ended before it did.
    fn run<F: Future>(&self, future: F, may_end: bool) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                return Some(answer);
            }
            if may_end && self.dice.roll(40) == 0 {
                return None;
            }
            if !self.is_quiet.get() && self.dice.roll(60) == 0 {
                self.change();
            }
        }
    }

    fn publish(&self, batch: &[Change], may_end: bool) -> Option<Published> {
        let backoff = Backoff { attempts: 3, ..Backoff::default() };
        let publisher = Publisher::new(vec![self.slow(&self.edge, 2)], &self.time, backoff);
        let table = self.slow(&self.table, 2);
        let deadline = self.time.now().plus_ms(60_000);
        let done = publisher.publish_changed(&table, &RecentOnly, &self.table, batch, deadline);
        self.run(done, may_end)
    }

    fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        self.edge.records()
    }

    fn expected(&self) -> BTreeMap<String, Vec<u8>> {
        self.table.links().into_iter().map(|(key, current)| (key, current.record)).collect()
    }

    /// Delivers all events, until none is left.
    fn finish(&self, mut from: usize) {
        self.edge.upset([]);
        self.is_quiet.set(true);
        while from < self.events.borrow().len() {
            let (until, batch) = self.batch(from);
            let done = self.publish(&batch, false).unwrap();
            assert_eq!(done.failures, []);
            from = until;
        }
    }

    /// No call put an older record behind a newer one.
    fn assert_ordered(&self, seed: u64) {
        let mut newest: BTreeMap<String, Generation> = BTreeMap::new();
        for call in self.edge.calls() {
            let Call::Put(puts) = call else { continue };
            for (key, generation) in puts {
                let before = newest.insert(key.clone(), generation).unwrap_or_default();
                assert!(
                    before <= generation,
                    "world {seed}: {key} went from {before:?} to {generation:?}"
                );
            }
        }
    }
}

#[test]
fn in_every_world_the_store_ends_as_the_table_and_never_goes_back() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let mut from = 0;
        for _ in 0..40 {
            world.time.pass(i64::try_from(world.dice.roll(2_000)).unwrap());
            for _ in 0..world.dice.roll(4) {
                world.change();
            }
            if world.events.borrow().len() == from {
                continue;
            }
            world.upset();
            let (until, batch) = world.batch(from);
            if let Some(done) = world.publish(&batch, true) {
                let retry = done.retry();
                let events = world.events.borrow();
                let failed =
                    events[from..until].iter().position(|e| retry.contains(e.key.as_str()));
                from = failed.map_or(until, |failed| from + failed);
            }
        }
        world.finish(from);
        assert_eq!(world.stored(), world.expected(), "world {seed}");
        world.assert_ordered(seed);
        let deleted: BTreeSet<LinkId> = world.table.deleted().into_iter().collect();
        assert_eq!(deleted, *world.gone.borrow(), "world {seed}");
    }
}

#[test]
fn publisher_and_reconciler_side_by_side_end_with_the_table() {
    let (mut complete, mut repaired) = (0, 0);
    for seed in 0..WORLDS {
        let world = World::new(seed);
        for _ in 0..12 {
            world.change();
        }
        // Much slower, so that the other writes many times between a look and a write.
        let reconciler = Reconciler::new(world.slow(&world.edge, 30), &world.time);
        let table = world.slow(&world.table, 2);
        let (mut from, mut cursor) = (0, None::<Cursor>);
        // In half of the worlds nothing fails, so the two must agree without another pass.
        let is_rough = seed / 4 % 2 == 1;
        let mut is_clean = true;
        for _ in 0..12 {
            world.time.pass(5_000);
            world.change();
            if is_rough && world.dice.roll(3) == 0 {
                world.upset();
            }
            // Nothing is left to the publisher: the worst case.
            let left_ms = i64::try_from(world.dice.roll(4_000)).unwrap();
            let deadline = world.time.now().plus_ms(left_ms);
            let options = Options { settle_ms: 0, slice_keys_max: 2, ..Options::until(deadline) };
            let pass = reconciler.run(&table, &options, cursor.clone());
            // Many batches go by while the pass goes on.
            let follow = async {
                let mut from = from;
                for _ in 0..6 {
                    let (until, batch) = world.batch(from);
                    let publisher = Publisher::new(
                        vec![world.slow(&world.edge, 1)],
                        &world.time,
                        Backoff::default(),
                    );
                    let deadline = world.time.now().plus_ms(600_000);
                    let (states, queue) = (&RecentOnly, &world.table);
                    let done = publisher.publish_changed(&table, states, queue, &batch, deadline);
                    if done.await.failures.is_empty() {
                        from = until;
                    }
                }
                from
            };
            let both = either(&world.dice, pass, follow);
            match world.run(both, is_rough && world.dice.roll(8) == 0) {
                None => is_clean = false,
                Some((report, followed)) => {
                    from = followed;
                    is_clean &= report.failed == 0 && report.fault.is_none();
                    repaired += report.repaired;
                    cursor = report.next_cursor.map(|text| text.parse().unwrap());
                }
            }
        }
        world.finish(from);
        if is_clean {
            complete += 1;
            assert_eq!(world.stored(), world.expected(), "world {seed}");
        }
        whole(&world, seed);
    }
    assert!(complete > 150 && repaired > 1_000, "{complete} {repaired}");
}

/// A quiet pass mends everything that its kind of store can show; another one finds nothing.
fn whole(world: &World, seed: u64) {
    world.time.pass(600_000);
    let reconciler = Reconciler::new(&world.edge, &world.time);
    let options = Options::until(world.time.now().plus_ms(600_000));
    let report = block_on(reconciler.run(&world.table, &options, None));
    assert_eq!((&report.fault, &report.next_cursor), (&None, &None), "world {seed}");
    let (mut stored, expected) = (world.stored(), world.expected());
    if !(&world.edge).ways().lists() {
        // Nobody can find what is foreign there.
        stored.retain(|key, _| expected.contains_key(key));
    }
    assert_eq!(stored, expected, "world {seed}: {report:?}");
    let again = block_on(reconciler.run(&world.table, &options, None));
    assert_eq!((again.drift(), again.repaired, again.failed), (0, 0, 0), "world {seed}");
}

/// Polls both in an order that the dice give, until both have ended.
async fn either<A: Future, B: Future>(dice: &Dice, a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && dice.roll(2) == 0
            && let Poll::Ready(answer) = a.as_mut().poll(context)
        {
            first = Some(answer);
        }
        if second.is_none()
            && dice.roll(2) == 0
            && let Poll::Ready(answer) = b.as_mut().poll(context)
        {
            second = Some(answer);
        }
        match first.is_some() && second.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    (first.unwrap(), second.unwrap())
}
