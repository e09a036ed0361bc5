//! A world: hosts, a queue that repeats, reorders and loses, an aggregator that does several
//! things at once and dies in the middle of them, and a clock.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use waypost_service::counting::classify::Class;
use waypost_service::counting::close::{Proof, close_due, verify};
use waypost_service::counting::compact::compact;
use waypost_service::counting::ingest::ingest;
use waypost_service::counting::integrity::{Integrity, integrity};
use waypost_service::counting::ledger::LOST_AFTER_MS;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::{Rollup, Subject};
use waypost_service::counting::store::CounterStore;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_tests::clicks::MIDNIGHT;
use waypost_wire::click::Batch;
use waypost_wire::time::Timestamp;

use crate::draws::Draws;
use crate::faulty::Faulty;
use crate::hosts::{Host, LINKS, Message};
use crate::oracle;

const STEPS: usize = 250;
const FIRST: Timestamp = Timestamp(i64::MIN);
const LAST: Timestamp = Timestamp(i64::MAX);
const HOURS_KEPT_MS: i64 = 3 * 3_600_000;
const BY: [Span; 2] = [Span::Hour, Span::Day];

/// How often each trouble was met.
#[derive(Default)]
pub(crate) struct Met {
    deaths: usize,
    duplicate: u64,
    failed_after: usize,
    failed_before: usize,
    late: u64,
    lost: u64,
    bursts: u64,
    days: usize,
}

impl Met {
    /// Adds those of another world.
    pub(crate) fn add(&mut self, other: &Self) {
        self.deaths += other.deaths;
        self.duplicate += other.duplicate;
        self.failed_after += other.failed_after;
        self.failed_before += other.failed_before;
        self.late += other.late;
        self.lost += other.lost;
        self.bursts += other.bursts;
        self.days += other.days;
    }

    /// A promise kept in a world without troubles is worth nothing.
    pub(crate) fn assert_everything_happened(&self) {
        let Self { deaths, duplicate, failed_after, failed_before, late, lost, bursts, days } =
            *self;
        let all = [
            ("deaths", deaths as u64),
            ("duplicates", duplicate),
            ("failures after the deed", failed_after as u64),
            ("failures before the deed", failed_before as u64),
            ("late clicks", late),
            ("lost clicks", lost),
            ("bursts", bursts),
            ("days", days as u64),
        ];
        for (trouble, times) in all {
            assert!(times >= 100, "only {times} {trouble}");
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What the tasks of the aggregator share.
struct Shared {
    store: Faulty,
    open: RefCell<Rc<OpenWindows>>,
    queue: RefCell<Vec<Message>>,
    now: Cell<Timestamp>,
    /// Batches that were taken in.
    taken_in: RefCell<Vec<Vec<u8>>>,
    /// Closed windows as they were first seen.
    closed: RefCell<BTreeMap<Window, Rollup>>,
}

pub(crate) struct World {
    shared: Rc<Shared>,
    draws: Draws,
    hosts: Vec<Host>,
    tasks: Vec<Task>,
    deaths: usize,
}

impl World {
    /// All that happens in it follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let store = Faulty::new(draws.number());
        store.failures_percent.set(draws.below(30));
        Self {
            shared: Rc::new(Shared {
                store,
                open: RefCell::default(),
                queue: RefCell::default(),
                now: Cell::new(MIDNIGHT),
                taken_in: RefCell::default(),
                closed: RefCell::default(),
            }),
            draws,
            hosts: Vec::new(),
            tasks: Vec::new(),
            deaths: 0,
        }
    }

    /// Lives until the end and settles every account.
    pub(crate) fn live(mut self) -> Met {
        for _ in 0..STEPS {
            match self.draws.below(20) {
                0 => self.let_time_pass(),
                1..=3 => self.click(),
                4..=6 => self.send(),
                7 => self.trouble_the_queue(),
                8..=11 => self.spawn(),
                12 if self.draws.one_in(4) => self.die(),
                13 => drop(self.check_account()),
                _ => self.work(),
            }
        }
        self.settle()
    }

    fn let_time_pass(&mut self) {
        let minutes = [1, 5, 11, 25, 90, 300][self.draws.below(6) as usize];
        self.shared.now.set(self.shared.now.get().plus_ms(minutes * 60_000));
    }

    fn click(&mut self) {
        let now = self.shared.now.get();
        if self.hosts.len() < 2 || self.draws.one_in(15) {
            let source = self.draws.number();
            self.hosts.push(Host::new(source, &mut self.draws));
        }
        let at = self.draws.below(self.hosts.len() as u64) as usize;
        self.hosts[at].accept(now, &mut self.draws);
    }

    fn send(&mut self) {
        let Some(at) = self.draws.choose(self.hosts.len()) else {
            return;
        };
        let message = match self.draws.below(4) {
            0 => self.hosts[at].repack(&mut self.draws),
            _ => self.hosts[at].pack(),
        };
        self.shared.queue.borrow_mut().extend(message);
    }

    fn trouble_the_queue(&mut self) {
        let mut queue = self.shared.queue.borrow_mut();
        let Some(at) = self.draws.choose(queue.len()) else {
            return;
        };
        match self.draws.below(3) {
            0 => drop(queue.swap_remove(at)),
            1 => {
                let again = queue[at].clone();
                queue.push(again);
            }
            _ => queue.rotate_left(at),
        }
    }

    fn spawn(&mut self) {
        if self.tasks.len() > 4 {
            return;
        }
        let shared = Rc::clone(&self.shared);
        let task: Task = match self.draws.below(8) {
            0..=2 => {
                let Some(message) = shared.queue.borrow_mut().pop() else {
                    return;
                };
                Box::pin(deliver(Rc::clone(&shared), message))
            }
            3 => Box::pin(close(shared)),
            4 => Box::pin(make_compact(shared)),
            5 => {
                let Some(at) = self.draws.choose(self.hosts.len()) else {
                    return;
                };
                let host = &mut self.hosts[at];
                let (source, accepted) = (host.source, host.clicks.len() as u64);
                host.reported = accepted;
                Box::pin(report(shared, source, accepted))
            }
            _ => {
                let (link, by) = (self.draws.below(LINKS + 2), self.draws.below(2) as usize);
                Box::pin(read(shared, link, BY[by]))
            }
        };
        self.tasks.push(task);
    }

    /// Lets one of the tasks go on until it pauses.
    fn work(&mut self) {
        let Some(at) = self.draws.choose(self.tasks.len()) else {
            return;
        };
        if let Poll::Ready(()) =
            self.tasks[at].as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            drop(self.tasks.swap_remove(at));
            self.check_closed_windows();
        }
    }

    /// The aggregator dies, wherever its tasks were. What was in memory is gone.
    fn die(&mut self) {
        self.tasks.clear();
        *self.shared.open.borrow_mut() = Rc::default();
        self.deaths += 1;
    }

    /// What a window was closed with is what it stays with.
    fn check_closed_windows(&self) {
        let inner = &self.shared.store.inner;
        let reading =
            now_or_never(inner.read(Subject::Site, FIRST, LAST, Span::Hour)).expect("it reads");
        let mut closed = self.shared.closed.borrow_mut();
        for row in reading.rows {
            if row.span == Span::Window {
                let seen = closed.entry(Window::of(row.start)).or_insert(row.rollup.clone());
                assert_eq!(*seen, row.rollup, "a closed window changed");
            }
        }
    }

    /// Everything calms down; what was not lost arrives; all that is due is done.
    fn settle(mut self) -> Met {
        let shared = Rc::clone(&self.shared);
        let (failed_before, failed_after) = shared.store.failed.get();
        shared.store.failures_percent.set(0);
        while !self.tasks.is_empty() {
            self.work();
        }
        loop {
            let Some(message) = shared.queue.borrow_mut().pop() else {
                break;
            };
            run(deliver(Rc::clone(&shared), message));
        }
        for host in &self.hosts {
            run(report(Rc::clone(&shared), host.source, host.reported));
        }
        let before = self.check_account();
        self.check_taken_in();
        for (link, by) in (0..=LINKS + 1).flat_map(|link| BY.map(|by| (link, by))) {
            run(read(Rc::clone(&shared), link, by));
        }
        shared.now.set(shared.now.get().plus_ms(LOST_AFTER_MS + 3_600_000));
        run(close(Rc::clone(&shared)));
        self.check_closed_windows();
        let after = self.check_account();
        assert_eq!((after.counted, after.in_flight), (before.counted, 0));
        let bursts = self.check_rollups();
        run(make_compact(Rc::clone(&shared)));
        for (link, by) in (0..=LINKS + 1).flat_map(|link| BY.map(|by| (link, by))) {
            run(read(Rc::clone(&shared), link, by));
        }
        Met {
            deaths: self.deaths,
            duplicate: after.duplicate,
            failed_after,
            failed_before,
            late: after.late,
            lost: after.lost,
            bursts,
            days: self.check_days(),
        }
    }

    fn check_account(&self) -> Integrity {
        let (store, now) = (&self.shared.store, self.shared.now.get());
        let account = now_or_never(integrity(&store.inner, now)).expect("there is an account");
        assert_eq!(account, store.account.borrow().sums(now));
        assert_eq!(account.counted + account.lost + account.in_flight, account.accepted);
        account
    }

    /// What was taken in was stored, whatever else went wrong with it.
    fn check_taken_in(&self) {
        let account = self.shared.store.account.borrow();
        for bytes in &*self.shared.taken_in.borrow() {
            let batch = Batch::parse(bytes).expect("a batch");
            let source = batch.id().source;
            for (sequence, _) in batch.clicks() {
                assert!(account.has(source, sequence), "{source} {sequence} is not stored");
            }
        }
        let clicks = oracle::clicks(self.shared.store.admitted.borrow().values());
        assert_eq!(clicks.len() as u64, account.sums(LAST).counted);
        assert!(clicks.iter().all(|click| account.has(click.source(), click.sequence())));
    }

    /// Every closed window against the oracle, click by click; answers how many bursts there were.
    fn check_rollups(&self) -> u64 {
        let store = &self.shared.store;
        let admitted = store.admitted.borrow();
        let clicks = oracle::clicks(admitted.values());
        let mut bursts = 0;
        for ((window, link, class), expected) in oracle::by_class(&clicks) {
            let subject = match link {
                0 => Subject::Orphans,
                link => Subject::Link(LinkId(link)),
            };
            let (start, end) = (window.start(), window.end());
            let reading =
                now_or_never(store.inner.read(subject, start, end, Span::Hour)).expect("it reads");
            if let [row] = reading.rows.as_slice()
                && row.span == Span::Window
            {
                assert_eq!(row.rollup.totals.of(class), expected);
            }
            bursts += expected * u64::from(class == Class::Burst);
        }
        for window in clicks.iter().map(|click| click.window).collect::<BTreeSet<_>>() {
            assert_eq!(now_or_never(verify(&store.inner, window)), Ok(Proof::Same));
        }
        bursts
    }

    fn check_days(&self) -> usize {
        let inner = &self.shared.store.inner;
        let reading =
            now_or_never(inner.read(Subject::Site, FIRST, LAST, Span::Hour)).expect("it reads");
        reading.rows.iter().filter(|row| row.span == Span::Day).count()
    }
}

async fn deliver(shared: Rc<Shared>, message: Message) {
    // At least once: it leaves the queue when it was taken in, and only then.
    shared.queue.borrow_mut().insert(0, message.clone());
    if ingest(&shared.store, message.bytes.clone(), shared.now.get()).await.is_ok() {
        let mut queue = shared.queue.borrow_mut();
        if let Some(at) = queue.iter().position(|other| other.bytes == message.bytes) {
            queue.remove(at);
        }
        shared.taken_in.borrow_mut().push(message.bytes);
    }
}

async fn close(shared: Rc<Shared>) {
    // What fails is tried again later.
    let _ = close_due(&shared.store, shared.now.get()).await;
}

async fn make_compact(shared: Rc<Shared>) {
    let _ = compact(&shared.store, shared.now.get(), HOURS_KEPT_MS).await;
}

async fn report(shared: Rc<Shared>, source: u64, accepted: u64) {
    while shared.store.report(source, accepted, shared.now.get()).await.is_err() {}
}

/// Reads all clicks on a link, on all links or on none, while others write: nothing stored before
/// is missing, nothing is there twice.
async fn read(shared: Rc<Shared>, link: u64, by: Span) {
    let open = Rc::clone(&shared.open.borrow());
    let subject = match link {
        0 => Subject::Orphans,
        link if link > LINKS => Subject::Site,
        link => Subject::Link(LinkId(link)),
    };
    let stored = || {
        let by_link = shared.store.by_link.borrow();
        let of = |(id, _): &(&u64, &u64)| match subject {
            Subject::Site => **id != 0,
            _ => **id == link,
        };
        by_link.iter().filter(of).map(|(_, clicks)| clicks).sum::<u64>()
    };
    let before = stored();
    let rows = rollups(&shared.store, &open, subject, FIRST, LAST, by).await;
    if let Ok(rows) = rows {
        let read: u64 = rows.iter().map(|row| row.rollup.totals.all()).sum();
        assert!((before..=stored()).contains(&read), "{subject:?}: {read}, stored {before}");
    }
    if let Subject::Link(id) = subject {
        let before = stored();
        if let Ok(totals) = link_totals(&shared.store, &open, &[id]).await {
            let read = totals[0].all();
            assert!((before..=stored()).contains(&read), "{id:?}: {read}, stored {before}");
        }
    }
}

/// Runs a task to its end.
fn run(task: impl Future<Output = ()>) {
    let mut task = std::pin::pin!(task);
    while task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
}

/// What a future that does not pause comes to.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it paused"),
    }
}
