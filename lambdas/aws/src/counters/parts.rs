//! Bytes too long for an item: kept in items of their own, named by their content.

use sha2::{Digest, Sha256};
use waypost_service::seams::StoreError;

use super::Counters;
use super::rows::attributes;
use crate::item::{Fields, Item, bytes, damaged, number, pair, text};

/// Most bytes that stay in the item. An item has at most 400 KB, a transaction 4 MB.
const INLINE_MAX: usize = 200_000;
/// Most bytes of a part.
const PART_MAX: usize = 350_000;

/// An item that holds bytes, and the parts it does not have room for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whole {
    /// To be written after its parts.
    pub(super) item: Item,
    /// What the bytes are in, if it is not the item.
    pub(super) parts: Vec<Item>,
}

/// Adds bytes to an item that has its keys.
pub(super) fn whole(mut item: Item, data: Vec<u8>) -> Result<Whole, StoreError> {
    if data.len() <= INLINE_MAX {
        item.insert("data".to_owned(), bytes(data));
        return Ok(Whole { item, parts: Vec::new() });
    }
    let digest = hex::encode(Sha256::digest(&data));
    let chunks = data.chunks(PART_MAX);
    item.extend(attributes([("parts", number(chunks.len())), ("digest", text(digest))]));
    let keys = keys(&item)?;
    let part = |(mut part, chunk): (Item, &[u8])| {
        part.insert("data".to_owned(), bytes(chunk));
        part
    };
    let parts = keys.into_iter().zip(chunks).map(part).collect();
    Ok(Whole { item, parts })
}

/// The keys of the parts of an item.
pub(super) fn keys(item: &Item) -> Result<Vec<Item>, StoreError> {
    if !item.has("parts") {
        return Ok(Vec::new());
    }
    let pk = format!("part#{}#{}#{}", item.text("pk")?, item.text("sk")?, item.text("digest")?);
    let count: u32 = item.number("parts")?;
    Ok((0..count).map(|number| pair(&pk, format!("{number:04x}"))).collect())
}

impl Counters<'_> {
    /// The bytes that [`whole`] put into an item; `None` if their parts have been removed since
    /// the item was read, so that there must be another one.
    pub(super) async fn data(&self, item: &Item) -> Result<Option<Vec<u8>>, StoreError> {
        let keys = keys(item)?;
        if keys.is_empty() {
            return item.bytes("data").map(|data| Some(data.to_vec()));
        }
        let mut data = Vec::new();
        for key in keys {
            match self.table.get(key).await? {
                Some(part) => data.extend_from_slice(part.bytes("data")?),
                None => return Ok(None),
            }
        }
        match hex::encode(Sha256::digest(&data)) == item.text("digest")? {
            true => Ok(Some(data)),
            false => Err(damaged("the parts of an item are not what they were")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_and_what_is_long_goes_into_parts() {
        let key = pair("rollup#1", "2#0");
        let short = whole(key.clone(), vec![7; INLINE_MAX]).expect("a key");
        assert_eq!(short.item.bytes("data"), Ok(&[7; INLINE_MAX][..]));
        assert_eq!((short.parts.len(), keys(&short.item)), (0, Ok(vec![])));
        let long = whole(key.clone(), vec![7; 2 * PART_MAX + 1]).expect("a key");
        assert!(!long.item.has("data"));
        let lengths: Vec<_> =
            long.parts.iter().map(|part| part.bytes("data").map(<[u8]>::len)).collect();
        assert_eq!(lengths, [Ok(PART_MAX), Ok(PART_MAX), Ok(1)]);
        let found = keys(&long.item).expect("keys");
        assert_eq!(found[2].text("sk"), Ok("0002"));
        let other = whole(key, vec![8; 2 * PART_MAX + 1]).expect("a key");
        assert_ne!(keys(&other.item), Ok(found), "other content has another name");
    }
}
