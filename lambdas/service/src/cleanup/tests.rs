use pollster::block_on;
use serde_json::{Value, json};
use waypost_wire::codec::decode;
use waypost_wire::record::LinkState as RecordState;

use super::*;
use crate::ambient::Draws;
use crate::counting::close::close_due;
use crate::keys::KeyStore;
use crate::links::Expected;
use crate::model::{Block, LinkState};
use crate::testing::{MemoryHost, Published, service};

const START: Timestamp = Timestamp(1_795_244_400_000);

fn day(days: i64) -> Timestamp {
    START.plus_ms(days * DAY_MS)
}

fn tested() -> Service<MemoryHost> {
    service(MemoryHost::new(START)).unwrap()
}

fn created(service: &Service<MemoryHost>, slug: &str, fields: Value) -> Link {
    let mut body = json!({"destination": "https://example.com/", "slug": slug});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut draws = Draws::new(service.host.ambient());
    let key = Some(format!("k:{slug}"));
    block_on(service.create(body.to_string().as_bytes(), key, &mut draws, START)).unwrap();
    service.host.records.take();
    stored(service, slug).unwrap().link
}

fn stored(service: &Service<MemoryHost>, slug: &str) -> Option<StoredLink> {
    block_on(service.host.links.link(&service.key("s.example", slug))).unwrap()
}

fn options() -> Options {
    Options {
        dry_run: false,
        per_second_max: NonZeroU32::new(1_000_000).unwrap(),
        links_max: None,
        start: Cursor::default(),
    }
}

fn cleaned(service: &Service<MemoryHost>, now: Timestamp) -> Report {
    block_on(run(service, &options(), now, |_| {})).unwrap()
}

/// A report of a run to the end.
fn report() -> Report {
    Report { raw_batches: Some(0), idempotency_keys: Some(0), salts: Some(0), ..Report::default() }
}

/// Switches off what a test is not about.
fn without_unused(mut service: Service<MemoryHost>) -> Service<MemoryHost> {
    service.settings.retention.unused_after_days = None;
    service
}

#[test]
fn an_expired_link_becomes_a_tombstone_and_in_the_end_nothing() {
    let service = without_unused(tested());
    let link = created(&service, "one", json!({"expires_at": "2026-11-22T07:00:00Z"}));
    block_on(service.host.follow(7, link.id, START, 3)).unwrap();
    assert_eq!(cleaned(&service, day(1).plus_ms(-1)), report());
    let found = Report { settled: 1, expired: 1, idempotency_keys: Some(1), ..report() };
    assert_eq!(cleaned(&service, day(1)), found);
    let tombstone = stored(&service, "one").unwrap();
    assert_eq!(tombstone.link.deleted_at, Some(day(1)));
    assert_eq!(tombstone.link.quarantine_until, Some(day(91)));
    assert_eq!(tombstone.link.version, 2);
    // It answers 410 as long as the record says so.
    assert_eq!(decode(&tombstone.record).unwrap().state, RecordState::Deleted);
    let key = tombstone.key.clone();
    let published = Published::Changed { key: key.clone(), version: 2, record: tombstone.record };
    assert_eq!(service.host.records.take(), [published]);
    block_on(close_due(&service.host.counters, day(2))).unwrap();
    assert_eq!(cleaned(&service, day(40)), Report { raw_batches: Some(1), ..report() });
    assert_eq!(block_on(service.clicks(&[link.id])), Ok(vec![3]));
    assert_eq!(cleaned(&service, day(91).plus_ms(-1)), report());
    assert!(stored(&service, "one").is_some());
    assert_eq!(cleaned(&service, day(91)), Report { purged: 1, ..report() });
    assert_eq!(stored(&service, "one"), None);
    assert_eq!(service.host.records.take(), [Published::Removed { key }]);
    assert_eq!(block_on(service.clicks(&[link.id])), Ok(vec![0]));
    assert_eq!(cleaned(&service, day(91)), report());
}

#[test]
fn expired_links_stay_as_long_as_they_are_given() {
    let mut service = without_unused(tested());
    service.settings.retention.expired_grace_days = 5;
    created(&service, "one", json!({"expires_at": "2026-11-22T07:00:00Z"}));
    assert_eq!(cleaned(&service, day(6).plus_ms(-1)).expired, 0);
    assert_eq!(cleaned(&service, day(6)).expired, 1);
}

#[test]
fn unused_links_go_unless_marked_or_blocked_or_not_started() {
    let service = tested();
    for (slug, fields) in [
        ("plain", json!({})),
        ("kept", json!({"keep": true})),
        ("blocked", json!({})),
        ("later", json!({"starts_at": "2027-06-01T00:00:00Z"})),
        ("started", json!({"starts_at": "2026-11-25T00:00:00Z"})),
    ] {
        created(&service, slug, fields);
    }
    let blocked = service.key("s.example", "blocked");
    block_on(service.block(&blocked, Some(Block::Legal), &Expected::Any, START)).unwrap();
    // The first run also finds out that `started` has.
    let found = Report { settled: 1, idempotency_keys: Some(5), ..report() };
    assert_eq!(cleaned(&service, day(182).plus_ms(-1)), found);
    assert_eq!(cleaned(&service, day(182)), Report { unused: 1, kept: 3, ..report() });
    // `started` has been there for others to follow since its start only.
    assert_eq!(cleaned(&service, day(186)), Report { unused: 1, kept: 2, ..report() });
    let deleted = |slug: &str| stored(&service, slug).unwrap().link.deleted_at;
    assert_eq!(deleted("plain"), Some(day(182)));
    assert_eq!(deleted("started"), Some(day(186)));
    for slug in ["kept", "blocked", "later"] {
        assert_eq!(deleted(slug), None, "{slug}");
    }
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    let service = tested();
    for slug in ["a", "b", "c"] {
        created(&service, slug, json!({"expires_at": "2026-11-22T07:00:00Z"}));
    }
    created(&service, "d", json!({}));
    let dry = Options { dry_run: true, ..options() };
    let told = block_on(run(&service, &dry, day(200), |_| {})).unwrap();
    let expected = Report { dry_run: true, settled: 3, expired: 3, unused: 1, ..Report::default() };
    assert_eq!(told, expected);
    assert_eq!(service.host.ambient.paused_ms(), 0);
    assert_eq!(service.host.records.take(), []);
    for slug in ["a", "b", "c", "d"] {
        assert_eq!(stored(&service, slug).unwrap().link.version, 1);
    }
    let found = Report { settled: 3, expired: 3, unused: 1, idempotency_keys: Some(4), ..report() };
    assert_eq!(cleaned(&service, day(200)), found);
}

#[test]
fn slices_and_a_lost_cursor_come_to_the_same_end() {
    let slugs: Vec<String> = (0..25).map(|n| format!("link-{n}")).collect();
    for lose_the_cursor in [false, true] {
        let service = without_unused(tested());
        for slug in &slugs {
            created(&service, slug, json!({"expires_at": "2026-11-22T07:00:00Z"}));
        }
        let (mut start, mut slices, mut expired) = (Cursor::default(), 0, 0);
        loop {
            let slice = Options { links_max: Some(7), start, ..options() };
            let report = block_on(run(&service, &slice, day(2), |_| {})).unwrap();
            assert_eq!(report.idempotency_keys, report.next_cursor.is_none().then_some(25));
            slices += 1;
            expired += report.expired;
            let Some(next) = report.next_cursor else { break };
            start = if lose_the_cursor { Cursor::default() } else { next.parse().unwrap() };
        }
        // 25 to settle and 25 to delete, 7 at a time.
        assert_eq!((slices, expired), (8, 25), "{lose_the_cursor}");
        for slug in &slugs {
            let link = stored(&service, slug).unwrap().link;
            assert_eq!((link.version, link.deleted_at), (2, Some(day(2))));
        }
    }
}

#[test]
fn links_are_worked_through_in_batches_at_the_rate() {
    let service = without_unused(tested());
    for n in 0..2_500 {
        created(&service, &format!("link-{n}"), json!({"expires_at": "2026-11-22T07:00:00Z"}));
    }
    let slow = Options { per_second_max: NonZeroU32::new(500).unwrap(), ..options() };
    let mut seen = Vec::new();
    let report = block_on(run(&service, &slow, day(2), |report| {
        seen.push((report.settled, report.expired));
    }))
    .unwrap();
    let batches =
        [(1_000, 0), (2_000, 0), (2_500, 0), (2_500, 1_000), (2_500, 2_000), (2_500, 2_500)];
    assert_eq!(seen[..6], batches);
    assert_eq!(report.idempotency_keys, Some(2_500));
    // 7,500 writes at 500 a second.
    assert_eq!(service.host.ambient.paused_ms(), 15_000);
}

#[test]
fn records_are_compiled_anew_before_their_time_zones_run_out() {
    let service = without_unused(tested());
    let rules = json!([{"when": {"time": {"zone": "Europe/Berlin", "from": "09:00"}},
        "destination": "https://example.com/day"}]);
    created(&service, "one", json!({"rules": rules, "keep": true}));
    let before = stored(&service, "one").unwrap();
    let at = before.recompile_at.unwrap();
    assert_eq!(cleaned(&service, at.plus_ms(-1)).recompiled, 0);
    assert_eq!(cleaned(&service, at).recompiled, 1);
    let after = stored(&service, "one").unwrap();
    assert_eq!((after.link.version, &after.link.rules), (2, &before.link.rules));
    assert!(after.recompile_at > Some(at));
    assert_ne!(after.record, before.record);
    assert_eq!(cleaned(&service, at).recompiled, 0);
}

#[test]
fn lists_learn_of_links_that_start_and_end_by_themselves() {
    let service = without_unused(tested());
    let times = json!({"starts_at": "2026-11-23T00:00:00Z", "expires_at": "2026-12-01T00:00:00Z"});
    let link = created(&service, "one", times);
    assert_eq!(link.state(START), LinkState::Scheduled);
    assert_eq!(cleaned(&service, day(3)).settled, 1);
    assert_eq!(cleaned(&service, day(3)).settled, 0);
    let done = cleaned(&service, day(20));
    assert_eq!((done.settled, done.expired), (1, 1));
}

#[test]
fn a_link_that_cannot_be_compiled_does_not_stop_the_others() {
    let service = without_unused(tested());
    created(&service, "one", json!({"expires_at": "2026-11-22T07:00:00Z"}));
    let mut damaged = stored(&service, "one").unwrap();
    damaged.link = Link { id: LinkId(1), slug: "bad".into(), status: 303, ..damaged.link };
    damaged.key = service.key("s.example", "bad");
    block_on(service.host.links.create(&damaged, None, false, START)).unwrap();
    let report = cleaned(&service, day(2));
    assert_eq!((report.expired, report.faults), (1, 1));
    let example = "link 1 has no record: 303 is no redirect status";
    assert_eq!(report.fault_examples, [example]);
    assert_eq!(stored(&service, "bad").unwrap().link.deleted_at, None);
}

#[test]
fn old_salts_are_forgotten() {
    let service = tested();
    block_on(service.host.counters.salt(day(0), [1; 16])).unwrap();
    block_on(service.host.counters.salt(day(1), [2; 16])).unwrap();
    assert_eq!(cleaned(&service, day(2).plus_ms(-1)).salts, Some(0));
    assert_eq!(cleaned(&service, day(2)).salts, Some(1));
    assert_eq!(block_on(service.host.counters.salt(day(1), [3; 16])), Ok([2; 16]));
}

#[test]
fn nothing_else_is_touched() {
    let service = tested();
    created(&service, "one", json!({}));
    let (key, _) = crate::keys::generate(
        "k".into(),
        crate::keys::Role::Viewer,
        &mut Draws::new(service.host.ambient()),
        START,
    );
    block_on(service.host.keys.insert_key(&key)).unwrap();
    let before = stored(&service, "one");
    assert_eq!(cleaned(&service, START), report());
    assert_eq!(stored(&service, "one"), before);
    assert_eq!(block_on(service.host.keys.list_keys()), Ok(vec![key]));
}

#[test]
fn cursors_round_trip_and_others_are_refused() {
    for text in ["transition", "unused.-5.1a", "quarantine_ended.1795244400000.2LKcb1"] {
        assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    }
    for text in ["", "Unused", "unused.", "unused.1", "unused.1.", "unused.x.1", "unused.1.1.1"] {
        assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
    }
}
