use std::process::ExitCode;

use crate::stub::{Answer, Stub};
use crate::waypost::Waypost;

#[test]
fn a_new_key_is_all_of_the_result() {
    let answer = r#"{"id":"7Kd02mXpQa","name":"ci","role":"editor","secret":"wp_secret"}"#;
    let stub = Stub::answers([(); 3].map(|()| Answer::new(201, answer)));
    let done = Waypost::calling(&stub).run(&["keys", "create", "--name", "ci", "--role", "editor"]);
    assert_eq!((done.code, done.out.as_str()), (ExitCode::SUCCESS, "wp_secret\n"));
    assert_eq!(done.err, "key 7Kd02mXpQa is made; this is the only time it is shown:\n");
    let out = Waypost::calling(&stub).run(&["keys", "create", "--name", "x", "--json"]).quietly();
    assert_eq!(out, format!("{answer}\n"));
    let args = ["keys", "create", "--name", "y", "--requests-per-minute", "0", "--json"];
    Waypost::calling(&stub).run(&args).quietly();
    let bodies: Vec<String> = stub.requests().into_iter().map(|request| request.body).collect();
    let expected = [
        r#"{"name":"ci","role":"editor"}"#,
        r#"{"name":"x","role":"viewer"}"#,
        r#"{"name":"y","requests_per_minute":0,"role":"viewer"}"#,
    ];
    assert_eq!(bodies, expected);
    assert_eq!(stub.requests()[0].line, "POST /api/v1/keys");
}

#[test]
fn roles_are_known_before_anything_is_sent() {
    let stub = Stub::answers([]);
    let err = Waypost::calling(&stub)
        .run(&["keys", "create", "--name", "x", "--role", "owner"])
        .refused(2);
    assert!(err.contains("viewer, editor, admin"), "{err}");
    assert!(stub.requests().is_empty());
}

#[test]
fn keys_are_listed_without_secrets() {
    let answer = r#"{"data":[
        {"id":"a","name":"admin","role":"admin","created_at":"2026-11-20T07:00:00Z","last_used_at":null,"revoked_at":null},
        {"id":"c","name":"import","role":"editor","requests_per_minute":0,"created_at":"2026-11-20T08:00:00Z","last_used_at":null,"revoked_at":null},
        {"id":"b","name":"ci","role":"editor","requests_per_minute":100,"created_at":"2026-11-21T07:00:00Z","last_used_at":"2026-11-21T07:30:00Z","revoked_at":"2026-11-21T08:00:00Z"}
    ],"next_cursor":null}"#;
    let stub = Stub::answers([Answer::new(200, answer)]);
    let out = Waypost::calling(&stub).run(&["keys", "list"]).quietly();
    assert_eq!(
        out,
        "ID  NAME    ROLE    PER MINUTE  CREATED               LAST USED             REVOKED\n\
         a   admin   admin   default     2026-11-20T07:00:00Z  never\n\
         c   import  editor  no limit    2026-11-20T08:00:00Z  never\n\
         b   ci      editor  100         2026-11-21T07:00:00Z  2026-11-21T07:30:00Z  2026-11-21T08:00:00Z\n"
    );
    assert_eq!(stub.texts(), ["GET /api/v1/keys\nauthorization: Bearer k"]);
}

#[test]
fn keys_are_revoked_by_id() {
    let stub = Stub::answers([Answer::new(204, "")]);
    let out = Waypost::calling(&stub).run(&["keys", "revoke", "a b/c"]).quietly();
    assert_eq!(out, "key a b/c is revoked\n");
    assert_eq!(stub.texts(), ["DELETE /api/v1/keys/a%20b%2Fc\nauthorization: Bearer k"]);
}

#[test]
fn a_generated_key_is_one_a_server_takes() {
    let generate = || Waypost::new().run(&["keys", "generate"]).quietly();
    let (first, second) = (generate(), generate());
    assert!(waypost_service::keys::hash(first.trim_end()).is_some(), "{first}");
    assert_ne!(first, second);
}
