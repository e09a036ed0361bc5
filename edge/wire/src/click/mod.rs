//! Clicks as bytes: the batches that hosts pack and the aggregator counts.
//!
//! A host numbers its clicks from 0 and packs them in the order of their numbers, so a batch is
//! known by its host (`source`) and the number of its first click. What makes batches small is a
//! table of their texts: a user agent that came a hundred times is there once. Version 1, after
//! the version byte (numbers and texts as in [`crate::bytes`]):
//!
//! | what | how |
//! | --- | --- |
//! | source | 8 bytes, big-endian |
//! | first sequence | number |
//! | base time | signed number, ms |
//! | texts | count; each once, none empty, at most [`TEXT_MAX_BYTES`] |
//! | links | count; ids of 8 bytes, big-endian, each once |
//! | clicks | count, at least 1; see below |
//!
//! A click is: flags (one byte), time since the click before (signed number, ms; wraps), position
//! of the link in `links` or of an orphan's slug in the texts, then positions in the texts of user
//! agent, referrer host, country, region, city, continent and language, and as the flags say the
//! five campaign parameters, the target and the visitor (8 bytes, big-endian). Position 0 is the
//! empty text, 1 the first of the table.

mod read;
mod write;

pub use read::{Batch, BatchError, Clicks};
pub use write::BatchWriter;

use crate::time::Timestamp;

/// The version [`BatchWriter`] writes.
pub const VERSION: u8 = 1;

/// Clicks after which a batch is full. 500 of them fit in the 64 KiB that SQS bills as one request,
/// at 131 bytes a click in base64.
pub const BATCH_CLICKS: usize = 500;

/// Bytes after which a batch is full: with one more click of any size, and in base64, it is still
/// no more than two billed requests of SQS.
pub const BATCH_BYTES: usize = 47 * 1024;

/// Longest batch that is read; more than any click behind [`BATCH_BYTES`] can make of one.
pub const BATCH_MAX_BYTES: usize = 256 * 1024;

/// Longest text of a click; longer ones are cut at a character boundary. User agents end where
/// most tell nothing new.
pub const TEXT_MAX_BYTES: usize = 256;

/// Longest slug of an orphan visit; longer ones are cut. No slug is longer.
pub const SLUG_MAX_BYTES: usize = 64;

/// Numbers a source can give: at a million clicks a second, nine years of them.
pub const SEQUENCE_MAX: u64 = 1 << 48;

/// A hit, as its host saw it. Nothing in it leads back to a person; an address is never in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Click<'a> {
    /// The link followed, a number of 63 bits; 0 for an orphan, a visit to a slug that is not
    /// there.
    pub link_id: u64,
    /// The slug asked for, if it was an orphan; else empty.
    pub slug: &'a str,
    /// When, by the host's clock.
    pub at: Timestamp,
    /// The method was HEAD.
    pub head: bool,
    /// Fetched before anybody asked for it (`Sec-Purpose`, `Purpose`, `X-Moz`).
    pub prefetch: bool,
    /// The address belongs to a datacentre.
    pub datacentre: bool,
    /// Hash of address and user agent under the day's salt; `None` if the visitor does not want
    /// to be told apart (`DNT: 1`, `Sec-GPC: 1`), or there is no salt.
    pub visitor: Option<u64>,
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// Host of `Referer`, as sent; counted without regard to case.
    pub referrer_host: &'a str,
    /// ISO 3166-1 alpha-2 code.
    pub country: &'a str,
    /// ISO 3166-2 code.
    pub region: &'a str,
    /// Name of the city; empty if the visitor does not want to be told apart.
    pub city: &'a str,
    /// Two-letter continent code.
    pub continent: &'a str,
    /// Primary subtag of the most preferred language, as sent; counted without regard to case.
    pub language: &'a str,
    /// `utm_source`, `utm_medium`, `utm_campaign`, `utm_term` and `utm_content` of the request's
    /// query or else of where it was sent, as they stand there: percent-encoded.
    pub utm: [&'a str; 5],
    /// Where the visitor was sent.
    pub target: Target,
}

/// Where a visitor was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Not sent on: an orphan visit, or a page shown instead.
    #[default]
    Nowhere,
    /// The link's destination.
    Default,
    /// The destination for iOS.
    Ios,
    /// The destination for Android.
    Android,
    /// The destination of an expired or used up link.
    Expired,
    /// A rule's destination.
    Rule {
        /// Position among the link's rules; 255 stands for all from there on.
        rule: u8,
        /// Position among the rule's destinations; 255 stands for all from there on.
        variant: u8,
    },
}

/// What a batch is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// The host that numbered the clicks: random for every process.
    pub source: u64,
    /// The number of the batch's first click.
    pub first_sequence: u64,
}

mod flag {
    pub(super) const HEAD: u8 = 1;
    pub(super) const PREFETCH: u8 = 1 << 1;
    pub(super) const DATACENTRE: u8 = 1 << 2;
    pub(super) const ORPHAN: u8 = 1 << 3;
    pub(super) const UTM: u8 = 1 << 4;
    pub(super) const TARGET: u8 = 1 << 5;
    pub(super) const VISITOR: u8 = 1 << 6;
    pub(super) const ALL: u8 = (1 << 7) - 1;
}

mod target {
    pub(super) const NOWHERE: u8 = 0;
    pub(super) const IOS: u8 = 1;
    pub(super) const ANDROID: u8 = 2;
    pub(super) const EXPIRED: u8 = 3;
    pub(super) const RULE: u8 = 4;
}

#[cfg(test)]
mod tests;
