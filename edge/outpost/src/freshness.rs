//! What the state that all edges share says, and how far it is believed.

use std::collections::HashMap;

use waypost_shell::cache::RecordCache;
use waypost_wire::codec;
use waypost_wire::record::Generation;
use waypost_wire::state::{EdgeState, salt_of_day};
use waypost_wire::time::Timestamp;

/// The state is read again after this time.
pub(crate) const REFRESH_MS: i64 = 30_000;

/// Without news for this long, long memories are not believed any more, though somebody asked.
pub(crate) const STATE_BELIEVED_MS: i64 = 120_000;

/// The same where nobody asked because there was no request: asking would have worked.
pub(crate) const IDLE_BELIEVED_MS: i64 = 45_000;

/// Then a record is believed for this long after it was read.
pub(crate) const RECORD_BELIEVED_MS: i64 = 60_000;

/// A state that was put together longer ago is no news: whoever publishes it has stopped.
pub(crate) const STATE_AGE_MAX_MS: i64 = 5 * 60_000;

/// How old the store's own copies may be while the state tells what changed, and while it does
/// not. The smaller one is no less than Workers KV can do (30 s).
const STORE_AGE_LONG_SECONDS: i64 = 3_600;
const STORE_AGE_SHORT_SECONDS: u32 = 60;

/// For a record that is known to be outdated.
pub(crate) const STORE_AGE_MIN_SECONDS: u32 = 30;

/// Slack between what the origin wrote and what a store shows.
const STORE_DELAY_MS: i64 = 120_000;

/// What is known of changes.
#[derive(Debug)]
pub(crate) struct Freshness {
    /// When there was news last; at first, when the instance began and knew nothing old.
    believed_at: Timestamp,
    asked_at: Option<Timestamp>,
    published_at: Option<Timestamp>,
    since: Timestamp,
    /// When the state in the store was put together, and with it what else is there.
    store_as_of: Option<Timestamp>,
    trusted_from: Timestamp,
    changes: HashMap<Box<str>, (Generation, bool)>,
    salts: Vec<(Timestamp, [u8; 16])>,
}

/// What the state says of a record that was just read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing newer is known.
    Current,
    /// There is a newer one; better than none.
    Outdated,
    /// There is a newer one, which does not redirect.
    Stopped,
}

impl Freshness {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            believed_at: now,
            asked_at: None,
            published_at: None,
            since: now,
            store_as_of: None,
            trusted_from: Timestamp(i64::MIN),
            changes: HashMap::new(),
            salts: Vec::new(),
        }
    }

    /// Whether the state has to be read again. Asking is promising.
    pub(crate) fn due(&mut self, now: Timestamp) -> bool {
        let is_due = self.asked_at.is_none_or(|at| !(0..REFRESH_MS).contains(&now.ms_since(at)));
        if is_due {
            self.asked_at = Some(now);
        }
        is_due
    }

    /// The time before which nothing that was read is believed.
    pub(crate) fn trusted_from(&self, now: Timestamp) -> Timestamp {
        match self.has_news(now) {
            true => self.trusted_from,
            false => self.trusted_from.max(now.plus_ms(-RECORD_BELIEVED_MS)),
        }
    }

    /// How old the store's answer may be.
    pub(crate) fn store_age_max_seconds(&self, now: Timestamp) -> u32 {
        if self.published_at.is_none() || !self.has_news(now) {
            return STORE_AGE_SHORT_SECONDS;
        }
        let told_ms = now.ms_since(self.since).saturating_sub(STORE_DELAY_MS);
        let seconds = (told_ms / 1_000).min(STORE_AGE_LONG_SECONDS);
        u32::try_from(seconds).unwrap_or(0).max(STORE_AGE_SHORT_SECONDS)
    }

    /// Notes the state that the store has, if it has one: whoever put it there also brought the
    /// records up to date.
    pub(crate) fn note_store(&mut self, state: Option<&EdgeState<'_>>) {
        let as_of = state.map(|state| state.published_at);
        // One that is gone takes no record with it.
        self.store_as_of = self.store_as_of.max(as_of);
    }

    /// Whether all that is outdated in the store is known to be: what changed since it was filled
    /// is in the state. Before the first state nothing is known against it.
    pub(crate) fn knows_store(&self) -> bool {
        self.published_at.is_none() || self.store_as_of.is_some_and(|as_of| as_of >= self.since)
    }

    /// The salt of visitor hashes.
    pub(crate) fn salt(&self, now: Timestamp) -> Option<[u8; 16]> {
        salt_of_day(&self.salts, now)
    }

    /// What is known of a record, or of the absence of one, that was read.
    pub(crate) fn standing(&self, key: &str, record: Option<&[u8]>) -> Standing {
        let Some((newest, stopped)) = self.changes.get(key) else {
            return Standing::Current;
        };
        let found = record.and_then(|bytes| codec::generation(bytes).ok()).unwrap_or_default();
        match (found < *newest, stopped) {
            (false, _) => Standing::Current,
            (true, false) => Standing::Outdated,
            (true, true) => Standing::Stopped,
        }
    }

    /// Takes a state in; `false` if it is no news.
    pub(crate) fn apply<V: Clone + AsRef<[u8]>>(
        &mut self,
        state: &EdgeState<'_>,
        now: Timestamp,
        cache: &mut RecordCache<V>,
    ) -> bool {
        // Salts are never wrong, only missing.
        self.salts.clone_from(&state.salts);
        if now.ms_since(state.published_at) > STATE_AGE_MAX_MS {
            return false;
        }
        self.believed_at = now;
        if self.published_at.is_some_and(|known| state.published_at <= known) {
            return true;
        }
        match self.published_at {
            // What was read before the first state was young then.
            None if self.store_as_of.is_some_and(|as_of| as_of >= state.since) => {
                self.trusted_from = state.since.plus_ms(STORE_DELAY_MS);
            }
            // What was read, in this millisecond too, came from a store that nobody keeps up.
            None => self.trusted_from = now.plus_ms(1),
            // Changes between this state and the one before are in neither.
            Some(before) if before < state.since => self.trusted_from = now.plus_ms(1),
            Some(_) => {}
        }
        self.published_at = Some(state.published_at);
        self.since = state.since;
        self.changes = state
            .changes
            .iter()
            .map(|change| (change.key.into(), (change.generation, change.stopped)))
            .collect();
        self.revoke(cache);
        true
    }

    fn revoke<V: Clone + AsRef<[u8]>>(&self, cache: &mut RecordCache<V>) {
        for key in self.changes.keys() {
            let Some(kept) = cache.peek(key) else { continue };
            match (kept.is_some(), self.standing(key, kept.map(AsRef::as_ref))) {
                (_, Standing::Current) => {}
                (true, Standing::Outdated) => cache.outdate(key),
                (true, Standing::Stopped) | (false, _) => cache.forget(key),
            }
        }
    }

    fn has_news(&self, now: Timestamp) -> bool {
        let is_within = |since: Timestamp, ms: i64| (0..=ms).contains(&now.ms_since(since));
        let has_asked = self.asked_at.is_some_and(|at| is_within(at, IDLE_BELIEVED_MS));
        let believed_ms = if has_asked { STATE_BELIEVED_MS } else { IDLE_BELIEVED_MS };
        is_within(self.believed_at, believed_ms)
    }
}

#[cfg(test)]
mod tests {
    use waypost_shell::cache::{CacheLimits, Cached};
    use waypost_wire::codec::encode;
    use waypost_wire::record::{LinkRecord, LinkState, RedirectStatus};
    use waypost_wire::state::Change;

    use super::*;

    const NOW: Timestamp = Timestamp(1_780_315_200_000);
    const DAY_MS: i64 = 86_400_000;

    fn record(version: u64) -> Vec<u8> {
        encode(&LinkRecord {
            id: 9,
            version,
            state: LinkState::Live,
            created_at: NOW,
            destination: "https://example.com/",
            readable_destination: None,
            status: RedirectStatus::Found,
            starts_at: None,
            expires_at: None,
            expired_destination: None,
            limited: false,
            used_up: false,
            forward_query: false,
            forward_path: false,
            ios_destination: None,
            android_destination: None,
            password_version: None,
            title: None,
            preview: None,
            rules: Vec::new(),
        })
    }

    fn cache() -> RecordCache<Vec<u8>> {
        let limits =
            CacheLimits { bytes_max: 10_000, missing_ttl_ms: DAY_MS, age_max_ms: i64::MAX };
        let mut cache = RecordCache::new(limits);
        for (key, record) in [
            ("s/old", Some(record(3))),
            ("s/stop", Some(record(3))),
            ("s/new", Some(record(4))),
            ("s/gone", None),
            ("s/other", Some(record(1))),
        ] {
            let Cached::Unknown(ticket) = cache.lookup(key, NOW) else { panic!("known") };
            cache.fill(ticket, key, record, NOW);
        }
        cache
    }

    fn change(key: &str, version: u64, stopped: bool) -> Change<'_> {
        Change { key, generation: Generation { link_id: 9, version }, stopped }
    }

    fn state<'a>(published_at: Timestamp, changes: Vec<Change<'a>>) -> EdgeState<'a> {
        let since = published_at.plus_ms(-DAY_MS);
        EdgeState { published_at, since, salts: vec![(NOW, [5; 16])], changes }
    }

    /// A state that came from the store.
    fn from_store(
        freshness: &mut Freshness,
        state: &EdgeState<'_>,
        now: Timestamp,
        cache: &mut RecordCache<Vec<u8>>,
    ) -> bool {
        freshness.note_store(Some(state));
        freshness.apply(state, now, cache)
    }

    fn known(cache: &mut RecordCache<Vec<u8>>) -> Vec<&'static str> {
        let mut keys = vec!["s/old", "s/stop", "s/new", "s/gone", "s/other"];
        keys.retain(|key| !matches!(cache.lookup(key, NOW), Cached::Unknown(_)));
        keys
    }

    #[test]
    fn what_changed_is_not_believed_and_what_stopped_is_forgotten() {
        let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
        let changes = ["s/old", "s/stop", "s/new", "s/gone", "s/unknown"]
            .map(|key| change(key, 4, key == "s/stop"));
        assert!(from_store(&mut freshness, &state(NOW, changes.to_vec()), NOW, &mut cache));
        assert_eq!(known(&mut cache), ["s/new", "s/other"]);
        assert!(cache.last_good("s/old").is_some());
        assert_eq!(cache.last_good("s/stop"), None);
        assert_eq!(freshness.standing("s/old", Some(&record(3))), Standing::Outdated);
        assert_eq!(freshness.standing("s/old", Some(&record(4))), Standing::Current);
        assert_eq!(freshness.standing("s/stop", Some(&record(3))), Standing::Stopped);
        assert_eq!(freshness.standing("s/gone", None), Standing::Outdated);
        assert_eq!(freshness.standing("s/other", Some(&record(1))), Standing::Current);
        assert_eq!(freshness.salt(NOW), Some([5; 16]));
        assert_eq!(freshness.salt(NOW.plus_ms(DAY_MS)), None);
    }

    #[test]
    fn an_older_state_changes_nothing_but_proves_that_reading_works() {
        let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
        assert!(from_store(&mut freshness, &state(NOW, vec![]), NOW, &mut cache));
        let later = NOW.plus_ms(STATE_BELIEVED_MS + 1);
        assert!(!freshness.has_news(later));
        assert!(freshness.due(later));
        assert!(!freshness.has_news(later));
        let older = state(NOW.plus_ms(-1), vec![change("s/old", 4, true)]);
        assert!(from_store(&mut freshness, &older, later, &mut cache));
        assert!(freshness.has_news(later));
        assert_eq!(known(&mut cache).len(), 5);
    }

    #[test]
    fn a_state_that_nobody_keeps_up_is_no_news_but_has_salts() {
        let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
        let old = state(NOW.plus_ms(-STATE_AGE_MAX_MS - 1), vec![change("s/old", 4, true)]);
        assert!(!from_store(&mut freshness, &old, NOW, &mut cache));
        assert_eq!(known(&mut cache).len(), 5);
        assert_eq!(freshness.salt(NOW), Some([5; 16]));
        assert_eq!(freshness.store_age_max_seconds(NOW), STORE_AGE_SHORT_SECONDS);
    }

    #[test]
    fn without_news_only_young_records_are_believed() {
        let mut freshness = Freshness::new(NOW);
        let idle = NOW.plus_ms(IDLE_BELIEVED_MS);
        assert_eq!(freshness.trusted_from(idle), Timestamp(i64::MIN));
        let idle = idle.plus_ms(1);
        assert_eq!(freshness.trusted_from(idle), idle.plus_ms(-RECORD_BELIEVED_MS));
        let end = NOW.plus_ms(STATE_BELIEVED_MS);
        assert!(freshness.due(end));
        assert_eq!(freshness.trusted_from(end), Timestamp(i64::MIN));
        let later = end.plus_ms(1);
        assert_eq!(freshness.trusted_from(later), later.plus_ms(-RECORD_BELIEVED_MS));
        assert!(from_store(&mut freshness, &state(later, vec![]), later, &mut cache()));
        assert!(freshness.trusted_from(later) < NOW);
        assert!(freshness.trusted_from(NOW.plus_ms(-1)) < NOW, "a clock set back is no news");
    }

    #[test]
    fn a_gap_between_two_states_ends_all_that_was_read_before() {
        let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
        assert!(from_store(&mut freshness, &state(NOW, vec![]), NOW, &mut cache));
        let later = NOW.plus_ms(60_000);
        let joined = EdgeState { since: NOW, ..state(later, vec![]) };
        assert!(from_store(&mut freshness, &joined, later, &mut cache));
        assert!(freshness.trusted_from(later) < NOW);
        let last = later.plus_ms(60_000);
        let apart = EdgeState { since: later.plus_ms(1), ..state(last, vec![]) };
        assert!(from_store(&mut freshness, &apart, last, &mut cache));
        assert_eq!(freshness.trusted_from(last), last.plus_ms(1));
    }

    #[test]
    fn the_stores_own_caches_are_used_as_far_back_as_changes_are_told() {
        let mut freshness = Freshness::new(NOW);
        assert_eq!(freshness.store_age_max_seconds(NOW), 60);
        assert!(from_store(&mut freshness, &state(NOW, vec![]), NOW, &mut cache()));
        assert_eq!(freshness.store_age_max_seconds(NOW), 3_600);
        let short = EdgeState { since: NOW.plus_ms(-420_000), ..state(NOW.plus_ms(1), vec![]) };
        assert!(from_store(&mut freshness, &short, NOW, &mut cache()));
        assert_eq!(freshness.store_age_max_seconds(NOW), 300);
        assert_eq!(freshness.store_age_max_seconds(NOW.plus_ms(STATE_BELIEVED_MS + 1)), 60);
    }

    #[test]
    fn the_state_is_read_again_in_time() {
        let mut freshness = Freshness::new(NOW);
        assert!(freshness.due(NOW));
        assert!(!freshness.due(NOW.plus_ms(REFRESH_MS - 1)));
        assert!(freshness.due(NOW.plus_ms(REFRESH_MS)));
        assert!(freshness.due(NOW), "a clock set back");
    }

    #[test]
    fn a_store_that_nobody_keeps_up_is_known_as_far_as_changes_are_told() {
        let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
        assert!(freshness.knows_store(), "nothing is known against it");
        // Filled an hour ago; the origin tells of a day.
        let filled = state(NOW.plus_ms(-3_600_000), vec![]);
        freshness.note_store(Some(&filled));
        assert!(freshness.apply(&state(NOW, vec![]), NOW, &mut cache));
        assert!(freshness.knows_store());
        assert_eq!(known(&mut cache).len(), 5);
        // Much has changed since: the origin tells of the last minutes only.
        let short = EdgeState { since: NOW.plus_ms(-60_000), ..state(NOW.plus_ms(1), vec![]) };
        assert!(freshness.apply(&short, NOW, &mut cache));
        assert!(!freshness.knows_store());
    }

    #[test]
    fn what_was_read_before_the_first_state_is_not_believed_if_the_store_is_old() {
        for as_of in [None, Some(NOW.plus_ms(-DAY_MS - 1))] {
            let (mut freshness, mut cache) = (Freshness::new(NOW), cache());
            let filled = as_of.map(|as_of| state(as_of, vec![]));
            freshness.note_store(filled.as_ref());
            let later = NOW.plus_ms(5);
            let told = EdgeState { since: NOW.plus_ms(-DAY_MS), ..state(later, vec![]) };
            assert!(freshness.apply(&told, later, &mut cache));
            assert!(!freshness.knows_store());
            assert_eq!(freshness.trusted_from(later), later.plus_ms(1));
        }
    }
}
