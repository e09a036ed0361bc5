use std::process::ExitCode;

use serde_json::json;

use crate::stub::{Answer, Stub};
use crate::waypost::Waypost;

const ARGS: [&str; 5] =
    ["recount", "--from", "2026-11-01T02:30:00+02:00", "--until", "2026-11-03T05:10:00Z"];

fn slice(from: &str, until: &str, hours: u64, changed: u64) -> Answer {
    let report = json!({"from": from, "until": until, "hours": hours, "changed_windows": changed,
        "gone_hours": 2, "not_possible_hours": 1});
    Answer::new(200, report.to_string())
}

fn stub() -> Stub {
    Stub::answers([
        slice("2026-11-03T00:00:00Z", "2026-11-03T06:00:00Z", 6, 5),
        slice("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", 24, 0),
        slice("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", 24, 1_229),
    ])
}

#[test]
fn recount_goes_day_by_day_and_adds_up() {
    let stub = stub();
    let out = Waypost::calling(&stub).run(&ARGS).quietly();
    assert_eq!(
        out,
        "from 2026-11-01T00:00:00Z until 2026-11-03T06:00:00Z\n\
         \n\
         COUNT  WHAT\n   \
         54  hours asked for\n\
         1 234  windows of ten minutes changed\n    \
         6  hours left as they are: their raw clicks are deleted\n    \
         3  hours left as they are: not closed, or kept by day\n"
    );
    let requests = stub.requests();
    assert!(requests.iter().all(|request| request.line == "POST /api/v1/stats/recount"));
    let bodies: Vec<String> = requests.into_iter().map(|request| request.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"from":"2026-11-03T00:00:00Z","until":"2026-11-03T05:10:00Z"}"#,
            r#"{"from":"2026-11-02T00:00:00Z","until":"2026-11-03T00:00:00Z"}"#,
            r#"{"from":"2026-11-01T00:00:00Z","until":"2026-11-02T00:00:00Z"}"#,
        ]
    );
}

#[test]
fn programs_get_a_recount_as_one_report() {
    let out = Waypost::calling(&stub()).run(&[&ARGS[..], &["--json"]].concat()).quietly();
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        report,
        json!({"from": "2026-11-01T00:00:00Z", "until": "2026-11-03T06:00:00Z", "hours": 54,
            "changed_windows": 1_234, "gone_hours": 6, "not_possible_hours": 3})
    );
}

#[test]
fn a_recount_that_is_refused_stops() {
    let problem = json!({"type": "x", "title": "Invalid", "detail": "/until: is in the future"});
    let stub = Stub::answers([Answer::new(422, problem.to_string())]);
    let done = Waypost::calling(&stub).run(&ARGS);
    assert_eq!((done.code, done.out.as_str()), (ExitCode::FAILURE, ""));
    assert!(done.err.contains("/until: is in the future"), "{}", done.err);
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn a_recount_without_a_span_asks_nobody() {
    let stub = Stub::answers([]);
    for (from, until, why) in [
        ("2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z", "--from is not before --until"),
        ("2026-11-02", "2026-11-03T00:00:00Z", "expected a time like 2026-11-01T00:00:00Z"),
    ] {
        let args = ["recount", "--from", from, "--until", until];
        let err = Waypost::calling(&stub).run(&args).refused(2);
        assert!(err.contains(why), "{err}");
    }
    assert_eq!(stub.texts(), [""; 0]);
}
