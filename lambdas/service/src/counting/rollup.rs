//! Rollups: what is kept of the clicks on one subject in one span of time.

use std::collections::BTreeMap;

use waypost_wire::bytes::{ReadError, Reader, put_number, put_text};

use super::classify::Class;
use super::sketch::Sketch;
use crate::model::LinkId;

/// Most values of a dimension that a stored rollup tells apart.
pub const VALUES_MAX: usize = 500;

/// Most slugs of orphan visits that a stored rollup tells apart.
pub const SLUGS_MAX: usize = 200;

/// The value that stands for all values beyond the largest ones.
pub const OTHER: &str = "";

const VERSION: u8 = 1;

/// What clicks are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All links together.
    Site,
    /// Visits to slugs that are not there.
    Orphans,
    /// One link.
    Link(LinkId),
}

/// What human clicks are broken down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dimension {
    /// ISO 3166-1 alpha-2 codes.
    Country = 0,
    /// ISO 3166-2 codes.
    Region = 1,
    /// Names of cities, with the region or else the country they are in: `Paris, FR-IDF`.
    City = 2,
    /// Two-letter codes of continents.
    Continent = 3,
    /// Hosts of referring pages.
    Referrer = 4,
    /// Names of [`waypost_wire::agent::Browser`].
    Browser = 5,
    /// Names of [`waypost_wire::agent::Os`].
    Os = 6,
    /// Names of [`waypost_wire::agent::Device`].
    Device = 7,
    /// Primary language subtags.
    Language = 8,
    /// `utm_source` of the request's query, or else of where it was sent.
    UtmSource = 9,
    /// `utm_medium` of the request's query, or else of where it was sent.
    UtmMedium = 10,
    /// `utm_campaign` of the request's query, or else of where it was sent.
    UtmCampaign = 11,
    /// `utm_term` of the request's query, or else of where it was sent.
    UtmTerm = 12,
    /// `utm_content` of the request's query, or else of where it was sent.
    UtmContent = 13,
    /// Which of the link's destinations: `destination`, `ios_destination`,
    /// `android_destination`, `expired_destination`, or `rules/0/1` for the second destination of
    /// the first rule.
    Destination = 14,
    /// Slugs asked for that are not there; of [`Subject::Orphans`] only.
    Slug = 15,
}

impl Subject {
    /// The number this subject is stored under. Ids of links have 63 bits and are not 0.
    pub const fn code(self) -> i64 {
        match self {
            Self::Site => 0,
            Self::Orphans => -1,
            Self::Link(LinkId(id)) => id.cast_signed(),
        }
    }

    /// The subject stored under a number.
    pub const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Site,
            -1 => Self::Orphans,
            id => Self::Link(LinkId(id.cast_unsigned())),
        }
    }
}

impl Dimension {
    /// Every dimension, in the order of the codes.
    pub const ALL: [Self; 16] = [
        Self::Country,
        Self::Region,
        Self::City,
        Self::Continent,
        Self::Referrer,
        Self::Browser,
        Self::Os,
        Self::Device,
        Self::Language,
        Self::UtmSource,
        Self::UtmMedium,
        Self::UtmCampaign,
        Self::UtmTerm,
        Self::UtmContent,
        Self::Destination,
        Self::Slug,
    ];

    /// The word for this dimension in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Region => "region",
            Self::City => "city",
            Self::Continent => "continent",
            Self::Referrer => "referrer",
            Self::Browser => "browser",
            Self::Os => "os",
            Self::Device => "device",
            Self::Language => "language",
            Self::UtmSource => "utm_source",
            Self::UtmMedium => "utm_medium",
            Self::UtmCampaign => "utm_campaign",
            Self::UtmTerm => "utm_term",
            Self::UtmContent => "utm_content",
            Self::Destination => "destination",
            Self::Slug => "slug",
        }
    }

    /// The dimension of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }

    const fn values_max(self) -> usize {
        match self {
            Self::Slug => SLUGS_MAX,
            _ => VALUES_MAX,
        }
    }
}

/// Clicks by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals([u64; Class::ALL.len()]);

impl Totals {
    /// Clicks of a class.
    pub const fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Clicks of every class.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds clicks of a class.
    pub const fn add(&mut self, class: Class, clicks: u64) {
        self.0[class as usize] += clicks;
    }

    /// Takes other clicks away, which were added before.
    pub fn subtract(&mut self, other: &Self) {
        for (clicks, others) in self.0.iter_mut().zip(other.0) {
            *clicks = clicks.saturating_sub(others);
        }
    }

    /// Adds other clicks.
    pub fn merge(&mut self, other: &Self) {
        for class in Class::ALL {
            self.add(class, other.of(class));
        }
    }
}

/// The clicks on one subject in one span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// All clicks, by class.
    pub totals: Totals,
    /// Visitors of human clicks that let themselves be told apart. A visitor is another one every
    /// day.
    pub uniques: Sketch,
    /// Human clicks, by dimension and value. Clicks whose value is not known are in none:
    /// what is missing to the total of [`Class::Human`] is unknown. [`OTHER`] is what was folded.
    pub breakdowns: BTreeMap<Dimension, BTreeMap<String, u64>>,
}

/// Why bytes are no rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollupError {
    /// Written by a newer Waypost, or not a rollup at all.
    #[error("version {0} is not known")]
    UnknownVersion(u8),
    /// A dimension this version does not have, or values out of order.
    #[error("a value that is not written like this")]
    UnknownValue,
    /// Bytes behind the end.
    #[error("bytes behind the end")]
    TrailingBytes,
    /// The bytes end early, or a text is not UTF-8.
    #[error("cannot be read: {0:?}")]
    Value(ReadError),
}

impl From<ReadError> for RollupError {
    fn from(error: ReadError) -> Self {
        Self::Value(error)
    }
}

impl Rollup {
    /// Human clicks by value of a dimension, empty if none is known.
    pub fn breakdown(&self, dimension: Dimension) -> &BTreeMap<String, u64> {
        static NONE: BTreeMap<String, u64> = BTreeMap::new();
        self.breakdowns.get(&dimension).unwrap_or(&NONE)
    }

    /// Adds the clicks of `other`. Nothing is folded: see [`Rollup::fold`].
    pub fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.uniques.merge(&other.uniques);
        for (dimension, values) in &other.breakdowns {
            let into = self.breakdowns.entry(*dimension).or_default();
            for (value, clicks) in values {
                match into.get_mut(value) {
                    Some(sum) => *sum += clicks,
                    None => {
                        into.insert(value.clone(), *clicks);
                    }
                }
            }
        }
    }

    /// Keeps the values with the most clicks of every dimension, of equal ones the first by
    /// spelling, and adds the others up as [`OTHER`].
    pub fn fold(&mut self) {
        for (dimension, values) in &mut self.breakdowns {
            fold(values, dimension.values_max());
        }
    }

    /// The rollup as bytes. Equal rollups give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = vec![VERSION];
        for class in Class::ALL {
            put_number(&mut to, self.totals.of(class));
        }
        let uniques = self.uniques.encode();
        put_number(&mut to, uniques.len() as u64);
        to.extend_from_slice(&uniques);
        put_number(&mut to, self.breakdowns.len() as u64);
        for (dimension, values) in &self.breakdowns {
            to.push(*dimension as u8);
            put_number(&mut to, values.len() as u64);
            for (value, clicks) in values {
                put_text(&mut to, value);
                put_number(&mut to, *clicks);
            }
        }
        to
    }

    /// Reads what [`Rollup::encode`] wrote.
    ///
    /// # Errors
    /// See [`RollupError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RollupError> {
        let mut from = Reader::new(bytes);
        let version = from.byte()?;
        if version != VERSION {
            return Err(RollupError::UnknownVersion(version));
        }
        let mut rollup = Self::default();
        for class in Class::ALL {
            rollup.totals.add(class, from.number()?);
        }
        let length = usize::try_from(from.number()?).unwrap_or(usize::MAX);
        let uniques = Sketch::decode(from.take(length)?);
        rollup.uniques = uniques.map_err(|_| RollupError::UnknownValue)?;
        for _ in 0..from.number()? {
            let code = usize::from(from.byte()?);
            let dimension = Dimension::ALL.get(code).ok_or(RollupError::UnknownValue)?;
            rollup.breakdowns.insert(*dimension, values(&mut from)?);
        }
        match from.remaining() {
            0 => Ok(rollup),
            _ => Err(RollupError::TrailingBytes),
        }
    }
}

fn values(from: &mut Reader<'_>) -> Result<BTreeMap<String, u64>, RollupError> {
    let mut values = BTreeMap::new();
    for _ in 0..from.number()? {
        values.insert(from.text()?.to_owned(), from.number()?);
    }
    Ok(values)
}

fn fold(values: &mut BTreeMap<String, u64>, values_max: usize) {
    let named = values.len() - usize::from(values.contains_key(OTHER));
    if named <= values_max {
        return;
    }
    let mut other = values.remove(OTHER).unwrap_or_default();
    let mut order: Vec<(String, u64)> = std::mem::take(values).into_iter().collect();
    // Stable: values with as many clicks stay in the order of their spelling.
    order.sort_by_key(|(_, clicks)| std::cmp::Reverse(*clicks));
    other += order.drain(values_max..).map(|(_, clicks)| clicks).sum::<u64>();
    values.extend(order);
    values.insert(OTHER.to_owned(), other);
}

#[cfg(test)]
mod tests;
