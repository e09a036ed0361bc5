//! The account of one source: which of its numbers arrived, which are missing, and since when.

use std::ops::Range;

use waypost_wire::bytes::{ReadError, Reader, put_number, put_signed};
use waypost_wire::time::Timestamp;

/// How long a number may be missing before it counts as lost.
pub const LOST_AFTER_MS: i64 = 15 * 60 * 1_000;

/// Which clicks of a source were stored. A source numbers its clicks from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// One more than the highest number stored.
    end: u64,
    /// Numbers below `end` that were not stored, in order.
    gaps: Vec<Gap>,
    /// How many numbers the source says it has given.
    reported: u64,
    /// When it said so.
    reported_at: Timestamp,
}

/// Numbers that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    range: Range<u64>,
    noticed_at: Timestamp,
}

impl Ledger {
    /// Books numbers that arrived and answers which of them had not before, in order.
    pub fn take(&mut self, range: Range<u64>, now: Timestamp) -> Vec<Range<u64>> {
        let mut fresh = Vec::new();
        let mut gaps = Vec::with_capacity(self.gaps.len() + 1);
        for gap in self.gaps.drain(..) {
            let filled = gap.range.start.max(range.start)..gap.range.end.min(range.end);
            if filled.is_empty() {
                gaps.push(gap);
                continue;
            }
            for rest in [gap.range.start..filled.start, filled.end..gap.range.end] {
                if !rest.is_empty() {
                    gaps.push(Gap { range: rest, noticed_at: gap.noticed_at });
                }
            }
            fresh.push(filled);
        }
        if self.end < range.start {
            gaps.push(Gap { range: self.end..range.start, noticed_at: now });
        }
        if self.end < range.end {
            fresh.push(self.end.max(range.start)..range.end);
            self.end = range.end;
        }
        self.gaps = gaps;
        fresh
    }

    /// Books how many numbers the source says it has given.
    pub fn report(&mut self, accepted: u64, now: Timestamp) {
        self.reported = self.reported.max(accepted);
        self.reported_at = self.reported_at.max(now);
    }

    /// Numbers the source has given, as far as is known.
    pub fn accepted(&self) -> u64 {
        self.end.max(self.reported)
    }

    /// Numbers stored.
    pub fn stored(&self) -> u64 {
        self.end - self.gaps.iter().map(Gap::length).sum::<u64>()
    }

    /// Missing numbers that may still arrive: noticed, or known to be with the source, less than
    /// [`LOST_AFTER_MS`] ago.
    pub fn in_flight(&self, now: Timestamp) -> u64 {
        let young = |since: Timestamp| now.ms_since(since) < LOST_AFTER_MS;
        let gaps = self.gaps.iter().filter(|gap| young(gap.noticed_at)).map(Gap::length);
        let tail = match young(self.reported_at) {
            true => self.accepted() - self.end,
            false => 0,
        };
        gaps.sum::<u64>() + tail
    }

    /// The ledger as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        put_number(&mut to, self.end);
        put_number(&mut to, self.reported);
        put_signed(&mut to, self.reported_at.0);
        for gap in &self.gaps {
            put_number(&mut to, gap.range.start);
            put_number(&mut to, gap.length());
            put_signed(&mut to, gap.noticed_at.0);
        }
        to
    }

    /// Reads what [`Ledger::encode`] wrote.
    ///
    /// # Errors
    /// If the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut from = Reader::new(bytes);
        let mut ledger = Self {
            end: from.number()?,
            gaps: Vec::new(),
            reported: from.number()?,
            reported_at: Timestamp(from.signed()?),
        };
        while from.remaining() > 0 {
            let start = from.number()?;
            let end = start.checked_add(from.number()?).ok_or(ReadError::Overflow)?;
            let noticed_at = Timestamp(from.signed()?);
            ledger.gaps.push(Gap { range: start..end, noticed_at });
        }
        Ok(ledger)
    }
}

impl Gap {
    const fn length(&self) -> u64 {
        self.range.end - self.range.start
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &[Range<u64>]) -> Vec<u64> {
        ranges.iter().cloned().flatten().collect()
    }

    #[test]
    fn a_gap_is_missing_then_lost_then_found() {
        let (early, late) = (Timestamp(1_000), Timestamp(1_000 + LOST_AFTER_MS));
        let mut ledger = Ledger::default();
        assert_eq!(ledger.take(10..20, early), vec![10..20]);
        assert_eq!((ledger.accepted(), ledger.stored()), (20, 10));
        assert_eq!(ledger.in_flight(early), 10);
        assert_eq!(ledger.in_flight(late), 0, "lost");
        assert_eq!(ledger.take(5..12, late), vec![5..10]);
        assert_eq!((ledger.stored(), ledger.in_flight(late)), (15, 0));
        assert_eq!(ledger.in_flight(late.plus_ms(-1)), 5, "the rest kept its age");
    }

    #[test]
    fn the_tail_is_in_flight_while_its_source_speaks() {
        let mut ledger = Ledger::default();
        ledger.take(0..5, Timestamp(0));
        ledger.report(9, Timestamp(0));
        ledger.report(7, Timestamp(60_000));
        assert_eq!(ledger.accepted(), 9);
        assert_eq!(ledger.in_flight(Timestamp(LOST_AFTER_MS)), 4);
        assert_eq!(ledger.in_flight(Timestamp(60_000 + LOST_AFTER_MS)), 0);
    }

    proptest! {
        /// Against the plainest account there is: a set.
        #[test]
        fn every_number_is_fresh_once(parts in prop::collection::vec((0u64..60, 1u64..20), 1..40)) {
            let mut ledger = Ledger::default();
            let mut seen = BTreeSet::new();
            for (step, (start, length)) in parts.into_iter().enumerate() {
                let range = start..start + length;
                let now = Timestamp(step as i64 * 60_000);
                let fresh = numbers(&ledger.take(range.clone(), now));
                let expected: Vec<u64> = range.filter(|number| seen.insert(*number)).collect();
                prop_assert_eq!(fresh, expected);
                prop_assert_eq!(ledger.stored(), seen.len() as u64);
                let end = seen.last().map_or(0, |last| last + 1);
                prop_assert_eq!(ledger.accepted(), end);
                prop_assert!(ledger.in_flight(now) <= end - seen.len() as u64);
                prop_assert_eq!(Ledger::decode(&ledger.encode()), Ok(ledger.clone()));
            }
        }
    }
}
