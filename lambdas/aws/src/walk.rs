//! Walks of an index: its partitions are read side by side and merged into one order.
//!
//! An index follows its table, by less than a second as a rule: an entry may be missing yet or
//! still be there. Whoever walks reads the items themselves and believes them, or can do with what was
//! so a moment ago.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use waypost_service::seams::StoreError;

use crate::item::{Fields, Item, unavailable};
use crate::schema::{SHARDS, shards};
use crate::store::AwsStore;

/// Most entries read from one partition at a time: 100 bytes each as a rule, of the megabyte that a
/// query answers.
const CHUNK_MAX: usize = 400;

/// Before every sort key: all of them start with a hex digit.
pub const LOWEST: &str = "0";
/// After every sort key.
pub const HIGHEST: &str = "g";

/// An index in an order.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The table.
    pub table: &'a str,
    /// The index.
    pub index: &'static str,
    /// The sort key of the index.
    pub sort_key: &'static str,
    /// Latest first.
    pub is_descending: bool,
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its sort key.
    pub place: String,
    /// Its item's key in the table.
    pub pk: String,
    /// The second part of that key, in tables that have one.
    pub sk: Option<String>,
    /// All that the index holds of the item.
    pub held: Item,
}

/// A walk that is under way.
#[derive(Debug)]
pub struct Walk<'a> {
    store: &'a AwsStore,
    way: Way<'a>,
    from: String,
    until: String,
    partitions: Vec<Partition>,
}

#[derive(Debug)]
struct Partition {
    shard: String,
    read: VecDeque<Entry>,
    rest: Rest,
}

#[derive(Clone, Debug)]
enum Rest {
    All,
    After(Item),
    Nothing,
}

impl<'a> Walk<'a> {
    /// Walks the entries from `from` to `until`, both included, whatever the order. See
    /// [`behind`] and [`before`].
    pub fn new(store: &'a AwsStore, way: Way<'a>, from: String, until: String) -> Self {
        // The store refuses to read nothing.
        let rest = if from <= until { Rest::All } else { Rest::Nothing };
        let partition = |shard| Partition { shard, read: VecDeque::new(), rest: rest.clone() };
        Self { store, way, from, until, partitions: shards().map(partition).collect() }
    }

    /// The next entries, at most `most`; fewer only at the end.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::with_capacity(most);
        while entries.len() < most {
            self.read_on(most - entries.len()).await?;
            let places = self.partitions.iter().enumerate().filter_map(|(index, partition)| {
                partition.read.front().map(|entry| (&entry.place, index))
            });
            let next = if self.way.is_descending { places.max() } else { places.min() };
            let Some((_, index)) = next else { break };
            entries.extend(self.partitions.get_mut(index).and_then(|found| found.read.pop_front()));
        }
        Ok(entries)
    }

    /// Reads on where nothing is left of what was read, side by side.
    async fn read_on(&mut self, wanted: usize) -> Result<(), StoreError> {
        let (store, way, from, until) = (self.store, self.way, &self.from, &self.until);
        // Ids are spread evenly, so a share and a half and some more is mostly enough.
        let share = wanted / SHARDS as usize;
        let limit = (share + share / 2 + 4).min(CHUNK_MAX);
        let empty = self.partitions.iter_mut().filter(|found| found.read.is_empty());
        let reads = empty.map(|partition| async move {
            while partition.read.is_empty() && !matches!(partition.rest, Rest::Nothing) {
                partition.read_on(store, way, (from, until), limit).await?;
            }
            Ok::<_, StoreError>(())
        });
        try_join_all(reads).await.map(drop)
    }
}

impl Partition {
    async fn read_on(
        &mut self,
        store: &AwsStore,
        way: Way<'_>,
        (from, until): (&str, &str),
        limit: usize,
    ) -> Result<(), StoreError> {
        use crate::item::text;
        let start = match &self.rest {
            Rest::After(key) => Some(key.clone()),
            _ => None,
        };
        let call = store.clients.dynamo.query().table_name(way.table).index_name(way.index);
        let call = call
            .key_condition_expression("#shard = :shard AND #place BETWEEN :from AND :until")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_names("#place", way.sort_key)
            .expression_attribute_values(":shard", text(self.shard.as_str()))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
            .scan_index_forward(!way.is_descending)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = call.send().await.map_err(|error| unavailable(&error))?;
        for item in answer.items.unwrap_or_default() {
            self.read.push_back(Entry {
                place: item.text(way.sort_key)?.to_owned(),
                pk: item.text("pk")?.to_owned(),
                sk: if item.has("sk") { Some(item.text("sk")?.to_owned()) } else { None },
                held: item,
            });
        }
        self.rest = match answer.last_evaluated_key {
            Some(key) if !key.is_empty() => Rest::After(key),
            _ => Rest::Nothing,
        };
        Ok(())
    }
}

/// The lowest bound above a sort key. All sort keys of an index have one length.
pub fn behind(place: &str) -> String {
    neighbour(place, 1)
}

/// The highest bound below a sort key.
pub fn before(place: &str) -> String {
    neighbour(place, -1)
}

/// Another last character: what comes next to a hex digit is another one, or sorts as if it were.
fn neighbour(place: &str, step: i8) -> String {
    let mut place = place.to_owned();
    let last = place.pop().and_then(|last| u8::try_from(last).ok());
    place.extend(last.map(|last| char::from(last.saturating_add_signed(step))));
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_next_to_a_place() {
        let places = ["a0", "a1", "a8", "a9", "aa", "ae", "af", "b0", "bf"];
        for (index, place) in places.iter().enumerate() {
            let (behind, before) = (behind(place), before(place));
            for (other, other_place) in places.iter().enumerate() {
                assert_eq!(
                    *other_place >= behind.as_str(),
                    other > index,
                    "{other_place} {behind}"
                );
                assert_eq!(
                    *other_place <= before.as_str(),
                    other < index,
                    "{other_place} {before}"
                );
            }
        }
        assert!(places.iter().all(|place| LOWEST < *place && *place < HIGHEST));
    }
}
