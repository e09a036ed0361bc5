//! Items as DynamoDB has them, read and written with types; and what its errors mean.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

/// An item, or a key, by the names of its attributes.
pub type Item = HashMap<String, AttributeValue>;

/// A text value.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number value.
pub fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A binary value.
pub fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A truth value.
pub const fn truth(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A time, in Unix milliseconds.
pub fn time(value: Timestamp) -> AttributeValue {
    number(value.0)
}

/// A key of a table with a partition key alone.
pub fn key(pk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), text(pk))])
}

/// A key of a table with a partition key and a sort key.
pub fn pair(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Attributes of an item, read by type. What is missing or of another type is damage: every item
/// was written by this crate.
pub trait Fields {
    /// A text.
    ///
    /// # Errors
    /// If it is missing or no text.
    fn text(&self, name: &str) -> Result<&str, StoreError>;
    /// A whole number.
    ///
    /// # Errors
    /// If it is missing or no such number.
    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError>;
    /// Bytes.
    ///
    /// # Errors
    /// If they are missing or no bytes.
    fn bytes(&self, name: &str) -> Result<&[u8], StoreError>;
    /// A truth value; an attribute that is not there is false.
    ///
    /// # Errors
    /// If it is something else.
    fn truth(&self, name: &str) -> Result<bool, StoreError>;
    /// Whether there is such an attribute.
    fn has(&self, name: &str) -> bool;

    /// A time.
    ///
    /// # Errors
    /// If it is missing or no time.
    fn time(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp)
    }
}

impl Fields for Item {
    fn text(&self, name: &str) -> Result<&str, StoreError> {
        match self.get(name) {
            Some(AttributeValue::S(value)) => Ok(value),
            other => Err(unexpected(name, other)),
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError> {
        match self.get(name) {
            Some(AttributeValue::N(value)) => {
                value.parse().map_err(|_| damaged(format!("attribute {name} is out of range")))
            }
            other => Err(unexpected(name, other)),
        }
    }

    fn bytes(&self, name: &str) -> Result<&[u8], StoreError> {
        match self.get(name) {
            Some(AttributeValue::B(value)) => Ok(value.as_ref()),
            other => Err(unexpected(name, other)),
        }
    }

    fn truth(&self, name: &str) -> Result<bool, StoreError> {
        match self.get(name) {
            None => Ok(false),
            Some(AttributeValue::Bool(value)) => Ok(*value),
            other => Err(unexpected(name, other)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

fn unexpected(name: &str, found: Option<&AttributeValue>) -> StoreError {
    damaged(match found {
        None => format!("attribute {name} is missing"),
        Some(_) => format!("attribute {name} has another type than it was written with"),
    })
}

/// The store's own state is not what it must be.
pub fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged(what.into())
}

/// A call did not succeed: no answer, a throttle, a refusal. What a caller expects to happen (a
/// condition that does not hold) is taken out of the error before.
pub fn unavailable<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata,
{
    StoreError::Unavailable(match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map_or_else(String::new, |error| chain(error));
            format!("no connection: {cause}")
        }
        other => {
            let code = other.code().unwrap_or("an error without a code");
            format!("{code}: {}", other.message().unwrap_or("no message"))
        }
    })
}

/// An error with all that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut behind = error.source();
    while let Some(cause) = behind {
        told = format!("{told}: {cause}");
        behind = cause.source();
    }
    told
}

/// A time as text that sorts as the time does: 16 hex digits.
pub fn sortable(at: Timestamp) -> String {
    format!("{:016x}", (at.0 as u64) ^ (1 << 63))
}

/// The time of such a text.
///
/// # Errors
/// If it is none.
pub fn from_sortable(text: &str) -> Result<Timestamp, StoreError> {
    let bits =
        u64::from_str_radix(text, 16).map_err(|_| damaged(format!("{text:?} is no time")))?;
    Ok(Timestamp((bits ^ (1 << 63)) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times_sort_as_times() {
        let times = [i64::MIN, -1, 0, 1, 1_795_272_013_500, i64::MAX].map(Timestamp);
        let texts = times.map(sortable);
        assert!(texts.is_sorted_by(|one, next| one < next), "{texts:?}");
        for (time, text) in times.iter().zip(&texts) {
            assert_eq!(from_sortable(text), Ok(*time));
        }
        assert!(from_sortable("later").is_err());
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_damage() {
        let item = Item::from([
            ("name".to_owned(), text("a")),
            ("count".to_owned(), number(7)),
            ("data".to_owned(), bytes([1, 2])),
            ("yes".to_owned(), truth(true)),
        ]);
        assert_eq!(item.text("name"), Ok("a"));
        assert_eq!(item.number::<u8>("count"), Ok(7));
        assert_eq!(item.bytes("data"), Ok(&[1_u8, 2][..]));
        assert_eq!((item.truth("yes"), item.truth("no")), (Ok(true), Ok(false)));
        assert_eq!(item.time("count"), Ok(Timestamp(7)));
        assert_eq!(item.text("gone"), Err(damaged("attribute gone is missing")));
        let other = "attribute name has another type than it was written with";
        assert_eq!(item.number::<u8>("name"), Err(damaged(other)));
        assert_eq!(item.bytes("name"), Err(damaged(other)));
        assert_eq!(item.truth("name"), Err(damaged(other)));
    }
}
