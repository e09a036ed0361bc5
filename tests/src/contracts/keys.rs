//! The contract of `KeyStore`. Every function is given an empty store.

use waypost_service::keys::{ApiKey, KeyStore, Role};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::ok;

fn sample(id: &str, hash: u8, created_ms: i64) -> ApiKey {
    ApiKey {
        id: id.into(),
        name: format!("key \u{1f511} {id}"),
        role: Role::Editor,
        requests_per_minute: None,
        hash: [hash; 32],
        created_at: Timestamp(created_ms),
        last_used_at: None,
        revoked_at: None,
    }
}

/// A key is found by its hash, whole; others are not.
pub async fn a_key_is_found_by_its_hash(store: &impl KeyStore) {
    let viewer = ApiKey { role: Role::Viewer, ..sample("a", 1, 1) };
    let used = ApiKey {
        role: Role::Admin,
        requests_per_minute: Some(1_000_000),
        last_used_at: Some(Timestamp(-5)),
        revoked_at: Some(Timestamp(9)),
        ..sample("b", 2, 2)
    };
    let endless = ApiKey { requests_per_minute: Some(0), ..sample("c", 4, 3) };
    for key in [&viewer, &used, &endless] {
        assert_eq!(store.insert_key(key).await, Ok(()));
    }
    assert_eq!(store.key_by_hash(&viewer.hash).await, Ok(Some(viewer)));
    assert_eq!(store.key_by_hash(&used.hash).await, Ok(Some(used)));
    assert_eq!(store.key_by_hash(&endless.hash).await, Ok(Some(endless)));
    assert_eq!(store.key_by_hash(&[3; 32]).await, Ok(None));
}

/// Neither ids nor hashes are used twice.
pub async fn a_key_is_unique(store: &impl KeyStore) {
    let first = sample("a", 1, 1);
    assert_eq!(store.insert_key(&first).await, Ok(()));
    for twin in [sample("a", 2, 2), sample("b", 1, 2)] {
        let refused = store.insert_key(&twin).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    }
    assert_eq!(store.list_keys().await, Ok(vec![first]));
}

/// Keys are listed oldest first, then by id.
pub async fn keys_are_listed_in_order(store: &impl KeyStore) {
    assert_eq!(store.list_keys().await, Ok(Vec::new()));
    let keys = [sample("c", 1, 5), sample("a", 2, 7), sample("b", 3, 5)];
    for key in &keys {
        assert_eq!(store.insert_key(key).await, Ok(()));
    }
    let [c, a, b] = keys;
    assert_eq!(store.list_keys().await, Ok(vec![b, c, a]));
}

/// A key is revoked once; the time stays.
pub async fn a_key_is_revoked_once(store: &impl KeyStore) {
    let (key, other) = (sample("a", 1, 1), sample("b", 2, 2));
    ok(store.insert_key(&key).await);
    ok(store.insert_key(&other).await);
    assert_eq!(store.revoke_key("c", Timestamp(5)).await, Ok(false));
    assert_eq!(store.revoke_key("a", Timestamp(5)).await, Ok(true));
    assert_eq!(store.revoke_key("a", Timestamp(6)).await, Ok(false));
    let revoked = ApiKey { revoked_at: Some(Timestamp(5)), ..key };
    assert_eq!(store.list_keys().await, Ok(vec![revoked, other]));
}

/// The last use never moves back.
pub async fn the_last_use_only_rises(store: &impl KeyStore) {
    ok(store.insert_key(&sample("a", 1, 1)).await);
    for (now, last) in [(5, 5), (3, 5), (5, 5), (8, 8)] {
        assert_eq!(store.touch_key("a", Timestamp(now)).await, Ok(()));
        let last_used_at = ok(store.key_by_hash(&[1; 32]).await).and_then(|key| key.last_used_at);
        assert_eq!(last_used_at, Some(Timestamp(last)));
    }
    assert_eq!(store.touch_key("b", Timestamp(9)).await, Ok(()));
}

/// Hands the names of all behaviours, by theme, to a macro that makes tests of them: every
/// implementation is held to the same list.
#[macro_export]
macro_rules! keys_contracts {
    ($kept:ident) => {
        $kept! {
            a_key_is_found_by_its_hash,
            a_key_is_revoked_once,
            a_key_is_unique,
            keys_are_listed_in_order,
            the_last_use_only_rises,
        }
    };
}
