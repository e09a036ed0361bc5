//! What is handed to edges, from the database of a server that runs.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use waypost_host::ambient::Ambient;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::counting::store::CounterStore;
use waypost_wire::record::Generation;
use waypost_wire::state::{Change, decode};
use waypost_wire::time::Timestamp;

use crate::waypost::{Done, NOW, Waypost};

mod push;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A data directory that is served.
struct Served {
    directory: TempDir,
    db: Db,
    runtime: Runtime,
}

impl Served {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        let db = Db::open(&path, &DbOptions::default()).expect("a database");
        let runtime = Runtime::new().expect("a runtime");
        Self { directory, db, runtime }
    }

    /// Makes the keys; as `waypost edge keys` prints them.
    fn keys(&self) -> String {
        let secrets = self.runtime.block_on(self.db.secrets(&Ambient::system())).expect("keys");
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let (check, cookie) = (hex(&secrets.check), hex(&secrets.cookie));
        let (origin, sticky) = (hex(&secrets.origin), hex(&secrets.sticky));
        format!("check:{check} cookie:{cookie} origin:{origin} sticky:{sticky}\n")
    }

    /// Writes links: key, record, state, and how long ago.
    fn links(&self, links: &[(&str, &[u8], &str, i64)]) {
        for (index, (key, record, state, ago_ms)) in links.iter().enumerate() {
            let (key, record) = ((*key).to_owned(), record.to_vec());
            let (state, at) = ((*state).to_owned(), NOW.0 - ago_ms);
            let insert = "INSERT INTO links
                (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
                VALUES (?1, ?2, ?3, 's.example', ?4, 7, 0, ?5, 0, '{}')";
            let id = i64::try_from(index).expect("few") + 1;
            let job = move |connection: &Connection| {
                connection.execute(insert, (id, key, record, state, at))
            };
            self.runtime.block_on(self.db.write(job)).expect("written");
        }
    }

    fn run(&self, args: &[&str]) -> Done {
        let directory = self.directory.path().to_str().expect("a path");
        Waypost::new().run(&[&["edge"], args, &["--data-dir", directory]].concat())
    }
}

#[test]
fn keys_are_one_line_of_all_that_edges_share() {
    let served = Served::new();
    let keys = served.keys();
    assert_eq!(served.run(&["keys"]).quietly(), keys);
    let directory = served.directory.path().to_str().expect("a path");
    let watched = Waypost::new().on_terminal().run(&["edge", "keys", "--data-dir", directory]);
    assert_eq!((watched.code, watched.out), (ExitCode::SUCCESS, keys));
    assert_eq!(watched.err, "warning: these are secrets, and the terminal may keep them\n");
}

#[test]
fn keys_come_from_a_secret_on_standard_input() {
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz\n";
    let keys = Waypost::new().stdin(secret).run(&["edge", "keys", "--secret-stdin"]).quietly();
    assert!(keys.starts_with("check:") && !keys.contains("sequence"), "{keys}");
    let all = format!("{} sequence:{}\n", keys.trim_end(), "0".repeat(32));
    let again = Waypost::new().stdin(&all).run(&["edge", "keys", "--secret-stdin"]).quietly();
    assert_eq!(again, keys);
    let err = Waypost::new().stdin("short\n").run(&["edge", "keys", "--secret-stdin"]).refused(2);
    assert!(err.contains("a secret has at least 32 characters") && !err.contains("short"), "{err}");
}

#[test]
fn without_keys_or_database_nothing_is_made_up() {
    let served = Served::new();
    let err = served.run(&["keys"]).refused(1);
    assert!(err.ends_with("lacks a key: start the server once, which makes it\n"), "{err}");
    served.keys();
    let forget = "DELETE FROM secrets WHERE name = 'origin'";
    served.runtime.block_on(served.db.write(|db| db.execute(forget, []))).expect("written");
    assert!(served.run(&["keys"]).refused(1).contains("lacks a key"));
    let older = "PRAGMA user_version = 2";
    served.runtime.block_on(served.db.write(|db| db.execute(older, []))).expect("written");
    for command in ["keys", "export"] {
        let err = served.run(&[command]).refused(1);
        assert!(err.contains("has schema version 2, and edges need version"), "{err}");
    }
    for command in ["keys", "export"] {
        let args = ["edge", command, "--data-dir", "/nowhere/at/all"];
        let err = Waypost::new().run(&args).refused(1);
        assert!(err.contains("cannot open /nowhere/at/all/waypost.db"), "{err}");
    }
    let text = tempfile::tempdir().expect("a directory");
    fs::write(text.path().join(FILE_NAME), "hello, world\n".repeat(100)).expect("written");
    let args = ["edge", "export", "--data-dir", text.path().to_str().expect("a path")];
    assert!(Waypost::new().run(&args).refused(1).contains("is not an SQLite database"));
}

/// Five links, and a salt of each of three days.
fn filled() -> Served {
    let served = Served::new();
    served.links(&[
        ("s.example/b", b"two", "active", 5),
        ("s.example/a", &[0, 0xff, b'\r', b'\n'], "disabled", 3),
        ("s.example/Ünï\"/c", b"", "deleted", 4),
        ("ci.example/d", b"four", "expired", DAY_MS),
        ("s.example/e", b"five", "blocked", DAY_MS - 1),
    ]);
    let today = NOW.0 - NOW.0.rem_euclid(DAY_MS);
    for (index, day) in [today - DAY_MS, today, today + DAY_MS].into_iter().enumerate() {
        let salt = [u8::try_from(index).expect("few"); 16];
        let salt = served.runtime.block_on(served.db.salt(Timestamp(day), salt));
        salt.expect("a salt");
    }
    served
}

/// What the state of [`filled`] must be.
fn check_state(bytes: &[u8]) {
    let state = decode(bytes).expect("a state");
    let today = Timestamp(NOW.0 - NOW.0.rem_euclid(DAY_MS));
    assert_eq!((state.published_at, state.since), (NOW, NOW.plus_ms(-DAY_MS)));
    assert_eq!(state.salts, [(today, [1; 16]), (today.plus_ms(DAY_MS), [2; 16])]);
    let change = |key, link_id, stopped| Change {
        key,
        generation: Generation { link_id, version: 7 },
        stopped,
    };
    let wanted = [
        change("s.example/a", 2, true),
        change("s.example/Ünï\"/c", 3, true),
        change("s.example/b", 1, false),
        change("s.example/e", 5, true),
    ];
    assert_eq!(state.changes, wanted);
}

const WRITTEN: &str = "5 links and the state are written\n";

#[test]
fn all_records_and_the_state_are_pairs_for_wrangler() {
    let served = filled();
    let done = served.run(&["export"]);
    assert_eq!((done.code, done.err.as_str()), (ExitCode::SUCCESS, WRITTEN));
    assert_eq!(served.run(&["export", "--format", "wrangler"]).out, done.out);
    let mut pairs: Vec<Value> = serde_json::from_str(&done.out).expect("JSON");
    let state = pairs.pop().expect("the state");
    let value = |text: &[u8]| STANDARD.encode(text);
    let pair = |key: &str, text: &[u8]| json!({"key": key, "value": value(text), "base64": true});
    let wanted = [
        pair("ci.example/d", b"four"),
        pair("s.example/a", &[0, 0xff, b'\r', b'\n']),
        pair("s.example/b", b"two"),
        pair("s.example/e", b"five"),
        pair("s.example/Ünï\"/c", b""),
    ];
    assert_eq!(pairs, wanted);
    assert_eq!((&state["key"], &state["base64"]), (&json!("!state"), &json!(true)));
    let bytes = STANDARD.decode(state["value"].as_str().expect("text")).expect("base64");
    check_state(&bytes);
}

#[test]
fn all_records_and_the_state_are_commands_for_redis() {
    let done = filled().run(&["export", "--format", "redis"]);
    assert_eq!((done.code, done.err.as_str()), (ExitCode::SUCCESS, WRITTEN));
    let wanted = [
        &b"*3\r\n$3\r\nSET\r\n$12\r\nci.example/d\r\n$4\r\nfour\r\n"[..],
        b"*3\r\n$3\r\nSET\r\n$11\r\ns.example/a\r\n$4\r\n\x00\xff\r\n\r\n",
        b"*3\r\n$3\r\nSET\r\n$11\r\ns.example/b\r\n$3\r\ntwo\r\n",
        b"*3\r\n$3\r\nSET\r\n$11\r\ns.example/e\r\n$4\r\nfive\r\n",
        "*3\r\n$3\r\nSET\r\n$18\r\ns.example/Ünï\"/c\r\n$0\r\n\r\n".as_bytes(),
        b"*3\r\n$3\r\nSET\r\n$6\r\n!state\r\n$",
    ]
    .concat();
    assert_eq!(&done.bytes[..wanted.len()], wanted);
    let rest = &done.bytes[wanted.len()..];
    let end = rest.windows(2).position(|two| two == b"\r\n").expect("a length");
    let length: usize = std::str::from_utf8(&rest[..end]).expect("digits").parse().expect("digits");
    let (state, end) = rest[end + 2..].split_at(length);
    assert_eq!(end, b"\r\n");
    check_state(state);
}

#[test]
fn every_page_of_links_is_written_once_and_in_order() {
    let served = Served::new();
    let insert = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500)
        INSERT INTO links
        (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
        SELECT n, format('s.example/%05d', n), 'r' || n, 's.example', 'active', 1, 0, 0, 0, '{}'
        FROM numbers";
    let insert = insert.replace("'r' || n", "CAST('r' || n AS BLOB)");
    served.runtime.block_on(served.db.write(move |db| db.execute(&insert, []))).expect("written");
    let done = served.run(&["export"]);
    assert_eq!(done.err, "2 500 links and the state are written\n");
    let pairs: Vec<Value> = serde_json::from_str(&done.out).expect("JSON");
    let written: Vec<(String, Vec<u8>)> = pairs[..2_500]
        .iter()
        .map(|pair| {
            let text = |name: &str| pair[name].as_str().expect("text").to_owned();
            (text("key"), STANDARD.decode(text("value")).expect("base64"))
        })
        .collect();
    let wanted = (1..=2_500).map(|n| (format!("s.example/{n:05}"), format!("r{n}").into_bytes()));
    assert_eq!(written, wanted.collect::<Vec<_>>());
    assert_eq!(pairs.len(), 2_501);
}

#[test]
fn an_empty_database_is_a_state_alone() {
    let done = Served::new().run(&["export"]);
    assert_eq!(done.err, "0 links and the state are written\n");
    let pairs: Vec<Value> = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(pairs.len(), 1);
    let bytes = STANDARD.decode(pairs[0]["value"].as_str().expect("text")).expect("base64");
    let state = decode(&bytes).expect("a state");
    assert_eq!((state.published_at, state.salts, state.changes), (NOW, vec![], vec![]));
}

fn config(text: &str, args: &[&str]) -> Done {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("w.toml");
    fs::write(&file, text).expect("a file");
    let path: &Path = &file;
    let file = ["--config", path.to_str().expect("a path")];
    Waypost::new().run(&[&["edge", "config"], &file[..], args].concat())
}

#[test]
fn variables_say_of_domains_what_is_not_as_usual() {
    let text = r#"
        public_url = "https://go.example:8443"
        slug_slashes = true
        unlock_seconds = 600
        edit_delay_seconds = 30
        [[domains]]
        name = "plain.example"
        [[domains]]
        name = "brought.example"
        check_characters = false
        [[domains]]
        name = "qr.example"
        ignore_case = true
        home = "https://www.example.com/?a=\"b\"&c=d e"
        url = "http://www.qr.example:81/"
    "#;
    let out = config(text, &[]).quietly();
    assert_eq!(
        out,
        "WAYPOST_PUBLIC_URL = \"https://go.example:8443\"\n\
         WAYPOST_DOMAINS = \"plain.example brought.example unchecked qr.example ignore_case unchecked \
         home=https://www.example.com/?a=%22b%22&c=d%20e url=http://www.qr.example:81\"\n\
         WAYPOST_ANY_HOST = \"false\"\n\
         WAYPOST_SLUG_SLASHES = \"true\"\n\
         WAYPOST_EDIT_DELAY_SECONDS = \"30\"\n\
         WAYPOST_UNLOCK_SECONDS = \"600\"\n"
    );
    let spin = config(text, &["--format", "spin"]).quietly();
    let names = |line: &str| line.split_once(" = ").map(|(name, _)| name.to_owned());
    let lower: Vec<String> = out.lines().filter_map(names).map(|n| n.to_lowercase()).collect();
    assert_eq!(spin.lines().filter_map(names).collect::<Vec<_>>(), lower);
    let table: toml::Table = spin.parse().expect("TOML");
    assert_eq!(table.len(), 6);
}

#[test]
fn the_default_domain_is_told_only_if_it_is_special() {
    let domains = |more: &str| {
        let text = format!("public_url = 'https://go.example:8443'\n{more}");
        let out = config(&text, &[]).quietly();
        let line = out.lines().find_map(|line| line.strip_prefix("WAYPOST_DOMAINS = "));
        line.expect("domains").trim_matches('"').to_owned()
    };
    assert_eq!(domains(""), "");
    let special = "[[domains]]\nname = 'go.example'\nhome = 'https://example.com'\n";
    // Told without an address of its own, its port is the scheme's.
    let words = "go.example home=https://example.com/ url=https://go.example";
    assert_eq!(domains(special), words);
    let whole = format!("{special}url = 'https://go.example:8443'");
    assert_eq!(domains(&whole), "go.example home=https://example.com/");
    let variables = Waypost::new().variable("WAYPOST_PUBLIC_URL", "http://go.example");
    let out = variables.run(&["edge", "config"]).quietly();
    assert!(out.starts_with("WAYPOST_PUBLIC_URL = \"http://go.example\"\nWAYPOST_DOMAINS = \"\"\nWAYPOST_ANY_HOST = \"true\"\n"), "{out}");
}

#[test]
fn faulty_settings_are_told_and_no_variable_is_printed() {
    let err = config("public_url = 'nowhere'", &[]).refused(2);
    assert!(err.contains("public_url in"), "{err}");
}
