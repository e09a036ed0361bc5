//! A bounded memory of records, and of the absence of records.
//!
//! One instance is not shared between threads; a host with threads keeps several behind locks.
//! Times are handed in.

use std::collections::HashMap;
use std::sync::Arc;

use waypost_wire::time::Timestamp;

/// How much a cache keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Most bytes of keys, records and bookkeeping.
    pub bytes_max: usize,
    /// How long "there is no such link" is believed.
    pub missing_ttl_ms: i64,
    /// How long after it was read a record may be used at all, however often it is asked for.
    /// `i64::MAX` where the source itself reports every change.
    pub age_max_ms: i64,
}

/// Time to live after the last use, by the number of uses: a link that is followed often is worth
/// keeping longer.
const TTL_BY_USES: [(u32, i64); 3] = [(100, 30 * 60_000), (10, 15 * 60_000), (0, 10 * 60_000)];

/// What an entry costs beside its key and record: its slot, its place in the index, allocations.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// What the cache knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached<V> {
    /// This record.
    Found(V),
    /// There is no such link.
    Missing,
    /// Nothing: read, then [`RecordCache::fill`] with this ticket.
    Unknown(Ticket),
}

/// The state of the cache before a read; a fill with an outdated one is dropped, so that a slow
/// read never brings back what a write has replaced meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// The cache. Full, it gives up what was not used since it last looked (CLOCK).
#[derive(Debug)]
pub struct RecordCache<V> {
    limits: CacheLimits,
    index: HashMap<Arc<str>, usize>,
    slots: Vec<Option<Slot<V>>>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
    epoch: u64,
    trusted_from: Timestamp,
}

#[derive(Debug)]
struct Slot<V> {
    key: Arc<str>,
    record: Option<V>,
    read_at: Timestamp,
    expires_at: Timestamp,
    uses: u32,
    used: bool,
}

impl<V: Clone + AsRef<[u8]>> RecordCache<V> {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            bytes: 0,
            epoch: 0,
            trusted_from: Timestamp(i64::MIN),
        }
    }

    /// What is known of `key` at `now`. A use extends the entry's life. A record that is not
    /// believed any more stays until its room is needed: [`Self::last_good`].
    pub fn lookup(&mut self, key: &str, now: Timestamp) -> Cached<V> {
        let unknown = Cached::Unknown(Ticket(self.epoch));
        let Some(&at) = self.index.get(key) else {
            return unknown;
        };
        let Some(slot) = self.slots.get_mut(at).and_then(Option::as_mut) else {
            return unknown;
        };
        // A clock set back makes entries look young, never immortal: they count as outdated.
        let age_ms = now.ms_since(slot.read_at);
        let is_young = (0..self.limits.age_max_ms).contains(&age_ms);
        if slot.expires_at <= now || slot.read_at < self.trusted_from || !is_young {
            if slot.record.is_none() {
                self.drop_slot(at);
            }
            return unknown;
        }
        slot.used = true;
        slot.uses = slot.uses.saturating_add(1);
        match &slot.record {
            None => Cached::Missing,
            Some(record) => {
                slot.expires_at = now.plus_ms(ttl_ms(slot.uses));
                Cached::Found(record.clone())
            }
        }
    }

    /// Keeps what a read found, unless something was forgotten since the ticket was given.
    pub fn fill(&mut self, ticket: Ticket, key: &str, record: Option<V>, now: Timestamp) {
        if ticket.0 == self.epoch {
            self.insert(key, record, now);
        }
    }

    /// Forgets a key whose record was written or removed. Two writers may report in any order:
    /// whoever reads next reads what is stored then.
    pub fn forget(&mut self, key: &str) {
        self.epoch += 1;
        if let Some(&at) = self.index.get(key) {
            self.drop_slot(at);
        }
    }

    /// The record that was last read under a key, however long ago, and when that was: for a host
    /// that can read nothing newer.
    pub fn last_good(&mut self, key: &str) -> Option<(V, Timestamp)> {
        let at = *self.index.get(key)?;
        let slot = self.slots.get_mut(at)?.as_mut()?;
        slot.used = true;
        slot.record.clone().map(|record| (record, slot.read_at))
    }

    /// What is kept under a key, believed or not: a record, or its absence.
    pub fn peek(&self, key: &str) -> Option<Option<&V>> {
        let slot = self.slots.get(*self.index.get(key)?)?.as_ref()?;
        Some(slot.record.as_ref())
    }

    /// Believes a key's record no longer, but keeps it as the last good one.
    pub fn outdate(&mut self, key: &str) {
        self.epoch += 1;
        let slot = self.index.get(key).and_then(|&at| self.slots.get_mut(at)?.as_mut());
        if let Some(slot) = slot {
            slot.expires_at = Timestamp(i64::MIN);
        }
    }

    /// Believes nothing that was read before `from`.
    pub const fn trust_from(&mut self, from: Timestamp) {
        self.trusted_from = from;
    }

    /// Number of entries, absences included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes in use, at most [`CacheLimits::bytes_max`].
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert(&mut self, key: &str, record: Option<V>, now: Timestamp) {
        if let Some(&at) = self.index.get(key) {
            self.drop_slot(at);
        }
        let cost = cost(key, record.as_ref());
        if cost > self.limits.bytes_max {
            return;
        }
        while self.bytes + cost > self.limits.bytes_max {
            self.evict();
        }
        let ttl_ms = match record {
            Some(_) => ttl_ms(0),
            None => self.limits.missing_ttl_ms,
        };
        let key: Arc<str> = key.into();
        let slot = Slot {
            key: Arc::clone(&key),
            record,
            read_at: now,
            expires_at: now.plus_ms(ttl_ms),
            uses: 0,
            used: false,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        };
        self.bytes += cost;
        self.index.insert(key, at);
    }

    /// Gives up the next entry that was not used since the hand last passed it. Every pass clears
    /// a mark, so two rounds find one.
    fn evict(&mut self) {
        for _ in 0..=2 * self.slots.len() {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match self.slots.get_mut(at).and_then(Option::as_mut) {
                Some(slot) if slot.used => slot.used = false,
                Some(_) => return self.drop_slot(at),
                None => {}
            }
        }
    }

    fn drop_slot(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else {
            return;
        };
        self.index.remove(&slot.key);
        self.bytes -= cost(&slot.key, slot.record.as_ref());
        self.free.push(at);
    }
}

fn cost<V: AsRef<[u8]>>(key: &str, record: Option<&V>) -> usize {
    ENTRY_OVERHEAD_BYTES + key.len() + record.map_or(0, |record| record.as_ref().len())
}

fn ttl_ms(uses: u32) -> i64 {
    let [often, sometimes, rarely] = TTL_BY_USES;
    match uses {
        uses if uses >= often.0 => often.1,
        uses if uses >= sometimes.0 => sometimes.1,
        _ => rarely.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn cache(bytes_max: usize) -> RecordCache<Vec<u8>> {
        RecordCache::new(CacheLimits { bytes_max, missing_ttl_ms: 30_000, age_max_ms: i64::MAX })
    }

    fn read(cache: &mut RecordCache<Vec<u8>>, key: &str, record: Option<&[u8]>, now: i64) {
        match cache.lookup(key, Timestamp(now)) {
            Cached::Unknown(ticket) => {
                cache.fill(ticket, key, record.map(<[u8]>::to_vec), Timestamp(now));
            }
            known => panic!("{key} is known: {known:?}"),
        }
    }

    fn knows(cache: &mut RecordCache<Vec<u8>>, key: &str, now: i64) -> bool {
        !matches!(cache.lookup(key, Timestamp(now)), Cached::Unknown(_))
    }

    #[test]
    fn records_live_longer_the_more_they_are_used() {
        for (uses, ttl) in [(1, 10), (10, 15), (100, 30)] {
            let mut cache = cache(10_000);
            read(&mut cache, "a", Some(b"x"), 0);
            for _ in 0..uses {
                assert!(knows(&mut cache, "a", 0));
            }
            let mut early = ttl * MINUTE - 1;
            assert!(knows(&mut cache, "a", early), "{uses}");
            // The use just now slid the end further.
            early += ttl * MINUTE - 1;
            assert!(knows(&mut cache, "a", early), "{uses}");
            assert!(!knows(&mut cache, "a", early + 30 * MINUTE), "{uses}");
            assert_eq!(cache.last_good("a"), Some((b"x".to_vec(), Timestamp(0))));
        }
    }

    #[test]
    fn absence_is_believed_for_its_own_time_and_never_slides() {
        let mut cache = cache(10_000);
        read(&mut cache, "a", None, 0);
        assert_eq!(cache.lookup("a", Timestamp(29_999)), Cached::Missing);
        assert!(!knows(&mut cache, "a", 30_000));
    }

    #[test]
    fn no_use_outlives_the_maximum_age() {
        let mut cache = RecordCache::new(CacheLimits {
            bytes_max: 10_000,
            missing_ttl_ms: 1,
            age_max_ms: 5_000,
        });
        read(&mut cache, "a", Some(b"x"), 1_000);
        assert!(knows(&mut cache, "a", 5_999));
        assert!(!knows(&mut cache, "a", 6_000));
        read(&mut cache, "a", Some(b"x"), 6_000);
        assert!(!knows(&mut cache, "a", 5_999), "a clock set back");
    }

    #[test]
    fn outdated_records_stay_as_the_last_good_ones_until_forgotten() {
        let mut cache = cache(10_000);
        read(&mut cache, "a", Some(b"x"), 5);
        read(&mut cache, "b", None, 5);
        assert_eq!((cache.peek("a"), cache.peek("b")), (Some(Some(&b"x".to_vec())), Some(None)));
        assert_eq!(cache.peek("c"), None);
        let Cached::Unknown(slow) = cache.lookup("c", Timestamp(5)) else { panic!("known") };
        cache.outdate("a");
        cache.fill(slow, "c", None, Timestamp(5));
        assert!(!knows(&mut cache, "a", 6));
        assert!(!knows(&mut cache, "c", 6), "read before the news");
        assert_eq!(cache.last_good("a"), Some((b"x".to_vec(), Timestamp(5))));
        assert_eq!(cache.last_good("b"), None);
        read(&mut cache, "a", Some(b"y"), 7);
        assert!(knows(&mut cache, "a", 7));
        cache.forget("a");
        assert_eq!(cache.last_good("a"), None);
    }

    #[test]
    fn what_was_read_before_a_time_is_not_believed() {
        let mut cache = cache(10_000);
        read(&mut cache, "a", Some(b"x"), 5);
        read(&mut cache, "b", Some(b"x"), 6);
        cache.trust_from(Timestamp(6));
        assert!(!knows(&mut cache, "a", 7));
        assert!(knows(&mut cache, "b", 7));
        assert_eq!(cache.last_good("a"), Some((b"x".to_vec(), Timestamp(5))));
    }

    #[test]
    fn a_slow_read_does_not_bring_back_what_was_forgotten() {
        let mut cache = cache(10_000);
        let Cached::Unknown(before) = cache.lookup("a", Timestamp(0)) else {
            panic!("known");
        };
        cache.forget("a");
        cache.fill(before, "a", Some(b"old".to_vec()), Timestamp(0));
        assert!(!knows(&mut cache, "a", 0));
        read(&mut cache, "a", Some(b"new"), 0);
        assert!(knows(&mut cache, "a", 0));
        cache.forget("a");
        assert!(!knows(&mut cache, "a", 0));
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn memory_stays_bounded_and_used_entries_stay() {
        let entry = ENTRY_OVERHEAD_BYTES + 4 + 10;
        let mut cache = cache(entry * 100);
        read(&mut cache, "k000", Some(&[0; 10]), 0);
        for number in 1..1_000 {
            let key = format!("k{number:03}");
            read(&mut cache, &key, Some(&[0; 10]), 0);
            assert!(knows(&mut cache, "k000", 0), "{number}");
            assert!(cache.bytes() <= entry * 100);
        }
        assert_eq!(cache.len(), 100);
        assert_eq!(cache.bytes(), entry * 100);
        assert!(cache.slots.len() <= 101);
    }

    #[test]
    fn a_record_larger_than_the_cache_is_not_kept() {
        let mut cache = cache(200);
        read(&mut cache, "small", Some(b"x"), 0);
        read(&mut cache, "large", Some(&[0; 200]), 0);
        assert!(knows(&mut cache, "small", 0));
        assert!(!knows(&mut cache, "large", 0));
    }
}
