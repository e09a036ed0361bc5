use std::sync::atomic::{AtomicUsize, Ordering};

use pollster::block_on;
use serde_json::{Value, json};
use waypost_wire::codec::decode;
use waypost_wire::record::LinkState as RecordState;

use super::*;
use crate::ambient::{Draws, SeededEntropy};
use crate::codes::Sequence;
use crate::counting::close::close_due;
use crate::model::Block;
use crate::seams::Use;
use crate::testing::{MemoryHost, Published, service};

const NOW: Timestamp = Timestamp(1_795_244_400_000);

fn tested() -> Service<MemoryHost> {
    service(MemoryHost::new(NOW)).unwrap()
}

fn create(
    service: &Service<MemoryHost>,
    body: &Value,
    key: Option<&str>,
) -> Result<Creation, Problem> {
    let mut draws = Draws::new(service.host.ambient());
    let body = body.to_string();
    block_on(service.create(body.as_bytes(), key.map(str::to_owned), &mut draws, NOW))
}

fn created(service: &Service<MemoryHost>, fields: Value) -> Link {
    let mut body = json!({"destination": "https://example.com/"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let made = create(service, &body, None).unwrap();
    stored(service, &made.slug).unwrap().link
}

fn stored(service: &Service<MemoryHost>, slug: &str) -> Option<StoredLink> {
    block_on(service.host.links.link(&service.key("s.example", slug))).unwrap()
}

fn update(service: &Service<MemoryHost>, slug: &str, body: &Value) -> Result<Link, Problem> {
    let mut draws = Draws::new(service.host.ambient());
    let (key, body) = (service.key("s.example", slug), body.to_string());
    block_on(service.update(&key, body.as_bytes(), &Expected::Any, &mut draws, NOW))
}

#[test]
fn a_new_link_is_stored_and_published_with_its_record() {
    let service = tested();
    let link = created(&service, json!({}));
    let stored = stored(&service, &link.slug).unwrap();
    assert_eq!((link.version, link.created_at, link.updated_at), (1, NOW, NOW));
    assert_eq!(link.slug.len(), 8);
    let record = decode(&stored.record).unwrap();
    assert_eq!((record.id, record.version, record.state), (link.id.0, 1, RecordState::Live));
    let published = Published::Changed { key: stored.key, version: 1, record: stored.record };
    assert_eq!(service.host.records.take(), [published]);
}

#[test]
fn a_taken_code_is_drawn_again_and_not_for_ever() {
    let mut service = tested();
    let mut slugs = Vec::new();
    for _ in 0..8 {
        // The same randomness draws the same codes, in the same order.
        service.host.ambient.entropy = SeededEntropy::new(9);
        slugs.push(created(&service, json!({})).slug);
    }
    let mut distinct = slugs.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 8);
    service.host.ambient.entropy = SeededEntropy::new(9);
    let problem =
        create(&service, &json!({"destination": "https://example.com/"}), None).unwrap_err();
    assert_eq!(problem.kind, Kind::Internal);
    assert_eq!(problem.log.as_deref(), Some("8 codes in a row were taken on s.example"));
}

#[test]
fn sequence_codes_come_from_leased_blocks() {
    let base = tested();
    let ids = Snowflake::new(0, 0, 0).unwrap();
    let codes = Strategy::Sequence(Sequence::new(*b"sixteen byte key"));
    let service = Service::new(base.host, base.policy, base.rules, base.settings, ids, codes);
    let (one, two) = (created(&service, json!({})), created(&service, json!({})));
    assert_eq!((one.slug.len(), two.slug.len()), (6, 6));
    assert_ne!(one.slug, two.slug);
    assert_eq!(block_on(service.host.links.lease("codes", 1)), Ok(1_000));
}

#[test]
fn ids_rise_even_if_time_stands_still_or_goes_back_a_little() {
    let service = tested();
    let ids: Vec<LinkId> =
        (0..10_000).map(|n| block_on(service.link_id(NOW.plus_ms(-(n % 7)))).unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let problem = block_on(service.link_id(NOW.plus_ms(-60_000))).unwrap_err();
    assert_eq!((problem.kind, problem.retry_after_seconds), (Kind::Unavailable, Some(60)));
}

#[test]
fn one_idempotency_key_makes_one_link_however_many_ask_at_once() {
    for round in 0..50 {
        let service = tested();
        let key = format!("k:{round}");
        let body = json!({"destination": "https://example.com/", "title": "once"});
        let answers: Vec<Creation> = std::thread::scope(|scope| {
            let ask = || create(&service, &body, Some(&key)).unwrap();
            let asking: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let listed = block_on(service.list(&Default::default(), NOW)).unwrap();
        assert_eq!(listed.links.len(), 1);
        assert_eq!(service.host.records.take().len(), 1);
    }
}

#[test]
fn a_key_is_bound_to_its_body_for_a_day() {
    let service = tested();
    let first =
        create(&service, &json!({"destination": "https://example.com/1"}), Some("k")).unwrap();
    let other = json!({"destination": "https://example.com/2"});
    let problem = create(&service, &other, Some("k")).unwrap_err();
    assert_eq!(problem.kind, Kind::IdempotencyKeyReused);
    assert_ne!(create(&service, &other, Some("k2")).unwrap().slug, first.slug);
    let a_day_later = NOW.plus_ms(24 * 60 * 60 * 1_000);
    let mut draws = Draws::new(service.host.ambient());
    let body = other.to_string();
    let key = Some("k".to_owned());
    let later = block_on(service.create(body.as_bytes(), key, &mut draws, a_day_later)).unwrap();
    assert_ne!(later.slug, first.slug);
}

#[test]
fn of_two_creations_of_one_slug_one_wins() {
    for _ in 0..50 {
        let service = tested();
        let body = json!({"destination": "https://example.com/", "slug": "one"});
        let results: Vec<_> = std::thread::scope(|scope| {
            let asking: Vec<_> =
                (0..4).map(|_| scope.spawn(|| create(&service, &body, None))).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        let problems = results.iter().filter_map(|result| result.as_ref().err());
        assert!(problems.clone().all(|problem| problem.kind == Kind::SlugTaken));
    }
}

#[test]
fn concurrent_changes_all_happen() {
    for _ in 0..20 {
        let service = tested();
        created(&service, json!({"slug": "one"}));
        let patches = [
            json!({"title": "t"}),
            json!({"notes": "n"}),
            json!({"status": 307}),
            json!({"keep": true}),
            json!({"external_id": "e"}),
            json!({"max_clicks": 3}),
        ];
        std::thread::scope(|scope| {
            for patch in &patches {
                scope.spawn(|| update(&service, "one", patch).unwrap());
            }
        });
        let link = stored(&service, "one").unwrap().link;
        assert_eq!(link.version, 7);
        assert_eq!((link.title.as_deref(), link.notes.as_deref()), (Some("t"), Some("n")));
        assert_eq!((link.status, link.keep, link.max_clicks), (307, true, Some(3)));
        assert_eq!(link.external_id.as_deref(), Some("e"));
    }
}

#[test]
fn of_two_changes_to_one_version_one_wins() {
    for _ in 0..50 {
        let service = tested();
        created(&service, json!({"slug": "one"}));
        let won = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for title in ["a", "b", "c"] {
                let (service, won) = (&service, &won);
                scope.spawn(move || {
                    let (key, body) = (service.key("s.example", "one"), json!({"title": title}));
                    let mut draws = Draws::new(service.host.ambient());
                    let only = Expected::OneOf(vec![1]);
                    let body = body.to_string();
                    match block_on(service.update(&key, body.as_bytes(), &only, &mut draws, NOW)) {
                        Ok(_) => won.fetch_add(1, Ordering::SeqCst),
                        Err(problem) => {
                            assert_eq!(problem.kind, Kind::VersionMismatch);
                            0
                        }
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 1);
        assert_eq!(stored(&service, "one").unwrap().link.version, 2);
    }
}

#[test]
fn passwords_are_stored_as_hashes_and_a_new_one_ends_old_cookies() {
    let service = tested();
    let link = created(&service, json!({"slug": "one", "password": "open sesame"}));
    assert_eq!(link.password_version, 1);
    assert!(link.password_hash.as_deref().unwrap().starts_with("$argon2id$"));
    let same = update(&service, "one", &json!({"title": "t"})).unwrap();
    assert_eq!((same.password_version, &same.password_hash), (1, &link.password_hash));
    let new = update(&service, "one", &json!({"password": "open sesame"})).unwrap();
    assert_eq!(new.password_version, 2);
    assert_ne!(new.password_hash, link.password_hash);
    let none = update(&service, "one", &json!({"password": null})).unwrap();
    assert_eq!((none.password_version, none.password_hash), (3, None));
}

#[test]
fn a_challenge_is_met_by_the_right_password_of_a_working_link_only() {
    let service = tested();
    created(&service, json!({"slug": "one", "password": "open sesame"}));
    created(&service, json!({"slug": "bare"}));
    let answer = |slug: &str, given: &str| {
        let challenge = block_on(service.challenge(&service.key("s.example", slug), NOW)).unwrap();
        challenge.answer(given).unwrap()
    };
    assert_eq!(answer("one", "open sesame"), Some(1));
    assert_eq!(answer("one", "Open sesame"), None);
    assert_eq!(answer("bare", ""), None);
    assert_eq!(answer("unknown", "open sesame"), None);
    update(&service, "one", &json!({"disabled": true})).unwrap();
    assert_eq!(answer("one", "open sesame"), None);
}

#[test]
fn uses_are_given_exactly_as_often_as_allowed() {
    for _ in 0..20 {
        let service = tested();
        let id = created(&service, json!({"slug": "one", "max_clicks": 10})).id;
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..4 {
                        if block_on(service.take_use(id, NOW)).unwrap() != Use::Exhausted {
                            taken.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 10);
        let stored = stored(&service, "one").unwrap();
        assert!(stored.link.used_up && decode(&stored.record).unwrap().used_up);
        assert_eq!(stored.link.version, 2);
    }
}

#[test]
fn a_raised_limit_gives_the_difference() {
    let service = tested();
    let id = created(&service, json!({"slug": "one", "max_clicks": 1})).id;
    let take = || block_on(service.take_use(id, NOW)).unwrap();
    assert_eq!((take(), take()), (Use::Taken { left: 0 }, Use::Exhausted));
    assert!(!update(&service, "one", &json!({"max_clicks": 3})).unwrap().used_up);
    assert_eq!(take(), Use::Taken { left: 1 });
    // Whoever saw the old limit reached comes too late to say so.
    block_on(service.mark_used_up(id, 1, NOW)).unwrap();
    assert!(!stored(&service, "one").unwrap().link.used_up);
    assert_eq!((take(), take()), (Use::Taken { left: 0 }, Use::Exhausted));
    update(&service, "one", &json!({"max_clicks": null})).unwrap();
    assert_eq!(take(), Use::Taken { left: u64::MAX });
}

#[test]
fn what_is_not_there_gives_no_use() {
    let service = tested();
    assert_eq!(block_on(service.take_use(LinkId(5), NOW)), Ok(Use::Exhausted));
    let id = created(&service, json!({"slug": "one", "max_clicks": 5})).id;
    block_on(service.delete(&service.key("s.example", "one"), &Expected::Any, NOW)).unwrap();
    assert_eq!(block_on(service.take_use(id, NOW)), Ok(Use::Exhausted));
}

#[test]
fn a_block_reaches_the_record_and_can_be_lifted() {
    let service = tested();
    created(&service, json!({"slug": "one"}));
    let key = service.key("s.example", "one");
    for (block, state) in [
        (Some(Block::Legal), RecordState::BlockedLegal),
        (Some(Block::Abuse), RecordState::BlockedAbuse),
        (None, RecordState::Live),
    ] {
        block_on(service.block(&key, block, &Expected::Any, NOW)).unwrap();
        let record = stored(&service, "one").unwrap().record;
        assert_eq!(decode(&record).unwrap().state, state);
    }
}

#[test]
fn a_link_that_takes_a_deleted_ones_slug_takes_its_statistics_away() {
    let service = tested();
    let old = created(&service, json!({"slug": "one"}));
    block_on(service.host.follow(1, old.id, NOW, 3)).unwrap();
    block_on(service.delete(&service.key("s.example", "one"), &Expected::Any, NOW)).unwrap();
    let new = created(&service, json!({"slug": "one", "override_quarantine": true}));
    assert_ne!(new.id, old.id);
    // Clicks under way when the slug changed hands do not come back when their window closes.
    block_on(close_due(&service.host.counters, NOW.plus_ms(3_600_000))).unwrap();
    assert_eq!(block_on(service.clicks(&[old.id, new.id])), Ok(vec![0, 0]));
}

#[test]
fn keys_of_domains_fold_case_where_the_domain_does() {
    let service = tested();
    assert_eq!(service.key("S.Example", "aB").as_str(), "s.example/aB");
    assert_eq!(service.key("CI.example", "aB").as_str(), "ci.example/ab");
    assert_eq!(service.key("Gone.example", "aB").as_str(), "gone.example/aB");
}

#[test]
fn permanent_redirects_take_as_long_as_visitors_may_remember_them() {
    let service = tested();
    for (status, seconds) in [(301, 90), (302, 0), (307, 0), (308, 90)] {
        let link = created(&service, json!({"status": status}));
        let view = serde_json::to_value(service.view(&link, 7, NOW)).unwrap();
        assert_eq!(view["edits_visible_within_seconds"], json!(seconds), "{status}");
        assert_eq!(view["clicks"], json!(7));
    }
}

/// A host spawns these futures.
#[test]
fn futures_of_a_host_that_is_send_are_send() {
    fn send<T: Send>(future: T) -> T {
        future
    }
    let service = tested();
    let key = service.key("s.example", "one");
    assert!(block_on(send(service.read(&key))).is_err());
    assert_eq!(block_on(send(service.take_use(LinkId(1), NOW))), Ok(Use::Exhausted));
    let mut draws = Draws::new(service.host.ambient());
    assert!(block_on(send(service.create(b"", None, &mut draws, NOW))).is_err());
    assert!(block_on(send(service.update(&key, b"", &Expected::Any, &mut draws, NOW))).is_err());
}
