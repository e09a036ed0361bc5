//! Counting closed hours again: what a wrong rule left behind is put right.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use waypost_service::counting::close::close_due;
use waypost_service::counting::open::OpenWindows;
use waypost_service::counting::read::{link_totals, rollups};
use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::{CounterStore, Row, WindowRecord};
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_wire::time::Timestamp;

use crate::case::NOW;
use crate::world::{World, run};

const LINK: LinkId = LinkId(7);

/// Minutes after ten o'clock; it is twelve.
fn at(minutes: i64) -> Timestamp {
    NOW.plus_ms((minutes - 120) * 60_000)
}

/// The link's rollups of all hours, and its totals.
fn numbers(world: &World) -> (Vec<Row>, Vec<Totals>) {
    let counters = &world.service.host.counters;
    let open = OpenWindows::new();
    let rows = rollups(counters, &open, Subject::Link(LINK), at(0), NOW, Span::Hour);
    let rows = run(rows).expect("rows");
    (rows, run(link_totals(counters, &open, &[LINK])).expect("totals"))
}

fn record(world: &World, window: Window) -> WindowRecord {
    let found = run(world.service.host.counters.closed_window(window)).expect("an answer");
    found.expect("a closed window")
}

fn recount(world: &World, from: &str, until: &str) -> Value {
    let body = json!({"from": from, "until": until}).to_string();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "/api/v1/stats/recount".parse().expect("a path");
    let bearer = HeaderValue::from_str(&world.bearer("admin")).expect("a header");
    request.headers_mut().insert(AUTHORIZATION, bearer);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = world.ask(request);
    assert_eq!(answer.status().as_u16(), 200);
    serde_json::from_slice(answer.body()).expect("JSON")
}

/// A world with clicks at 10:05, 10:15 and 11:05, closed until 11:10.
fn closed() -> World {
    let world = World::new(NOW);
    let host = &world.service.host;
    for (source, minutes, count) in [(1, 5, 3), (2, 15, 2), (3, 65, 1)] {
        run(host.follow(source, LINK, at(minutes), count)).expect("clicks");
    }
    assert_eq!(run(close_due(&host.counters, at(72))), Ok(3));
    world
}

#[test]
fn wrong_numbers_are_put_right() {
    let world = closed();
    let before = numbers(&world);
    let windows = [0, 10, 60].map(|minutes| Window::of(at(minutes)));
    let records = windows.map(|window| record(&world, window));
    let wrong = WindowRecord { digest: [9; 32], revision: 2, ..records[0] };
    let counters = &world.service.host.counters;
    let rewritten =
        run(counters.rewrite_hour(at(0), &[(windows[0], wrong)], &two_thousand_clicks()));
    assert_eq!(rewritten, Ok(true));
    assert_ne!(numbers(&world), before);

    let answer = |changed: usize, gone: u64, not_possible: u64| {
        json!({
            "from": "2026-06-01T10:00:00Z", "until": "2026-06-01T12:00:00Z", "hours": 2,
            "changed_windows": changed, "gone_hours": gone, "not_possible_hours": not_possible,
        })
    };
    let all = || recount(&world, "2026-06-01T12:20:00+02:00", "2026-06-01T11:00:00.001Z");
    assert_eq!(all(), answer(1, 0, 1), "the hour from 11:00 is not closed");
    assert_eq!(numbers(&world), before);
    let raised = WindowRecord { revision: 3, closed_at: NOW, ..records[0] };
    assert_eq!(
        windows.map(|window| record(&world, window)),
        [raised, records[1], records[2]],
        "only what differed"
    );

    assert_eq!(all(), answer(0, 0, 1), "right already");
    assert_eq!(run(counters.delete_batches(NOW, 10)), Ok(3));
    assert_eq!(all(), answer(0, 1, 1), "the raw clicks are gone");
    assert_eq!(numbers(&world), before);
}

#[test]
fn an_hour_without_clicks_stays_empty() {
    let world = closed();
    let before = numbers(&world);
    let expected = json!({
        "from": "2026-05-31T10:00:00Z", "until": "2026-06-01T10:00:00Z", "hours": 24,
        "changed_windows": 0, "gone_hours": 0, "not_possible_hours": 0,
    });
    assert_eq!(recount(&world, "2026-05-31T10:00:00Z", "2026-06-01T10:00:00Z"), expected);
    assert_eq!(numbers(&world), before);
}

fn two_thousand_clicks() -> Counted {
    let mut counted = Counted::default();
    let mut rollup = Rollup::default();
    rollup.totals.add(waypost_service::counting::classify::Class::Human, 2_000);
    counted.rollups.insert(Subject::Link(LINK), rollup.clone());
    counted.rollups.insert(Subject::Site, rollup);
    counted
}
