use alloc::vec::Vec;

use super::{OriginError, VERSION};
use crate::bytes::{Reader, put_number, put_text};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// Take these batches of clicks ([`crate::click`]).
    Clicks {
        /// Each as `BatchWriter::finish` made it.
        batches: Vec<&'a [u8]>,
    },
    /// Take one use of a link with a click limit.
    Consume {
        /// The link.
        link_id: u64,
    },
    /// What is the record under this key?
    Resolve {
        /// [`crate::key::LinkKey`].
        key: &'a str,
    },
    /// What is the state of all edges ([`crate::state`])?
    State,
    /// Is this the password of the link?
    Unlock {
        /// The key of its record.
        key: &'a str,
        /// What the visitor typed.
        password: &'a str,
        /// The visitor's address, for the limit on attempts; IPv4 as IPv4-mapped IPv6.
        client_ip: Option<u128>,
    },
}

const CLICKS: &str = "/api/v1/edge/clicks";
const CONSUME: &str = "/api/v1/edge/consume";
const RESOLVE: &str = "/api/v1/edge/resolve";
const STATE: &str = "/api/v1/edge/state";
const UNLOCK: &str = "/api/v1/edge/unlock";

impl<'a> Question<'a> {
    /// Where it is posted to, below the origin's address.
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Clicks { .. } => CLICKS,
            Self::Consume { .. } => CONSUME,
            Self::Resolve { .. } => RESOLVE,
            Self::State => STATE,
            Self::Unlock { .. } => UNLOCK,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(64);
        to.push(VERSION);
        match self {
            Self::Clicks { batches } => {
                put_number(&mut to, batches.len() as u64);
                for batch in batches {
                    put_number(&mut to, batch.len() as u64);
                    to.extend_from_slice(batch);
                }
            }
            Self::Consume { link_id } => put_number(&mut to, *link_id),
            Self::Resolve { key } => put_text(&mut to, key),
            Self::State => {}
            Self::Unlock { key, password, client_ip } => {
                put_text(&mut to, key);
                put_text(&mut to, password);
                to.push(client_ip.is_some().into());
                to.extend_from_slice(&client_ip.unwrap_or_default().to_be_bytes());
            }
        }
        to
    }

    /// The question that was posted to `path`; `None` if no question is asked there.
    pub fn decode(path: &str, bytes: &'a [u8]) -> Option<Result<Self, OriginError>> {
        [CLICKS, CONSUME, RESOLVE, STATE, UNLOCK].contains(&path).then(|| Self::read(path, bytes))
    }

    fn read(path: &str, bytes: &'a [u8]) -> Result<Self, OriginError> {
        let mut from = Reader::new(bytes);
        if from.byte()? != VERSION {
            return Err(OriginError::UnknownVersion);
        }
        let question = match path {
            CLICKS => Self::Clicks { batches: batches(&mut from)? },
            CONSUME => Self::Consume { link_id: from.number()? },
            RESOLVE => Self::Resolve { key: from.text()? },
            STATE => Self::State,
            _ => Self::Unlock {
                key: from.text()?,
                password: from.text()?,
                client_ip: client_ip(&mut from)?,
            },
        };
        match from.remaining() {
            0 => Ok(question),
            _ => Err(OriginError::UnknownValue),
        }
    }
}

fn batches<'a>(from: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, OriginError> {
    let mut batches = Vec::new();
    for _ in 0..from.number()? {
        let length = usize::try_from(from.number()?).map_err(|_| OriginError::UnknownValue)?;
        batches.push(from.take(length)?);
    }
    Ok(batches)
}

fn client_ip(from: &mut Reader<'_>) -> Result<Option<u128>, OriginError> {
    let there = from.byte()?;
    let bytes = from.take(16)?.try_into().map_err(|_| OriginError::UnknownValue)?;
    match there {
        0 => Ok(None),
        1 => Ok(Some(u128::from_be_bytes(bytes))),
        _ => Err(OriginError::UnknownValue),
    }
}
