use serde_json::json;

use crate::stub::{Answer, Stub};
use crate::waypost::Waypost;

fn statistics() -> String {
    json!({
        "from": "2026-11-20T00:00:00+01:00", "to": "2026-11-22T00:00:00+01:00", "interval": "day",
        "tz": "Europe/Berlin", "resolution": "exact", "complete_until": "2026-11-21T07:00:00+01:00", "fold_under": 5,
        "totals": {"all": 12_345, "human": 12_000, "by_reason": {"bot": 340, "head": 0, "link_preview": 5}},
        "uniques": {"estimate": 8_000, "error_percent": 1.6},
        "series": [
            {"start": "2026-11-20T00:00:00+01:00", "all": 0, "human": 0, "uniques": {"estimate": 0, "error_percent": 0.0}},
            {"start": "2026-11-21T00:00:00+01:00", "all": 12_345, "human": 12_000, "uniques": {"estimate": 8_000, "error_percent": 1.6}},
        ],
        "breakdowns": {
            "country": [
                {"value": "DE", "clicks": 9_000, "share": 0.75},
                {"value": null, "clicks": 2_000, "share": 0.1667, "unknown": true},
                {"value": null, "clicks": 1_000, "share": 0.0833, "folded_values": 7},
            ],
            "destination": [
                {"value": "destination", "clicks": 12_000, "share": 1.0, "present_destination": "https://example.com/"},
            ],
        },
    })
    .to_string()
}

#[test]
fn statistics_of_a_link_are_totals_a_chart_and_tables() {
    let stub = Stub::answers([Answer::new(200, statistics())]);
    let args = [
        "stats",
        "docs/a",
        "--domain",
        "go.example",
        "--from",
        "2026-11-20",
        "--to",
        "2026-11-21T00:00:00+01:00",
        "--interval",
        "day",
        "--tz",
        "Europe/Berlin",
        "--by",
        "country,destination",
        "--by",
        "os",
        "--limit",
        "3",
    ];
    let out = Waypost::calling(&stub).run(&args).quietly();
    assert_eq!(
        out,
        format!(
            "from 2026-11-20T00:00:00+01:00 to 2026-11-22T00:00:00+01:00 (Europe/Berlin), complete until 2026-11-21T07:00:00+01:00\n\
             \n\
             clicks        12 345\n\
             of people     12 000\n\
             visitors      about 8 000 (± 1.6 %)\n\
             bot           340\n\
             link preview  5\n\
             \n\
             DAY         CLICKS  OF PEOPLE  VISITORS\n\
             2026-11-20       0          0         0\n\
             2026-11-21  12 345     12 000     8 000  {bar}\n\
             \n\
             COUNTRY             CLICKS  SHARE\n\
             DE                   9 000  75.0%\n\
             (not known)          2 000  16.7%\n\
             (7 or more others)   1 000   8.3%\n\
             \n\
             DESTINATION  CLICKS   SHARE  LEADS TO\n\
             destination  12 000  100.0%  https://example.com/\n\
             \n\
             Values with fewer than 5 clicks are not told apart.\n",
            bar = "█".repeat(40),
        )
    );
    assert_eq!(
        stub.texts(),
        [
            "GET /api/v1/links/docs%2Fa/stats?domain=go.example&from=2026-11-20&to=2026-11-21T00%3A00%3A00%2B01%3A00\
          &interval=day&tz=Europe%2FBerlin&by=country%2Cdestination%2Cos&limit=3\nauthorization: Bearer k"
        ]
    );
}

#[test]
fn statistics_of_all_links_have_weeks_and_orphans() {
    let mut hours = vec![vec![0; 24]; 7];
    hours[2][8] = 9;
    let uniques = json!({"estimate": 9, "error_percent": 0.0});
    let answer = json!({
        "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "interval": "month", "tz": "UTC",
        "resolution": "exact", "complete_until": "2026-11-21T07:00:00Z", "fold_under": 5,
        "totals": {"all": 9, "human": 9, "by_reason": {}}, "uniques": uniques,
        "series": [{"start": "2026-11-01T00:00:00Z", "all": 9, "human": 9, "uniques": uniques}],
        "breakdowns": {}, "hour_of_week": hours,
        "orphans": {
            "totals": {"all": 8, "human": 6, "by_reason": {"bot": 2}},
            "slugs": [{"value": "wp-login\u{7}", "clicks": 6, "share": 1.0}],
        },
    });
    let stub = Stub::answers([Answer::new(200, answer.to_string())]);
    let out = Waypost::calling(&stub).run(&["stats", "--by", "hour_of_week"]).quietly();
    let nothing = "·".repeat(24);
    assert_eq!(
        out,
        format!(
            "from 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z (UTC), complete until 2026-11-21T07:00:00Z\n\
             \n\
             clicks     9\n\
             of people  9\n\
             visitors   9\n\
             \n\
             MONTH    CLICKS  OF PEOPLE  VISITORS\n\
             2026-11       9          9         9  {bar}\n\
             \n\
             HOUR OF WEEK\n     \
             0     6     12    18\n\
             Mon  {nothing}\n\
             Tue  {nothing}\n\
             Wed  ········█···············\n\
             Thu  {nothing}\n\
             Fri  {nothing}\n\
             Sat  {nothing}\n\
             Sun  {nothing}\n\
             \n\
             visits to addresses that no link has: 8\n\
             \n\
             SLUG       CLICKS   SHARE\n\
             wp-login\u{FFFD}       6  100.0%\n",
            bar = "█".repeat(40),
        )
    );
    assert_eq!(stub.requests()[0].line, "GET /api/v1/stats?by=hour_of_week");
}

#[test]
fn programs_get_statistics_untouched() {
    let stub = Stub::answers([Answer::new(200, statistics())]);
    let out = Waypost::calling(&stub).run(&["stats", "https://go.example/a", "--json"]).quietly();
    assert_eq!(out, format!("{}\n", statistics()));
    assert_eq!(stub.requests()[0].line, "GET /api/v1/links/a/stats?domain=go.example");
}

#[test]
fn the_account_of_clicks_adds_up_for_everyone_to_see() {
    let answer = json!({"at": "2026-11-21T07:00:00Z", "accepted": 10_000, "counted": 9_990, "lost": 7, "in_flight": 3,
        "duplicate": 2, "late": 1, "identity": "accepted = counted + lost + in_flight"});
    let stub = Stub::answers([Answer::new(200, answer.to_string())]);
    let out = Waypost::calling(&stub).run(&["stats", "--integrity"]).quietly();
    assert_eq!(
        out,
        "accepted                          10 000\n\
         = counted                         9 990\n\
         + lost                            7\n\
         + in flight                       3\n\
         duplicate (not counted again)     2\n\
         late (counted in a later window)  1\n\
         as of 2026-11-21T07:00:00Z\n"
    );
    assert_eq!(stub.texts(), ["GET /api/v1/stats/integrity\nauthorization: Bearer k"]);
}

fn cleanup(expired: u64, faults: u64, examples: &[&str], next_cursor: Option<&str>) -> Answer {
    let raw_batches = next_cursor.is_none().then_some(17);
    let report = json!({"dry_run": false, "settled": 1, "recompiled": 0, "expired": expired, "unused": 2, "purged": 3,
        "kept": 0, "skipped": 0, "raw_batches": raw_batches, "idempotency_keys": null, "salts": null,
        "faults": faults, "fault_examples": examples, "next_cursor": next_cursor});
    Answer::new(200, report.to_string())
}

#[test]
fn a_cleanup_goes_on_to_its_end() {
    let stub =
        Stub::answers([cleanup(1_000, 0, &[], Some("expired.1.a")), cleanup(234, 0, &[], None)]);
    let out = Waypost::calling(&stub).run(&["cleanup"]).quietly();
    assert_eq!(
        out,
        "COUNT  WHAT\n\
         1 234  expired links deleted\n    \
         4  unused links deleted\n    \
         6  deleted links gone for good, with their statistics\n    \
         2  links brought into their present state\n   \
         17  batches of raw clicks forgotten\n"
    );
    let bodies: Vec<String> = stub.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [r#"{"dry_run":false}"#, r#"{"cursor":"expired.1.a","dry_run":false}"#]);
    assert_eq!(stub.requests()[0].line, "POST /api/v1/cleanup");
}

#[test]
fn a_cleanup_without_work_says_so() {
    let stub =
        Stub::answers([Answer::new(200, r#"{"expired":0,"salts":null,"next_cursor":null}"#)]);
    let out = Waypost::calling(&stub).run(&["cleanup"]).quietly();
    assert_eq!(out, "There was nothing to clean up.\n");
}

#[test]
fn faults_of_a_cleanup_fail_it() {
    let stub = Stub::answers([
        cleanup(0, 1, &["link a: bad zone"], Some("x")),
        cleanup(0, 1, &["link b: bad zone"], None),
    ]);
    let done = Waypost::calling(&stub).run(&["cleanup"]);
    assert_eq!(done.code, std::process::ExitCode::FAILURE);
    assert_eq!(done.err, "warning: link a: bad zone\nwarning: link b: bad zone\n");
}

#[test]
fn a_dry_run_says_that_nothing_was_done() {
    let stub = Stub::answers([cleanup(1, 0, &[], None)]);
    let out = Waypost::calling(&stub).run(&["cleanup", "--dry-run"]).quietly();
    assert!(out.starts_with("Nothing was done. This is what would be done now:\n"), "{out}");
    assert_eq!(stub.requests()[0].body, r#"{"dry_run":true}"#);
}
