use alloc::vec::Vec;

use super::{
    BATCH_MAX_BYTES, BatchId, Click, SEQUENCE_MAX, TEXT_MAX_BYTES, Target, VERSION, flag, target,
};
use crate::bytes::{ReadError, Reader};
use crate::time::Timestamp;

/// A batch that was read and found whole.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    id: BatchId,
    base: Timestamp,
    count: u64,
    texts: Vec<&'a str>,
    links: &'a [u8],
    clicks: Reader<'a>,
}

/// Why bytes are no batch of clicks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// There is not even a version byte.
    Empty,
    /// More than [`BATCH_MAX_BYTES`].
    TooLong,
    /// Written by a newer Waypost, or not a batch at all.
    UnknownVersion(u8),
    /// A flag or target that version 1 does not have.
    UnknownValue,
    /// A number of [`SEQUENCE_MAX`] or more.
    Sequence,
    /// An empty text in the table, or one longer than [`TEXT_MAX_BYTES`].
    TextLength,
    /// The position of a text or link behind the end of its table.
    Position,
    /// A link with the id 0, or with one of more than 63 bits.
    LinkId,
    /// No click at all.
    NoClicks,
    /// Bytes behind the end of the batch.
    TrailingBytes,
    /// A value could not be read.
    Value(ReadError),
}

impl From<ReadError> for BatchError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

impl<'a> Batch<'a> {
    /// Reads a batch; every byte is checked. Whatever the bytes are, this ends, and it allocates
    /// no more than a small multiple of their number.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchError> {
        if BATCH_MAX_BYTES < bytes.len() {
            return Err(BatchError::TooLong);
        }
        let mut from = Reader::new(bytes);
        let version = from.byte().map_err(|_| BatchError::Empty)?;
        if version != VERSION {
            return Err(BatchError::UnknownVersion(version));
        }
        let source = eight(&mut from)?;
        let first_sequence = from.number()?;
        let base = Timestamp(from.signed()?);
        let texts = texts(&mut from)?;
        let links = links(&mut from)?;
        let count = from.number()?;
        let batch = Self {
            id: BatchId { source, first_sequence },
            base,
            count,
            texts,
            links,
            clicks: from,
        };
        batch.check()?;
        Ok(batch)
    }

    /// What the batch is known by.
    pub const fn id(&self) -> BatchId {
        self.id
    }

    /// How many clicks there are; at least 1.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The clicks with their numbers, in order.
    pub const fn clicks(&self) -> Clicks<'_, 'a> {
        Clicks { batch: self, from: self.clicks, latest: self.base, done: 0 }
    }

    /// Reads every click once, so that reading them again cannot fail.
    fn check(&self) -> Result<(), BatchError> {
        if self.count == 0 {
            return Err(BatchError::NoClicks);
        }
        // A click takes more than a byte: a count beyond the bytes ends in `Truncated`.
        let end = self.id.first_sequence.checked_add(self.count);
        if end.is_none_or(|end| SEQUENCE_MAX < end) {
            return Err(BatchError::Sequence);
        }
        let mut clicks = self.clicks();
        for _ in 0..self.count {
            clicks.read()?;
        }
        match clicks.from.remaining() {
            0 => Ok(()),
            _ => Err(BatchError::TrailingBytes),
        }
    }

    fn text(&self, from: &mut Reader<'a>) -> Result<&'a str, BatchError> {
        let Some(position) = from.number()?.checked_sub(1) else {
            return Ok("");
        };
        let text = usize::try_from(position).ok().and_then(|position| self.texts.get(position));
        text.copied().ok_or(BatchError::Position)
    }

    fn link(&self, from: &mut Reader<'a>) -> Result<u64, BatchError> {
        let position = from.number()?;
        let start = usize::try_from(position).ok().and_then(|position| position.checked_mul(8));
        let id = start.and_then(|start| self.links.get(start..)?.first_chunk());
        id.map(|id| u64::from_be_bytes(*id)).ok_or(BatchError::Position)
    }
}

/// The clicks of a batch with their numbers.
#[derive(Clone, Debug)]
pub struct Clicks<'b, 'a> {
    batch: &'b Batch<'a>,
    from: Reader<'a>,
    latest: Timestamp,
    done: u64,
}

impl<'a> Iterator for Clicks<'_, 'a> {
    type Item = (u64, Click<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.done == self.batch.count {
            return None;
        }
        let sequence = self.batch.id.first_sequence + self.done;
        self.done += 1;
        Some((sequence, self.read().ok()?))
    }
}

impl<'a> Clicks<'_, 'a> {
    fn read(&mut self) -> Result<Click<'a>, BatchError> {
        let from = &mut self.from;
        let batch = self.batch;
        let flags = from.byte()?;
        if flags & !flag::ALL != 0 {
            return Err(BatchError::UnknownValue);
        }
        let has = |bit: u8| flags & bit != 0;
        self.latest = Timestamp(self.latest.0.wrapping_add(from.signed()?));
        let (link_id, slug) = match has(flag::ORPHAN) {
            true => (0, batch.text(from)?),
            false => (batch.link(from)?, ""),
        };
        // Field expressions run in the order they stand here, which is the order of the bytes.
        Ok(Click {
            link_id,
            slug,
            at: self.latest,
            head: has(flag::HEAD),
            prefetch: has(flag::PREFETCH),
            datacentre: has(flag::DATACENTRE),
            user_agent: batch.text(from)?,
            referrer_host: batch.text(from)?,
            country: batch.text(from)?,
            region: batch.text(from)?,
            city: batch.text(from)?,
            continent: batch.text(from)?,
            language: batch.text(from)?,
            utm: match has(flag::UTM) {
                true => utm(batch, from)?,
                false => [""; 5],
            },
            target: match has(flag::TARGET) {
                true => target(from)?,
                false => Target::Default,
            },
            visitor: match has(flag::VISITOR) {
                true => Some(eight(from)?),
                false => None,
            },
        })
    }
}

fn texts<'a>(from: &mut Reader<'a>) -> Result<Vec<&'a str>, BatchError> {
    let count = usize::try_from(from.number()?).unwrap_or(usize::MAX);
    // A text takes at least two bytes.
    if from.remaining() / 2 < count {
        return Err(ReadError::Truncated.into());
    }
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let text = from.text()?;
        if text.is_empty() || TEXT_MAX_BYTES < text.len() {
            return Err(BatchError::TextLength);
        }
        texts.push(text);
    }
    Ok(texts)
}

fn links<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], BatchError> {
    let count = usize::try_from(from.number()?).unwrap_or(usize::MAX);
    let links = from.take(count.saturating_mul(8))?;
    let no_id = |id: &[u8]| id == [0; 8] || id.first().is_some_and(|byte| *byte >= 0x80);
    match links.chunks_exact(8).any(no_id) {
        true => Err(BatchError::LinkId),
        false => Ok(links),
    }
}

fn utm<'a>(batch: &Batch<'a>, from: &mut Reader<'a>) -> Result<[&'a str; 5], BatchError> {
    let mut utm = [""; 5];
    for text in &mut utm {
        *text = batch.text(from)?;
    }
    Ok(utm)
}

fn target(from: &mut Reader<'_>) -> Result<Target, BatchError> {
    Ok(match from.byte()? {
        target::NOWHERE => Target::Nowhere,
        target::IOS => Target::Ios,
        target::ANDROID => Target::Android,
        target::EXPIRED => Target::Expired,
        target::RULE => Target::Rule { rule: from.byte()?, variant: from.byte()? },
        _ => return Err(BatchError::UnknownValue),
    })
}

fn eight(from: &mut Reader<'_>) -> Result<u64, BatchError> {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(from.take(8)?);
    Ok(u64::from_be_bytes(bytes))
}
