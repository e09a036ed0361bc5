//! API keys in DynamoDB: [`KeyStore`]. In the table `control`:
//!
//! | `pk` | `sk` | |
//! | --- | --- | --- |
//! | `key#<SHA-256 in hex>` | `key` | the key: what every call of the API reads, once; without `requests_per_minute`, the limit is that of all keys |
//! | `keys` | `<id>` | `hash`: the list of keys, and the way from an id to its key |
//!
//! Installations have tens of keys, so their list is one partition; nothing but making a key writes
//! to it.

use aws_sdk_dynamodb::types::AttributeValue;
use waypost_service::keys::{ApiKey, KeyStore, Role};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::calls::{Transacted, Tries, Write, Written};
use crate::item::{Fields, Item, bytes, damaged, number, pair, text, time, unavailable};
use crate::store::AwsStore;

/// Longest sort key (Amazon DynamoDB, "Quotas").
const SORT_KEY_MAX_BYTES: usize = 1_024;
/// The partition of the list.
const LIST: &str = "keys";

impl KeyStore for AwsStore {
    async fn insert_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let control = &self.names.control;
        let mut listed = pair(LIST, key.id.as_str());
        listed.insert("hash".to_owned(), bytes(key.hash));
        let mut tries = Tries::new();
        loop {
            let writes = [
                Write::put(control, item(key)).only_if_new(),
                Write::put(control, listed.clone()).only_if_new(),
            ];
            let writes = writes.into_iter().map(Write::in_transaction).collect::<Result<_, _>>()?;
            match self.transact(writes).await? {
                Transacted::Done => return Ok(()),
                Transacted::Met => tries.again("making a key").await?,
                Transacted::Refused(_) => {
                    // The same key, whole: it was written before its answer was lost.
                    let is_done = self.key_by_hash(&key.hash).await?.as_ref() == Some(key);
                    let twin = || damaged(format!("key {} exists", key.id));
                    return if is_done { Ok(()) } else { Err(twin()) };
                }
            }
        }
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        self.get(&self.names.control, item_key(hash)).await?.as_ref().map(api_key).transpose()
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let listed = self.listed().await?;
        let items = self.get_all(&self.names.control, listed, None).await?;
        let mut keys = items.iter().map(api_key).collect::<Result<Vec<_>, _>>()?;
        keys.sort_unstable_by(|one, other| {
            (one.created_at, &one.id).cmp(&(other.created_at, &other.id))
        });
        Ok(keys)
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let Some(key) = self.key_of(id).await? else { return Ok(false) };
        let mut tries = Tries::new();
        loop {
            let revoke = Write::update(&self.names.control, key.clone(), "SET revoked_at = :now")
                .only_if("attribute_exists(pk) AND attribute_not_exists(revoked_at)")
                .with(":now", time(now));
            match revoke.alone(self).await? {
                Written::Done(_) => return Ok(true),
                // Revoked at this very moment: by this call, whose answer was lost.
                Written::Refused(found) => {
                    return Ok(found.is_some_and(|key| key.time("revoked_at") == Ok(now)));
                }
                Written::Met => tries.again("revoking a key").await?,
            }
        }
    }

    async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let Some(key) = self.key_of(id).await? else { return Ok(()) };
        let touch = Write::update(&self.names.control, key, "SET last_used_at = :now")
            .only_if(
                "attribute_exists(pk) AND \
                 (attribute_not_exists(last_used_at) OR last_used_at < :now)",
            )
            .with(":now", time(now));
        // A use that is not written down because another write came first is made up for by the
        // next one.
        touch.alone(self).await.map(drop)
    }
}

impl AwsStore {
    /// The keys of the items of all API keys.
    async fn listed(&self) -> Result<Vec<Item>, StoreError> {
        let (mut keys, mut start) = (Vec::new(), None);
        loop {
            let call = self.clients.dynamo.query().table_name(&self.names.control);
            let call = call
                .key_condition_expression("pk = :list")
                .expression_attribute_values(":list", text(LIST))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let answer = call.send().await.map_err(|error| unavailable(&error))?;
            for item in answer.items() {
                keys.push(item_key(item.bytes("hash")?));
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(keys);
            }
        }
    }

    /// The key of the item of an API key.
    async fn key_of(&self, id: &str) -> Result<Option<Item>, StoreError> {
        // The store takes no other text as a sort key. No API key has such an id, but anybody with
        // the right role may ask for it.
        if !(1..=SORT_KEY_MAX_BYTES).contains(&id.len()) {
            return Ok(None);
        }
        let listed = self.get(&self.names.control, pair(LIST, id)).await?;
        listed.map(|listed| Ok(item_key(listed.bytes("hash")?))).transpose()
    }
}

fn item_key(hash: &[u8]) -> Item {
    pair(format!("key#{}", hex::encode(hash)), "key")
}

fn item(key: &ApiKey) -> Item {
    let ApiKey { id, name, role, requests_per_minute, hash, created_at, last_used_at, revoked_at } =
        key;
    let mut item = item_key(hash);
    let mut set = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    set("id", text(id));
    set("name", text(name));
    set("role", text(role.name()));
    set("hash", bytes(*hash));
    set("created_at", time(*created_at));
    if let Some(limit) = requests_per_minute {
        set("requests_per_minute", number(limit));
    }
    if let Some(at) = last_used_at {
        set("last_used_at", time(*at));
    }
    if let Some(at) = revoked_at {
        set("revoked_at", time(*at));
    }
    item
}

fn api_key(item: &Item) -> Result<ApiKey, StoreError> {
    let at = |name| item.has(name).then(|| item.time(name)).transpose();
    let limit = item.has("requests_per_minute").then(|| item.number("requests_per_minute"));
    let role = item.text("role")?;
    let hash = item.bytes("hash")?.try_into();
    Ok(ApiKey {
        id: item.text("id")?.to_owned(),
        name: item.text("name")?.to_owned(),
        role: Role::from_name(role).ok_or_else(|| damaged(format!("key role {role:?}")))?,
        requests_per_minute: limit.transpose()?,
        hash: hash.map_err(|_| damaged("a key's hash has not 32 bytes"))?,
        created_at: item.time("created_at")?,
        last_used_at: at("last_used_at")?,
        revoked_at: at("revoked_at")?,
    })
}
