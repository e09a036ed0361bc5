//! Creating, reading, updating and purging single links.

use waypost_service::model::{
    Block, DateSpan, Link, LinkId, Preview, QueryTest, Rule, TimeSpan, Utm, Weighted, When,
};
use waypost_service::seams::{
    Created, Due, Idempotency, LinkStore, ListQuery, StoreError, StoredLink, Updated, Use,
};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::{NOW, create, deleted, edit, ok, sample, stored};

/// A link in which every field is set, to something that is easily lost.
fn full() -> Link {
    let when = When {
        country: vec!["DE".into()],
        city: vec!["Zürich".into()],
        query: vec![QueryTest { name: "a".into(), equals: Some(String::new()) }],
        date: Some(DateSpan { from: Some(Timestamp(-1)), until: None }),
        time: Some(TimeSpan {
            zone: "Europe/Berlin".into(),
            days: vec!["sun".into()],
            from: None,
            until: Some("06:00".into()),
        }),
        not: Some(Box::new(When { ip: vec!["2001:db8::/32".into()], ..When::default() })),
        ..When::default()
    };
    let weighted = |weight| Weighted { destination: "https://b.example/".into(), weight };
    let rule = Rule {
        name: Some("night \u{1f319}".into()),
        when,
        destination: None,
        destinations: vec![weighted(0), weighted(10_000)],
    };
    Link {
        slug: "Ünï/köde".into(),
        title: Some("'); DROP TABLE links; --\0\u{202e}".into()),
        tags: vec!["b".into(), "a".into(), String::new()],
        notes: Some(String::new()),
        starts_at: Some(Timestamp(1)),
        expires_at: Some(NOW.plus_ms(999)),
        expired_destination: Some("https://c.example/".into()),
        max_clicks: Some(u64::MAX),
        forward_query: true,
        forward_path: true,
        utm: Some(Utm { term: Some("\u{e9}".into()), ..Utm::default() }),
        ios_destination: Some("app://x".into()),
        android_destination: Some("app://y".into()),
        rules: vec![rule],
        preview: Some(Preview { title: Some("<b>".into()), ..Preview::default() }),
        disabled: true,
        keep: true,
        external_id: Some("crm/1".into()),
        blocked: Some(Block::Legal),
        password_hash: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
        password_version: 7,
        used_up: true,
        version: 41,
        id: LinkId(1_234_567_890_123_456_789),
        ..sample(1)
    }
}

/// A created link is read back whole, by key and by id; others are not there.
pub async fn a_link_is_read_back_whole(store: &impl LinkStore) {
    let link = StoredLink {
        record: vec![0, 1, 0xff, 0],
        recompile_at: Some(Timestamp(-5)),
        ..stored(full())
    };
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(Created::Created));
    let plain = create(store, sample(2)).await;
    assert_eq!(store.link(&link.key).await, Ok(Some(link.clone())));
    assert_eq!(store.link_by_id(link.link.id).await, Ok(Some(link)));
    assert_eq!(store.link(&plain.key).await, Ok(Some(plain.clone())));
    let folded = LinkKey::new("s.example", "SLUG-2", true);
    assert_eq!(store.link(&folded).await, Ok(Some(plain)));
    for (domain, slug) in [("s.example", "SLUG-2"), ("t.example", "slug-2"), ("s.example", "")] {
        assert_eq!(store.link(&LinkKey::new(domain, slug, false)).await, Ok(None));
    }
    for id in [3, 1 << 63, u64::MAX] {
        assert_eq!(store.link_by_id(LinkId(id)).await, Ok(None));
    }
}

/// A key that a link has is refused, whoever asks, and nothing is written.
pub async fn a_taken_slug_is_refused(store: &impl LinkStore) {
    let first = create(store, sample(1)).await;
    let second = stored(Link { slug: "slug-1".into(), tags: vec!["x".into()], ..sample(2) });
    let answer = Idempotency {
        key: "retry".into(),
        body_hash: [1; 32],
        answer: b"{}".to_vec(),
        expires_at: NOW.plus_ms(1),
    };
    for replace_deleted in [false, true] {
        let taken = Ok(Created::SlugTaken { quarantine_until: None });
        assert_eq!(store.create(&second, Some(&answer), replace_deleted, NOW).await, taken);
    }
    assert_eq!(store.link(&first.key).await, Ok(Some(first)));
    assert_eq!(store.link_by_id(second.link.id).await, Ok(None));
    assert_eq!(store.replay("retry", NOW).await, Ok(None));
    let tagged = ListQuery { limit: 9, tag: Some("x".into()), ..ListQuery::default() };
    assert_eq!(ok(store.list(&tagged, NOW).await).links, []);
}

/// A slug in quarantine is refused with the end of it, also when that has passed; replacing the
/// deleted holder removes it.
pub async fn a_deleted_holder_is_replaced_only_on_demand(store: &impl LinkStore) {
    let holder = create(store, sample(1)).await;
    let holder = edit(store, &holder, |link| {
        link.deleted_at = Some(NOW);
        link.quarantine_until = Some(NOW.plus_ms(5));
    })
    .await;
    let heir = stored(Link { slug: "slug-1".into(), ..sample(2) });
    let taken = Ok(Created::SlugTaken { quarantine_until: Some(NOW.plus_ms(5)) });
    assert_eq!(store.create(&heir, None, false, NOW).await, taken);
    assert_eq!(store.create(&heir, None, false, NOW.plus_ms(6)).await, taken);
    assert_eq!(store.link(&holder.key).await, Ok(Some(holder.clone())));
    assert_eq!(store.create(&heir, None, true, NOW).await, Ok(Created::Created));
    assert_eq!(store.link(&heir.key).await, Ok(Some(heir)));
    assert_eq!(store.link_by_id(holder.link.id).await, Ok(None));
}

/// An id is used once; a second link with it is a fault of the caller's id source.
pub async fn an_id_is_never_used_twice(store: &impl LinkStore) {
    let first = create(store, sample(1)).await;
    let twin = stored(Link { slug: "twin".into(), ..sample(1) });
    let refused = store.create(&twin, None, false, NOW).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    assert_eq!(store.link_by_id(first.link.id).await, Ok(Some(first)));
    assert_eq!(store.link(&twin.key).await, Ok(None));
}

/// An external id belongs to one link at a time, and a deleted link gives it up.
pub async fn an_external_id_has_one_link(store: &impl LinkStore) {
    let named = |number, name: &str| Link { external_id: Some(name.into()), ..sample(number) };
    let first = create(store, named(1, "crm-1")).await;
    let second = create(store, sample(2)).await;
    create(store, sample(3)).await;
    let third = stored(named(4, "crm-1"));
    assert_eq!(store.create(&third, None, true, NOW).await, Ok(Created::ExternalIdTaken));
    assert_eq!(store.link(&third.key).await, Ok(None));

    let renamed = stored(Link { version: 2, ..named(2, "crm-1") });
    assert_eq!(store.update(&renamed, 1).await, Ok(Updated::ExternalIdTaken));
    assert_eq!(store.link(&second.key).await, Ok(Some(second.clone())));
    let first = edit(store, &first, |link| link.title = Some("still mine".into())).await;
    edit(store, &second, |link| link.external_id = Some("CRM-1".into())).await;

    let gone = |link: &mut Link| link.deleted_at = Some(NOW);
    let first = edit(store, &first, gone).await;
    assert_eq!(store.create(&third, None, false, NOW).await, Ok(Created::Created));
    // A deleted link keeps the text, which is nobody's any more, through every later write.
    edit(store, &first, |link| link.notes = Some("deleted twice".into())).await;
    assert_eq!(first.link.external_id.as_deref(), Some("crm-1"));
}

/// The first creation under an idempotency key is the only one, until the key expires.
pub async fn an_idempotency_key_creates_once(store: &impl LinkStore) {
    let answer = |number: u8, lifetime_ms| Idempotency {
        key: "caller/k\u{e9}y".into(),
        body_hash: [number; 32],
        answer: vec![number, 0, 0xff],
        expires_at: NOW.plus_ms(lifetime_ms),
    };
    let (first, second) = (stored(sample(1)), stored(sample(2)));
    let key = &answer(1, 10).key;
    assert_eq!(store.replay(key, NOW).await, Ok(None));
    let created = store.create(&first, Some(&answer(1, 10)), false, NOW).await;
    assert_eq!(created, Ok(Created::Created));
    assert_eq!(store.replay(key, NOW).await, Ok(Some(answer(1, 10))));
    assert_eq!(store.replay("caller/k", NOW).await, Ok(None));

    // The same body, and another one: the caller compares, the store answers what it has.
    for wanted in [answer(1, 99), answer(2, 99)] {
        let again = store.create(&second, Some(&wanted), true, NOW.plus_ms(9)).await;
        assert_eq!(again, Ok(Created::Replayed(answer(1, 10))));
        // It also comes before what else is wrong.
        let again = store.create(&first, Some(&wanted), true, NOW.plus_ms(9)).await;
        assert_eq!(again, Ok(Created::Replayed(answer(1, 10))));
    }
    assert_eq!(store.link(&second.key).await, Ok(None));

    let later = NOW.plus_ms(10);
    assert_eq!(store.replay(key, later).await, Ok(None));
    let created = store.create(&second, Some(&answer(2, 20)), false, later).await;
    assert_eq!(created, Ok(Created::Created));
    assert_eq!(store.replay(key, later).await, Ok(Some(answer(2, 20))));
}

/// Expired idempotency keys are forgotten in batches, others are kept.
pub async fn idempotency_keys_are_forgotten(store: &impl LinkStore) {
    for number in 1..=5_u8 {
        let answer = Idempotency {
            key: format!("key-{number}"),
            body_hash: [number; 32],
            answer: Vec::new(),
            expires_at: NOW.plus_ms(i64::from(number)),
        };
        let link = stored(sample(number.into()));
        assert_eq!(store.create(&link, Some(&answer), false, NOW).await, Ok(Created::Created));
    }
    let now = NOW.plus_ms(4);
    assert_eq!(store.forget_idempotency(NOW, 10).await, Ok(0));
    assert_eq!(store.forget_idempotency(now, 0).await, Ok(0));
    assert_eq!(store.forget_idempotency(now, 3).await, Ok(3));
    assert_eq!(store.forget_idempotency(now, 3).await, Ok(1));
    assert_eq!(store.forget_idempotency(now, 3).await, Ok(0));
    let left = ok(store.replay("key-5", now).await).map(|answer| answer.body_hash);
    assert_eq!(left, Some([5; 32]));
}

/// An update needs the version it was made from, and the same id and key.
pub async fn a_stale_update_writes_nothing(store: &impl LinkStore) {
    let first = create(store, sample(1)).await;
    let next = stored(Link { version: 2, title: Some("new".into()), ..sample(1) });
    for version in [0, 2, u64::MAX] {
        assert_eq!(store.update(&next, version).await, Ok(Updated::Stale), "{version}");
    }
    let moved = stored(Link { version: 2, slug: "moved".into(), ..sample(1) });
    assert_eq!(store.update(&moved, 1).await, Ok(Updated::Stale));
    let unknown = stored(Link { version: 2, ..sample(9) });
    assert_eq!(store.update(&unknown, 1).await, Ok(Updated::Stale));
    assert_eq!(store.link(&first.key).await, Ok(Some(first)));

    assert_eq!(store.update(&next, 1).await, Ok(Updated::Updated));
    assert_eq!(store.update(&next, 1).await, Ok(Updated::Stale));
    assert_eq!(store.link(&next.key).await, Ok(Some(next)));
}

/// An update replaces the document, the record and its recompilation.
pub async fn an_update_replaces_everything(store: &impl LinkStore) {
    create(store, sample(1)).await;
    let link = Link { version: 2, updated_at: NOW, ..full() };
    let link = Link { id: LinkId(1), domain: "s.example".into(), slug: "slug-1".into(), ..link };
    let next = StoredLink { recompile_at: Some(NOW), ..stored(link) };
    assert_eq!(store.update(&next, 1).await, Ok(Updated::Updated));
    assert_eq!(store.link_by_id(LinkId(1)).await, Ok(Some(next)));
    let bare = stored(Link { version: 3, ..sample(1) });
    assert_eq!(store.update(&bare, 2).await, Ok(Updated::Updated));
    assert_eq!(store.link_by_id(LinkId(1)).await, Ok(Some(bare)));
}

/// Purging needs a deleted link and its version.
pub async fn only_a_deleted_link_is_purged(store: &impl LinkStore) {
    let live = create(store, sample(1)).await;
    let dead = create(store, deleted(2)).await;
    assert_eq!(store.purge(live.link.id, 1).await, Ok(Updated::Stale));
    assert_eq!(store.purge(dead.link.id, 2).await, Ok(Updated::Stale));
    assert_eq!(store.purge(LinkId(3), 1).await, Ok(Updated::Stale));
    assert_eq!(store.link(&live.key).await, Ok(Some(live)));
    assert_eq!(store.link(&dead.key).await, Ok(Some(dead)));
}

/// After a purge no read, list or sweep meets the link, and all it held is free.
pub async fn a_purge_leaves_no_trace(store: &impl LinkStore) {
    let life = Link {
        tags: vec!["tagged".into()],
        title: Some("findable".into()),
        expires_at: Some(NOW.plus_ms(-9)),
        max_clicks: Some(1),
        external_id: Some("crm-1".into()),
        ..sample(1)
    };
    let link = create(store, life.clone()).await;
    assert_eq!(store.take_use(link.link.id, 1).await, Ok(Use::Taken { left: 0 }));
    let dead = edit(store, &link, |link| {
        link.deleted_at = Some(NOW);
        link.quarantine_until = Some(NOW);
    })
    .await;
    assert_eq!(store.purge(dead.link.id, 2).await, Ok(Updated::Updated));

    assert_eq!(store.link(&dead.key).await, Ok(None));
    assert_eq!(store.link_by_id(dead.link.id).await, Ok(None));
    assert_eq!(store.take_use(dead.link.id, 9).await, Ok(Use::Exhausted));
    assert_eq!(store.purge(dead.link.id, 2).await, Ok(Updated::Stale));
    assert_eq!(store.update(&dead, 2).await, Ok(Updated::Stale));
    for kind in [Due::Expired, Due::QuarantineEnded, Due::Transition, Due::Unused] {
        assert_eq!(store.due(kind, NOW.plus_ms(9), None, 9).await, Ok(Vec::new()), "{kind:?}");
    }
    for state in [None, Some(waypost_service::model::LinkState::Deleted)] {
        let all = ListQuery { limit: 9, state, ..ListQuery::default() };
        let tagged = ListQuery { tag: Some("tagged".into()), ..all.clone() };
        let found = ListQuery { q: Some("findable".into()), ..all.clone() };
        for query in [all, tagged, found] {
            assert_eq!(ok(store.list(&query, NOW).await).links, [], "{query:?}");
        }
    }
    // Nothing is left that a link of the same name could inherit.
    let again = create(store, life).await;
    assert_eq!(store.take_use(again.link.id, 1).await, Ok(Use::Taken { left: 0 }));
}

/// A limited link gives as many uses as its limit says, also when that is changed.
pub async fn uses_end_at_the_limit(store: &impl LinkStore) {
    let link = create(store, sample(1)).await;
    let other = create(store, sample(2)).await;
    let id = link.link.id;
    assert_eq!(store.take_use(id, 0).await, Ok(Use::Exhausted));
    assert_eq!(store.take_use(id, 2).await, Ok(Use::Taken { left: 1 }));
    assert_eq!(store.take_use(id, 2).await, Ok(Use::Taken { left: 0 }));
    assert_eq!(store.take_use(id, 2).await, Ok(Use::Exhausted));
    assert_eq!(store.take_use(id, 1).await, Ok(Use::Exhausted));
    edit(store, &link, |link| link.max_clicks = Some(4)).await;
    assert_eq!(store.take_use(id, 4).await, Ok(Use::Taken { left: 1 }));
    assert_eq!(store.take_use(other.link.id, 5).await, Ok(Use::Taken { left: 4 }));
    assert_eq!(store.take_use(LinkId(3), 5).await, Ok(Use::Exhausted));
}

/// Leases of a counter follow each other; counters know nothing of each other.
pub async fn leases_follow_each_other(store: &impl LinkStore) {
    assert_eq!(store.lease("codes", 100).await, Ok(0));
    assert_eq!(store.lease("codes", 1).await, Ok(100));
    assert_eq!(store.lease("others", 5).await, Ok(0));
    assert_eq!(store.lease("codes", u32::MAX).await, Ok(101));
    assert_eq!(store.lease("codes", 1).await, Ok(101 + u64::from(u32::MAX)));
}
