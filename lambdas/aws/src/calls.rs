//! Calls of DynamoDB as this crate makes them: reads that are current, conditional writes whose
//! answer says which condition did not hold, and what is tried again.
//!
//! The SDK repeats a call that got no answer or was throttled (3 attempts); a repeated write may find
//! that it was done before, so every write here can tell its own from another's, or does no harm
//! twice. What was answered and may be tried again is [`Written::Met`] or [`Transacted::Met`]:
//! [`crate::tries`] says how often.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem, Update,
};
use futures_util::future::try_join_all;
use waypost_service::seams::StoreError;

use crate::item::{Item, damaged, unavailable};
use crate::store::AwsStore;
use crate::tries::{ANSWERING, Patience};

pub use crate::tries::Tries;

/// Most keys of one `BatchGetItem` (DynamoDB API reference).
pub(crate) const BATCH_KEYS: usize = 100;
/// Batches read side by side.
const BATCHES: usize = 8;

/// Random bytes of the operating system.
///
/// # Errors
/// If it has none, which does not happen after it has started.
pub fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// How a conditional write of one item ended, if it was answered.
#[derive(Debug)]
pub enum Written<T> {
    /// Durable.
    Done(T),
    /// A condition does not hold. With the item as it is, if that was asked for.
    Refused(Option<Item>),
    /// It met another write: nothing was done, and it may be tried again.
    Met,
}

/// Sorts the answer of a `PutItem`, `UpdateItem` or `DeleteItem`. `seen` takes the item out of a
/// condition's failure.
///
/// # Errors
/// The store's fault. The write may have been done.
pub fn written<T, E>(
    answer: Result<T, SdkError<E>>,
    seen: impl FnOnce(&E) -> Option<Item>,
) -> Result<Written<T>, StoreError>
where
    E: ProvideErrorMetadata,
{
    match answer {
        Ok(output) => Ok(Written::Done(output)),
        Err(error) => match error.code() {
            Some("ConditionalCheckFailedException") => {
                Ok(Written::Refused(error.as_service_error().and_then(seen)))
            }
            Some("TransactionConflictException") => Ok(Written::Met),
            _ => Err(unavailable(&error)),
        },
    }
}

/// How a transaction ended, if it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transacted {
    /// Durable, all of it.
    Done,
    /// Nothing was done: the conditions of these writes do not hold.
    Refused(Vec<usize>),
    /// It met another write or a throttle: nothing was done, and it may be tried again.
    Met,
}

impl AwsStore {
    /// Writes all or nothing.
    ///
    /// # Errors
    /// The store's fault. The writes may have been done.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StoreError> {
        transact(&self.clients.dynamo, writes).await
    }

    /// An item as it is now.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn get(&self, table: &str, key: Item) -> Result<Option<Item>, StoreError> {
        let call = self.clients.dynamo.get_item().table_name(table).set_key(Some(key));
        let answer = call.consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| unavailable(&error))
    }

    /// Items as they are now, in no order; those that are not there are left out. Keys must all
    /// be different. `attributes` names what is read of them; `None`: all.
    ///
    /// # Errors
    /// The store's fault.
    pub async fn get_all(
        &self,
        table: &str,
        keys: Vec<Item>,
        attributes: Option<&'static [&'static str]>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_KEYS * BATCHES) {
            let batches = keys.chunks(BATCH_KEYS);
            let batches = batches.map(|keys| {
                let dynamo = &self.clients.dynamo;
                get_batch(dynamo, table, keys.to_vec(), attributes, ANSWERING)
            });
            items.extend(try_join_all(batches).await?.into_iter().flatten());
        }
        Ok(items)
    }
}

/// Writes all or nothing, once.
///
/// # Errors
/// The store's fault. The writes may have been done.
pub async fn transact(
    dynamo: &Client,
    writes: Vec<TransactWriteItem>,
) -> Result<Transacted, StoreError> {
    match dynamo.transact_write_items().set_transact_items(Some(writes)).send().await {
        Ok(_) => Ok(Transacted::Done),
        Err(error) => cancelled(&error),
    }
}

/// Items as they are now, of at most [`BATCH_KEYS`] keys; what an answer leaves out is asked for
/// again.
pub(crate) async fn get_batch(
    dynamo: &Client,
    table: &str,
    keys: Vec<Item>,
    attributes: Option<&'static [&'static str]>,
    patience: Patience,
) -> Result<Vec<Item>, StoreError> {
    let mut wanted = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys));
    if let Some(attributes) = attributes {
        // Under other names: some are words of the language.
        let names = (0..attributes.len()).map(|index| format!("#a{index}"));
        wanted = wanted.projection_expression(names.clone().collect::<Vec<_>>().join(","));
        for (name, attribute) in names.zip(attributes) {
            wanted = wanted.expression_attribute_names(name, *attribute);
        }
    }
    let mut wanted = wanted.build().map_err(incomplete)?;
    let mut items = Vec::with_capacity(wanted.keys.len());
    let mut tries = Tries::of(patience);
    loop {
        let call = dynamo.batch_get_item().request_items(table, wanted);
        let answer = call.send().await.map_err(|error| unavailable(&error))?;
        let mut found = answer.responses.unwrap_or_default();
        items.extend(found.remove(table).unwrap_or_default());
        let mut unread = answer.unprocessed_keys.unwrap_or_default();
        match unread.remove(table).filter(|unread| !unread.keys.is_empty()) {
            None => return Ok(items),
            Some(unread) => wanted = unread,
        }
        tries.again("reading many items").await?;
    }
}

/// Sorts the reasons why a transaction was not done.
fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Result<Transacted, StoreError> {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => {
            return Ok(Transacted::Met);
        }
        _ => return Err(unavailable(error)),
    };
    let mut refused = Vec::new();
    for (at, reason) in reasons.iter().enumerate() {
        match reason.code().unwrap_or("None") {
            "None"
            | "TransactionConflict"
            | "ThrottlingError"
            | "ProvisionedThroughputExceeded" => {}
            "ConditionalCheckFailed" => refused.push(at),
            other => {
                let why = reason.message().unwrap_or("no message");
                return Err(StoreError::Unavailable(format!("{other}: {why}")));
            }
        }
    }
    Ok(if refused.is_empty() { Transacted::Met } else { Transacted::Refused(refused) })
}

/// A write of one item, alone or in a transaction: where, what, and under which condition.
#[derive(Clone, Debug)]
pub struct Write {
    table: String,
    what: What,
    condition: Option<&'static str>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

#[derive(Clone, Debug)]
enum What {
    Check(Item),
    Delete(Item),
    Put(Item),
    Update(Item, &'static str),
}

impl Write {
    /// Checks the condition on an item, and writes nothing.
    pub fn check(table: &str, key: Item) -> Self {
        Self::new(table, What::Check(key))
    }

    /// Removes an item.
    pub fn delete(table: &str, key: Item) -> Self {
        Self::new(table, What::Delete(key))
    }

    /// Puts an item in place of what has its key.
    pub fn put(table: &str, item: Item) -> Self {
        Self::new(table, What::Put(item))
    }

    /// Changes an item.
    pub fn update(table: &str, key: Item, expression: &'static str) -> Self {
        Self::new(table, What::Update(key, expression))
    }

    fn new(table: &str, what: What) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        Self { table: table.to_owned(), what, condition: None, names, values }
    }

    /// Only if this holds.
    pub const fn only_if(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Only if there is no such item.
    pub const fn only_if_new(self) -> Self {
        self.only_if("attribute_not_exists(pk)")
    }

    /// A value that an expression names, with its colon.
    pub fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// The attribute behind a name in an expression, with its `#`: for reserved words.
    pub fn naming(mut self, name: &str, attribute: &str) -> Self {
        self.names.insert(name.to_owned(), attribute.to_owned());
        self
    }

    /// As a part of a transaction.
    ///
    /// # Errors
    /// If it is incomplete, which is a bug.
    pub fn in_transaction(self) -> Result<TransactWriteItem, StoreError> {
        let Self { table, what, condition, names, values } = self;
        let condition = condition.map(str::to_owned);
        let names = Some(names).filter(|names| !names.is_empty());
        let values = Some(values).filter(|values| !values.is_empty());
        let part = TransactWriteItem::builder();
        let part = match what {
            What::Check(key) => part.condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
            What::Delete(key) => part.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
            What::Put(item) => part.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
            What::Update(key, expression) => part.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .update_expression(expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(incomplete)?,
            ),
        };
        Ok(part.build())
    }

    /// Writes it alone. Answers the attributes of the item after an update, and the item that did
    /// not satisfy the condition.
    ///
    /// # Errors
    /// The store's fault. The write may have been done.
    pub async fn alone(self, store: &AwsStore) -> Result<Written<Item>, StoreError> {
        use aws_sdk_dynamodb::types::ReturnValue::AllNew;
        use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
        let Self { table, what, condition, names, values } = self;
        let condition = condition.map(str::to_owned);
        let names = Some(names).filter(|names| !names.is_empty());
        let values = Some(values).filter(|values| !values.is_empty());
        let dynamo = &store.clients.dynamo;
        match what {
            What::Put(item) => {
                let call = dynamo.put_item().table_name(table).set_item(Some(item));
                let call = call.set_condition_expression(condition);
                let call = call.set_expression_attribute_names(names);
                let call = call.set_expression_attribute_values(values);
                let call = call.return_values_on_condition_check_failure(AllOld);
                written(call.send().await.map(|_| Item::new()), |error| match error {
                    PutItemError::ConditionalCheckFailedException(failed) => failed.item.clone(),
                    _ => None,
                })
            }
            What::Update(key, expression) => {
                let call = dynamo.update_item().table_name(table).set_key(Some(key));
                let call = call.update_expression(expression).return_values(AllNew);
                let call = call.set_condition_expression(condition);
                let call = call.set_expression_attribute_names(names);
                let call = call.set_expression_attribute_values(values);
                let call = call.return_values_on_condition_check_failure(AllOld);
                let answer = call.send().await.map(|done| done.attributes.unwrap_or_default());
                written(answer, |error| match error {
                    UpdateItemError::ConditionalCheckFailedException(failed) => failed.item.clone(),
                    _ => None,
                })
            }
            What::Delete(key) => {
                let call = dynamo.delete_item().table_name(table).set_key(Some(key));
                let call = call.set_condition_expression(condition);
                let call = call.set_expression_attribute_names(names);
                let call = call.set_expression_attribute_values(values);
                written(call.send().await.map(|_| Item::new()), |_| None)
            }
            What::Check(_) => Err(damaged("a check is only made in a transaction")),
        }
    }
}

fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    damaged(error.to_string())
}
