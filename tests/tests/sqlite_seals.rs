//! What SQLite promises of sealed links beyond the contract: files that tell nothing, and no start
//! without the right keys.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use waypost_native::sqlite::{Db, DbOptions, FILE_NAME, OpenError, Swept, sweep};
use waypost_service::model::{Link, LinkId};
use waypost_service::seal::SealKeys;
use waypost_service::seal::fields::Sealing;
use waypost_service::seal::reseal::reseal;
use waypost_service::seams::{Created, Idempotency, LinkStore, ListQuery, Sort, StoredLink};
use waypost_tests::contracts::links::lists::ids;
use waypost_tests::contracts::links::{NOW, create, edit, sample, stored};
use waypost_tests::contracts::ok;
use waypost_tests::contracts::seals::{NEW, OLD, keys};

/// What nobody should find in the files.
const NOTES: &str = "q-between-the-two-of-us";
const HIDDEN: &str = "hidden-behind-a-password";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for the database")
}

fn sealing(text: &str) -> Sealing {
    Sealing::with(Some(keys(text)))
}

fn try_open(directory: &Path, sealing: Sealing) -> Result<Db, OpenError> {
    Db::open(&directory.join(FILE_NAME), &DbOptions { sealing, ..DbOptions::default() })
}

fn open(directory: &Path, sealing: Sealing) -> Db {
    try_open(directory, sealing).expect("the database opens")
}

fn refusal(directory: &Path, sealing: Sealing) -> String {
    let error = try_open(directory, sealing).expect_err("it must be refused");
    error.to_string().replace(&directory.display().to_string(), "DIR")
}

fn secret(number: u64) -> Link {
    Link {
        notes: Some(NOTES.into()),
        title: Some(format!("title of {number}")),
        tags: vec!["spring".into()],
        destination: format!("https://{HIDDEN}.example/"),
        password_hash: Some("$argon2id$".into()),
        ..sample(number)
    }
}

fn with_record(link: Link) -> StoredLink {
    let record = format!("\u{1}leads to {}", link.destination).into_bytes();
    StoredLink { record, ..stored(link) }
}

/// Whether any file here holds the text.
fn is_told(directory: &Path, text: &str) -> bool {
    let files = fs::read_dir(directory).expect("a directory");
    files
        .map(|file| fs::read(file.expect("a file").path()).expect("readable"))
        .any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// Whether the index of texts holds three characters, in whatever link, deleted or not.
fn is_indexed(directory: &Path, trigram: &str) -> bool {
    let connection = Connection::open(directory.join(FILE_NAME)).expect("SQLite opens it");
    let terms = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'link_texts', 'row')";
    connection.execute_batch(terms).expect("the terms are readable");
    let term = "SELECT EXISTS (SELECT 1 FROM temp.terms WHERE term = ?1)";
    connection.query_row(term, [trigram], |row| row.get(0)).expect("an answer")
}

/// Whether something is left of three characters in the bytes of the index, found or not. Only for
/// the first of those that begin with a letter: of the others, the common start is left out.
fn is_left(directory: &Path, trigram: &str) -> bool {
    let connection = Connection::open(directory.join(FILE_NAME)).expect("SQLite opens it");
    let mut blocks = connection.prepare("SELECT block FROM link_texts_data").expect("the blocks");
    let blocks = blocks.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("the blocks");
    blocks
        .map(|block| block.expect("a block"))
        .any(|block| block.windows(trigram.len()).any(|part| part == trigram.as_bytes()))
}

fn nonce() -> Option<[u8; 12]> {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Some([NEXT.fetch_add(1, Ordering::Relaxed); 12])
}

/// Seals everything anew, as `waypost reseal` does.
async fn seal_anew(directory: &Path, with: &Sealing) -> Swept {
    let db = open(directory, with.clone());
    let report = reseal(&db, with, &nonce, None, &mut |_| ()).await.expect("it works");
    assert!(report.is_complete(with), "{report:?}");
    db.close().await;
    drop(db);
    sweep(&directory.join(FILE_NAME), with).expect("it works")
}

fn remembered(key: &str) -> Idempotency {
    Idempotency {
        key: key.into(),
        body_hash: [7; 32],
        answer: format!("{{\"notes\":\"{NOTES}\"}}").into_bytes(),
        expires_at: NOW.plus_ms(60_000),
    }
}

#[tokio::test]
async fn no_file_tells_what_is_sealed() {
    let directory = directory();
    let db = open(directory.path(), sealing(OLD));
    let link = with_record(secret(1));
    let created = db.create(&link, Some(&remembered("order-1")), false, NOW).await;
    assert_eq!(created, Ok(Created::Created));
    let public = Link { password_hash: None, ..secret(2) };
    create(&db, Link { destination: "https://public.example/".into(), ..public }).await;
    // With its log.
    for text in [NOTES, HIDDEN] {
        assert!(!is_told(directory.path(), text), "{text}");
    }
    db.close().await;
    drop(db);
    for text in [NOTES, HIDDEN] {
        assert!(!is_told(directory.path(), text), "{text}");
    }
    assert!(is_indexed(directory.path(), "tit") && is_indexed(directory.path(), "spr"));
    assert!(is_indexed(directory.path(), "pub"), "the destination of a public link");
    assert!(!is_indexed(directory.path(), "two"), "notes");
    assert!(!is_indexed(directory.path(), "hid"), "the destination of a private link");

    let db = open(directory.path(), sealing(OLD));
    assert_eq!(db.link(&link.key).await, Ok(Some(link.clone())));
    assert_eq!(db.record(link.key.as_str()), Ok(Some(link.record)));
    assert_eq!(db.replay("order-1", NOW).await, Ok(Some(remembered("order-1"))));
}

/// The links found by `q`, in every order alike.
async fn found(db: &Db, q: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for sort in [Sort::CreatedAscending, Sort::CreatedDescending, Sort::UpdatedDescending] {
        let query = ListQuery { limit: 10, q: Some(q.into()), sort, ..ListQuery::default() };
        let mut found = ids(&ok(db.list(&query, NOW).await).links);
        found.sort_unstable();
        all.push(found);
    }
    assert!(all.iter().all(|found| *found == all[0]), "{q}: {all:?}");
    all.remove(0)
}

#[tokio::test]
async fn searches_find_what_is_not_sealed_however_short_they_are() {
    let directory = directory();
    let plain = open(directory.path(), Sealing::default());
    create(&plain, secret(1)).await;
    assert_eq!(found(&plain, "two-of").await, [1], "plain notes are searched");
    drop(plain);
    let db = open(directory.path(), sealing(OLD));
    let second = create(&db, secret(2)).await;
    for (q, wanted) in [
        ("title of", &[1, 2][..]),
        ("spring", &[1, 2]),
        ("slug-2", &[2]),
        ("two-of", &[]),
        ("tw", &[]),
        ("hidden", &[]),
        ("hi", &[]),
    ] {
        assert_eq!(found(&db, q).await, wanted, "{q}");
    }
    let second = edit(&db, &second, |link| link.password_hash = None).await;
    assert_eq!(found(&db, "hidden").await, [2], "its destination is public now");
    edit(&db, &second, |link| link.password_hash = Some("$argon2id$".into())).await;
    assert_eq!(found(&db, "hidden").await, [0_u64; 0]);
}

#[tokio::test]
async fn a_database_is_not_opened_without_its_keys() {
    let directory = directory();
    let db = open(directory.path(), sealing(OLD));
    create(&db, secret(1)).await;
    drop(db);
    let missing = "DIR/waypost.db is sealed with key 1, which is not among the keys of \
                   seal_keys_file or seal_keys: put it back, behind the first if another one is to \
                   seal; without it, these links cannot be read";
    assert_eq!(refusal(directory.path(), Sealing::default()), missing);
    assert_eq!(refusal(directory.path(), sealing(NEW)), missing);
    let other = NEW.replace("2:", "1:");
    assert_eq!(
        refusal(directory.path(), sealing(&other)),
        "DIR/waypost.db is sealed with another key 1 than that of seal_keys_file or seal_keys: put \
         the right one in its place, and give a new key a number of its own"
    );
    // A refused start leaves nothing: the new key is not noted.
    let db = open(directory.path(), sealing(OLD));
    assert_eq!(db.link_by_id(LinkId(1)).await, Ok(Some(stored(secret(1)))));
    drop(db);
    // A key is needed from the first start with it, whether it sealed something or not.
    drop(open(directory.path(), sealing(&format!("{NEW} {OLD}"))));
    assert!(refusal(directory.path(), sealing(OLD)).contains("sealed with key 2"));
}

#[tokio::test]
async fn plain_text_is_gone_once_all_is_sealed() {
    let directory = directory();
    let plain = open(directory.path(), Sealing::default());
    for number in 1..=40 {
        let link = with_record(secret(number));
        ok(plain.create(&link, None, false, NOW).await);
    }
    // What was, in pages that are free by now, and in the index.
    let link = create(&plain, Link { notes: Some("xyzzy-before".into()), ..sample(41) }).await;
    edit(&plain, &link, |link| link.notes = None).await;
    let answer = remembered("order-1");
    ok(plain.create(&stored(sample(42)), Some(&answer), false, NOW).await);
    plain.close().await;
    drop(plain);
    assert!(is_told(directory.path(), NOTES) && is_told(directory.path(), HIDDEN));
    assert!(is_indexed(directory.path(), "two") && is_indexed(directory.path(), "hid"));
    assert!(is_left(directory.path(), "q-b") && is_left(directory.path(), "zy-"));

    let swept = seal_anew(directory.path(), &sealing(OLD)).await;
    assert_eq!(swept, Swept { in_use: vec![1], is_rewritten: true });
    for text in [NOTES, HIDDEN, "xyzzy-before"] {
        assert!(!is_told(directory.path(), text), "{text}");
    }
    for trigram in ["two", "hid", "xyz", "zzy"] {
        assert!(!is_indexed(directory.path(), trigram), "{trigram}");
    }
    for trigram in ["q-b", "zy-"] {
        assert!(!is_left(directory.path(), trigram), "{trigram}");
    }
    assert!(is_indexed(directory.path(), "tit"));
    // It costs nothing to ask again.
    let swept = seal_anew(directory.path(), &sealing(OLD)).await;
    assert_eq!(swept, Swept { in_use: vec![1], is_rewritten: false });
    let db = open(directory.path(), sealing(OLD));
    assert_eq!(db.link_by_id(LinkId(40)).await, Ok(Some(with_record(secret(40)))));
    assert_eq!(db.replay("order-1", NOW).await, Ok(Some(answer)));
    assert_eq!(found(&db, "title of 40").await, [40]);
}

#[tokio::test]
async fn an_edit_seals_what_was_plain() {
    let directory = directory();
    let plain = open(directory.path(), Sealing::default());
    let link = create(&plain, secret(1)).await;
    drop(plain);
    assert!(is_indexed(directory.path(), "two") && is_indexed(directory.path(), "hid"));
    let db = open(directory.path(), sealing(OLD));
    // Nothing of its text changes but what of it may be in the index.
    let edited = edit(&db, &link, |link| link.keep = true).await;
    assert_eq!(db.link_by_id(LinkId(1)).await, Ok(Some(edited)));
    db.close().await;
    assert!(!is_indexed(directory.path(), "two") && !is_indexed(directory.path(), "hid"));
    assert!(!is_told(directory.path(), NOTES) && !is_told(directory.path(), HIDDEN));
}

#[tokio::test]
async fn the_index_forgets_what_is_a_small_part_of_it() {
    let directory = directory();
    let plain = open(directory.path(), Sealing::default());
    create(&plain, Link { notes: Some("xyzzy-before".into()), ..sample(1) }).await;
    // Beside so many others, the index would not be merged by itself.
    for number in 2..=100 {
        create(&plain, sample(number)).await;
    }
    drop(plain);
    assert!(is_left(directory.path(), "zy-"));
    seal_anew(directory.path(), &sealing(OLD)).await;
    assert!(!is_left(directory.path(), "zy-"));
    let db = open(directory.path(), sealing(OLD));
    assert_eq!(found(&db, "slug-42").await, [42]);
}

#[tokio::test]
async fn a_key_is_forgotten_once_nothing_needs_it() {
    let directory = directory();
    let db = open(directory.path(), sealing(OLD));
    let answer = remembered("order-1");
    ok(db.create(&with_record(secret(1)), Some(&answer), false, NOW).await);
    drop(db);
    let both = sealing(&format!("{NEW} {OLD}"));
    drop(open(directory.path(), both.clone()));
    // Too early.
    let swept = sweep(&directory.path().join(FILE_NAME), &both).expect("it works");
    assert_eq!(swept.in_use, [1, 2]);
    assert!(refusal(directory.path(), sealing(NEW)).contains("sealed with key 1"));

    assert_eq!(seal_anew(directory.path(), &both).await.in_use, [2]);
    let db = open(directory.path(), sealing(NEW));
    assert_eq!(db.link_by_id(LinkId(1)).await, Ok(Some(with_record(secret(1)))));
    assert_eq!(db.replay("order-1", NOW).await, Ok(Some(answer)));
}

#[tokio::test]
async fn a_damaged_field_is_that_links_alone() {
    let directory = directory();
    let db = open(directory.path(), sealing(OLD));
    create(&db, secret(1)).await;
    create(&db, secret(2)).await;
    let swap = "UPDATE links SET sealed = (SELECT sealed FROM links WHERE id = 2) WHERE id = 1";
    assert_eq!(db.write(move |connection| connection.execute(swap, [])).await, Ok(1));
    let refused = db.link_by_id(LinkId(1)).await.expect_err("it is another link's");
    assert!(refused.to_string().contains("link of link 1: it was changed"), "{refused}");
    assert_eq!(db.link_by_id(LinkId(2)).await, Ok(Some(stored(secret(2)))));
}

#[test]
fn keys_are_not_shown() {
    let options = DbOptions { sealing: sealing(OLD), ..DbOptions::default() };
    assert!(!format!("{options:?}").contains("0101"));
    assert!(SealKeys::read("1:0101").expect_err("no key").to_string().contains("64 hex digits"));
}

#[tokio::test]
async fn with_keys_what_is_removed_is_overwritten() {
    for (sealing, expected) in [(Sealing::default(), 0), (sealing(OLD), 2)] {
        let directory = directory();
        let db = open(directory.path(), sealing);
        let secure = |connection: &Connection| {
            connection.pragma_query_value(None, "secure_delete", |row| row.get::<_, i32>(0))
        };
        // 2 is FAST: in pages that are written anyway.
        assert_eq!(db.write(secure).await, Ok(expected));
    }
}
