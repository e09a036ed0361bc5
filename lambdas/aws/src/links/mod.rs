//! Links in DynamoDB: [`LinkStore`].
//!
//! A link is one item of the table `links`, `pk` its key (attributes: row.rs). Beside it,
//! in `control`:
//!
//! | `pk` | `sk` | |
//! | --- | --- | --- |
//! | `id#<16 hex digits>` | `link` | `key` of the link, `used` uses, `creation` that wrote it |
//! | `external#<id>` | `link` | `link_id` of the link that has the external id |
//! | `idempotency#<SHA-256>` | `answer` | what a creation answered |
//! | `counter#<name>` | `next` | `next_value` of a counter |
//!
//! and in `counters` when it was [last used](last_use). All items of one change are written in one
//! transaction; an edit that touches the link's item alone is a conditional put.

mod create;
mod due;
mod idempotency;
pub mod last_use;
mod list;
mod reseal;
pub(crate) mod row;
mod table;
mod uses;
mod write;

pub use row::{hex, place};

use std::collections::{BTreeSet, HashMap};

use waypost_service::model::LinkId;
use waypost_service::seams::{
    Changed, Created, Due, Idempotency, LinkStore, ListQuery, Page, StoreError, StoredLink,
    Updated, Use,
};
use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use crate::item::{Fields, Item, key, pair};
use crate::store::AwsStore;

impl LinkStore for AwsStore {
    async fn create(
        &self,
        link: &StoredLink,
        idempotency: Option<&Idempotency>,
        replace_deleted: bool,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        create::create(self, link, idempotency, replace_deleted, now).await
    }

    async fn replay(&self, key: &str, now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        idempotency::remembered(self, key, now).await
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<StoredLink>, StoreError> {
        let found = self.link_item(key.as_str()).await?;
        found.map(|item| row::stored(&item, &self.sealing)).transpose()
    }

    async fn link_by_id(&self, id: LinkId) -> Result<Option<StoredLink>, StoreError> {
        let found = self.item_of(id).await?;
        found.map(|item| row::stored(&item, &self.sealing)).transpose()
    }

    async fn update(
        &self,
        link: &StoredLink,
        expected_version: u64,
    ) -> Result<Updated, StoreError> {
        write::update(self, link, expected_version).await
    }

    async fn purge(&self, id: LinkId, expected_version: u64) -> Result<Updated, StoreError> {
        write::purge(self, id, expected_version).await
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page, StoreError> {
        list::list(self, query, now).await
    }

    async fn due(
        &self,
        kind: Due,
        until: Timestamp,
        after: Option<(Timestamp, LinkId)>,
        limit: usize,
    ) -> Result<Vec<(Timestamp, StoredLink)>, StoreError> {
        due::due(self, kind, until, after, limit).await
    }

    async fn changed(&self, after: Timestamp, limit: usize) -> Result<Vec<Changed>, StoreError> {
        list::changed(self, after, limit).await
    }

    async fn settle(&self, id: LinkId, now: Timestamp) -> Result<(), StoreError> {
        write::settle(self, id, now).await
    }

    async fn take_use(&self, id: LinkId, max_clicks: u64) -> Result<Use, StoreError> {
        uses::take_use(self, id, max_clicks).await
    }

    async fn lease(&self, counter: &str, count: u32) -> Result<u64, StoreError> {
        uses::lease(self, counter, count).await
    }

    async fn forget_idempotency(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        idempotency::forget(self, now, limit).await
    }
}

impl AwsStore {
    /// The item under a key, as it is now.
    async fn link_item(&self, pk: &str) -> Result<Option<Item>, StoreError> {
        if !can_be_key(pk) {
            return Ok(None);
        }
        self.get(&self.names.links, key(pk)).await
    }

    /// The item of the link with this id, as it is now.
    async fn item_of(&self, id: LinkId) -> Result<Option<Item>, StoreError> {
        let Some(pointer) = self.get(&self.names.control, pointer_key(id)).await? else {
            return Ok(None);
        };
        let found = self.link_item(pointer.text("key")?).await?;
        // Between the two reads another link may have taken the key.
        Ok(found.filter(|item| row::says(item, "link_id", &hex(id))))
    }

    /// The items under these keys, as they are now.
    async fn link_items<'a>(
        &self,
        pks: impl Iterator<Item = &'a str>,
        attributes: Option<&'static [&'static str]>,
    ) -> Result<HashMap<String, Item>, StoreError> {
        // An index may have two entries for a key that changed hands a moment ago.
        let pks: BTreeSet<&str> = pks.filter(|pk| can_be_key(pk)).collect();
        let keys = pks.into_iter().map(key).collect();
        row::by_pk(self.get_all(&self.names.links, keys, attributes).await?)
    }
}

/// Whether the store takes a text as a key. No link has another one, but anybody may ask for it.
pub(crate) fn can_be_key(pk: &str) -> bool {
    (1..=KEY_MAX_BYTES).contains(&pk.len())
}

/// Longest partition key (Amazon DynamoDB, "Quotas").
const KEY_MAX_BYTES: usize = 2_048;

/// What leads from an id to its link.
fn pointer_key(id: LinkId) -> Item {
    pair(format!("id#{}", hex(id)), "link")
}

/// What keeps an external id to one link.
fn external_key(external_id: &str) -> Item {
    pair(format!("external#{external_id}"), "link")
}
