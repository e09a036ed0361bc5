//! What lies in the tables can neither be read nor moved without the keys that links are sealed with.

use waypost_aws::item::{Fields, Item};
use waypost_aws::store::AwsStore;
use waypost_service::edge::Gate;
use waypost_service::model::Link;
use waypost_service::publish::LinkTable;
use waypost_service::seal::SealKeys;
use waypost_service::seams::{Created, Idempotency, LinkStore, StoreError, StoredLink, Updated};
use waypost_tests::contracts::links::{NOW, sample, stored};
use waypost_tests_aws::emulator::Emulator;

const OLD: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
const NEW: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";

fn keys(text: &str) -> Option<SealKeys> {
    Some(SealKeys::read(text).expect("keys"))
}

async fn store() -> AwsStore {
    let (clients, names) = Emulator::shared().tables().await;
    AwsStore::new(clients, names).sealed_with(keys(OLD))
}

/// A link that nobody should read: with notes, and with a password if `is_private`.
fn secret(number: u64, is_private: bool) -> StoredLink {
    let password_hash = is_private.then(|| "$argon2id$".to_owned());
    let notes = Some("between-us".to_owned());
    let destination = "https://hidden.example/".to_owned();
    let mut link = stored(Link { notes, destination, password_hash, ..sample(number) });
    link.record = b"\0leads to https://hidden.example/".to_vec();
    link
}

async fn raw(store: &AwsStore, table: &str, key: Item) -> Item {
    let call = store.clients.dynamo.get_item().table_name(table).set_key(Some(key));
    call.send().await.expect("an answer").item.expect("an item")
}

async fn item(store: &AwsStore, link: &StoredLink) -> Item {
    raw(store, &store.names.links, waypost_aws::item::key(link.key.as_str())).await
}

fn tells(item: &Item, text: &str) -> bool {
    format!("{item:?}").contains(text) || {
        let holds = |name: &str| {
            let bytes = item.bytes(name).unwrap_or_default();
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        item.keys().any(|name| holds(name))
    }
}

#[tokio::test]
async fn the_tables_tell_nothing_of_what_is_sealed() {
    let store = store().await;
    let (private, public) = (secret(1, true), secret(2, false));
    for link in [&private, &public] {
        assert_eq!(store.create(link, None, false, NOW).await, Ok(Created::Created));
        assert_eq!(store.link(&link.key).await, Ok(Some(link.clone())));
        let found = Gate::record(&store, link.key.as_str(), NOW).await;
        assert_eq!(found, Ok(Some(link.record.clone())));
        let current = store.current(&[link.key.as_str()]).await.remove(0);
        assert_eq!(
            current.map(|found| found.map(|found| found.record)),
            Ok(Some(link.record.clone()))
        );
        assert!(!tells(&item(&store, link).await, "between-us"));
    }
    assert!(!tells(&item(&store, &private).await, "hidden.example"));
    assert!(tells(&item(&store, &public).await, "hidden.example"), "the record of a public link");
}

#[tokio::test]
async fn remembered_answers_are_sealed_too() {
    let store = store().await;
    let remembered = Idempotency {
        key: "order-1".into(),
        body_hash: [7; 32],
        answer: b"{\"notes\":\"between-us\"}".to_vec(),
        expires_at: NOW.plus_ms(60_000),
    };
    let created = store.create(&secret(1, true), Some(&remembered), false, NOW).await;
    assert_eq!(created, Ok(Created::Created));
    assert_eq!(store.replay("order-1", NOW).await, Ok(Some(remembered)));
    let table = store.names.control.clone();
    let all = store.clients.dynamo.scan().table_name(table).send().await.expect("an answer");
    let items = all.items.expect("items");
    assert!(items.len() >= 2 && items.iter().all(|item| !tells(item, "between-us")));
}

#[tokio::test]
async fn keys_are_replaced_while_links_live() {
    let old = store().await;
    let link = secret(1, true);
    assert_eq!(old.create(&link, None, false, NOW).await, Ok(Created::Created));
    let both = old.clone().sealed_with(keys(&format!("{NEW} {OLD}")));
    assert_eq!(both.link(&link.key).await, Ok(Some(link.clone())));
    let only_new = old.clone().sealed_with(keys(NEW));
    let refused = only_new.link(&link.key).await.expect_err("it is sealed with the old key");
    assert!(matches!(&refused, StoreError::Damaged(why) if why.contains("sealed with key 1")));

    let edited = StoredLink { link: Link { version: 2, ..link.link.clone() }, ..link.clone() };
    assert_eq!(both.update(&edited, 1).await, Ok(Updated::Updated));
    assert_eq!(only_new.link(&link.key).await, Ok(Some(edited)), "a write seals anew");
}

#[tokio::test]
async fn what_was_written_before_there_were_keys_is_read() {
    let store = store().await;
    let plain = store.clone().sealed_with(None);
    let link = secret(1, true);
    assert_eq!(plain.create(&link, None, false, NOW).await, Ok(Created::Created));
    assert!(tells(&item(&store, &link).await, "between-us"));
    assert_eq!(store.link(&link.key).await, Ok(Some(link)));
}

#[tokio::test]
async fn a_sealed_field_moved_to_another_link_is_found_out() {
    let store = store().await;
    let (one, other) = (secret(1, true), secret(2, true));
    for link in [&one, &other] {
        assert_eq!(store.create(link, None, false, NOW).await, Ok(Created::Created));
    }
    let mut forged = item(&store, &one).await;
    let moved = item(&store, &other).await;
    forged.insert("link".into(), moved["link"].clone());
    let put = store.clients.dynamo.put_item().table_name(&store.names.links);
    put.set_item(Some(forged)).send().await.expect("written");
    let refused = store.link(&one.key).await.expect_err("it is another link's");
    assert!(matches!(&refused, StoreError::Damaged(why) if why.contains("changed")), "{refused}");
}
