//! What is due.

use waypost_service::model::{Link, LinkId};
use waypost_service::seams::{Due, LinkStore, StoredLink};
use waypost_wire::time::Timestamp;

use super::{NOW, create, deleted, edit, ok, sample, stored};

/// Ids with the time they are due at.
async fn due(store: &impl LinkStore, kind: Due, until: Timestamp) -> Vec<(i64, u64)> {
    let page = ok(store.due(kind, until, None, 1_000).await);
    page.into_iter().map(|(at, stored)| (at.ms_since(NOW), stored.link.id.0)).collect()
}

/// Links are due at their expiry, the moment itself included; deleted ones never.
pub async fn expired_links(store: &impl LinkStore) {
    let expiring = |number, ms| Link { expires_at: Some(NOW.plus_ms(ms)), ..sample(number) };
    create(store, expiring(1, 5)).await;
    create(store, expiring(2, -5)).await;
    create(store, Link { keep: true, disabled: true, ..expiring(3, 0) }).await;
    create(store, Link { expires_at: Some(NOW), ..deleted(4) }).await;
    create(store, sample(5)).await;
    assert_eq!(due(store, Due::Expired, NOW.plus_ms(-6)).await, []);
    assert_eq!(due(store, Due::Expired, NOW).await, [(-5, 2), (0, 3)]);
    assert_eq!(due(store, Due::Expired, Timestamp(i64::MAX)).await, [(-5, 2), (0, 3), (5, 1)]);
}

/// An edit moves a link to its new time.
pub async fn an_edit_moves_what_is_due(store: &impl LinkStore) {
    let link = create(store, Link { expires_at: Some(NOW), ..sample(1) }).await;
    let link = edit(store, &link, |link| link.expires_at = Some(NOW.plus_ms(7))).await;
    assert_eq!(due(store, Due::Expired, NOW.plus_ms(9)).await, [(7, 1)]);
    let link = edit(store, &link, |link| link.expires_at = None).await;
    assert_eq!(due(store, Due::Expired, NOW.plus_ms(9)).await, []);
    let link = edit(store, &link, |link| link.expires_at = Some(NOW)).await;
    edit(store, &link, |link| {
        link.deleted_at = Some(NOW);
        link.quarantine_until = Some(NOW.plus_ms(1));
    })
    .await;
    assert_eq!(due(store, Due::Expired, NOW.plus_ms(9)).await, []);
    assert_eq!(due(store, Due::QuarantineEnded, NOW.plus_ms(9)).await, [(1, 1)]);
}

/// Deleted links are due when their quarantine ends.
pub async fn ended_quarantines(store: &impl LinkStore) {
    let quarantined =
        |number, ms| Link { quarantine_until: Some(NOW.plus_ms(ms)), ..deleted(number) };
    create(store, quarantined(1, 1)).await;
    create(store, quarantined(2, 0)).await;
    create(store, Link { deleted_at: None, ..quarantined(3, 0) }).await;
    assert_eq!(due(store, Due::QuarantineEnded, NOW.plus_ms(-1)).await, []);
    assert_eq!(due(store, Due::QuarantineEnded, NOW).await, [(0, 2)]);
    assert_eq!(due(store, Due::QuarantineEnded, NOW.plus_ms(1)).await, [(0, 2), (1, 1)]);
}

/// Links are due when their record must be compiled anew, until that is done.
pub async fn recompilations(store: &impl LinkStore) {
    let stale =
        |number, ms| StoredLink { recompile_at: Some(NOW.plus_ms(ms)), ..stored(sample(number)) };
    for link in [stale(1, 3), stale(2, -3), stored(sample(3))] {
        ok(store.create(&link, None, false, NOW).await);
    }
    assert_eq!(due(store, Due::Recompile, NOW).await, [(-3, 2)]);
    let fresh = StoredLink { link: Link { version: 2, ..sample(2) }, ..stale(2, 90) };
    ok(store.update(&fresh, 1).await);
    assert_eq!(due(store, Due::Recompile, NOW).await, []);
    assert_eq!(due(store, Due::Recompile, NOW.plus_ms(90)).await, [(3, 1), (90, 2)]);
}

/// Links are due when their state changes by itself, once per change.
pub async fn transitions(store: &impl LinkStore) {
    let (start, end) = (NOW.plus_ms(10), NOW.plus_ms(20));
    let span = |number| Link { starts_at: Some(start), expires_at: Some(end), ..sample(number) };
    create(store, span(1)).await;
    create(store, Link { deleted_at: Some(NOW), ..span(2) }).await;
    create(store, Link { updated_at: start, ..span(3) }).await;
    create(store, Link { updated_at: end, ..span(4) }).await;
    create(store, sample(5)).await;
    assert_eq!(due(store, Due::Transition, NOW.plus_ms(9)).await, []);
    assert_eq!(due(store, Due::Transition, start).await, [(10, 1)]);
    ok(store.settle(LinkId(1), start).await);
    assert_eq!(due(store, Due::Transition, start).await, []);
    assert_eq!(due(store, Due::Transition, end).await, [(20, 1), (20, 3)]);
    for id in [1, 3, 99] {
        ok(store.settle(LinkId(id), end).await);
    }
    assert_eq!(due(store, Due::Transition, Timestamp(i64::MAX)).await, []);
    // Settling is no edit.
    assert_eq!(store.link_by_id(LinkId(1)).await, Ok(Some(stored(span(1)))));
}

/// Links that nobody follows are due from their creation on, unless they are to be kept.
pub async fn unused_links(store: &impl LinkStore) {
    let made = |number, ms| Link { created_at: NOW.plus_ms(ms), ..sample(number) };
    create(store, made(1, -1)).await;
    create(store, made(2, -2)).await;
    create(store, Link { keep: true, ..made(3, -3) }).await;
    create(store, Link { deleted_at: Some(NOW), ..made(4, -4) }).await;
    let kept = create(store, made(5, -5)).await;
    edit(store, &kept, |link| link.keep = true).await;
    let edited = create(store, made(6, -6)).await;
    edit(store, &edited, |link| link.updated_at = NOW).await;
    assert_eq!(due(store, Due::Unused, NOW.plus_ms(-2)).await, [(-6, 6), (-2, 2)]);
    assert_eq!(due(store, Due::Unused, NOW).await, [(-6, 6), (-2, 2), (-1, 1)]);
}

/// Pages follow each other without gap or repetition, through many links of one time.
pub async fn what_is_due_comes_in_pages(store: &impl LinkStore) {
    let times = [0, 7, 7, 7, -7, 7, 7, 3, 7, 8];
    let mut wanted = Vec::new();
    for (number, ms) in (1..).zip(times) {
        let at = NOW.plus_ms(ms);
        let link = stored(Link { expires_at: Some(at), ..sample(number) });
        ok(store.create(&link, None, false, NOW).await);
        wanted.push((at, link));
    }
    wanted.sort_by_key(|(at, link)| (*at, link.link.id));
    let last = wanted.pop();
    let until = NOW.plus_ms(7);
    for limit in 1..=wanted.len() + 1 {
        let mut seen: Vec<(Timestamp, StoredLink)> = Vec::new();
        loop {
            let after = seen.last().map(|(at, link)| (*at, link.link.id));
            let page = ok(store.due(Due::Expired, until, after, limit).await);
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, wanted, "limit {limit}");
    }
    // A place need not be that of a link, and may be behind the end.
    let between = ok(store.due(Due::Expired, until, Some((NOW.plus_ms(7), LinkId(4))), 2).await);
    assert_eq!(between, wanted[6..8]);
    let behind = last.map(|(at, link)| (at, link.link.id));
    assert_eq!(store.due(Due::Expired, until, behind, 9).await, Ok(Vec::new()));
    assert_eq!(store.due(Due::Expired, until, None, 0).await, Ok(Vec::new()));
}
