//! How a link's id is written: base62 of the Snowflake number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::model::LinkId;

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base62::encode(self.0))
    }
}

/// The text is no link id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link id is 1 to 11 characters of [0-9A-Za-z]")]
pub struct NoLinkId;

impl FromStr for LinkId {
    type Err = NoLinkId;

    fn from_str(text: &str) -> Result<Self, NoLinkId> {
        let number = base62::decode(text).map_err(|_| NoLinkId)?;
        u64::try_from(number).map(Self).map_err(|_| NoLinkId)
    }
}

impl Serialize for LinkId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LinkId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        for number in [0, 61, 62, u64::MAX] {
            assert_eq!(LinkId(number).to_string().parse(), Ok(LinkId(number)));
        }
    }

    #[test]
    fn no_ids() {
        for text in ["", "-", "ü", "zzzzzzzzzzzzzzzzzzzzzz", "LygHa16AHYG"] {
            assert_eq!(text.parse::<LinkId>(), Err(NoLinkId), "{text}");
        }
    }
}
