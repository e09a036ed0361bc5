//! What SQLite promises beyond the contract of `LinkStore`: bounded pages, and links that outlive
//! a crash.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME};
use waypost_service::model::Link;
use waypost_service::seams::{
    Created, Due, Idempotency, LinkStore, ListQuery, Sort, StoreError, Updated, Use,
};
use waypost_tests::contracts::links::lists::{ids, walk};
use waypost_tests::contracts::links::{NOW, create, sample, stored};
use waypost_tests::contracts::{at_once, ok};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for the database")
}

fn open(directory: &Path) -> Db {
    Db::open(&directory.join(FILE_NAME), &DbOptions::default()).expect("the database opens")
}

/// Links of which every one has "common" in its title and those listed have "rare".
async fn crowd(db: &Db, count: u64, rare: &[u64]) {
    let title = |number| if rare.contains(&number) { "common, rare" } else { "common" };
    at_once(8, async |thread| {
        for number in (1..=count).filter(|number| number % 8 == thread as u64) {
            let link = Link { title: Some(title(number).into()), ..sample(number) };
            create(db, link).await;
        }
    });
}

#[tokio::test]
async fn a_page_is_a_bounded_walk() {
    let directory = directory();
    let db = open(directory.path());
    crowd(&db, 1_200, &[1]).await;
    // Two characters are in no index, so each link is looked at, newest first.
    let mut query = ListQuery { limit: 5, q: Some("ra".into()), ..ListQuery::default() };
    let mut pages = Vec::new();
    loop {
        let page = ok(db.list(&query, NOW).await);
        pages.push(ids(&page.links));
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    // 500 at least, and 10 for each link wanted.
    assert_eq!(pages, [vec![], vec![], vec![1]]);
    let query = ListQuery { limit: 100, cursor: None, ..query };
    let page = ok(db.list(&query, NOW).await);
    assert_eq!((page.links.len(), page.next_cursor.is_some()), (0, true));
    // Three are.
    let query = ListQuery { limit: 5, q: Some("rar".into()), ..ListQuery::default() };
    let page = ok(db.list(&query, NOW).await);
    assert_eq!((ids(&page.links), page.next_cursor), (vec![1], None));
}

#[tokio::test]
async fn searches_sort_by_the_last_write_however_much_they_find() {
    let directory = directory();
    let db = open(directory.path());
    // Above what is sorted after the search.
    let count = 2_050;
    crowd(&db, count, &[7, 8, 2_000]).await;
    let edited = stored(Link {
        version: 2,
        updated_at: NOW,
        title: Some("common, rare".into()),
        ..sample(7)
    });
    assert_eq!(db.update(&edited, 1).await, Ok(Updated::Updated));
    let query = |q: &str| ListQuery {
        limit: 100,
        q: Some(q.into()),
        sort: Sort::UpdatedDescending,
        ..ListQuery::default()
    };
    let newest_first = (1..=count).rev().filter(|number| *number != 7);
    let all: Vec<u64> = [7].into_iter().chain(newest_first).collect();
    assert_eq!(ids(&walk(&db, &query("common")).await), all);
    assert_eq!(ids(&walk(&db, &query("rare")).await), [7, 2_000, 8]);
}

#[tokio::test]
async fn a_use_of_a_link_makes_it_less_unused() {
    let directory = directory();
    let db = open(directory.path());
    for number in 1..=3 {
        create(&db, sample(number)).await;
    }
    let used = "UPDATE links SET last_used_at = ?1 WHERE id = 1";
    assert_eq!(db.write(move |connection| connection.execute(used, [NOW.0])).await, Ok(1));
    let due = ok(db.due(Due::Unused, NOW, None, 9).await);
    let due: Vec<_> = due.into_iter().map(|(at, stored)| (at, stored.link.id.0)).collect();
    let made = |number| sample(number).created_at;
    assert_eq!(due, [(made(2), 2), (made(3), 3), (NOW, 1)]);
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_crash() {
    let directory = directory();
    let db = open(directory.path());
    let answer = Idempotency {
        key: "key".into(),
        body_hash: [1; 32],
        answer: b"answer".to_vec(),
        expires_at: NOW.plus_ms(1),
    };
    let tagged = |number| Link { tags: vec!["tag".into()], ..sample(number) };
    let first = stored(tagged(1));
    assert_eq!(db.create(&first, Some(&answer), false, NOW).await, Ok(Created::Created));
    let links = at_once(50, async |index| create(&db, tagged(index as u64 + 2)).await);
    assert_eq!(db.take_use(first.link.id, 2).await, Ok(Use::Taken { left: 1 }));
    assert_eq!(db.lease("codes", 100).await, Ok(0));

    // The files as a killed process leaves them.
    let after_crash = self::directory();
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        let copied = fs::copy(directory.path().join(&name), after_crash.path().join(&name));
        copied.expect("the file is there");
    }
    let db = open(after_crash.path());
    for link in [first.clone()].into_iter().chain(links) {
        assert_eq!(db.record(link.key.as_str()), Ok(Some(link.record.clone())));
        assert_eq!(db.link(&link.key).await, Ok(Some(link)));
    }
    let query = ListQuery { limit: 100, tag: Some("tag".into()), ..ListQuery::default() };
    assert_eq!(walk(&db, &query).await.len(), 51);
    assert_eq!(db.replay("key", NOW).await, Ok(Some(answer)));
    assert_eq!(db.take_use(first.link.id, 2).await, Ok(Use::Taken { left: 0 }));
    assert_eq!(db.lease("codes", 1).await, Ok(100));
}

#[tokio::test]
async fn no_table_keeps_anything_of_a_link_that_is_gone() {
    let directory = directory();
    let db = open(directory.path());
    let rich = |number| Link {
        slug: "same".into(),
        tags: vec!["red".into(), "blue".into()],
        deleted_at: Some(NOW),
        ..sample(number)
    };
    let tables = async || {
        let rows = "SELECT (SELECT count(*) FROM links), (SELECT count(*) FROM link_tags),
            (SELECT count(*) FROM link_texts ('\"sam\"')), (SELECT count(*) FROM uses)";
        let rows = db.read(move |connection| {
            connection.query_row(rows, [], |row| {
                Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
            })
        });
        ok(rows.await)
    };
    let first = create(&db, rich(1)).await;
    assert_eq!(db.take_use(first.link.id, 9).await, Ok(Use::Taken { left: 8 }));
    assert_eq!(tables().await, [1, 2, 1, 1]);
    let second = stored(rich(2));
    assert_eq!(db.create(&second, None, true, NOW).await, Ok(Created::Created));
    assert_eq!(tables().await, [1, 2, 1, 0]);
    assert_eq!(db.take_use(second.link.id, 9).await, Ok(Use::Taken { left: 8 }));
    assert_eq!(db.purge(second.link.id, 1).await, Ok(Updated::Updated));
    assert_eq!(tables().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_damaged_row_is_a_fault_and_no_panic() {
    let directory = directory();
    let db = open(directory.path());
    let link = create(&db, sample(1)).await;
    for doc in ["", "{}", "null"] {
        let damage = "UPDATE links SET doc = ?1";
        assert_eq!(db.write(move |connection| connection.execute(damage, [doc])).await, Ok(1));
        let read = db.link(&link.key).await;
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
        let listed = db.list(&ListQuery { limit: 1, ..ListQuery::default() }, NOW).await;
        assert!(matches!(listed, Err(StoreError::Damaged(_))), "{listed:?}");
    }
    // The redirect does not need it.
    assert_eq!(db.record(link.key.as_str()), Ok(Some(link.record)));
}
