//! Lists: filters, orders, pages.

use std::cmp::Reverse;

use waypost_service::model::{Block, Link, LinkState};
use waypost_service::seams::{LinkStore, ListQuery, Sort, StoreError};
use waypost_wire::time::Timestamp;

use super::{NOW, create, edit, ok, sample};

/// All orders.
pub const SORTS: [Sort; 3] =
    [Sort::CreatedAscending, Sort::CreatedDescending, Sort::UpdatedDescending];

/// Every page of a list, one after the other.
pub async fn walk(store: &impl LinkStore, query: &ListQuery) -> Vec<Link> {
    let mut query = query.clone();
    let mut links = Vec::new();
    // More pages than any list here has entries: a cursor that does not move on must not hang.
    for _ in 0..10_000 {
        let page = ok(store.list(&query, NOW).await);
        assert!(page.links.len() <= query.limit, "{query:?}");
        links.extend(page.links);
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return links,
        }
    }
    panic!("{query:?} does not end");
}

/// The ids of links.
pub fn ids(links: &[Link]) -> Vec<u64> {
    links.iter().map(|link| link.id.0).collect()
}

/// Links of both domains, all tags and states, edited in another order than created, many of them
/// at one time.
fn assortment() -> Vec<Link> {
    (1..=60)
        .map(|number| {
            let mut link = sample(number);
            link.updated_at =
                Timestamp(NOW.0 - 1_000 * i64::try_from(number * 7 % 10).unwrap_or(0));
            link.domain = ["a.example", "b.example"][number as usize % 2].into();
            link.tags = match number % 5 {
                0 => vec!["red".into(), "blue".into()],
                1 | 2 => vec!["red".into()],
                _ => Vec::new(),
            };
            if number % 3 == 0 {
                link.title = Some(format!("Spring Sale No. {number}"));
            }
            match number % 7 {
                0 => link.disabled = true,
                1 => link.blocked = Some(Block::Abuse),
                2 => link.starts_at = Some(NOW.plus_ms(1)),
                3 => link.expires_at = Some(link.updated_at),
                4 if number % 2 == 0 => link.deleted_at = Some(link.updated_at),
                _ => {}
            }
            link
        })
        .collect()
}

/// What a list must be, worked out without any index.
fn wanted(links: &[Link], query: &ListQuery) -> Vec<Link> {
    let is_listed = |link: &&Link| {
        let state = link.state(NOW);
        let text = format!("{}\n{}\n{:?}", link.slug, link.destination, link.title);
        query.state.map_or(state != LinkState::Deleted, |wanted| wanted == state)
            && query.tag.iter().all(|tag| link.tags.contains(tag))
            && query.domain.iter().all(|domain| link.domain == *domain)
            && query.q.iter().all(|q| text.to_lowercase().contains(&q.to_lowercase()))
    };
    let mut listed: Vec<Link> = links.iter().filter(is_listed).cloned().collect();
    match query.sort {
        Sort::CreatedAscending => listed.sort_by_key(|link| link.id),
        Sort::CreatedDescending => listed.sort_by_key(|link| Reverse(link.id)),
        Sort::UpdatedDescending => listed.sort_by_key(|link| Reverse((link.updated_at, link.id))),
    }
    listed
}

fn queries() -> Vec<ListQuery> {
    use LinkState::{Active, Blocked, Deleted, Disabled, Expired, Scheduled};
    let texts = |texts: &[&str]| -> Vec<Option<String>> {
        [None].into_iter().chain(texts.iter().map(|text| Some((*text).into()))).collect()
    };
    let states = [Active, Blocked, Deleted, Disabled, Expired, Scheduled];
    let states = [None].into_iter().chain(states.map(Some));
    let mut queries = vec![ListQuery { limit: 100, ..ListQuery::default() }];
    let mut cross = |change: &dyn Fn(&mut ListQuery, usize), count: usize| {
        let change_all = |query: &ListQuery| {
            let query = query.clone();
            (0..count).map(move |index| (query.clone(), index))
        };
        queries = queries
            .iter()
            .flat_map(change_all)
            .map(|(mut query, index)| {
                change(&mut query, index);
                query
            })
            .collect();
    };
    let (tags, domains) = (texts(&["red", "blue", "Red"]), texts(&["b.example", "c.example"]));
    let (qs, states) = (texts(&["sPRING sale", "No. 4", "om", "zzz"]), states.collect::<Vec<_>>());
    cross(&|query, index| query.sort = SORTS[index], SORTS.len());
    cross(&|query, index| query.tag = tags[index].clone(), tags.len());
    cross(&|query, index| query.domain = domains[index].clone(), domains.len());
    cross(&|query, index| query.q = qs[index].clone(), qs.len());
    cross(&|query, index| query.state = states[index], states.len());
    queries
}

/// Each filter, each order and each combination of them answers the same links as a plain look
/// at all links.
pub async fn every_combination_of_filters(store: &impl LinkStore) {
    let links = assortment();
    for link in &links {
        create(store, link.clone()).await;
    }
    for query in queries() {
        let wanted = wanted(&links, &query);
        assert_eq!(walk(store, &query).await, wanted, "{query:?}");
    }
}

/// However long pages are, together they are the list.
pub async fn pages_join_without_gap(store: &impl LinkStore) {
    let links = assortment();
    for link in &links {
        create(store, link.clone()).await;
    }
    let filters = [
        ListQuery::default(),
        ListQuery { tag: Some("red".into()), ..ListQuery::default() },
        ListQuery { domain: Some("b.example".into()), ..ListQuery::default() },
        ListQuery { state: Some(LinkState::Disabled), ..ListQuery::default() },
        ListQuery { q: Some("spring".into()), ..ListQuery::default() },
    ];
    for filter in filters {
        for sort in SORTS {
            let query = |limit| ListQuery { limit, sort, ..filter.clone() };
            let wanted = wanted(&links, &query(0));
            assert!(1 < wanted.len(), "{filter:?}");
            for limit in [1, 2, 7, wanted.len() - 1, wanted.len(), wanted.len() + 1] {
                assert_eq!(walk(store, &query(limit)).await, wanted, "{:?}", query(limit));
            }
        }
    }
}

/// A walk is not disturbed by links made, edited or purged meanwhile: of the others it misses
/// none and repeats none.
pub async fn a_walk_is_stable_while_links_change(store: &impl LinkStore) {
    for sort in SORTS {
        let base = 1_000 * (sort as u64 + 1);
        let tag = format!("{sort:?}");
        let link = |number| Link { tags: vec![tag.clone()], ..sample(base + number) };
        for number in 10..30 {
            create(store, link(number)).await;
        }
        let mut query =
            ListQuery { limit: 4, sort, tag: Some(tag.clone()), ..ListQuery::default() };
        let first = ok(store.list(&query, NOW).await);
        query.cursor = first.next_cursor;
        let seen = ids(&first.links);
        let last = seen[3] - base;

        // The link that the cursor names goes, and others come before and behind it.
        let cut = super::stored(link(last));
        let dead = edit(store, &cut, |link| link.deleted_at = Some(NOW)).await;
        ok(store.purge(dead.link.id, dead.link.version).await);
        create(store, link(9)).await;
        create(store, link(31)).await;

        let rest = ids(&walk(store, &query).await);
        let old = |id: &u64| (base + 10..base + 30).contains(id);
        let mut met: Vec<u64> =
            seen.iter().chain(rest.iter().filter(|id| old(id))).copied().collect();
        met.sort_unstable();
        assert_eq!(met, (base + 10..base + 30).collect::<Vec<_>>(), "{sort:?}");
        let behind = if sort == Sort::CreatedAscending { base + 31 } else { base + 9 };
        assert_eq!(rest.last(), Some(&behind), "{sort:?}");
    }
}

/// A cursor is good for its own list only, at any page length.
pub async fn a_foreign_cursor_is_refused(store: &impl LinkStore) {
    for number in 1..=3 {
        create(store, sample(number)).await;
    }
    let query = ListQuery { limit: 1, ..ListQuery::default() };
    let page = ok(store.list(&query, NOW).await);
    let cursor = page.next_cursor.unwrap_or_default();
    let next = |query: ListQuery| ListQuery { cursor: Some(cursor.clone()), ..query };
    let rest = ok(store.list(&next(ListQuery { limit: 50, ..query.clone() }), NOW).await);
    assert_eq!((ids(&rest.links), rest.next_cursor), (vec![2, 1], None));

    let foreign = [
        next(ListQuery { sort: Sort::UpdatedDescending, ..query.clone() }),
        next(ListQuery { tag: Some("red".into()), ..query.clone() }),
        next(ListQuery { q: Some("abc".into()), ..query.clone() }),
        next(ListQuery { state: Some(LinkState::Active), ..query.clone() }),
        ListQuery { cursor: Some(String::new()), ..query.clone() },
        ListQuery { cursor: Some("-1' OR 1=1".into()), ..query.clone() },
        ListQuery { cursor: Some(format!("{cursor}A")), ..query },
    ];
    for query in foreign {
        assert_eq!(store.list(&query, NOW).await, Err(StoreError::BadCursor), "{query:?}");
    }
}

/// A list shows no link under a state that it no longer has, and under its new one at the latest
/// when it is settled.
pub async fn lists_show_the_live_state(store: &impl LinkStore) {
    let (start, end) = (NOW.plus_ms(10), NOW.plus_ms(20));
    let link = Link { starts_at: Some(start), expires_at: Some(end), ..sample(1) };
    create(store, link.clone()).await;
    let times = [
        (NOW, LinkState::Scheduled),
        (start.plus_ms(-1), LinkState::Scheduled),
        (start, LinkState::Active),
        (end.plus_ms(-1), LinkState::Active),
        (end, LinkState::Expired),
    ];
    for (now, live) in times {
        for settled in [false, true] {
            if settled {
                ok(store.settle(link.id, now).await);
            }
            for state in [LinkState::Scheduled, LinkState::Active, LinkState::Expired] {
                let query = ListQuery { limit: 9, state: Some(state), ..ListQuery::default() };
                let listed = ok(store.list(&query, now).await).links;
                let allowed = if state == live { vec![link.clone()] } else { Vec::new() };
                assert!(listed == allowed || (!settled && listed.is_empty()), "{now:?} {state:?}");
            }
            let all = ListQuery { limit: 9, ..ListQuery::default() };
            assert_eq!(ok(store.list(&all, now).await).links, std::slice::from_ref(&link));
        }
    }
}

/// An edit changes which lists a link is on, and its place on them.
pub async fn an_edit_moves_a_link_between_lists(store: &impl LinkStore) {
    let tagged = |tags: &[&str]| tags.iter().map(|tag| String::from(*tag)).collect::<Vec<_>>();
    let first = create(store, Link { tags: tagged(&["a", "b"]), ..sample(1) }).await;
    create(store, Link { tags: tagged(&["b", "b"]), ..sample(2) }).await;
    let list = async |tag: &str, state| {
        let query = ListQuery { limit: 9, tag: Some(tag.into()), state, ..ListQuery::default() };
        let updated = ListQuery { sort: Sort::UpdatedDescending, ..query.clone() };
        (ids(&walk(store, &query).await), ids(&walk(store, &updated).await))
    };
    assert_eq!(list("b", None).await, (vec![2, 1], vec![2, 1]));
    let first = edit(store, &first, |link| {
        link.tags = tagged(&["b", "c"]);
        link.updated_at = NOW;
    })
    .await;
    assert_eq!(list("a", None).await, (vec![], vec![]));
    assert_eq!(list("b", None).await, (vec![2, 1], vec![1, 2]));
    assert_eq!(list("c", None).await, (vec![1], vec![1]));
    edit(store, &first, |link| link.deleted_at = Some(NOW)).await;
    assert_eq!(list("b", None).await, (vec![2], vec![2]));
    assert_eq!(list("b", Some(LinkState::Deleted)).await, (vec![1], vec![1]));
}
