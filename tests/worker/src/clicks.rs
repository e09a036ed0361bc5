//! What arrived of clicks, and what is missing.

use std::collections::{BTreeMap, BTreeSet};

use waypost_wire::click::Batch;

/// Clicks that arrived, by source and number. What arrives twice is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The link of each click, by its source and its number.
    pub links: BTreeMap<(u64, u64), u64>,
}

impl Ledger {
    /// Reads batches.
    ///
    /// # Panics
    /// One is none, or one number was given to two different clicks.
    pub fn of(batches: &[Vec<u8>]) -> Self {
        let mut links = BTreeMap::new();
        for bytes in batches {
            let batch = Batch::parse(bytes).unwrap_or_else(|error| panic!("{error:?}"));
            for (sequence, click) in batch.clicks() {
                let number = (batch.id().source, sequence);
                let before = links.insert(number, click.link_id);
                assert!(before.is_none_or(|before| before == click.link_id), "{number:?} twice");
            }
        }
        Self { links }
    }

    /// Who numbered them.
    pub fn sources(&self) -> BTreeSet<u64> {
        self.links.keys().map(|(source, _)| *source).collect()
    }

    /// The links of a source's clicks, in the order of their numbers.
    pub fn of_source(&self, source: u64) -> Vec<u64> {
        self.links.range((source, 0)..=(source, u64::MAX)).map(|(_, link)| *link).collect()
    }

    /// Numbers that a source gave before its last one, and that did not arrive.
    pub fn gaps(&self, source: u64) -> Vec<u64> {
        let numbers = || self.links.range((source, 0)..=(source, u64::MAX)).map(|((_, n), _)| *n);
        let there: BTreeSet<u64> = numbers().collect();
        (0..numbers().max().map_or(0, |last| last + 1)).filter(|n| !there.contains(n)).collect()
    }
}
