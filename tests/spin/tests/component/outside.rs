//! Calls that go out and come to nothing.

use waypost_tests_spin::origin::Manner;
use waypost_wire::record::LinkRecord;

use crate::bench::{Bench, KEPT, keep, link, store, world};

/// Every manner of failing, and what the log has of it.
const FAILURES: [(Manner, &str); 5] = [
    (Manner::Refuses, "ErrorCode::ConnectionRefused"),
    (Manner::Denied, "ErrorCode::HttpRequestDenied"),
    (Manner::Hangs, "no answer in 30 ms"),
    (Manner::Stranger, ""),
    (Manner::Forges, ""),
];

/// Only who hangs is given little time: whoever answers may take as long as the machine needs.
fn settings(manner: Manner) -> [(&'static str, &'static str); 1] {
    let timeout_ms = if manner == Manner::Hangs { "30" } else { "4500" };
    [("waypost_origin_timeout_ms", timeout_ms)]
}

#[tokio::test]
async fn an_origin_that_cannot_be_asked_never_makes_a_link_unknown() {
    for (manner, log) in FAILURES {
        let world = world(&settings(manner));
        keep(&world, "new", &link(2, "https://example.com/new"));
        world.origin.known().manner = manner;
        let bench = Bench::start(world, KEPT).await;
        let answer = bench.send("GET /new").await;
        let retry_after = answer.header("retry-after");
        assert_eq!((answer.status, retry_after), (503, Some("5")), "{manner:?}");
        assert_eq!(bench.send("GET /abc").await.status, 302, "{manner:?}");
        let written = bench.world.log();
        assert!(written.contains(log), "{manner:?}: {written}");
        assert_eq!(bench.world.instances(), 1, "{manner:?}");
        if manner == Manner::Hangs {
            continue;
        }
        bench.world.origin.known().manner = Manner::Right;
        let answer = bench.send("GET /new").await;
        assert_eq!(answer.header("location"), Some("https://example.com/new"), "{manner:?}");
    }
}

#[tokio::test]
async fn no_use_is_taken_and_no_password_is_right_unless_the_origin_says_so() {
    for (manner, _) in FAILURES {
        let world = world(&settings(manner));
        store(&world, "few", &LinkRecord { limited: true, ..link(2, "https://example.com/few") });
        let locked = link(3, "https://example.com/locked");
        store(&world, "locked", &LinkRecord { password_version: Some(1), ..locked });
        world.origin.known().manner = manner;
        let bench = Bench::start(world, KEPT).await;
        assert_eq!(bench.send("GET /few").await.status, 503, "{manner:?}");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = bench.send_with("POST /locked", &form, b"password=sesame").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (503, None), "{manner:?}");
    }
}

#[tokio::test]
async fn the_address_of_the_origin_may_have_a_path() {
    let world = world(&[("waypost_origin_url", "https://api.example/stage")]);
    let bench = Bench::start(world, KEPT).await;
    // The origin of these tests does not answer there; what counts is that it was asked.
    assert_eq!(bench.send("GET /new").await.status, 503);
    assert!(bench.world.origin.known().requests > 0);
}
