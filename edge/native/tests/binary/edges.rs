//! Edges and the program as their origin.

use serde_json::{Value, json};
use waypost_wire::origin::sign::{HEADER, OriginKey};
use waypost_wire::origin::{Answer as _, Question, Unlocked};
use waypost_wire::time::Timestamp;

use crate::http::{Answer, call, create};
use crate::process::{Installation, Server};

/// What `waypost edge keys` printed, and the key of edges in it.
fn keys(installation: &Installation) -> (String, OriginKey) {
    let printed = installation.run(&["edge", "keys"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let line = String::from_utf8(printed.stdout).expect("text");
    let hex = line.split_whitespace().find_map(|word| word.strip_prefix("origin:"));
    let hex = hex.expect("a key").to_owned();
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex");
    (line.clone(), OriginKey::new(std::array::from_fn(byte)))
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn ask(server: &Server, key: &OriginKey, question: &Question<'_>) -> Answer {
    let (path, body) = (question.path(), question.encode());
    let (signature, mac) = key.sign_question(path, &body, now());
    let answer = server.answer(&call("POST", path).header(HEADER, &signature).body(&body));
    let signature = answer.header(HEADER);
    assert_eq!(key.is_answer(signature, &mac, answer.status, &answer.body), answer.status == 200);
    answer
}

#[test]
fn what_edges_ask_is_logged_and_never_about_what() {
    let mut installation = Installation::new();
    installation.set("WAYPOST_LOG_LEVEL", "trace");
    let server = installation.start();
    let (line, key) = keys(&installation);
    let password = "correct horse battery";
    let link = json!({"destination": "https://example.com/hidden", "slug": "hush-now", "password": password});
    server.api(create(&link)).expect(201);
    let slug = "go.example/hush-now";
    for (given, expected) in [("staple", Unlocked::Wrong), (password, Unlocked::Right)] {
        let client_ip = Some(0xffff_cb00_7109);
        let question = Question::Unlock { key: slug, password: given, client_ip };
        let answer = ask(&server, &key, &question).expect(200);
        assert_eq!(Unlocked::decode(&answer.body), Ok(expected));
    }
    ask(&server, &key, &Question::Resolve { key: slug }).expect(200);
    ask(&server, &OriginKey::new([1; 32]), &Question::Resolve { key: slug }).expect(401);
    ask(&server, &key, &Question::Clicks { batches: vec![b"hush-now"] }).expect(200);
    let log = server.stop().log;
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let told: Vec<String> = events
        .filter(|event| event["question"].is_string())
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("request_id").len(), 16, "{event}");
            assert!(event["duration_ms"].is_number(), "{event}");
            let (question, outcome) = (text("question"), text("outcome"));
            format!("{} {question} {outcome} {}", text("level"), event["status"])
        })
        .collect();
    let wanted = [
        "DEBUG unlock wrong 200",
        "DEBUG unlock right 200",
        "DEBUG resolve found 200",
        "INFO resolve unauthenticated 401",
        "WARN clicks partly-stored 200",
    ];
    assert_eq!(told, wanted);
    let secrets = line.split([' ', ':', '\n']).filter(|word| word.len() > 16);
    let hidden = [password, "staple", "hush-now", "hidden", "203.0.113.9", "s=", "t="];
    for word in secrets.chain(hidden) {
        assert!(!log.contains(word), "{word} is in\n{log}");
    }
}

#[test]
fn keys_stay_the_same_from_start_to_start_and_differ_between_installations() {
    let (one, other) = (Installation::new(), Installation::new());
    let before = one.run(&["edge", "keys"]);
    assert_eq!((before.status.code(), before.stdout.len()), (Some(1), 0));
    one.start().stop();
    let (first, key) = keys(&one);
    let server = one.start();
    assert_eq!(keys(&one).0, first);
    ask(&server, &key, &Question::State).expect(200);
    server.stop();
    other.start().stop();
    assert_ne!(keys(&other).0, first);
}
