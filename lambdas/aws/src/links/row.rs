//! How a link lies in its item, and which index entries it has.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use waypost_service::model::{Link, LinkId};
use waypost_service::seal::fields::{Fields, Sealing};
use waypost_service::seal::reseal::Row;
use waypost_service::seams::{Changed, StoreError, StoredLink};
use waypost_wire::key::LinkKey;
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use crate::item::{
    Fields as _, Item, bytes, damaged, from_sortable, number, sortable, text, time, truth,
};
use crate::schema::shard;
use crate::sealing::nonce;

/// The attribute with the whole link as JSON, sealed if there are keys.
pub(super) const DOCUMENT: &str = "link";
/// The attribute with the record, sealed if there are keys and the link has a password.
pub(super) const RECORD: &str = "record";

/// The item of a link. `write` identifies this writing.
pub(super) fn item(
    stored: &StoredLink,
    write: [u8; 16],
    sealing: &Sealing,
) -> Result<Item, StoreError> {
    let StoredLink { link, key, record, recompile_at } = stored;
    let Fields { document, record } = sealing.fields(link, record, &nonce)?;
    let mut item = Item::from(
        [
            ("pk", text(key.as_str())),
            ("link_id", text(hex(link.id))),
            ("version", number(link.version)),
            (RECORD, bytes(record)),
            ("stopped", truth(link.is_stopped())),
            ("updated_at", time(link.updated_at)),
            (DOCUMENT, bytes(document)),
            ("write", bytes(write)),
            ("shard", text(shard(link.id.0))),
            ("created", text(hex(link.id))),
            ("updated", text(place(link.updated_at, link.id))),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let is_deleted = link.deleted_at.is_some();
    let due = [
        ("expires", link.expires_at.filter(|_| !is_deleted)),
        ("quarantine_end", link.quarantine_until.filter(|_| is_deleted)),
        ("recompile", *recompile_at),
        ("transition", transition(link, link.updated_at)),
    ];
    for (name, at) in due {
        if let Some(at) = at {
            item.insert(name.to_owned(), text(place(at, link.id)));
        }
    }
    Ok(item)
}

/// The link in an item.
pub(super) fn stored(item: &Item, sealing: &Sealing) -> Result<StoredLink, StoreError> {
    let recompile_at = match item.has("recompile") {
        true => Some(placed(item.text("recompile")?)?.0),
        false => None,
    };
    Ok(StoredLink {
        link: link(item, sealing)?,
        key: key(item)?,
        record: record(item, sealing)?,
        recompile_at,
    })
}

/// The document in an item.
pub(super) fn link(item: &Item, sealing: &Sealing) -> Result<Link, StoreError> {
    Ok(sealing.document(id(item)?, item.bytes(DOCUMENT)?)?)
}

/// The record in an item, which has at least it and `link_id`.
pub(crate) fn record(item: &Item, sealing: &Sealing) -> Result<Vec<u8>, StoreError> {
    Ok(sealing.record(id(item)?, item.bytes(RECORD)?.to_vec())?)
}

/// What lies in an item of a link.
pub(super) fn raw(item: &Item) -> Result<Row, StoreError> {
    let fields =
        Fields { document: item.bytes(DOCUMENT)?.to_vec(), record: item.bytes(RECORD)?.to_vec() };
    let (key, version) = (item.text("pk")?.to_owned(), item.number("version")?);
    Ok(Row { id: id(item)?, key, version, fields })
}

/// What edges are told of a link, from what the index of changes holds of its item.
pub(super) fn changed(held: &Item) -> Result<Changed, StoreError> {
    let (at, id) = placed(held.text("updated")?)?;
    let version = held.number("version")?;
    Ok(Changed {
        at,
        key: key(held)?,
        generation: Generation { link_id: id.0, version },
        stopped: held.truth("stopped")?,
    })
}

/// Which writing of which link an item is.
pub(super) fn generation(item: &Item) -> Result<Generation, StoreError> {
    Ok(Generation { link_id: id(item)?.0, version: item.number("version")? })
}

/// The id of the link in an item.
pub(super) fn id(item: &Item) -> Result<LinkId, StoreError> {
    from_hex(item.text("link_id")?)
}

fn key(item: &Item) -> Result<LinkKey, StoreError> {
    let key = item.text("pk")?;
    let (domain, slug) =
        key.split_once('/').ok_or_else(|| damaged(format!("key {key:?} has no slash")))?;
    Ok(LinkKey::new(domain, slug, false))
}

/// When the state changes by itself; a deleted link's never does.
pub(super) fn transition(link: &Link, now: Timestamp) -> Option<Timestamp> {
    link.next_transition(now).filter(|_| link.deleted_at.is_none())
}

/// An id as text: 16 hex digits, which sort as ids do.
pub fn hex(id: LinkId) -> String {
    format!("{:016x}", id.0)
}

/// The id of such a text.
pub(super) fn from_hex(text: &str) -> Result<LinkId, StoreError> {
    let number = u64::from_str_radix(text, 16);
    number.map(LinkId).map_err(|_| damaged(format!("{text:?} is no id of a link")))
}

/// A time and an id as the sort key of an index: by time, then by id.
pub fn place(at: Timestamp, id: LinkId) -> String {
    format!("{}#{}", sortable(at), hex(id))
}

/// The time and the id of such a sort key.
pub(super) fn placed(place: &str) -> Result<(Timestamp, LinkId), StoreError> {
    let (at, id) =
        place.split_once('#').ok_or_else(|| damaged(format!("{place:?} is no index key")))?;
    Ok((from_sortable(at)?, from_hex(id)?))
}

/// Items by their partition key.
pub(super) fn by_pk(items: Vec<Item>) -> Result<HashMap<String, Item>, StoreError> {
    items.into_iter().map(|item| Ok((item.text("pk")?.to_owned(), item))).collect()
}

/// Whether an item has this text.
pub(super) fn says(item: &Item, name: &str, wanted: &str) -> bool {
    matches!(item.get(name), Some(AttributeValue::S(text)) if text == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CREATED: Timestamp = Timestamp(1_795_272_013_500);

    fn plain() -> StoredLink {
        let at = "2026-11-21T14:40:13.500Z";
        let link = json!({
            "id": "2N9c", "domain": "s.example", "slug": "hello", "status": 302,
            "destination": "https://www.example.com/a/page?with=a&query=of&some=length",
            "title": "A page", "tags": ["spring"], "notes": null, "starts_at": null,
            "expires_at": null, "expired_destination": null, "max_clicks": null,
            "forward_query": false, "forward_path": false, "utm": null, "ios_destination": null,
            "android_destination": null, "rules": [], "preview": null, "disabled": false,
            "keep": false, "external_id": null, "blocked": null, "password_hash": null,
            "password_version": 0, "used_up": false, "version": 3, "created_at": at,
            "updated_at": at, "deleted_at": null, "quarantine_until": null,
        });
        let link: Link = serde_json::from_value(link).unwrap();
        let key = link.key(false);
        StoredLink { link, key, record: vec![7; 120], recompile_at: None }
    }

    fn names(item: &Item) -> Vec<&str> {
        let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    const ALWAYS: [&str; 11] = [
        "created",
        "link",
        "link_id",
        "pk",
        "record",
        "shard",
        "stopped",
        "updated",
        "updated_at",
        "version",
        "write",
    ];

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let with_times = StoredLink { recompile_at: Some(Timestamp(-5)), ..plain() };
        for link in [plain(), with_times] {
            let item = item(&link, [1; 16], &Sealing::default()).unwrap();
            assert_eq!(stored(&item, &Sealing::default()), Ok(link.clone()));
            let told = changed(&item).unwrap();
            let generation = Generation { link_id: link.link.id.0, version: 3 };
            assert_eq!((told.at, told.key, told.generation), (CREATED, link.key, generation));
        }
    }

    #[test]
    fn a_link_is_in_the_indices_it_is_due_by() {
        let in_indices = |change: &dyn Fn(&mut StoredLink)| {
            let mut link = plain();
            change(&mut link);
            let item = item(&link, [1; 16], &Sealing::default()).unwrap();
            let due: Vec<String> = names(&item)
                .into_iter()
                .filter(|name| !ALWAYS.contains(name))
                .map(str::to_owned)
                .collect();
            due
        };
        let (past, future) = (CREATED.plus_ms(-1), CREATED.plus_ms(1));
        assert_eq!(names(&item(&plain(), [1; 16], &Sealing::default()).unwrap()), ALWAYS);
        assert_eq!(in_indices(&|link| link.link.expires_at = Some(past)), ["expires"]);
        let both = |link: &mut StoredLink| link.link.expires_at = Some(future);
        assert_eq!(in_indices(&both), ["expires", "transition"]);
        assert_eq!(in_indices(&|link| link.recompile_at = Some(past)), ["recompile"]);
        assert_eq!(in_indices(&|link| link.link.quarantine_until = Some(past)), [""; 0]);
        let deleted = |link: &mut StoredLink| {
            both(link);
            link.link.deleted_at = Some(past);
            link.link.quarantine_until = Some(future);
        };
        assert_eq!(in_indices(&deleted), ["quarantine_end"]);
    }

    #[test]
    fn index_keys_say_what_they_were_made_of() {
        for (at, id) in [(CREATED, 5), (Timestamp(i64::MIN), 0), (Timestamp(-1), u64::MAX)] {
            assert_eq!(placed(&place(at, LinkId(id))), Ok((at, LinkId(id))));
        }
        for damage in ["", "#", "8000000000000000", "8000000000000000#", "x#0000000000000005"] {
            assert!(placed(damage).is_err(), "{damage:?}");
        }
    }

    /// The costs in infra/data.md are those of items of up to 1 KB, one write unit.
    #[test]
    fn a_plain_link_costs_one_write_unit() {
        let size = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::N(digits) => digits.len() / 2 + 2,
            _ => 1,
        };
        let item = item(&plain(), [1; 16], &Sealing::default()).unwrap();
        let bytes: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
        assert!((900..=1_024).contains(&bytes), "{bytes} bytes");
    }
}
