//! A world: hosts, a queue that repeats, reorders and loses, functions that do several things at
//! once and die in the middle of them, calls that fail, and a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waypost_aws::store::AwsStore;
use waypost_service::counting::close::{Proof, Recounted, close_due, recount_hour, verify};
use waypost_service::counting::compact::compact;
use waypost_service::counting::integrity::{Integrity, integrity};
use waypost_service::counting::ledger::LOST_AFTER_MS;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::store::CounterStore;
use waypost_service::counting::window::Span;
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_tests::clicks::MIDNIGHT;
use waypost_tests_aws::emulator::Emulator;
use waypost_tests_aws::faults::{Faults, Trouble};
use waypost_wire::click::Batch;
use waypost_wire::time::Timestamp;

use crate::draws::Draws;
use crate::hosts::{Host, LINKS, Message};
use crate::oracle;
use crate::together::{Task, join_all};

const STEPS: usize = 70;
const FIRST: Timestamp = Timestamp(i64::MIN);
const LAST: Timestamp = Timestamp(i64::MAX);
const HOURS_KEPT_MS: i64 = 3 * 3_600_000;
const BY: [Span; 2] = [Span::Hour, Span::Day];

/// The clicks of a set of batches: who numbered them, their number, their link.
type Clicks = BTreeSet<(u64, u64, u64)>;

pub(crate) struct World {
    store: Arc<AwsStore>,
    plain: AwsStore,
    open: Arc<OpenWindows>,
    faults: Faults,
    draws: Draws,
    hosts: Vec<Host>,
    queue: Vec<Message>,
    /// Brought to the function that collects, whatever it answered.
    brought: Clicks,
    /// Collected, as it answered.
    collected: Clicks,
    now: Timestamp,
}

impl World {
    /// All that happens in it follows from `seed`, but for who is first of those at work at once.
    pub(crate) async fn new(seed: u64) -> Self {
        let faults = Faults::default();
        let (clients, names) = Emulator::shared().tables().await;
        Self {
            store: Arc::new(AwsStore::new(
                faults.clients(&Emulator::shared().url()).await,
                names.clone(),
            )),
            plain: AwsStore::new(clients, names),
            open: Arc::default(),
            faults,
            draws: Draws::new(seed),
            hosts: Vec::new(),
            queue: Vec::new(),
            brought: Clicks::new(),
            collected: Clicks::new(),
            now: MIDNIGHT,
        }
    }

    /// Lives until the end and settles every account.
    pub(crate) async fn live(mut self) {
        let mut failed = 0;
        for _ in 0..STEPS {
            match self.draws.below(12) {
                0 | 1 => {
                    let minutes = [1, 5, 11, 25, 90, 300][self.draws.below(6) as usize];
                    self.now = self.now.plus_ms(minutes * 60_000);
                }
                2..=4 => self.click(),
                5 | 6 => self.send(),
                7 => self.trouble_the_queue(),
                8 => self.open = Arc::default(),
                _ => failed += self.work().await,
            }
        }
        assert!(failed > 0, "nothing went wrong");
        self.settle().await;
    }

    fn click(&mut self) {
        if self.hosts.len() < 2 || self.draws.one_in(15) {
            let source = self.draws.number();
            self.hosts.push(Host::new(source, &mut self.draws));
        }
        let at = self.draws.below(self.hosts.len() as u64) as usize;
        self.hosts[at].accept(self.now, &mut self.draws);
    }

    fn send(&mut self) {
        let Some(at) = self.draws.choose(self.hosts.len()) else {
            return;
        };
        let message = match self.draws.below(4) {
            0 => self.hosts[at].repack(&mut self.draws),
            _ => self.hosts[at].pack(),
        };
        self.queue.extend(message);
    }

    fn trouble_the_queue(&mut self) {
        let Some(at) = self.draws.choose(self.queue.len()) else {
            return;
        };
        match self.draws.below(3) {
            0 => drop(self.queue.swap_remove(at)),
            1 => self.queue.push(self.queue[at].clone()),
            _ => self.queue.rotate_left(at),
        }
    }

    /// Some functions at once, some of whose calls go wrong; how many functions failed.
    async fn work(&mut self) -> usize {
        let troubles = [Trouble::Before, Trouble::After, Trouble::Conflict];
        let planned = (0..1 + self.draws.below(3)).map(|_| {
            let call = self.draws.below(30) as usize;
            (call, troubles[self.draws.below(3) as usize])
        });
        self.faults.begin(planned.collect());
        let count = self.draws.below(self.queue.len() as u64 + 1) as usize;
        let messages: Vec<Message> = self.queue.drain(..count).collect();
        let clicks = clicks_of(&messages);
        self.brought.extend(clicks.iter().copied());
        let collected = self.collected.clone();
        let report = self.draws.choose(self.hosts.len()).map(|at| {
            let host = &mut self.hosts[at];
            host.reported = host.clicks.len() as u64;
            (host.source, host.reported)
        });
        let (store, open, now) = (&self.store, &self.open, self.now);
        let (stored, brought) = (booked(&self.plain).await, &self.brought);
        let mut tasks: Vec<Task<'_, Result<(), StoreError>>> = Vec::new();
        if let Some((source, accepted)) = report.filter(|_| self.draws.one_in(4)) {
            tasks.push(Box::pin(async move { store.report(source, accepted, now).await }));
        }
        for _ in 0..1 + self.draws.below(3) {
            let hour = MIDNIGHT
                .plus_ms(self.draws.below(now.ms_since(MIDNIGHT).unsigned_abs() + 1) as i64);
            tasks.push(match self.draws.below(7) {
                0 | 1 => Box::pin(async move { store.book(now, || false).await.map(drop) }),
                2 => Box::pin(async move { close_due(&**store, now).await.map(drop) }),
                3 => {
                    let kept_ms = HOURS_KEPT_MS * (1 + self.draws.below(10) as i64);
                    Box::pin(async move { compact(&**store, now, kept_ms).await.map(drop) })
                }
                4 => Box::pin(async move {
                    let recounted = recount_hour(&**store, hour, now).await?;
                    let expected = [Recounted::NotPossible, Recounted::Recounted { changed: 0 }];
                    assert!(expected.contains(&recounted), "{recounted:?}");
                    Ok(())
                }),
                _ => {
                    let link = self.draws.below(LINKS + 2);
                    let by = BY[self.draws.below(2) as usize];
                    let stored = &stored;
                    Box::pin(async move { read(store, open, (link, by), stored, brought).await })
                }
            });
        }
        let bytes = messages.iter().map(|message| message.bytes.clone()).collect();
        let collect = store.collect(bytes, now);
        let (results, collect) = tokio::join!(join_all(tasks), collect);
        match &collect {
            Ok(results) => {
                assert!(results.iter().all(Result::is_ok));
                self.collected = &collected | &clicks;
            }
            // They come again.
            Err(_) => self.queue.extend(messages),
        }
        let results: Vec<_> = results.into_iter().chain([collect.map(drop)]).collect();
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        results.iter().filter(|result| result.is_err()).count()
    }

    /// Everything calms down; what was not lost arrives; all that is due is done.
    async fn settle(mut self) {
        self.faults.begin(Vec::new());
        let store = &self.plain;
        let messages: Vec<Message> = self.queue.drain(..).collect();
        let clicks = clicks_of(&messages);
        let bytes = messages.into_iter().map(|message| message.bytes).collect();
        store.collect(bytes, self.now).await.expect("it collects");
        self.collected.extend(clicks);
        store.book(self.now, || false).await.expect("it books");
        for host in &mut self.hosts {
            host.reported = host.clicks.len() as u64;
            store.report(host.source, host.reported, self.now).await.expect("it reports");
        }
        let accepted: u64 = self.hosts.iter().map(|host| host.clicks.len() as u64).sum();
        let sums = check(store, self.now).await;
        assert_eq!((sums.accepted, sums.counted), (accepted, self.collected.len() as u64));
        self.now = self.now.plus_ms(LOST_AFTER_MS + 3_600_000);
        close_due(store, self.now).await.expect("it closes");
        let later = check(store, self.now).await;
        assert_eq!((later.counted, later.in_flight), (sums.counted, 0));
        self.check_windows().await;
        compact(store, self.now, HOURS_KEPT_MS).await.expect("it compacts");
        self.check_sums().await;
    }

    /// Every click that was collected is stored once; every window proves itself; those that are
    /// not compacted yet are as the oracle says.
    async fn check_windows(&self) {
        let store = &self.plain;
        let admitted = store.batches_after(0, 10_000).await.expect("batches");
        let clicks = oracle::clicks(&admitted);
        let ids = clicks.iter().map(|click| (click.source(), click.sequence(), click.link));
        assert_eq!(ids.collect::<Clicks>(), self.collected);
        for ((window, link, class), expected) in oracle::by_class(&clicks) {
            let subject = subject(link);
            let reading = store.read(subject, window.start(), window.end(), Span::Hour).await;
            if let [row] = reading.expect("it reads").rows.as_slice()
                && row.span == Span::Window
            {
                assert_eq!(row.rollup.totals.of(class), expected);
            }
        }
        for window in clicks.iter().map(|click| click.window).collect::<BTreeSet<_>>() {
            assert_eq!(verify(store, window).await, Ok(Proof::Same));
        }
    }

    async fn check_sums(&self) {
        let open = OpenWindows::new();
        let mut by_link = BTreeMap::new();
        for (_, _, link) in &self.collected {
            *by_link.entry(*link).or_insert(0_u64) += 1;
        }
        for link in 0..=LINKS {
            let expected = by_link.get(&link).copied().unwrap_or_default();
            for by in BY {
                let rows = rollups(&self.plain, &open, subject(link), FIRST, LAST, by).await;
                let all: u64 = rows.expect("rows").iter().map(|row| row.rollup.totals.all()).sum();
                assert_eq!(all, expected, "link {link} by {by:?}");
            }
            if link > 0 {
                let totals = self.plain.link_totals(&[LinkId(link)]).await.expect("totals").1;
                assert_eq!(totals[0].all(), expected, "link {link}");
            }
        }
    }
}

async fn check(store: &AwsStore, now: Timestamp) -> Integrity {
    let sums = integrity(store, now).await.expect("an account");
    assert_eq!(sums.counted + sums.lost + sums.in_flight, sums.accepted);
    sums
}

fn subject(link: u64) -> Subject {
    match link {
        0 => Subject::Orphans,
        link if link > LINKS => Subject::Site,
        link => Subject::Link(LinkId(link)),
    }
}

fn clicks_of(messages: &[Message]) -> Clicks {
    let mut clicks = Clicks::new();
    for message in messages {
        let batch = Batch::parse(&message.bytes).expect("a batch");
        let source = batch.id().source;
        clicks.extend(batch.clicks().map(|(number, click)| (source, number, click.link_id)));
    }
    clicks
}

/// The clicks that are stored.
async fn booked(store: &AwsStore) -> Clicks {
    let batches = store.batches_after(0, 10_000).await.expect("batches");
    let clicks = oracle::clicks(&batches);
    clicks.iter().map(|click| (click.source(), click.sequence(), click.link)).collect()
}

/// Reads all clicks on a link, on all links or on none, while others write: nothing stored before
/// is missing, nothing is there twice.
async fn read(
    store: &AwsStore,
    open: &OpenWindows,
    (link, by): (u64, Span),
    stored: &Clicks,
    brought: &Clicks,
) -> Result<(), StoreError> {
    let subject = subject(link);
    let of = |clicks: &Clicks| {
        let on = |(_, _, id): &&(u64, u64, u64)| match subject {
            Subject::Site => *id != 0,
            _ => *id == link,
        };
        clicks.iter().filter(on).count() as u64
    };
    let between = of(stored)..=of(brought);
    let rows = rollups(store, open, subject, FIRST, LAST, by).await?;
    let read: u64 = rows.iter().map(|row| row.rollup.totals.all()).sum();
    assert!(between.contains(&read), "{subject:?}: {read}, not in {between:?}");
    if let Subject::Link(id) = subject {
        let read = link_totals(store, open, &[id]).await?[0].all();
        assert!(between.contains(&read), "{subject:?}: {read}, not in {between:?}");
    }
    Ok(())
}
