//! `waypost edge push` at an app that checks signatures, has a store, and fails by script.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::state::STATE_KEY;
use waypost_wire::sync::{Change, Outcome, Sync, encode_outcomes};

use super::*;

/// How the app deals with one call.
enum Deal {
    /// All is stored but these: keys, and the state under its own.
    Except(&'static [(&'static str, Outcome)]),
    /// The connection ends without an answer.
    Hangs,
    /// Outcomes of all entries and one more, signed.
    OneMore,
    /// This status, headers and text.
    Says(u16, &'static str, &'static str),
    /// The right outcomes, not signed.
    Unsigned,
}

/// What happened at the app.
#[derive(Default)]
struct Seen {
    /// The keys of each call that was understood, in order; the state's is `!state`.
    calls: Vec<Vec<String>>,
    values: BTreeMap<String, Vec<u8>>,
    /// Calls to come; then everything is stored.
    script: VecDeque<Deal>,
}

/// The app of a test; its thread ends with the process.
struct App {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl App {
    fn start(served: &Served, script: impl IntoIterator<Item = Deal>) -> Self {
        served.keys();
        let secrets = served.runtime.block_on(served.db.secrets(&Ambient::system())).expect("keys");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = script.into_iter().collect();
        let seen = Arc::new(Mutex::new(Seen { script, ..Seen::default() }));
        let (key, noted) = (OriginKey::new(secrets.origin), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &key, &mut noted.lock().expect("no test panics here"));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics here")
    }

    fn push(&self, served: &Served, args: &[&str]) -> Done {
        let url = format!("http://{}", self.address);
        served.run(&[&["push", &url], args].concat())
    }
}

/// Reads one request and deals with it. What is not right shows as an answer that the command
/// does not expect.
fn answer(mut stream: TcpStream, key: &OriginKey, seen: &mut Seen) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers["content-length"].parse().expect("a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let deal = seen.script.pop_front().unwrap_or(Deal::Except(&[]));
    let (status, more, body) = match deal {
        Deal::Hangs => return,
        Deal::Says(status, headers, text) => (status, headers.to_owned(), text.into()),
        deal => {
            let signature = headers.get(HEADER).map(String::as_str).unwrap_or_default();
            let mac = key.check_question(signature, "/_/sync", &body, NOW);
            match (mac, Sync::decode(&body)) {
                (Ok(mac), Ok(sync)) if line == "PUT /_/sync HTTP/1.1\r\n" => {
                    let body = encode_outcomes(&outcomes(&sync, &deal, seen));
                    let signature = format!("{HEADER}: {}\r\n", key.sign_answer(&mac, 200, &body));
                    let is_signed = !matches!(deal, Deal::Unsigned);
                    (200, if is_signed { signature } else { String::new() }, body)
                }
                (mac, sync) => (418, String::new(), format!("{line} {mac:?} {sync:?}").into()),
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status} App\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).expect("the command reads");
}

fn outcomes(sync: &Sync<'_>, deal: &Deal, seen: &mut Seen) -> Vec<Outcome> {
    let mut all: Vec<(&str, &[u8])> = Vec::new();
    for entry in &sync.entries {
        let Change::Put(record) = entry.change else { panic!("nothing is removed") };
        all.push((entry.key, record));
    }
    all.extend(sync.state.map(|state| (STATE_KEY, state)));
    seen.calls.push(all.iter().map(|(key, _)| (*key).to_owned()).collect());
    let mut outcomes = Vec::new();
    for (key, value) in all {
        let scripted = match deal {
            Deal::Except(keys) => keys.iter().find(|(its_key, _)| *its_key == key),
            _ => None,
        };
        let outcome = scripted.map_or(Outcome::Stored, |(_, outcome)| *outcome);
        if outcome == Outcome::Stored {
            seen.values.insert(key.to_owned(), value.to_vec());
        }
        outcomes.push(outcome);
    }
    if matches!(deal, Deal::OneMore) {
        outcomes.push(Outcome::Stored);
    }
    outcomes
}

/// Links `s.example/000` and on, with records of so many bytes.
fn many(count: usize, record_bytes: usize) -> Served {
    let served = Served::new();
    let record = vec![b'r'; record_bytes];
    let keys: Vec<String> = (0..count).map(|number| format!("s.example/{number:03}")).collect();
    let links: Vec<(&str, &[u8], &str, i64)> =
        keys.iter().map(|key| (key.as_str(), record.as_slice(), "active", 0)).collect();
    served.links(&links);
    served
}

const KEYS: [&str; 5] =
    ["ci.example/d", "s.example/a", "s.example/b", "s.example/e", "s.example/Ünï\"/c"];
const ALL: &str = "5 stored, 0 outdated, 0 refused, 0 failed; the state is stored\n";

#[test]
fn all_records_are_put_and_the_state_last() {
    let served = filled();
    let app = App::start(&served, []);
    assert_eq!(app.push(&served, &[]).quietly(), ALL);
    let seen = app.seen();
    assert_eq!(seen.calls, [KEYS.to_vec(), vec![STATE_KEY]]);
    assert_eq!(seen.values["s.example/a"], [0, 0xff, b'\r', b'\n']);
    assert_eq!(seen.values["s.example/Ünï\"/c"], b"");
    check_state(&seen.values[STATE_KEY]);
}

#[test]
fn a_call_has_no_more_than_a_second_may_have_nor_than_the_app_takes() {
    let lengths = |served: &Served, args: &[&str]| {
        let app = App::start(served, []);
        let done = app.push(served, args);
        assert_eq!(done.code, ExitCode::SUCCESS, "{}", done.err);
        let seen = app.seen();
        let keys: Vec<&String> = seen.calls.iter().flatten().collect();
        assert!(keys.is_sorted_by_key(|key| (*key == STATE_KEY, *key)), "in order, each once");
        seen.calls.iter().map(Vec::len).collect::<Vec<_>>()
    };
    let small = many(250, 1);
    assert_eq!(lengths(&small, &[]), [40, 40, 40, 40, 40, 40, 10, 1]);
    assert_eq!(lengths(&small, &["--per-second", "5000"]), [100, 100, 50, 1]);
    assert_eq!(lengths(&many(3, 1), &["--per-second", "1"]), [1, 1, 1, 1]);
    assert_eq!(lengths(&many(70, 16 * 1024), &["--per-second", "400"]), [31, 31, 8, 1]);
    assert_eq!(lengths(&many(0, 0), &[]), [1]);
}

#[test]
fn what_fails_is_sent_again_alone() {
    let served = filled();
    let failing = Deal::Except(&[
        ("s.example/a", Outcome::Failed),
        ("s.example/b", Outcome::Outdated),
        ("s.example/e", Outcome::Failed),
    ]);
    let again = Deal::Except(&[("s.example/e", Outcome::Failed)]);
    let script = [
        Deal::Hangs,
        failing,
        Deal::Says(503, "retry-after: 5\r\n", "This service is not set up; its log says why.\n"),
        again,
        Deal::Except(&[]),
        Deal::Except(&[(STATE_KEY, Outcome::Failed)]),
        Deal::Says(429, "", ""),
    ];
    let app = App::start(&served, script);
    let out = app.push(&served, &[]).quietly();
    assert_eq!(out, "4 stored, 1 outdated, 0 refused, 0 failed; the state is stored\n");
    let again = vec!["s.example/a", "s.example/e"];
    let expected = [KEYS.to_vec(), again, vec!["s.example/e"], vec![STATE_KEY], vec![STATE_KEY]];
    assert_eq!(app.seen().calls, expected);
}

#[test]
fn what_is_not_taken_in_the_end_is_named_and_the_rest_goes_on() {
    let served = filled();
    let deal = || {
        Deal::Except(&[("s.example/a", Outcome::Failed), ("s.example/Ünï\"/c", Outcome::Refused)])
    };
    let app = App::start(&served, std::iter::repeat_with(deal).take(5));
    let done = app.push(&served, &[]);
    assert_eq!(done.code, ExitCode::from(1));
    assert_eq!(done.out, "3 stored, 0 outdated, 1 refused, 1 failed; the state is stored\n");
    let told = "failed: s.example/a\nrefused: s.example/Ünï\"/c\n\
        error: the store of the app failed at 5 attempts, and the log of the app says why; run this \
        again, what is there already is not written again\n  \
        the app cannot read what it refused: bring it up to date, then run this again\n";
    assert_eq!(done.err, told);
    assert_eq!(app.seen().calls.len(), 6);
    // A state that is not there is a failure too; a newer one is none.
    for (outcome, code, says) in [
        (Outcome::Failed, 1, "the state failed\n"),
        (Outcome::Refused, 1, "the state was refused\n"),
        (Outcome::Outdated, 0, "the state is older than the one there\n"),
    ] {
        let keys: &'static [(&str, Outcome)] = match outcome {
            Outcome::Failed => &[(STATE_KEY, Outcome::Failed)],
            Outcome::Refused => &[(STATE_KEY, Outcome::Refused)],
            _ => &[(STATE_KEY, Outcome::Outdated)],
        };
        let app = App::start(&served, std::iter::repeat_with(|| Deal::Except(keys)).take(6));
        let done = app.push(&served, &[]);
        assert_eq!(done.code, ExitCode::from(code));
        assert!(done.out.ends_with(says), "{}", done.out);
    }
}

#[test]
fn a_store_that_takes_nothing_ends_the_push() {
    let served = many(300, 1);
    let keys: Vec<(&'static str, Outcome)> = (0..300)
        .map(|number| (&*format!("s.example/{number:03}").leak(), Outcome::Failed))
        .collect();
    let keys: &'static [(&str, Outcome)] = keys.leak();
    let app = App::start(&served, std::iter::repeat_with(|| Deal::Except(keys)).take(100));
    let done = app.push(&served, &[]);
    assert_eq!(done.code, ExitCode::from(1));
    assert_eq!(done.out, "0 stored, 0 outdated, 0 refused, 120 failed; the state was not sent\n");
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!((lines.len(), lines[9]), (11, "failed: s.example/009"));
    assert!(lines[10].starts_with("error: the store of the app fails for every link"), "{lines:?}");
    assert_eq!(app.seen().calls.len(), 15, "three calls, five times each");
}

#[test]
fn refusals_say_what_to_do() {
    let served = filled();
    for (deal, says) in [
        (Deal::Says(404, "", "<html>not found</html>"), "(404): set waypost_sync to true"),
        (Deal::Says(421, "", ""), "(421): set waypost_sync to true"),
        (
            Deal::Says(401, "", "signed with another key\n"),
            "waypost_edge_keys to what `waypost edge keys`",
        ),
        (Deal::Says(401, "", "signed at another time\n"), "more than 300 s apart"),
        (
            Deal::Says(401, "", "who\x1b[2J are you"),
            "answered 401: who\u{fffd}[2J are you; is this",
        ),
        (Deal::Says(413, "", "too much"), "answered 413: too much; is this the address of the app"),
        (Deal::Says(301, "location: https://elsewhere.example/\r\n", ""), "answered 301"),
        (Deal::Unsigned, "without the signature of the app"),
        (
            Deal::Says(200, "x-waypost-signature: s=00\r\n", "no"),
            "without the signature of the app",
        ),
        (Deal::OneMore, "outcomes that this version cannot read"),
    ] {
        let app = App::start(&served, [deal]);
        let done = app.push(&served, &[]);
        assert_eq!(done.code, ExitCode::from(1), "{says}");
        assert!(done.err.starts_with("error: http://127.0.0.1:"), "{}", done.err);
        assert!(done.err.contains(says), "{says}: {}", done.err);
        let nothing = "0 stored, 0 outdated, 0 refused, 0 failed; the state was not sent\n";
        assert_eq!(done.out, nothing);
        assert!(app.seen().calls.len() <= 1, "it is not tried again");
    }
}

#[test]
fn an_app_that_stays_away_is_tried_a_few_times() {
    let served = filled();
    let busy = || Deal::Says(500, "", "oh");
    let app = App::start(&served, std::iter::repeat_with(busy).take(4).chain([Deal::Hangs]));
    let done = app.push(&served, &[]);
    assert_eq!(done.code, ExitCode::from(1));
    assert!(done.err.starts_with("error: no answer from http://127.0.0.1:"), "{}", done.err);
    assert!(app.seen().script.is_empty() && app.seen().calls.is_empty());
    // Next time it goes well.
    assert_eq!(app.push(&served, &[]).quietly(), ALL);
}

#[test]
fn addresses_and_paces_that_are_none_are_refused() {
    let served = filled();
    served.keys();
    for args in [
        &["push"][..],
        &["push", "go.example"],
        &["push", "https://go.example/path"],
        &["push", "https://go.example", "--per-second", "0"],
    ] {
        served.run(args).refused(2);
    }
    let err = Served::new().run(&["push", "https://go.example"]).refused(1);
    assert!(err.contains("lacks a key"), "{err}");
}

#[test]
fn another_installation_cannot_write() {
    let (ours, theirs) = (filled(), filled());
    theirs.keys();
    let app = App::start(&ours, []);
    let done = app.push(&theirs, &[]);
    assert!(done.err.contains("answered 418") && done.err.contains("Wrong"), "{}", done.err);
    assert!(app.seen().values.is_empty());
}
