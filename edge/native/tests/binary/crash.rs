//! Killed at any moment, the program keeps its promises after a restart on the same data.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, Client, FIREFOX, call, create, get, send};
use crate::process::{Installation, Server, soon, wait_for};
use crate::windows::close_and_prove;

/// How many operations succeed before each kill, and how codes are made until then.
const ROUNDS: [(usize, &str); 7] = [
    (3, "sequence"),
    (150, "random"),
    (61, "sequence"),
    (240, "snowflake"),
    (97, "sequence"),
    (310, "random"),
    (178, "sequence"),
];

/// Redirects that the limited link gives.
const USES: u64 = 80;

/// What became of a link that somebody deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    NotTried,
    NoAnswer,
    Acknowledged,
}

/// A creation that was tried.
#[derive(Debug)]
struct Creation {
    /// Its idempotency key; what the link leads to is named after it.
    key: String,
    body: Value,
    answer: Option<Vec<u8>>,
    deletion: Deletion,
}

impl Creation {
    fn new(key: String, is_custom: bool) -> Self {
        let mut body = json!({ "destination": format!("https://example.com/{key}") });
        if is_custom {
            body["slug"] = json!(key);
        }
        Self { key, body, answer: None, deletion: Deletion::NotTried }
    }

    fn ask(&self, client: &Client) -> Result<Answer, String> {
        client.ask(&client.signed(create(&self.body)).header("idempotency-key", &self.key))
    }

    /// A field of the link that was answered.
    fn field(&self, name: &str) -> String {
        let answer = self.answer.as_ref().expect("an acknowledged creation");
        let link: Value = serde_json::from_slice(answer).expect("a link");
        link[name].as_str().expect("a text").to_owned()
    }
}

/// Clicks that this test made.
#[derive(Debug, Default)]
struct Clicks {
    started: AtomicU64,
    answered: AtomicU64,
}

impl Clicks {
    fn follow(&self, client: &Client, slug: &str, visitor: u64) -> Result<Answer, String> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let address = format!("203.0.{}.{}", visitor / 250 % 250, visitor % 250);
        let answer = client.ask(&get(&format!("/{slug}")).agent(FIREFOX).from(&address))?;
        if answer.status == 302 {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(answer)
    }

    fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// What this test knows to have happened.
#[derive(Debug, Default)]
struct Book {
    creations: Vec<Creation>,
    /// The last edit that was acknowledged, and the last that was tried.
    edits: (u64, u64),
    /// Redirects that the limited link gave, and requests for one that were not answered.
    uses: (u64, u64),
    clicks: Clicks,
}

/// Creates links, and deletes every seventh, until the server is gone.
fn create_until_killed(client: &Client, name: &str, done: &Sender<()>) -> Vec<Creation> {
    let mut tried = Vec::new();
    for number in 0.. {
        let mut creation = Creation::new(format!("{name}-{number}"), number % 5 == 4);
        let answer = creation.ask(client);
        creation.answer = answer.ok().map(|answer| answer.expect(201).body);
        let is_over = creation.answer.is_none();
        if number % 7 == 6 && !is_over {
            let path = format!("/api/v1/links/{}", creation.field("slug"));
            creation.deletion = match client.ask(&client.signed(call("DELETE", &path))) {
                Ok(answer) if answer.status == 204 => Deletion::Acknowledged,
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => Deletion::NoAnswer,
            };
        }
        tried.push(creation);
        if is_over {
            break;
        }
        let _ = done.send(());
    }
    tried
}

/// Changes one link over and over until the server is gone.
fn edit_until_killed(client: &Client, (_, last): (u64, u64), done: &Sender<()>) -> (u64, u64) {
    let mut acknowledged = last;
    loop {
        let next = acknowledged + 1;
        let body = json!({ "destination": format!("https://example.com/edit/{next}") });
        match client.ask(&client.signed(send("PATCH", "/api/v1/links/edited", &body))) {
            Ok(answer) => answer.expect(200),
            Err(_) => return (acknowledged, next),
        };
        acknowledged = next;
        let _ = done.send(());
    }
}

/// Uses the limited link until it is used up or the server is gone: given, not answered.
fn use_until_killed(client: &Client, clicks: &Clicks) -> (u64, u64) {
    let mut given = 0;
    loop {
        assert!(given <= USES, "more than {USES} uses");
        match clicks.follow(client, "limited", given) {
            Ok(answer) if answer.status == 302 => given += 1,
            Ok(answer) => {
                answer.expect(410);
                return (given, 0);
            }
            Err(_) => return (given, 1),
        }
    }
}

/// One round of everything at once, ended by a kill.
fn work(server: Server, book: &mut Book, round: usize, operations: usize) {
    let client = Client::clone(&server);
    let (done, progress) = mpsc::channel();
    let Book { creations, edits, uses, clicks } = book;
    let (client, done, clicks) = (&client, &done, &*clicks);
    thread::scope(|scope| {
        let creators: Vec<_> = (0..3)
            .map(|worker| {
                let name = format!("r{round}-{worker}");
                scope.spawn(move || create_until_killed(client, &name, done))
            })
            .collect();
        let before = *edits;
        let editor = scope.spawn(move || edit_until_killed(client, before, done));
        let user = scope.spawn(move || use_until_killed(client, clicks));
        for _ in 0..2 {
            scope.spawn(move || {
                let visitors = 0..;
                visitors.map_while(|visitor| clicks.follow(client, "edited", visitor).ok()).count()
            });
        }
        for _ in 0..operations {
            progress.recv_timeout(Duration::from_secs(60)).expect("progress");
        }
        server.kill();
        for creator in creators {
            creations.extend(creator.join().expect("a creator"));
        }
        *edits = editor.join().expect("an editor");
        let (given, unanswered) = user.join().expect("a user");
        *uses = (uses.0 + given, uses.1 + unanswered);
    });
}

/// Everything that was acknowledged is there, and what was not can be tried again.
fn check(server: &Server, book: &mut Book, from_creation: usize) {
    let Book { creations, edits, clicks, .. } = book;
    for creation in creations.iter_mut().skip(from_creation) {
        let again = creation.ask(server).expect("an answer").expect(201);
        match &creation.answer {
            Some(answer) => assert_eq!(&again.body, answer, "the same answer under the same key"),
            None => creation.answer = Some(again.body),
        }
        let followed = clicks.follow(server, &creation.field("slug"), 0).expect("an answer");
        match (creation.deletion, followed.status) {
            (Deletion::NotTried | Deletion::NoAnswer, 302) => {
                assert_eq!(followed.to(), creation.field("destination"));
            }
            (Deletion::Acknowledged | Deletion::NoAnswer, 410) => {}
            _ => panic!("{creation:?} answers {followed:?}"),
        }
    }
    let followed = clicks.follow(server, "edited", 0).expect("an answer");
    let number = followed.to().rsplit('/').next().and_then(|number| number.parse().ok());
    let number: u64 = number.expect("the number of an edit");
    assert!(number == edits.0 || number == edits.1, "{number} is neither of {edits:?}");
    *edits = (number, number);
    server.answer(&get("/ended")).expect(410);
}

/// Every creation made one link, with a code of its own.
fn check_all(server: &Server, book: &Book) {
    let mut links: BTreeMap<String, u64> = BTreeMap::new();
    for link in server.links() {
        let destination = link["destination"].as_str().expect("a text").to_owned();
        *links.entry(destination).or_default() += 1;
    }
    let mut slugs: BTreeMap<String, &Creation> = BTreeMap::new();
    for creation in &book.creations {
        let found = links.get(&creation.field("destination")).copied().unwrap_or_default();
        match creation.deletion {
            Deletion::NotTried => assert_eq!(found, 1, "{creation:?}"),
            Deletion::NoAnswer => assert!(found <= 1, "{creation:?}"),
            Deletion::Acknowledged => assert_eq!(found, 0, "{creation:?}"),
        }
        let other = slugs.insert(creation.field("slug"), creation);
        assert!(other.is_none(), "{creation:?} shares its code with {other:?}");
    }
}

/// The account: accepted, counted. Adds up, whatever happened before.
fn account(server: &Client) -> (u64, u64) {
    let account = server.read("/api/v1/stats/integrity");
    let of = |name: &str| account[name].as_u64().expect("a number");
    assert_eq!(of("accepted"), of("counted") + of("lost") + of("in_flight"), "{account}");
    assert_eq!((of("lost"), of("late")), (0, 0), "{account}");
    (of("accepted"), of("counted"))
}

fn journals(installation: &Installation) -> Vec<PathBuf> {
    let entries = fs::read_dir(installation.journal()).expect("a journal");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Waits until what killed processes left is stored.
fn wait_for_leftovers(left: &[PathBuf]) {
    wait_for("the clicks of killed processes", || {
        left.iter().all(|path| !path.exists()).then_some(())
    });
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_made_twice() {
    let mut installation = Installation::new();
    let mut book = Book::default();
    for (round, (operations, strategy)) in ROUNDS.into_iter().enumerate() {
        installation.set("WAYPOST_CODE_STRATEGY", strategy);
        let left = if round > 0 { journals(&installation) } else { Vec::new() };
        let server = installation.start();
        if round == 0 {
            prepare(&server);
        }
        wait_for_leftovers(&left);
        let (_, counted) = account(&server);
        assert!(counted <= book.clicks.started(), "{counted} of {:?}", book.clicks);
        let checked = book.creations.len().saturating_sub(2 * ROUNDS[0].0 + 300);
        check(&server, &mut book, checked);
        work(server, &mut book, round, operations);
    }

    let left = journals(&installation);
    let server = installation.start();
    check(&server, &mut book, 0);
    check_all(&server, &book);
    let (given, _) = use_until_killed(&server, &book.clicks);
    let given = book.uses.0 + given;
    assert!(given <= USES && USES <= given + book.uses.1, "{given} of {USES}, {:?}", book.uses);
    wait_for_leftovers(&left);
    server.stop();

    let server = installation.start();
    let (_, counted) = account(&server);
    assert!(counted <= book.clicks.started(), "{counted} of {:?}", book.clicks);
    let statistics = server.read("/api/v1/stats");
    assert_eq!(statistics["totals"]["all"], json!(counted));
    eprintln!(
        "{counted} clicks counted of {} answered, {} tried",
        book.clicks.answered(),
        book.clicks.started()
    );
    server.stop();
    assert_eq!(close_and_prove(&installation.data_dir()), counted);
}

/// Links that are there before the first kill.
fn prepare(server: &Client) {
    for link in [
        json!({ "destination": "https://example.com/edit/0", "slug": "edited" }),
        json!({ "destination": "https://example.com/few", "slug": "limited", "max_clicks": USES }),
        json!({ "destination": "https://example.com/over", "slug": "ended", "expires_at": soon() }),
    ] {
        server.api(create(&link)).expect(201);
    }
    let state = || server.read("/api/v1/links/ended")["state"] == json!("expired");
    wait_for("the end of a link", || state().then_some(()));
    server.answer(&get("/ended")).expect(410);
}

/// How many clicks the running process has written to its journal; `None` if the last of them are
/// stored already.
fn journaled(installation: &Installation) -> Option<u64> {
    let end = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let first: u64 = name.split_once('-')?.1.parse().ok()?;
        // Gone, if it was stored meanwhile.
        let mut bytes = &fs::read(path).ok()?[..];
        let mut entries = 0;
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            bytes = rest.get(u32::from_le_bytes(*length) as usize..)?;
            entries += 1;
        }
        Some(first + entries)
    };
    journals(installation).into_iter().filter_map(end).max()
}

fn follow_from_several(server: &Client, clicks: &Clicks, times: u64) {
    thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for visitor in 0..times {
                    let visitor = visitor * 3 + thread;
                    clicks.follow(server, "edited", visitor).expect("an answer").expect(302);
                }
            });
        }
    });
}

/// Waits until all clicks of the running process are in the journal, or stored; whether the last
/// of them are in the journal.
fn is_in_journal(installation: &Installation, server: &Client, clicks: u64) -> bool {
    wait_for("the journal", || {
        if journaled(installation) == Some(clicks) {
            return Some(true);
        }
        let health = server.answer(&get("/health")).json();
        (health["checks"]["clicks"]["waiting"] == json!(0)).then_some(false)
    })
}

#[test]
fn a_click_in_the_journal_survives_a_kill() {
    let installation = Installation::new();
    let clicks = Clicks::default();
    for (round, times) in [1, 30, 200, 450].into_iter().enumerate() {
        let left = if round > 0 { journals(&installation) } else { Vec::new() };
        let server = installation.start();
        if round == 0 {
            prepare(&server);
        }
        wait_for_leftovers(&left);
        let before = clicks.answered();
        assert_eq!(account(&server), (before, before), "nothing was lost");
        // They do not stay in the journal for long: where the machine is slow, try again.
        let is_seen = (0..5).any(|_| {
            follow_from_several(&server, &clicks, times);
            is_in_journal(&installation, &server, clicks.answered() - before)
        });
        assert!(is_seen, "clicks never are in the journal");
        server.kill();
    }
    let left = journals(&installation);
    let server = installation.start();
    wait_for_leftovers(&left);
    assert_eq!(account(&server), (clicks.answered(), clicks.answered()), "nothing was lost");
    server.stop();
    assert_eq!(close_and_prove(&installation.data_dir()), clicks.answered());
}
