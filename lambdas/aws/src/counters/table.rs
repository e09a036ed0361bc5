//! The table of counting: reads that are current, writes in groups, transactions.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use waypost_service::seams::StoreError;

use crate::calls::{BATCH_KEYS, Transacted, Write, get_batch, transact};
use crate::item::{Fields, Item, damaged, pair, text, unavailable};
use crate::tries::{COUNTING, Patience, Tries};

/// Most items of a `BatchWriteItem` (DynamoDB API reference).
const WRITE_MAX: usize = 25;
/// Tries of what another writer was in the way of, or what was throttled.
pub(super) const TRIES: u32 = COUNTING.tries;
/// Most bytes of a transaction that are used; DynamoDB takes 4 MB.
pub(super) const TRANSACTION_MAX_BYTES: usize = 3_000_000;
/// Most actions of a transaction (DynamoDB API reference).
pub(super) const TRANSACTION_MAX: usize = 100;
/// Before every sort key.
pub(super) const FIRST: &str = "!";
/// Behind every sort key, and behind every one that begins with what it is added to.
pub(super) const LAST: &str = "~";

/// Values of an expression, by the names they have in it.
pub(super) type Values = Vec<(&'static str, AttributeValue)>;

/// Items by partition and sort key.
pub(super) type Found = HashMap<(String, String), Item>;

/// A part of a transaction. In expressions, `#name` is the attribute of that name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing is written: the condition must hold.
    Check { key: Item, condition: &'static str, values: Values },
    /// An item goes, if the condition holds.
    Delete { key: Item, condition: Option<&'static str>, values: Values },
    /// An item is written over whatever was there, if the condition holds.
    Put { item: Item, condition: Option<&'static str>, values: Values },
    /// Attributes of an item are changed, if the condition holds.
    Update { key: Item, update: &'static str, condition: Option<&'static str>, values: Values },
}

impl Action {
    /// Writes an item over whatever was there.
    pub(super) const fn put(item: Item) -> Self {
        Self::Put { item, condition: None, values: Vec::new() }
    }

    /// As a write of this table.
    fn write(self, table: &str) -> Write {
        let (write, update, condition, values) = match self {
            Self::Check { key, condition, values } => {
                (Write::check(table, key), None, Some(condition), values)
            }
            Self::Delete { key, condition, values } => {
                (Write::delete(table, key), None, condition, values)
            }
            Self::Put { item, condition, values } => {
                (Write::put(table, item), None, condition, values)
            }
            Self::Update { key, update, condition, values } => {
                (Write::update(table, key, update), Some(update), condition, values)
            }
        };
        let expressions: Vec<&str> = update.into_iter().chain(condition).collect();
        let write = match condition {
            Some(condition) => write.only_if(condition),
            None => write,
        };
        let write = names(&expressions)
            .into_iter()
            .fold(write, |write, name| write.naming(&format!("#{name}"), name));
        values.into_iter().fold(write, |write, (name, value)| write.with(name, value))
    }

    /// About how many bytes it is.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put { item, .. } => weight(item),
            Self::Update { values, .. } => 200 + values.len() * 100,
            Self::Check { .. } | Self::Delete { .. } => 200,
        }
    }
}

/// About how many bytes an item is.
fn weight(item: &Item) -> usize {
    let of = |value: &AttributeValue| match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) => text.len(),
        _ => 24,
    };
    item.iter().map(|(name, value)| name.len() + of(value)).sum()
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Durable.
    Done,
    /// Nothing was written: the conditions of these actions do not hold.
    Refused(Vec<usize>),
}

/// The table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    /// How it is called.
    pub(super) dynamo: &'a Client,
    /// What it is called.
    pub(super) name: &'a str,
}

impl Table<'_> {
    /// An item as it is now.
    pub(super) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let request = self.dynamo.get_item().table_name(self.name).set_key(Some(key));
        let answer = request.consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| unavailable(&error))
    }

    /// Items as they are now, by partition and sort key; those that are not there are left out.
    pub(super) async fn get_all(&self, keys: Vec<Item>) -> Result<Found, StoreError> {
        let mut found = Found::new();
        for group in keys.chunks(BATCH_KEYS) {
            let items = get_batch(self.dynamo, self.name, group.to_vec(), None, COUNTING).await?;
            for item in items {
                found.insert((item.text("pk")?.to_owned(), item.text("sk")?.to_owned()), item);
            }
        }
        Ok(found)
    }

    /// The items of a partition from the sort key `from` up to `to`, both included, in this order,
    /// as they are when they are passed; at most `limit`.
    pub(super) async fn query(
        &self,
        pk: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        if to < from {
            return Ok(items);
        }
        let mut start = None;
        while items.len() < limit {
            let page = i32::try_from(limit - items.len()).ok();
            let request = self
                .dynamo
                .query()
                .table_name(self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(pk))
                .expression_attribute_values(":from", text(from))
                .expression_attribute_values(":to", text(to))
                .set_limit(page)
                .set_exclusive_start_key(start);
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Writes items over whatever was there, in no order.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let put = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            Ok(WriteRequest::builder().put_request(put.map_err(|error| built(&error))?).build())
        };
        self.write_all(items.into_iter().map(put).collect::<Result<_, StoreError>>()?).await
    }

    /// Deletes items, in no order.
    pub(super) async fn delete_all(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        let delete = |key| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build();
            let delete = delete.map_err(|error| built(&error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        self.write_all(keys.into_iter().map(delete).collect::<Result<_, StoreError>>()?).await
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        for group in requests.chunks(WRITE_MAX) {
            let mut left = group.to_vec();
            let mut tries = Tries::of(COUNTING);
            loop {
                let request = self.dynamo.batch_write_item().request_items(self.name, left);
                let answer = request.send().await.map_err(|error| unavailable(&error))?;
                let mut unprocessed = answer.unprocessed_items.unwrap_or_default();
                left = unprocessed.remove(self.name).unwrap_or_default();
                if left.is_empty() {
                    break;
                }
                tries.again("writing in groups").await?;
            }
        }
        Ok(())
    }

    /// Does all actions or none. What is in the way of it for a moment is waited for.
    pub(super) async fn transact(&self, actions: &[Action]) -> Result<Outcome, StoreError> {
        let items = actions.iter().map(|action| action.clone().write(self.name).in_transaction());
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let mut tries = Tries::of(COUNTING);
        loop {
            match transact(self.dynamo, items.clone()).await? {
                Transacted::Done => return Ok(Outcome::Done),
                Transacted::Refused(refused) => return Ok(Outcome::Refused(refused)),
                Transacted::Met => tries.again("transactions of others in the way").await?,
            }
        }
    }
}

/// The attributes that expressions name as `#name`.
fn names<'a>(expressions: &[&'a str]) -> BTreeSet<&'a str> {
    let behind = expressions.iter().flat_map(|expression| expression.split('#').skip(1));
    let name = |behind: &'a str| {
        let end = behind.find(|next: char| !next.is_ascii_alphanumeric() && next != '_');
        behind.get(..end.unwrap_or(behind.len())).unwrap_or_default()
    };
    behind.map(name).collect()
}

/// The key of an item.
pub(super) fn key_of(item: &Item) -> Result<Item, StoreError> {
    Ok(pair(item.text("pk")?, item.text("sk")?))
}

/// Begins a try, numbered from 0, of so many: [`Patience::begin`].
///
/// # Errors
/// If there were too many.
pub(super) async fn pause(attempt: u32, tries: u32, what: &str) -> Result<(), StoreError> {
    Patience { tries, ..COUNTING }.begin(attempt, what).await
}

fn built(error: &BuildError) -> StoreError {
    damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_tell_their_names() {
        let found = names(&["SET #version = :version, #last_row = :row", "#version=:before"]);
        assert_eq!(found, BTreeSet::from(["last_row", "version"]));
        assert_eq!(names(&["attribute_exists(pk)"]), BTreeSet::new());
        assert_eq!(names(&[]), BTreeSet::new());
    }
}
