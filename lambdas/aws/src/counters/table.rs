//! The table of counting: reads that are current, writes in groups, transactions.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, DeleteRequest, KeysAndAttributes, Put, PutRequest,
    TransactWriteItem, Update, WriteRequest,
};
use waypost_service::seams::StoreError;

use crate::item::{Fields, Item, damaged, pair, text, unavailable};

/// Most items of a `BatchGetItem` (DynamoDB API reference).
const GET_MAX: usize = 100;
/// Most items of a `BatchWriteItem` (DynamoDB API reference).
const WRITE_MAX: usize = 25;
/// Tries of what another writer was in the way of, or what was throttled.
pub(super) const TRIES: u32 = 10;
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
    pub(super) async fn get_all(
        &self,
        keys: Vec<Item>,
    ) -> Result<HashMap<(String, String), Item>, StoreError> {
        let mut found = HashMap::new();
        for group in keys.chunks(GET_MAX) {
            let mut left = group.to_vec();
            for attempt in 0.. {
                if left.is_empty() {
                    break;
                }
                pause(attempt, TRIES, "reading in groups").await?;
                let wanted = KeysAndAttributes::builder().set_keys(Some(left));
                let wanted = wanted.consistent_read(true).build().map_err(|error| built(&error))?;
                let request = self.dynamo.batch_get_item().request_items(self.name, wanted);
                let answer = request.send().await.map_err(|error| unavailable(&error))?;
                for item in
                    answer.responses.unwrap_or_default().remove(self.name).unwrap_or_default()
                {
                    found.insert((item.text("pk")?.to_owned(), item.text("sk")?.to_owned()), item);
                }
                let unprocessed = answer.unprocessed_keys.unwrap_or_default().remove(self.name);
                left = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
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
        self.write_all(items.into_iter().map(put).collect::<Result<_, _>>()?).await
    }

    /// Deletes items, in no order.
    pub(super) async fn delete_all(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        let delete = |key| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build();
            let delete = delete.map_err(|error| built(&error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        self.write_all(keys.into_iter().map(delete).collect::<Result<_, _>>()?).await
    }

    async fn write_all(&self, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        for group in requests.chunks(WRITE_MAX) {
            let mut left = group.to_vec();
            for attempt in 0.. {
                if left.is_empty() {
                    break;
                }
                pause(attempt, TRIES, "writing in groups").await?;
                let request = self.dynamo.batch_write_item().request_items(self.name, left);
                let answer = request.send().await.map_err(|error| unavailable(&error))?;
                let mut unprocessed = answer.unprocessed_items.unwrap_or_default();
                left = unprocessed.remove(self.name).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Does all actions or none. What is in the way of it for a moment is waited for.
    pub(super) async fn transact(&self, actions: &[Action]) -> Result<Outcome, StoreError> {
        let items = actions.iter().map(|action| self.built(action.clone()));
        let items = items.collect::<Result<Vec<_>, _>>().map_err(|error| built(&error))?;
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "transactions of others in the way").await?;
            attempt += 1;
            let request =
                self.dynamo.transact_write_items().set_transact_items(Some(items.clone()));
            match request.send().await {
                Ok(_) => return Ok(Outcome::Done),
                Err(error) => match Fault::of(&error) {
                    Fault::Conditions(refused) => return Ok(Outcome::Refused(refused)),
                    Fault::Passing => {}
                    Fault::Other => return Err(unavailable(&error)),
                },
            }
        }
    }

    fn built(&self, action: Action) -> Result<TransactWriteItem, BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match action {
            Action::Check { key, condition, values } => {
                let check = ConditionCheck::builder()
                    .table_name(self.name)
                    .set_key(Some(key))
                    .set_expression_attribute_names(names(&[condition]))
                    .condition_expression(condition)
                    .set_expression_attribute_values(of(values));
                item.condition_check(check.build()?)
            }
            Action::Delete { key, condition, values } => {
                let delete = Delete::builder()
                    .table_name(self.name)
                    .set_key(Some(key))
                    .set_expression_attribute_names(names(condition.as_slice()))
                    .set_condition_expression(condition.map(str::to_owned))
                    .set_expression_attribute_values(of(values));
                item.delete(delete.build()?)
            }
            Action::Put { item: put, condition, values } => {
                let put = Put::builder()
                    .table_name(self.name)
                    .set_item(Some(put))
                    .set_expression_attribute_names(names(condition.as_slice()))
                    .set_condition_expression(condition.map(str::to_owned))
                    .set_expression_attribute_values(of(values));
                item.put(put.build()?)
            }
            Action::Update { key, update, condition, values } => {
                let expressions: Vec<&str> = [update].into_iter().chain(condition).collect();
                let update = Update::builder()
                    .table_name(self.name)
                    .set_key(Some(key))
                    .set_expression_attribute_names(names(&expressions))
                    .update_expression(update)
                    .set_condition_expression(condition.map(str::to_owned))
                    .set_expression_attribute_values(of(values));
                item.update(update.build()?)
            }
        }
        .build())
    }
}

/// What a transaction that was not done suffers from.
enum Fault {
    /// The conditions of these actions.
    Conditions(Vec<usize>),
    /// Another transaction on the same items, or too many writes: worth another try.
    Passing,
    /// Anything else, with its retries behind it.
    Other,
}

impl Fault {
    fn of<R>(error: &SdkError<TransactWriteItemsError, R>) -> Self {
        let canceled = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => canceled,
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
                return Self::Passing;
            }
            _ => return Self::Other,
        };
        let codes: Vec<&str> = canceled
            .cancellation_reasons()
            .iter()
            .map(|reason| reason.code().unwrap_or("None"))
            .collect();
        let refused: Vec<usize> = (0..codes.len())
            .filter(|index| codes.get(*index) == Some(&"ConditionalCheckFailed"))
            .collect();
        let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        match codes.iter().find(|code| passing.contains(code)) {
            _ if !refused.is_empty() => Self::Conditions(refused),
            Some(_) => Self::Passing,
            None => Self::Other,
        }
    }
}

/// The attributes that expressions name as `#name`.
fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let mut names = BTreeSet::new();
    for expression in expressions {
        for behind in expression.split('#').skip(1) {
            let end = behind.find(|next: char| !next.is_ascii_alphanumeric() && next != '_');
            names.insert(behind.get(..end.unwrap_or(behind.len())).unwrap_or_default());
        }
    }
    let names = names.into_iter().map(|name| (format!("#{name}"), name.to_owned()));
    Some(names.collect()).filter(|names: &HashMap<_, _>| !names.is_empty())
}

fn of(values: Values) -> Option<HashMap<String, AttributeValue>> {
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value));
    Some(values.collect()).filter(|values: &HashMap<_, _>| !values.is_empty())
}

/// The key of an item.
pub(super) fn key_of(item: &Item) -> Result<Item, StoreError> {
    Ok(pair(item.text("pk")?, item.text("sk")?))
}

/// Waits longer before each further try, by chance so that those who met once do not meet again:
/// up to 6 ms before the second try, up to 0.1 s from the sixth on.
///
/// # Errors
/// If there were too many.
pub(super) async fn pause(attempt: u32, tries: u32, what: &str) -> Result<(), StoreError> {
    if attempt == 0 {
        return Ok(());
    }
    if attempt >= tries {
        return Err(StoreError::Unavailable(format!("{what}: no success in {tries} tries")));
    }
    let mut chance = [0; 2];
    getrandom::fill(&mut chance).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let most_us = 6_250_u64 << (attempt - 1).min(4);
    let us = most_us * u64::from(u16::from_be_bytes(chance)) / u64::from(u16::MAX);
    tokio::time::sleep(Duration::from_micros(us)).await;
    Ok(())
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
        let pairs = [("#last_row", "last_row"), ("#version", "version")];
        let expected = pairs.map(|(name, of)| (name.to_owned(), of.to_owned()));
        assert_eq!(found, Some(HashMap::from(expected)));
        assert_eq!(names(&["attribute_exists(pk)"]), None);
        assert_eq!(names(&[]), None);
    }
}
