use alloc::vec::Vec;

use super::{OriginError, VERSION};
use crate::bytes::{Reader, put_number, put_text};

/// An answer's content.
pub trait Answer<'a>: Sized {
    /// Appends it.
    fn put(&self, to: &mut Vec<u8>);
    /// Reads it.
    ///
    /// # Errors
    /// See [`OriginError`].
    fn take(from: &mut Reader<'a>) -> Result<Self, OriginError>;

    /// The bytes of the answer.
    fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(64);
        to.push(VERSION);
        self.put(&mut to);
        to
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// See [`OriginError`].
    fn decode(bytes: &'a [u8]) -> Result<Self, OriginError> {
        let mut from = Reader::new(bytes);
        if from.byte()? != VERSION {
            return Err(OriginError::UnknownVersion);
        }
        let answer = Self::take(&mut from)?;
        match from.remaining() {
            0 => Ok(answer),
            _ => Err(OriginError::UnknownValue),
        }
    }
}

/// The record under a key, with the key, so that an answer is never taken for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The key that was asked for.
    pub key: &'a str,
    /// Its record; `None`: there is no such link.
    pub record: Option<&'a [u8]>,
}

impl<'a> Answer<'a> for Resolved<'a> {
    fn put(&self, to: &mut Vec<u8>) {
        put_text(to, self.key);
        match self.record {
            None => to.push(0),
            Some(record) => {
                to.push(1);
                put_number(to, record.len() as u64);
                to.extend_from_slice(record);
            }
        }
    }

    fn take(from: &mut Reader<'a>) -> Result<Self, OriginError> {
        let key = from.text()?;
        let record = match from.byte()? {
            0 => None,
            1 => {
                let length = from.number()?;
                let length = usize::try_from(length).map_err(|_| OriginError::UnknownValue)?;
                Some(from.take(length)?)
            }
            _ => return Err(OriginError::UnknownValue),
        };
        Ok(Self { key, record })
    }
}

/// Whether a use was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// The limit was reached before.
    Exhausted,
    /// This request has it, durably.
    Taken,
}

impl<'a> Answer<'a> for Used {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(match self {
            Self::Exhausted => 0,
            Self::Taken => 1,
        });
    }

    fn take(from: &mut Reader<'a>) -> Result<Self, OriginError> {
        match from.byte()? {
            0 => Ok(Self::Exhausted),
            1 => Ok(Self::Taken),
            _ => Err(OriginError::UnknownValue),
        }
    }
}

/// How a password fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It is the link's.
    Right,
    /// Too many attempts; nothing was compared.
    TooMany,
    /// It is not.
    Wrong,
}

impl<'a> Answer<'a> for Unlocked {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(match self {
            Self::Wrong => 0,
            Self::Right => 1,
            Self::TooMany => 2,
        });
    }

    fn take(from: &mut Reader<'a>) -> Result<Self, OriginError> {
        match from.byte()? {
            0 => Ok(Self::Wrong),
            1 => Ok(Self::Right),
            2 => Ok(Self::TooMany),
            _ => Err(OriginError::UnknownValue),
        }
    }
}

/// What became of batches of clicks, in their order. What could not be stored for now is no
/// answer, but a failure: then all are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `true`: the origin has it durably; `false`: it is no batch and never will be.
    pub batches: Vec<bool>,
}

impl<'a> Answer<'a> for Stored {
    fn put(&self, to: &mut Vec<u8>) {
        put_number(to, self.batches.len() as u64);
        to.extend(self.batches.iter().map(|stored| u8::from(*stored)));
    }

    fn take(from: &mut Reader<'a>) -> Result<Self, OriginError> {
        let mut batches = Vec::new();
        for _ in 0..from.number()? {
            batches.push(match from.byte()? {
                0 => false,
                1 => true,
                _ => return Err(OriginError::UnknownValue),
            });
        }
        Ok(Self { batches })
    }
}
