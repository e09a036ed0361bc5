//! The key-value table of Spin apps that keep their store in DynamoDB: [`EdgeStore`].
//!
//! Its form is Spin's: `PK` (S) is the key, `VAL` (B) the bytes. Waypost adds `GEN` (S), the
//! generation of the record as text that sorts as generations do, and writes under the condition
//! that it does not go back: of two publishers the later one may come first.
//!
//! The table is read by key and never as a whole. What a purge left behind, as its event was lost,
//! is the record of a deleted link, which answers 410 instead of 404.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::future::join_all;
use waypost_service::publish::{
    Budget, EdgeStore, Kept, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_service::seams::StoreError;
use waypost_wire::record::Generation;
use waypost_wire::state::STATE_KEY;

use crate::item::{Item, bytes, text, unavailable};

/// Writes side by side.
const AT_ONCE: usize = 16;
/// Most keys of one `BatchGetItem`.
const READ_MAX: usize = 100;
/// How often keys are asked for that an answer left out.
const READS: usize = 4;

/// What the condition of every write says.
const NOT_NEWER: &str = "attribute_not_exists(GEN) OR GEN <= :generation";

/// The table of an edge.
#[derive(Clone, Debug)]
pub struct EdgeTable {
    name: String,
    dynamo: aws_sdk_dynamodb::Client,
    table: String,
}

impl EdgeTable {
    /// The edge store `name` in a table that exists.
    pub const fn new(name: String, dynamo: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { name, dynamo, table }
    }

    async fn put_one(&self, put: &Put<'_>) -> Result<Kept, StoreFault> {
        let item = Item::from([
            ("PK".to_owned(), text(put.key)),
            ("VAL".to_owned(), bytes(put.record)),
            ("GEN".to_owned(), sortable(put.mark.generation)),
        ]);
        let call = self.dynamo.put_item().table_name(&self.table).set_item(Some(item));
        let call = call.condition_expression(NOT_NEWER);
        let call = call.expression_attribute_values(":generation", sortable(put.mark.generation));
        kept(call.send().await)
    }

    async fn remove_one(&self, removal: &Removal<'_>) -> Result<Kept, StoreFault> {
        let call = self.dynamo.delete_item().table_name(&self.table).key("PK", text(removal.key));
        let call = call.condition_expression(NOT_NEWER);
        let call = call.expression_attribute_values(":generation", sortable(removal.generation));
        kept(call.send().await)
    }

    /// The items of these keys, all different; those that are not there are left out.
    async fn read(&self, keys: &[&str]) -> Result<Vec<Item>, StoreFault> {
        let keys = keys.iter().map(|key| Item::from([("PK".to_owned(), text(*key))])).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut wanted =
            wanted.build().map_err(|error| StoreFault::Unexpected(error.to_string()))?;
        let mut items = Vec::new();
        for _ in 0..READS {
            let call = self.dynamo.batch_get_item().request_items(&self.table, wanted);
            let answer = call.send().await.map_err(|error| fault(&error))?;
            items.extend(
                answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default(),
            );
            let unread = answer.unprocessed_keys.unwrap_or_default().remove(&self.table);
            match unread.filter(|unread| !unread.keys.is_empty()) {
                None => return Ok(items),
                Some(unread) => wanted = unread,
            }
        }
        let text = "keys were left unread again and again".to_owned();
        Err(StoreFault::Limited { text, retry_after_seconds: None })
    }
}

impl EdgeStore for EdgeTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self, _: Budget) -> Limits {
        Limits {
            puts_max: 100,
            bytes_max: 4 << 20,
            removals_max: 100,
            marks_max: READ_MAX,
            calls: None,
            writes: None,
            same_key_ms: 0,
        }
    }

    fn ways(&self) -> Ways {
        Ways::Reads
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let mut ended = Vec::with_capacity(records.len());
        for some in records.chunks(AT_ONCE) {
            ended.extend(join_all(some.iter().map(|put| self.put_one(put))).await);
        }
        together(ended)
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        let mut ended = Vec::with_capacity(removals.len());
        for some in removals.chunks(AT_ONCE) {
            ended.extend(join_all(some.iter().map(|removal| self.remove_one(removal))).await);
        }
        together(ended)
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        let item =
            Item::from([("PK".to_owned(), text(STATE_KEY)), ("VAL".to_owned(), bytes(state))]);
        kept(self.dynamo.put_item().table_name(&self.table).set_item(Some(item)).send().await)
    }

    async fn list(&self, _: Option<&str>) -> Result<Listed, StoreFault> {
        Err(StoreFault::Unexpected("this store is not listed".to_owned()))
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        let mut items = Vec::with_capacity(keys.len());
        for some in keys.chunks(READ_MAX) {
            items.extend(self.read(some).await?);
        }
        let of = |key: &str| {
            let is_it = |item: &&Item| matches!(item.get("PK"), Some(AttributeValue::S(found)) if found == key);
            items.iter().find(is_it).map(|item| match item.get("VAL") {
                Some(AttributeValue::B(record)) => Mark::of(record.as_ref()).ok(),
                _ => None,
            })
        };
        Ok(keys.iter().map(|key| of(key)).collect())
    }
}

/// A generation as text that sorts as generations do.
fn sortable(generation: Generation) -> AttributeValue {
    text(format!("{:016x}.{:016x}", generation.link_id, generation.version))
}

/// How each of many writes ended; a fault only if nothing was answered but faults.
fn together(ended: Vec<Result<Kept, StoreFault>>) -> Result<Vec<Kept>, StoreFault> {
    match ended.iter().all(Result::is_err) {
        true => ended.into_iter().collect(),
        false => Ok(ended.into_iter().map(|one| one.unwrap_or(Kept::Failed)).collect()),
    }
}

fn kept<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> Result<Kept, StoreFault> {
    match answer {
        Ok(_) => Ok(Kept::Stored),
        Err(error) => match error.code() {
            Some("ConditionalCheckFailedException") => Ok(Kept::Newer),
            // A key or an item that is too long.
            Some("ValidationException") => Ok(Kept::Refused),
            _ => Err(fault(&error)),
        },
    }
}

fn fault<E: ProvideErrorMetadata>(error: &SdkError<E>) -> StoreFault {
    let text = match unavailable(error) {
        StoreError::Unavailable(text) | StoreError::Damaged(text) => text,
        StoreError::BadCursor => String::new(),
    };
    match error.code() {
        Some(
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException",
        ) => StoreFault::Limited { text, retry_after_seconds: None },
        Some(
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "ResourceNotFoundException"
            | "UnrecognizedClientException"
            | "ValidationException",
        ) => StoreFault::Refused(text),
        _ => StoreFault::Unavailable(text),
    }
}
