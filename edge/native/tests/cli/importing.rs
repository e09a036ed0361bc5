use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stub::{Answer, Request, Stub};
use crate::waypost::{Done, Waypost};

/// A copy of a committed file, in a directory where an import may write.
fn copied(name: &str) -> (TempDir, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/import").join(name);
    written(name, &fs::read(source).expect("a committed file"))
}

fn written(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    fs::write(&path, bytes).expect("a file");
    (directory, path)
}

fn import(waypost: Waypost, path: &Path, args: &[&str]) -> Done {
    let path = path.to_str().expect("a path");
    let done = waypost.run(&[&["import", path], args].concat());
    // The directory has another name in every run.
    let parent = format!("{}/", Path::new(path).parent().expect("a directory").display());
    Done { out: done.out.replace(&parent, ""), err: done.err.replace(&parent, ""), ..done }
}

fn destination(request: &Request) -> String {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    body["destination"].as_str().expect("a destination").to_owned()
}

fn made(request: &Request) -> Answer {
    let short = destination(request).replace("https://example.com/", "http://h/");
    Answer::new(201, json!({"short_url": short, "slug": "x"}).to_string())
}

fn sorted(stub: &Stub) -> Vec<(String, String)> {
    let pair = |request: &Request| {
        (request.header("idempotency-key").unwrap_or_default().to_owned(), request.body.clone())
    };
    let mut pairs: Vec<_> = stub.requests().iter().map(pair).collect();
    pairs.sort();
    pairs
}

#[test]
fn nothing_is_sent_unless_told_so() {
    let stub = Stub::answers([]);
    let (directory, path) = copied("good.csv");
    let out = import(Waypost::calling(&stub), &path, &[]).quietly();
    assert_eq!(
        out,
        "good.csv: 3 rows, no faults found here. Nothing was created; to create the links, add --apply.\n"
    );
    assert!(stub.requests().is_empty());
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    // No server is needed, nor a key.
    import(Waypost::new(), &path, &[]).quietly();
}

#[test]
fn every_faulty_row_of_a_spreadsheet_is_told_with_its_line() {
    let stub = Stub::answers([]);
    let (_directory, path) = copied("spreadsheet.csv");
    let told = "\
LINE         COLUMN       PROBLEM                            EXPECTED
   7  fault  destination  the scheme mailto: is not allowed  a URL that starts with https:// or http://

spreadsheet.csv: 1 of 3 rows have faults. Nothing was created.
Empty rows left out: 1.
";
    for args in [&[][..], &["--apply"]] {
        let done = import(Waypost::calling(&stub), &path, args);
        assert_eq!(done.out, told);
        assert_eq!((done.code, done.err.as_str()), (ExitCode::FAILURE, ""));
    }
    assert!(stub.requests().is_empty());
}

#[test]
fn warnings_do_not_keep_rows_back() {
    let (_directory, path) = written("w.csv", b"destination\nhttp://10.0.0.1/\n");
    let done = import(Waypost::new(), &path, &[]);
    assert_eq!(done.code, ExitCode::SUCCESS);
    assert!(done.out.contains("2  warning  destination"), "{}", done.out);
    assert_eq!(done.err, "Warnings are about what the server's settings may allow or not.\n");
}

#[test]
fn files_of_others_are_refused_with_the_names_that_are_meant() {
    let (_directory, path) = copied("shlink.csv");
    let err = import(Waypost::new(), &path, &[]).refused(1);
    for part in [
        "error: shlink.csv cannot be imported:\n",
        "there is no column \"shortCode\"; expected slug, if that was meant",
        "there is no column \"longUrl\"; expected destination, if that was meant",
        "there is no column \"visits\"; expected one of destination, slug",
    ] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    let err = import(Waypost::new(), &path, &["--ignore-unknown"]).refused(1);
    assert_eq!(
        err,
        "error: shlink.csv cannot be imported:\n  there is no column destination; expected one\n"
    );
}

#[test]
fn links_are_created_once_each_under_keys_that_stay() {
    let (_directory, path) = copied("good.csv");
    let run = || {
        let stub = Stub::start(made);
        let out = import(Waypost::calling(&stub), &path, &["--apply"]).quietly();
        assert_eq!(out, "good.csv: 3 of 3 rows have their link, 0 failed, 0 were not finished.\n");
        sorted(&stub)
    };
    let first = run();
    // The first half of the file's SHA-256, and the row.
    let key = |row: u32| format!("import-{}-{row}", "dd73dd5c9fe1004d977c8ef915d2109d");
    let bodies: Vec<&str> = first.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(
        bodies,
        [
            r#"{"destination":"https://example.com/1","slug":"one"}"#,
            r#"{"destination":"https://example.com/2"}"#,
            r#"{"destination":"https://example.com/2"}"#,
        ]
    );
    let keys: Vec<&str> = first.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, [key(1), key(2), key(3)]);
    assert_eq!(run(), first);
    let mut text = fs::read(&path).expect("the file");
    text.push(b'\n');
    fs::write(&path, text).expect("the file");
    assert!(run().iter().zip(&first).all(|((key, _), (before, _))| key != before));
}

#[test]
fn a_hundred_rows_are_a_hundred_requests() {
    let mut text = "destination\n".to_owned();
    for index in 0..100 {
        text.push_str(&format!("https://example.com/{index}\n"));
    }
    let (directory, path) = written("many.csv", text.as_bytes());
    let output = directory.path().join("made.csv");
    let stub = Stub::start(made);
    let args = ["--apply", "--output", output.to_str().expect("a path")];
    import(Waypost::calling(&stub), &path, &args).quietly();
    let mut destinations: Vec<String> = stub.requests().iter().map(destination).collect();
    destinations.sort();
    destinations.dedup();
    assert_eq!((stub.requests().len(), destinations.len()), (100, 100));
    let output = fs::read_to_string(&output).expect("the output");
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("destination,short_url"));
    for (index, line) in lines.enumerate() {
        assert_eq!(line, format!("https://example.com/{index},http://h/{index}"));
    }
    let err = import(Waypost::calling(&stub), &path, &args).refused(2);
    assert_eq!(err, "error: made.csv exists; choose another name\n");
    assert_eq!(stub.requests().len(), 100);
}

const TAKEN: &str = r#"{"type":"urn:waypost:problem:slug-taken","title":"Slug is taken","status":409,
    "detail":"x","errors":[{"pointer":"/slug","detail":"another link has h/one","expected":"a slug that no link has"}]}"#;

#[test]
fn refused_rows_can_be_corrected_and_imported_again() {
    let (directory, path) = copied("good.csv");
    let stub = Stub::start(|request| match destination(request).ends_with("/1") {
        true => Answer::new(409, TAKEN),
        false => made(request),
    });
    let done = import(Waypost::calling(&stub), &path, &["--apply"]);
    assert_eq!(done.code, ExitCode::FAILURE);
    assert_eq!(
        done.out,
        "good.csv: 2 of 3 rows have their link, 1 failed, 0 were not finished.\n\
         The failed rows, each with its reason, are in good.failed.csv.\n"
    );
    let failed = directory.path().join("good.failed.csv");
    let key = sorted(&stub)[0].0.clone();
    assert_eq!(
        fs::read_to_string(&failed).expect("the failed rows"),
        format!(
            "destination,slug,idempotency_key,reason\n\
             https://example.com/1,one,{key},slug: another link has h/one; expected a slug that no link has\n"
        )
    );
    let stub = Stub::start(made);
    import(Waypost::calling(&stub), &failed, &["--apply"]).quietly();
    assert_eq!(
        sorted(&stub),
        [(key, r#"{"destination":"https://example.com/1","slug":"one"}"#.to_owned())]
    );
}

#[test]
fn faulty_rows_can_be_skipped() {
    let (directory, path) = written("some.csv", b"destination,title\nhttps://example.com/1,T\nnothing,\"a,b\"\nhttps://example.com/3,too,many\n");
    let stub = Stub::start(made);
    let done = import(Waypost::calling(&stub), &path, &["--apply", "--skip-faulty"]);
    assert_eq!(done.code, ExitCode::FAILURE);
    assert!(
        done.out
            .contains("some.csv: 1 of 3 rows have their link, 2 failed, 0 were not finished.\n"),
        "{}",
        done.out
    );
    let requests = sorted(&stub);
    assert_eq!(requests.len(), 1);
    let prefix = requests[0].0.trim_end_matches('1');
    assert_eq!(
        fs::read_to_string(directory.path().join("some.failed.csv")).expect("the failed rows"),
        format!(
            "destination,title,idempotency_key,reason\n\
             nothing,\"a,b\",{prefix}2,line 3: destination: the destination does not start with a scheme; expected an absolute URL such as https://example.com/page\n\
             https://example.com/3,too,{prefix}3,\"line 4: has 3 cells; expected 2, as in the header; cells with separators in quotes\"\n"
        )
    );
}

#[test]
fn a_busy_server_is_asked_again() {
    let (_directory, path) = written("one.csv", b"destination\nhttps://example.com/1\n");
    let count = AtomicUsize::new(0);
    let stub = Stub::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new(429, "{}").with("retry-after", "7"),
        1 => Answer::new(503, "busy").with("retry-after", "soon"),
        _ => made(request),
    });
    import(Waypost::calling(&stub), &path, &["--apply"]).quietly();
    let requests = sorted(&stub);
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]));
}

#[test]
fn an_import_keeps_to_the_limit_of_its_key() {
    let (_directory, path) = written("one.csv", b"destination\nhttps://example.com/1\n");
    let count = AtomicUsize::new(0);
    let stub = Stub::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0..50 => Answer::new(429, "{}").with("retry-after", "1"),
        _ => made(request),
    });
    import(Waypost::calling(&stub), &path, &["--apply"]).quietly();
    assert_eq!(stub.requests().len(), 51);
    // Not for ever: another client may use up everything.
    let stub = Stub::start(|_| {
        Answer::new(429, r#"{"title":"Too many requests"}"#).with("retry-after", "60")
    });
    let done = import(Waypost::calling(&stub), &path, &["--apply"]);
    assert_eq!(
        (done.code, done.err.as_str()),
        (ExitCode::FAILURE, "error: Too many requests (429)\n")
    );
    assert!(stub.requests().len() <= 21, "{}", stub.requests().len());
}

#[test]
fn what_would_fail_every_row_stops_the_import() {
    let text: String = (0..100).map(|index| format!("https://example.com/{index}\n")).collect();
    let (directory, path) = written("many.csv", format!("destination\n{text}").as_bytes());
    let problem =
        r#"{"title":"Key is missing or not valid","status":401,"detail":"the key is not valid"}"#;
    let stub = Stub::start(move |_| Answer::new(401, problem));
    let done = import(Waypost::calling(&stub), &path, &["--apply"]);
    assert_eq!(done.code, ExitCode::FAILURE);
    assert_eq!(done.err, "error: Key is missing or not valid (401)\n  the key is not valid\n");
    assert_eq!(
        done.out,
        "many.csv: 0 of 100 rows have their link, 0 failed, 100 were not finished.\n\
         Run the same command again to finish; no link is made twice.\n"
    );
    assert!(stub.requests().len() <= 8, "{}", stub.requests().len());
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);

    let stub = Stub::start(|_| Answer::new(503, "{\"title\":\"Busy\"}"));
    let done = import(Waypost::calling(&stub), &path, &["--apply"]);
    assert_eq!(done.err, "error: Busy (503)\n");

    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a port")
        .port();
    let waypost = Waypost::new()
        .variable("WAYPOST_KEY", "k")
        .variable("WAYPOST_URL", &format!("http://127.0.0.1:{port}"));
    let done = import(waypost, &path, &["--apply"]);
    assert!(done.err.starts_with("error: no answer from http://127.0.0.1:"), "{}", done.err);
    assert_eq!(done.code, ExitCode::FAILURE);
}

#[test]
fn programs_get_a_report() {
    let (_directory, path) = copied("good.csv");
    let stub = Stub::start(|request| match destination(request).ends_with("/1") {
        true => Answer::new(409, TAKEN),
        false => made(request),
    });
    let done = import(Waypost::calling(&stub), &path, &["--apply", "--json"]);
    assert_eq!((done.code, done.err.as_str()), (ExitCode::FAILURE, ""));
    assert_eq!(
        serde_json::from_str::<Value>(&done.out).expect("JSON"),
        json!({
            "file": "good.csv", "rows": 3, "empty_rows": 0, "faults": [], "warnings": [],
            "created": [{"line": 3, "short_url": "http://h/2"}, {"line": 4, "short_url": "http://h/2"}],
            "failed": [{"line": 2, "reason": "slug: another link has h/one; expected a slug that no link has"}],
            "unknown": 0, "failed_file": "good.failed.csv",
        })
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let err = Waypost::new().run(&["import", "/nowhere/links.csv"]).refused(1);
    assert!(err.starts_with("error: cannot read /nowhere/links.csv: "), "{err}");
}
