//! Answers of creations, remembered under the caller's key.
//!
//! Items go by themselves some time after they expired (`ttl`); the clean-up finds those that are
//! left by index. What has expired is not remembered, whether it is still there or not.

use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};
use waypost_service::seams::{Idempotency, StoreError};
use waypost_wire::time::Timestamp;

use crate::calls::{Tries, Write, Written};
use crate::item::{Fields, Item, bytes, damaged, number, pair, sortable, text, time};
use crate::schema::shard;
use crate::sealing::nonce;
use crate::store::AwsStore;
use crate::walk::{LOWEST, Walk, Way};

/// Items removed side by side.
const AT_ONCE: usize = 16;

/// The key of what is remembered: callers choose their keys, so they are hashed, which bounds
/// their length and spreads them.
fn item_key(key: &str) -> Item {
    pair(format!("idempotency#{}", hash(key)), "answer")
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

/// Remembers an answer; refused if one is remembered already that has not expired.
pub(super) fn remember(
    store: &AwsStore,
    answer: &Idempotency,
    now: Timestamp,
) -> Result<Write, StoreError> {
    let Idempotency { key, body_hash, answer, expires_at } = answer;
    let hash = hash(key);
    let answer = store.sealing.seal_answer(key, answer, &nonce)?;
    let number_of_shard = u64::from_str_radix(&hash[..16], 16).unwrap_or_default();
    let mut item = item_key(key);
    let attributes = [
        ("key", text(key)),
        ("body_hash", bytes(*body_hash)),
        ("answer", bytes(answer)),
        ("expires_at", time(*expires_at)),
        ("ttl", number(expires_at.0.div_euclid(1_000).saturating_add(1))),
        ("shard", text(shard(number_of_shard))),
        ("expires", text(format!("{}#{}", sortable(*expires_at), &hash[..16]))),
    ];
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    Ok(Write::put(&store.names.control, item)
        .only_if("attribute_not_exists(pk) OR expires_at <= :now")
        .with(":now", time(now)))
}

/// The answer under a key, unless it has expired.
pub(super) async fn remembered(
    store: &AwsStore,
    key: &str,
    now: Timestamp,
) -> Result<Option<Idempotency>, StoreError> {
    let Some(item) = store.get(&store.names.control, item_key(key)).await? else {
        return Ok(None);
    };
    let body_hash = item.bytes("body_hash")?.try_into();
    let found = Idempotency {
        key: item.text("key")?.to_owned(),
        body_hash: body_hash.map_err(|_| damaged("a body's hash has not 32 bytes"))?,
        answer: store.sealing.open_answer(key, item.bytes("answer")?.to_vec())?,
        expires_at: item.time("expires_at")?,
    };
    Ok(Some(found).filter(|found| now < found.expires_at))
}

/// Forgets what has expired.
pub(super) async fn forget(
    store: &AwsStore,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let way = Way {
        table: &store.names.control,
        index: "by_expires",
        sort_key: "expires",
        is_descending: false,
    };
    let until = format!("{}#~", sortable(now));
    let expired = Walk::new(store, way, LOWEST.to_owned(), until).next(limit).await?;
    let mut forgotten = 0;
    for some in expired.chunks(AT_ONCE) {
        let removals = some.iter().map(|entry| {
            let key = pair(entry.pk.as_str(), entry.sk.as_deref().unwrap_or_default());
            remove(store, key, now)
        });
        forgotten += try_join_all(removals).await?.into_iter().filter(|removed| *removed).count();
    }
    Ok(forgotten)
}

/// Removes an expired answer; whether it was there.
async fn remove(store: &AwsStore, key: Item, now: Timestamp) -> Result<bool, StoreError> {
    let mut tries = Tries::new();
    loop {
        let removal = Write::delete(&store.names.control, key.clone())
            .only_if("expires_at <= :now")
            .with(":now", time(now));
        match removal.alone(store).await? {
            Written::Done(_) => return Ok(true),
            // Gone, or used anew.
            Written::Refused(_) => return Ok(false),
            Written::Met => tries.again("forgetting an idempotency key").await?,
        }
    }
}
