//! What was written lately.

use waypost_service::model::{Block, Link, LinkId};
use waypost_service::seams::{Changed, Created, LinkStore, StoredLink, Updated};
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::{NOW, create, edit, ok, sample, stored};

/// A link that was written so many milliseconds after [`NOW`].
fn written(number: u64, ms: i64) -> Link {
    Link { updated_at: NOW.plus_ms(ms), ..sample(number) }
}

/// What must be told of a link as it is stored.
fn told(stored: &StoredLink, stopped: bool) -> Changed {
    let StoredLink { link, key, .. } = stored;
    Changed {
        at: link.updated_at,
        key: key.clone(),
        generation: Generation { link_id: link.id.0, version: link.version },
        stopped,
    }
}

async fn all(store: &impl LinkStore) -> Vec<Changed> {
    ok(store.changed(Timestamp(i64::MIN), 1_000).await)
}

/// Creations, edits and deletions are told with the record they left, each link once, the latest
/// write first.
pub async fn every_write_is_told_latest_first(store: &impl LinkStore) {
    assert_eq!(all(store).await, []);
    let created = create(store, written(1, 3)).await;
    let edited = create(store, written(2, 1)).await;
    let deleted = create(store, written(3, 2)).await;
    let first =
        [&created, &deleted, &edited].map(|link| told(link, false)).into_iter().collect::<Vec<_>>();
    assert_eq!(all(store).await, first);
    let edited = edit(store, &edited, |link| link.updated_at = NOW.plus_ms(9)).await;
    let deleted = edit(store, &deleted, |link| {
        link.updated_at = NOW.plus_ms(5);
        link.deleted_at = Some(NOW.plus_ms(5));
    })
    .await;
    let heir = create(store, Link { slug: "Ünï/köde".into(), ..written(4, 4) }).await;
    let wanted =
        [told(&edited, false), told(&deleted, true), told(&heir, false), told(&created, false)];
    assert_eq!(all(store).await, wanted);
}

/// Only what was written after a time is told, and no more than was asked for; of one time, the
/// link that was made last comes first, deleted or not.
pub async fn changes_have_a_start_and_a_limit(store: &impl LinkStore) {
    let mut wanted = Vec::new();
    for (number, ms) in (1..).zip([0, 7, 7, 7, -7, 7, 7, 3, 7, 8]) {
        let deleted_at = (number % 3 == 0).then_some(NOW);
        let link = create(store, Link { deleted_at, ..written(number, ms) }).await;
        wanted.push(told(&link, deleted_at.is_some()));
    }
    wanted.sort_by_key(|link| (link.at, link.generation.link_id));
    wanted.reverse();
    let ids = |changed: &[Changed]| -> Vec<u64> {
        changed.iter().map(|link| link.generation.link_id).collect()
    };
    assert_eq!(ids(&wanted), [10, 9, 7, 6, 4, 3, 2, 8, 1, 5]);
    for limit in 0..=wanted.len() + 1 {
        let found = ok(store.changed(NOW.plus_ms(-8), limit).await);
        assert_eq!(found, wanted[..limit.min(wanted.len())], "limit {limit}");
    }
    for (after_ms, count) in [(-8, 10), (-7, 9), (-1, 9), (0, 8), (6, 7), (7, 1), (8, 0), (9, 0)] {
        let found = ok(store.changed(NOW.plus_ms(after_ms), 99).await);
        assert_eq!(found, wanted[..count], "after {after_ms}");
    }
}

/// A link is stopped by what its owner or an admin did, not by time or use.
pub async fn only_what_was_stopped_is_told_as_stopped(store: &impl LinkStore) {
    let past = Some(NOW.plus_ms(-1_000));
    let plain = |number| written(number, -i64::try_from(number).unwrap_or(0));
    let links = [
        (plain(1), false),
        (Link { disabled: true, ..plain(2) }, true),
        (Link { blocked: Some(Block::Abuse), ..plain(3) }, true),
        (Link { blocked: Some(Block::Legal), expires_at: past, ..plain(4) }, true),
        (Link { deleted_at: past, ..plain(5) }, true),
        (Link { expires_at: past, ..plain(6) }, false),
        (Link { used_up: true, ..plain(7) }, false),
        (Link { starts_at: Some(NOW.plus_ms(9)), ..plain(8) }, false),
        (Link { disabled: true, starts_at: Some(NOW), expires_at: past, ..plain(9) }, true),
    ];
    let mut wanted = Vec::new();
    for (link, stopped) in links {
        let link = create(store, link).await;
        wanted.push(told(&link, stopped));
        // What lists say of it goes with the time, and is no write.
        ok(store.settle(link.link.id, NOW.plus_ms(99)).await);
    }
    assert_eq!(all(store).await, wanted);
    let resumed = ok(store.link_by_id(LinkId(2)).await).unwrap_or_else(|| stored(sample(2)));
    let resumed = edit(store, &resumed, |link| link.disabled = false).await;
    assert!(all(store).await.contains(&told(&resumed, false)));
}

/// A link that is gone for good is told no more; one that took its place is.
pub async fn purged_links_vanish_from_the_changes(store: &impl LinkStore) {
    let deleted = |number| Link { deleted_at: Some(NOW), ..written(number, 1) };
    let purged = create(store, deleted(1)).await;
    let replaced = create(store, deleted(2)).await;
    assert_eq!(all(store).await, [told(&replaced, true), told(&purged, true)]);
    assert_eq!(ok(store.purge(purged.link.id, 1).await), Updated::Updated);
    let heir = stored(Link { slug: replaced.link.slug.clone(), ..written(3, 2) });
    assert_eq!(ok(store.create(&heir, None, true, NOW).await), Created::Created);
    assert_eq!(all(store).await, [told(&heir, false)]);
}
