//! What holds for every command: keys, addresses, problems, help, streams.

use std::io::{self, Write};
use std::process::ExitCode;

use waypost_host::ambient::Ambient;
use waypost_native::cli::{Surroundings, run_in};

use crate::stub::{Answer, Stub};
use crate::waypost::Waypost;

#[test]
fn flags_come_before_variables() {
    let (wrong, right) =
        (Stub::answers([]), Stub::answers([Answer::new(200, r#"{"data":[],"next_cursor":null}"#)]));
    let args = ["link", "list", "--url", &right.url(), "--key", "flag", "--json"];
    Waypost::calling(&wrong).run(&args).quietly();
    assert_eq!(right.texts(), ["GET /api/v1/links\nauthorization: Bearer flag"]);
    assert!(wrong.requests().is_empty());
}

#[test]
fn without_a_key_it_says_how_to_get_one() {
    for waypost in [Waypost::new(), Waypost::new().variable("WAYPOST_KEY", " ")] {
        let err = waypost.run(&["link", "list"]).refused(2);
        assert!(err.starts_with("error: no key: set WAYPOST_KEY (or use --key)\n"), "{err}");
        assert!(err.contains("waypost keys generate"), "{err}");
    }
    let err = Waypost::new().run(&["link", "list", "--key", "a\nb"]).refused(2);
    assert!(!err.contains("a\nb"), "a key was printed");
}

#[test]
fn an_address_that_is_none_is_wrong_use() {
    for url in ["localhost:8080", "go.example", "ftp://go.example", "http://u:p@go.example"] {
        let err = Waypost::new().run(&["link", "list", "--key", "k", "--url", url]).refused(2);
        assert!(err.contains("expected http:// or https://"), "{err}");
    }
}

#[test]
fn problems_are_told_with_every_field() {
    let problem = r#"{"type":"urn:waypost:problem:invalid-request","title":"Request is not valid","status":422,
        "detail":"2 faults, the first at /slug: is reserved","instance":"urn:waypost:request:abc",
        "errors":[{"pointer":"/slug","detail":"is \"api\u001b\"","expected":"another word"},
                  {"pointer":"/rules/0/when","detail":"is a string","expected":"an object"}]}"#;
    let stub = Stub::answers([Answer::new(422, problem)]);
    let err = Waypost::calling(&stub)
        .run(&["link", "create", "https://example.com", "--json"])
        .refused(1);
    let told = "error: Request is not valid (422)\n  \
                slug: is \"api\u{FFFD}\"; expected another word\n  \
                rules/0/when: is a string; expected an object\n";
    assert_eq!(err, told);
}

#[test]
fn problems_without_fields_are_told_with_advice() {
    let problem = r#"{"type":"urn:waypost:problem:version-mismatch","title":"Link was changed meanwhile",
        "status":412,"detail":"a/b has version 4"}"#;
    let stub = Stub::answers([Answer::new(412, problem)]);
    let err = Waypost::calling(&stub).run(&["link", "delete", "b"]).refused(1);
    let advice = waypost_service::problem::Kind::VersionMismatch.about().advice;
    assert_eq!(
        err,
        format!("error: Link was changed meanwhile (412)\n  a/b has version 4\n  {advice}\n")
    );
}

#[test]
fn faults_of_the_server_name_the_request() {
    let problem = r#"{"type":"urn:x","title":"Internal error","status":500,"detail":"oh","instance":"urn:waypost:request:abc"}"#;
    let stub = Stub::answers([Answer::new(500, problem)]);
    let err = Waypost::calling(&stub).run(&["link", "list"]).refused(1);
    assert_eq!(
        err,
        "error: Internal error (500)\n  oh\n  The server's log knows this as urn:waypost:request:abc\n"
    );
}

#[test]
fn other_servers_are_recognised() {
    let stub = Stub::answers([
        Answer::new(200, "<html>Hello"),
        Answer::new(502, "<html>Bad Gateway"),
        Answer::new(301, "").with("location", "https://elsewhere.example/"),
    ]);
    for part in [
        "the answer is not what Waypost answers",
        "answered 502 and no problem document",
        "answered 301",
    ] {
        let err = Waypost::calling(&stub).run(&["link", "show", "a"]).refused(1);
        assert!(err.contains(part), "{err}");
    }
    // The key did not follow the redirect.
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a port")
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let err = Waypost::new().run(&["link", "list", "--key", "k", "--url", &url]).refused(1);
    assert!(err.starts_with(&format!("error: no answer from {url}/: ")), "{err}");
}

#[test]
fn help_is_a_result_and_wrong_use_is_none() {
    let out = Waypost::new().run(&["link", "create", "--help"]).quietly();
    assert!(out.contains("Usage: waypost link create") && out.contains("Examples:"), "{out}");
    let err = Waypost::new().run(&["link", "crate"]).refused(2);
    assert!(err.contains("unrecognized subcommand 'crate'") && err.contains("'create'"), "{err}");
    let version = Waypost::new().run(&["--version"]).quietly();
    assert_eq!(version, format!("waypost {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let help = |waypost: Waypost| waypost.run(&["--help"]).quietly();
    assert!(!help(Waypost::new()).contains('\u{1b}'));
    assert!(help(Waypost::new().on_terminal()).contains('\u{1b}'));
    assert!(!help(Waypost::new().on_terminal().variable("NO_COLOR", "1")).contains('\u{1b}'));
}

/// A stream that nobody reads any more.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error_to_talk_about() {
    for (kind, told) in [
        (io::ErrorKind::BrokenPipe, ""),
        (io::ErrorKind::StorageFull, "error: cannot write the result: no storage space\n"),
    ] {
        let mut err = Vec::new();
        let mut surroundings = Surroundings {
            environment: std::collections::BTreeMap::new(),
            stdin: &mut io::empty(),
            stdout: &mut Closed(kind),
            stderr: &mut err,
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            ambient: Ambient::system(),
            pause: |_| {},
        };
        let args = ["waypost", "keys", "generate"].map(Into::into);
        let code = run_in(args, &mut surroundings, |_| ExitCode::SUCCESS);
        assert_eq!(
            (code, String::from_utf8(err).expect("UTF-8").as_str()),
            (ExitCode::FAILURE, told)
        );
    }
}
