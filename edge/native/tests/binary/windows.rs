//! Windows of statistics: closed once, the same whatever happens on the way, and never changed.
//!
//! A window closes minutes after its end, so these tests bring clicks of days ago: they write what
//! a killed process leaves in its journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::counting::close::{Proof, close_due, verify};
use waypost_service::counting::ingest::ingest;
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::store::CounterStore;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::click::{BatchWriter, Click};
use waypost_wire::time::Timestamp;

use crate::http::{Client, FIREFOX, GOOGLEBOT, create};
use crate::process::{Installation, wait_for};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Closes every window in a copy of a stopped server's data, as if hours had passed, counts all of
/// them again, which must come to the same bytes, and answers how many clicks are in them.
pub(crate) fn close_and_prove(data_dir: &Path) -> u64 {
    let copy = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(data_dir).expect("the data") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(FILE_NAME) {
            fs::copy(&path, copy.path().join(name)).expect("a copy");
        }
    }
    block_on(async {
        let db = Db::open(&copy.path().join(FILE_NAME), &DbOptions::default()).expect("a database");
        close_due(&db, now().plus_ms(2 * HOUR_MS)).await.expect("closed windows");
        let windows = digests(&copy.path().join(FILE_NAME));
        assert!(!windows.is_empty(), "nothing was counted");
        for window in windows.keys() {
            let proof = verify(&db, Window::of(Timestamp(*window))).await;
            assert_eq!(proof, Ok(Proof::Same), "window {window}");
        }
        let mut clicks = 0;
        for subject in [Subject::Site, Subject::Orphans] {
            let (from, until) = (Timestamp(0), Timestamp(i64::MAX));
            let all = CounterStore::read(&db, subject, from, until, Span::Hour).await;
            clicks +=
                all.expect("rollups").rows.iter().map(|row| row.rollup.totals.all()).sum::<u64>();
        }
        clicks
    })
}

/// What is known of the closed windows of a database, also of a running server's: the digest of
/// each.
fn digests(database: &Path) -> BTreeMap<i64, Vec<u8>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).expect("a database");
    connection.busy_timeout(std::time::Duration::from_secs(5)).expect("a timeout");
    let mut statement = connection.prepare("SELECT window, digest FROM windows").expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("digests")
}

/// Clicks as their sources made them: a click follows from its source and its number alone.
struct History {
    start: Timestamp,
    links: Vec<u64>,
}

impl History {
    /// Two days that ended a day ago or more.
    fn new(links: &[u64]) -> Self {
        let start = now().0.div_euclid(DAY_MS) * DAY_MS - 3 * DAY_MS;
        Self { start: Timestamp(start), links: links.to_vec() }
    }

    fn end(&self) -> Timestamp {
        self.start.plus_ms(2 * DAY_MS)
    }

    fn click(&self, source: u64, sequence: u64) -> Click<'static> {
        let mut random = fastrand::Rng::with_seed(source << 32 | sequence);
        let ms = random.i64(0..2 * DAY_MS);
        Click {
            link_id: self.links[random.usize(0..self.links.len())],
            at: self.start.plus_ms(ms),
            head: random.u8(0..10) == 0,
            user_agent: if random.u8(0..4) == 0 { GOOGLEBOT } else { FIREFOX },
            visitor: Some(random.u64(..)),
            country: random.choice(["DE", "FR", "US", ""]).unwrap_or_default(),
            referrer_host: random
                .choice(["news.example.org", "www.example.net", ""])
                .unwrap_or_default(),
            ..Click::default()
        }
    }

    /// Writes a journal as a killed process leaves it; the last click was cut off while written.
    fn leave(&self, journal: &Path, source: u64, numbers: Range<u64>) {
        let mut bytes = Vec::new();
        for sequence in numbers.clone() {
            let mut entry = BatchWriter::new(source, sequence);
            entry.push(&self.click(source, sequence));
            let entry = entry.finish();
            bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&entry);
        }
        bytes.extend_from_slice(&[90, 0, 0, 0, 1]);
        let name = format!("{source:016x}-{:020}.clicks", numbers.start);
        fs::write(journal.join(name), bytes).expect("a journal");
    }

    /// The same clicks once each, in batches cut in another way, in another order.
    fn batches(&self, numbers: &BTreeMap<u64, BTreeSet<u64>>) -> Vec<Vec<u8>> {
        let mut batches = Vec::new();
        for (source, numbers) in numbers.iter().rev() {
            for sequence in numbers.iter().rev() {
                let mut batch = BatchWriter::new(*source, *sequence);
                batch.push(&self.click(*source, *sequence));
                batches.push(batch.finish());
            }
        }
        batches
    }
}

/// What processes left: sources and numbers; some twice, some never.
const LEFT: [(u64, Range<u64>); 9] = [
    (1, 0..400),
    (1, 350..500),
    (1, 550..700),
    (2, 0..500),
    (2, 500..1_000),
    (3, 100..300),
    (4, 0..1),
    (5, 0..450),
    (5, 100..101),
];

/// Numbers between those that were left: 50 of the first source, 100 of the third.
const MISSING: u64 = 150;

/// Numbers that were left twice.
const TWICE: u64 = 51;

fn make(server: &Client, slug: &str) -> u64 {
    let link = json!({ "destination": "https://example.com/", "slug": slug });
    let made = server.api(create(&link)).expect(201).json();
    let id: LinkId = made["id"].as_str().expect("an id").parse().expect("an id of a link");
    id.0
}

/// The test's own count of a link's clicks: all, those of people.
fn count(history: &History, numbers: &BTreeMap<u64, BTreeSet<u64>>, link: u64) -> (u64, u64) {
    let mut count = (0, 0);
    for (source, numbers) in numbers {
        for sequence in numbers {
            let click = history.click(*source, *sequence);
            if click.link_id == link {
                count.0 += 1;
                count.1 += u64::from(!click.head && click.user_agent == FIREFOX);
            }
        }
    }
    count
}

fn delivered(installation: &Installation) {
    wait_for("empty journals", || {
        fs::read_dir(installation.journal()).expect("the journals").next().is_none().then_some(())
    });
}

#[test]
fn windows_close_once_whatever_happens_and_stay_as_they_are() {
    let installation = Installation::new();
    let server = installation.start();
    let slugs = ["one", "two", "three"];
    let links = slugs.map(|slug| make(&server, slug));
    server.stop();

    let history = History::new(&links);
    let mut numbers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for (source, range) in LEFT {
        history.leave(&installation.journal(), source, range.clone());
        numbers.entry(source).or_default().extend(range);
    }
    let all = numbers.values().map(BTreeSet::len).sum::<usize>() as u64;
    let reference = reference(&history, &numbers);

    // Killed twice while windows are closed one after another, then left in peace.
    for enough in [reference.len() / 5, reference.len() * 3 / 5, reference.len()] {
        let server = installation.start();
        delivered(&installation);
        let closed = || digests(&installation.database()).len();
        wait_for("closed windows", || (enough <= closed()).then_some(()));
        match enough < reference.len() {
            true => server.kill(),
            false => server.stop(),
        };
    }
    assert_eq!(digests(&installation.database()), reference);

    let server = installation.start();
    let account = |server: &Client| {
        let account = server.read("/api/v1/stats/integrity");
        let names = ["accepted", "counted", "in_flight", "lost", "duplicate", "late"];
        names.map(|name| account[name].as_u64().expect("a number"))
    };
    assert_eq!(account(&server), [all + MISSING, all, MISSING, 0, TWICE, 0]);
    let day = |at: Timestamp| waypost_service::time::format(at)[..10].to_owned();
    let span = format!("from={}&to={}", day(history.start), day(history.end().plus_ms(-1)));
    let statistics = |server: &Client, slug: &str| {
        let by = "by=country,referrer,browser,hour_of_week&interval=hour";
        server.read(&format!("/api/v1/links/{slug}/stats?{span}&{by}"))
    };
    let before: Vec<Value> = slugs.iter().map(|slug| statistics(&server, slug)).collect();
    for (link, statistics) in links.iter().zip(&before) {
        let found = ["all", "human"].map(|name| statistics["totals"][name].as_u64());
        let (clicks, human) = count(&history, &numbers, *link);
        assert_eq!(found, [Some(clicks), Some(human)], "{statistics}");
    }
    let totals = |server: &Client| {
        let clicks = |slug: &&str| server.read(&format!("/api/v1/links/{slug}"))["clicks"].as_u64();
        slugs.iter().filter_map(clicks).sum::<u64>()
    };
    assert_eq!(totals(&server), all);
    server.stop();

    // Clicks of those days that come only now count today.
    history.leave(&installation.journal(), 9, 0..40);
    let server = installation.start();
    delivered(&installation);
    assert_eq!(account(&server), [all + MISSING + 40, all + 40, MISSING, 0, TWICE, 40]);
    for (slug, before) in slugs.iter().zip(&before) {
        assert_eq!(&statistics(&server, slug), before, "what was closed has changed");
    }
    assert_eq!(totals(&server), all + 40);
    let ever = server.read(&format!("/api/v1/stats?from={}", day(history.start)));
    assert_eq!(ever["totals"]["all"], json!(all + 40));
    server.stop();
    assert_eq!(digests(&installation.database()), reference);
    assert_eq!(close_and_prove(&installation.data_dir()), all + 40);
}

/// The digests of the windows when the same clicks arrive in peace.
fn reference(history: &History, numbers: &BTreeMap<u64, BTreeSet<u64>>) -> BTreeMap<i64, Vec<u8>> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(FILE_NAME);
    block_on(async {
        let db = Db::open(&path, &DbOptions::default()).expect("a database");
        for batch in history.batches(numbers) {
            ingest(&db, batch, now()).await.expect("a stored batch");
        }
        close_due(&db, now()).await.expect("closed windows");
        digests(&path)
    })
}
