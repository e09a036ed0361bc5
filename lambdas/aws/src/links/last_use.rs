//! When a link was last used, in the table of counters: `pk` = `link#<16 hex digits of the id>`,
//! `sk` = `use`.
//!
//! | Attribute | |
//! | --- | --- |
//! | `key` (S) | the text of the link's key |
//! | `last_used_at` (N) | the last click, or else the creation, in ms |
//! | `last_use` (S) | a time and the id, as index keys are; at most `last_used_at`, and within its day |
//! | `shard` (S) | the partition of the index; missing for links that are never unused: deleted ones and those to be kept |
//!
//! A creation writes it, a deletion or a change of `keep` changes `shard`, a purge removes it. The
//! closing of a window moves `last_used_at`, and `last_use` only if the day changes: a move costs
//! two writes of the index. It changes what is there and makes nothing new, so that late clicks of
//! a purged link leave nothing behind.

use aws_sdk_dynamodb::types::AttributeValue;
use waypost_service::model::{Link, LinkId};
use waypost_wire::key::LinkKey;

use super::row::place;
use crate::calls::Write;
use crate::item::{Item, pair, text, time};
use crate::schema::shard;

/// The index by last use.
pub const INDEX: &str = "by_last_use";
/// Its sort key.
pub const SORT_KEY: &str = "last_use";

/// The key of a link's item.
pub fn item_key(id: LinkId) -> Item {
    pair(format!("link#{:016x}", id.0), "use")
}

/// The item of a new link.
pub(super) fn new(link: &Link, key: &LinkKey) -> Item {
    let mut item = item_key(link.id);
    item.insert("key".to_owned(), text(key.as_str()));
    item.insert("last_used_at".to_owned(), time(link.created_at));
    item.insert(SORT_KEY.to_owned(), text(place(link.created_at, link.id)));
    if is_watched(link) {
        item.insert("shard".to_owned(), shard_of(link.id));
    }
    item
}

/// What an edit changes of the item, if anything.
pub(super) fn change(table: &str, before: &Link, after: &Link) -> Option<Write> {
    match (is_watched(before), is_watched(after)) {
        (false, true) => Some(
            Write::update(table, item_key(after.id), "SET #shard = :shard")
                .with(":shard", shard_of(after.id)),
        ),
        (true, false) => Some(Write::update(table, item_key(after.id), "REMOVE #shard")),
        _ => None,
    }
    // Not for a link whose item is gone: there is none without a link.
    .map(|write| write.naming("#shard", "shard").only_if("attribute_exists(pk)"))
}

/// Whether a link can be due for being unused.
pub(super) const fn is_watched(link: &Link) -> bool {
    !link.keep && link.deleted_at.is_none()
}

fn shard_of(id: LinkId) -> AttributeValue {
    text(shard(id.0))
}
