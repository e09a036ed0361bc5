//! Many callers at once.

use std::collections::BTreeSet;

use waypost_service::model::Link;
use waypost_service::seams::{Created, Idempotency, LinkStore, Updated, Use};

use super::super::at_once;
use super::{NOW, create, ok, sample, stored};

/// Of a thousand creations of one slug, one succeeds, and the slug is its.
pub async fn one_of_a_thousand_gets_the_slug(store: &(impl LinkStore + Sync)) {
    let wanted = |index| Link { slug: "wanted".into(), ..sample(index as u64 + 1) };
    let answers = at_once(1_000, async |index| {
        ok(store.create(&stored(wanted(index)), None, true, NOW).await)
    });
    let winners: Vec<usize> =
        (0..1_000).filter(|index| answers[*index] == Created::Created).collect();
    let [winner] = winners[..] else { panic!("{winners:?} all got the slug") };
    let taken = Created::SlugTaken { quarantine_until: None };
    assert_eq!(answers.iter().filter(|answer| **answer == taken).count(), 999);
    let holder = stored(wanted(winner));
    assert_eq!(store.link(&holder.key).await, Ok(Some(holder)));
}

/// Of many creations under one idempotency key, one makes a link.
pub async fn one_idempotency_key_makes_one_link(store: &(impl LinkStore + Sync)) {
    let answer = |index: usize| Idempotency {
        key: "key".into(),
        body_hash: [7; 32],
        answer: index.to_string().into_bytes(),
        expires_at: NOW.plus_ms(1),
    };
    let answers = at_once(100, async |index| {
        let link = stored(sample(index as u64 + 1));
        ok(store.create(&link, Some(&answer(index)), false, NOW).await)
    });
    let winners: Vec<usize> =
        (0..100).filter(|index| answers[*index] == Created::Created).collect();
    let [winner] = winners[..] else { panic!("{winners:?} all made a link") };
    let replayed = Created::Replayed(answer(winner));
    assert_eq!(answers.iter().filter(|answer| **answer == replayed).count(), 99);
}

/// Of many updates of one version, one is written.
pub async fn one_of_many_updates_is_written(store: &(impl LinkStore + Sync)) {
    create(store, sample(1)).await;
    let next =
        |index: usize| stored(Link { version: 2, title: Some(index.to_string()), ..sample(1) });
    let answers = at_once(100, async |index| ok(store.update(&next(index), 1).await));
    let winners: Vec<usize> =
        (0..100).filter(|index| answers[*index] == Updated::Updated).collect();
    let [winner] = winners[..] else { panic!("{winners:?} were all written") };
    assert_eq!(store.link(&next(winner).key).await, Ok(Some(next(winner))));
}

/// However many come at once, a limited link is followed as often as its limit says.
pub async fn uses_are_exact(store: &(impl LinkStore + Sync)) {
    let link = create(store, sample(1)).await;
    let answers = at_once(100, async |_| ok(store.take_use(link.link.id, 37).await));
    let left: BTreeSet<u64> = answers
        .iter()
        .filter_map(|answer| match answer {
            Use::Taken { left } => Some(*left),
            Use::Exhausted => None,
        })
        .collect();
    assert_eq!(left, (0..37).collect());
    assert_eq!(answers.iter().filter(|answer| **answer == Use::Exhausted).count(), 63);
}

/// No value of a counter is leased twice, and none is skipped.
pub async fn leases_never_overlap(store: &(impl LinkStore + Sync)) {
    let mut firsts = at_once(100, async |_| ok(store.lease("codes", 7).await));
    firsts.sort_unstable();
    assert_eq!(firsts, (0..100).map(|lease| lease * 7).collect::<Vec<u64>>());
}
