//! The account of clicks, kept number by number.

use std::collections::{BTreeMap, BTreeSet};

use waypost_service::counting::integrity::Integrity;
use waypost_service::counting::window::Window;
use waypost_wire::click::Batch;
use waypost_wire::time::Timestamp;

const LOST_AFTER_MS: i64 = 15 * 60 * 1_000;

/// What became of every number of every source.
#[derive(Default)]
pub(crate) struct Account {
    sources: BTreeMap<u64, Source>,
    duplicate: u64,
    late: u64,
}

#[derive(Default)]
struct Source {
    stored: BTreeSet<u64>,
    /// Missing numbers below the highest one stored, and since when that is known.
    missing: BTreeMap<u64, Timestamp>,
    reported: u64,
    reported_at: Timestamp,
}

impl Account {
    /// A batch was stored at `now`, when no window before `floor` was open.
    pub(crate) fn store(&mut self, bytes: &[u8], floor: Window, now: Timestamp) {
        let batch = Batch::parse(bytes).expect("a batch");
        let source = self.sources.entry(batch.id().source).or_default();
        for (sequence, click) in batch.clicks() {
            if !source.stored.insert(sequence) {
                self.duplicate += 1;
            } else if Window::of(click.at) < floor {
                self.late += 1;
            }
        }
        for sequence in 0..source.end() {
            match source.stored.contains(&sequence) {
                true => drop(source.missing.remove(&sequence)),
                false => drop(source.missing.entry(sequence).or_insert(now)),
            }
        }
    }

    /// A source said how many numbers it has given.
    pub(crate) fn report(&mut self, source: u64, accepted: u64, now: Timestamp) {
        let source = self.sources.entry(source).or_default();
        source.reported = source.reported.max(accepted);
        source.reported_at = source.reported_at.max(now);
    }

    /// Whether a click was stored.
    pub(crate) fn has(&self, source: u64, sequence: u64) -> bool {
        self.sources.get(&source).is_some_and(|source| source.stored.contains(&sequence))
    }

    /// The sums as of `now`.
    pub(crate) fn sums(&self, now: Timestamp) -> Integrity {
        let mut sums =
            Integrity { duplicate: self.duplicate, late: self.late, ..Integrity::default() };
        for source in self.sources.values() {
            let accepted = source.end().max(source.reported);
            for sequence in 0..accepted {
                let since = source.missing.get(&sequence).unwrap_or(&source.reported_at);
                match source.stored.contains(&sequence) {
                    true => sums.counted += 1,
                    false if now.ms_since(*since) < LOST_AFTER_MS => sums.in_flight += 1,
                    false => sums.lost += 1,
                }
            }
            sums.accepted += accepted;
        }
        sums
    }
}

impl Source {
    fn end(&self) -> u64 {
        self.stored.last().map_or(0, |last| last + 1)
    }
}
