use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME, SCHEMA_VERSION};
use waypost_service::counting::close::close_due;
use waypost_service::counting::ingest::ingest;
use waypost_wire::click::{BatchWriter, Click};
use waypost_wire::time::Timestamp;

use crate::stub::{Answer, Stub};
use crate::waypost::{Done, NOW, Waypost};

/// A data directory as a server leaves it.
fn data() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    drop(open(directory.path()));
    directory
}

fn open(directory: &Path) -> Db {
    Db::open(&directory.join(FILE_NAME), &DbOptions::default()).expect("a database")
}

fn doctor(directory: &Path) -> Done {
    Waypost::new().run(&["doctor", "--data-dir", directory.to_str().expect("a path"), "--json"])
}

/// Names and verdicts.
fn verdicts(done: &Done) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&done.out).expect("JSON");
    let text = |check: &Value, name: &str| check[name].as_str().expect("a text").to_owned();
    let checks = document["checks"].as_array().expect("a list").iter();
    checks.map(|check| (text(check, "name"), text(check, "verdict"))).collect()
}

fn verdict(done: &Done, name: &str) -> String {
    let found = verdicts(done).into_iter().find(|(its_name, _)| its_name == name);
    found.unwrap_or_else(|| panic!("no check {name} in {}", done.out)).1
}

fn files(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("UTF-8")
    };
    let mut names: Vec<_> = fs::read_dir(directory).expect("a directory").map(name).collect();
    names.sort();
    names
}

#[test]
fn a_sound_directory_is_sound_and_stays_as_it_is() {
    let directory = data();
    let before =
        (files(directory.path()), fs::read(directory.path().join(FILE_NAME)).expect("it is there"));
    let done = doctor(directory.path());
    // How much room there is depends on the machine.
    let checks: Vec<_> =
        verdicts(&done).into_iter().filter(|(name, _)| name != "free space").collect();
    let names = [
        "data directory",
        "permissions",
        "server",
        "write-ahead log",
        "database",
        "schema",
        "content",
        "clock",
        "click journal",
        "closed windows",
    ];
    assert_eq!(checks, names.map(|name| (name.to_owned(), "ok".to_owned())));
    let after =
        (files(directory.path()), fs::read(directory.path().join(FILE_NAME)).expect("it is there"));
    assert_eq!(before.0, after.0);
    assert!(before.1 == after.1, "the database was changed");
}

#[test]
fn people_get_a_table_and_advice() {
    let directory = data();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = directory.path().to_str().expect("a path");
    let done = Waypost::new().run(&["doctor", "--data-dir", path]);
    assert!(
        done.out.contains("warn  permissions      755: others can look into it\n"),
        "{}",
        done.out
    );
    assert!(done.err.contains(&format!("permissions: chmod 700 {path}: ")), "{}", done.err);
    assert_eq!(done.code, ExitCode::SUCCESS);
}

#[test]
fn a_running_server_is_left_in_peace() {
    let directory = data();
    let db = open(directory.path());
    let done = doctor(directory.path());
    assert_eq!(done.code, ExitCode::SUCCESS);
    assert!(done.out.contains("is running"), "{}", done.out);
    assert!(done.out.contains("not checked while the server is running"), "{}", done.out);
    drop(db);
}

#[test]
fn what_is_not_there_fails() {
    let directory = tempfile::tempdir().expect("a directory");
    let done = doctor(&directory.path().join("nowhere"));
    assert_eq!(verdicts(&done), [("data directory".to_owned(), "fail".to_owned())]);
    assert_eq!(done.code, ExitCode::FAILURE);
    let done = doctor(directory.path());
    assert_eq!((verdict(&done, "database"), done.code), ("fail".into(), ExitCode::FAILURE));
    assert!(files(directory.path()).is_empty());
}

#[test]
fn damage_is_found() {
    let directory = data();
    let path = directory.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).expect("it is there");
    // Past the header and the schema: a page of an index.
    let page = bytes.len() - 4_096;
    bytes[page..].fill(0x5A);
    fs::write(&path, bytes).expect("it is ours");
    let done = doctor(directory.path());
    assert_eq!(
        (verdict(&done, "content"), done.code),
        ("fail".into(), ExitCode::FAILURE),
        "{}",
        done.out
    );
    fs::write(&path, "no database at all, whatever its name says").expect("it is ours");
    assert_eq!(verdict(&doctor(directory.path()), "database"), "fail");
}

#[test]
fn databases_of_other_versions_and_programs_are_told_apart() {
    for (change, name, expected) in [
        ("PRAGMA user_version = 1", "schema", "warn"),
        ("PRAGMA user_version = 999", "database", "fail"),
        ("PRAGMA application_id = 7", "database", "fail"),
    ] {
        const { assert!(SCHEMA_VERSION > 1) };
        let directory = data();
        let connection = Connection::open(directory.path().join(FILE_NAME)).expect("it opens");
        connection.execute_batch(change).expect("it is written");
        drop(connection);
        let before = files(directory.path());
        let done = doctor(directory.path());
        assert_eq!(verdict(&done, name), expected, "{change}: {}", done.out);
        // What belongs to the server's user gets no companions of another one.
        assert_eq!(files(directory.path()), before, "{change}");
    }
}

#[test]
fn a_clock_behind_the_data_is_found() {
    let directory = data();
    let connection = Connection::open(directory.path().join(FILE_NAME)).expect("it opens");
    let insert = "INSERT INTO links (id, key, record, domain, state, version, keep, updated_at, last_used_at, doc)
        VALUES (1, 'd/s', x'', 'd', 'active', 1, 0, ?1, 0, '{}')";
    connection.execute(insert, [NOW.0 + 59_000]).expect("it is written");
    assert_eq!(verdict(&doctor(directory.path()), "clock"), "ok");
    connection
        .execute("UPDATE links SET updated_at = ?1", [NOW.0 + 61_000])
        .expect("it is written");
    drop(connection);
    let done = doctor(directory.path());
    assert_eq!((verdict(&done, "clock"), done.code), ("fail".into(), ExitCode::FAILURE));
}

/// A data directory with one closed window, ten minutes old and more.
fn counted() -> TempDir {
    let directory = data();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let db = open(directory.path());
        let at = Timestamp(NOW.0 - 3_600_000);
        let mut clicks = BatchWriter::new(7, 0);
        clicks.push(&Click {
            link_id: 1,
            at,
            user_agent: "Mozilla/5.0 Firefox/130.0",
            ..Click::default()
        });
        ingest(&db, clicks.finish(), at).await.expect("it is stored");
        close_due(&db, NOW).await.expect("it is closed");
        db.close().await;
    });
    directory
}

#[test]
fn closed_windows_are_counted_again() {
    let directory = counted();
    let done = doctor(directory.path());
    assert!(done.out.contains("1 of the last day count the same again"), "{}", done.out);
    let connection = Connection::open(directory.path().join(FILE_NAME)).expect("it opens");
    connection.execute("UPDATE windows SET digest = zeroblob(32)", []).expect("it is written");
    drop(connection);
    let done = doctor(directory.path());
    assert_eq!((verdict(&done, "closed windows"), done.code), ("fail".into(), ExitCode::FAILURE));
    assert!(
        done.out.contains("1 of the last day count otherwise now: 2026-11-21T06:00:00Z"),
        "{}",
        done.out
    );
}

const HEALTH: &str = r#"{"status":"ok","version":"0.1.0","checks":{
    "clicks":{"status":"behind","waiting":20000},"database_read":{"status":"ok","latency_ms":0.05},
    "geoip":{"status":"off"}}}"#;

fn server(stub: &Stub) -> Done {
    Waypost::new().run(&["doctor", "--url", &stub.url(), "--json"])
}

#[test]
fn a_server_is_asked_for_its_health_and_numbers() {
    let metrics = "# HELP link_clicks Clicks\nlink_clicks_total 7\nother 1\n# EOF\n";
    let stub = Stub::answers([
        Answer::new(200, HEALTH).with("date", "Sat, 21 Nov 2026 07:00:04 GMT"),
        Answer::new(200, metrics),
    ]);
    let done = server(&stub);
    let expected = [
        ("health", "ok"),
        ("health: clicks", "warn"),
        ("health: database read", "ok"),
        ("health: geoip", "ok"),
        ("clock of the server", "ok"),
        ("metrics", "ok"),
    ];
    assert_eq!(
        verdicts(&done),
        expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()))
    );
    assert!(
        done.out.contains("behind, 20000 waiting") && done.out.contains("2 numbers"),
        "{}",
        done.out
    );
    assert_eq!(done.code, ExitCode::SUCCESS);
    assert_eq!(stub.texts(), ["GET /health", "GET /metrics"]);
}

#[test]
fn an_ailing_server_fails() {
    let down = HEALTH.replacen("\"ok\"", "\"down\"", 1).replace("behind", "down");
    let stub = Stub::answers([
        Answer::new(503, down).with("date", "Sat, 21 Nov 2026 07:01:00 GMT"),
        Answer::new(401, "{}"),
    ]);
    let done = server(&stub);
    assert_eq!(done.code, ExitCode::FAILURE);
    for (name, expected) in [
        ("health", "fail"),
        ("health: clicks", "fail"),
        ("clock of the server", "warn"),
        ("metrics", "warn"),
    ] {
        assert_eq!(verdict(&done, name), expected, "{name}");
    }
    let stub = Stub::answers([Answer::new(200, "<html>"), Answer::new(404, "")]);
    let done = Waypost::new().run(&["doctor", "--url", &stub.url(), "--key", "k", "--json"]);
    for (name, expected) in
        [("health", "fail"), ("clock of the server", "warn"), ("metrics", "fail")]
    {
        assert_eq!(verdict(&done, name), expected, "{name}");
    }
    assert_eq!(stub.requests()[1].header("authorization"), Some("Bearer k"));
}

#[test]
fn a_server_that_is_not_there_fails() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a port")
        .port();
    let done =
        Waypost::new().run(&["doctor", "--url", &format!("http://127.0.0.1:{port}"), "--json"]);
    assert_eq!(verdicts(&done), [("health".to_owned(), "fail".to_owned())]);
    assert_eq!(done.code, ExitCode::FAILURE);
}
