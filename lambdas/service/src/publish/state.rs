//! The state that edges share, from the stores of the control plane.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use waypost_wire::time::Timestamp;

use super::seams::StateSource;
use crate::ambient::Entropy;
use crate::counting::salts;
use crate::counting::store::CounterStore;
use crate::edge::state::{CHANGES_WANTED, SPAN_MS, compose};
use crate::seams::{Changed, LinkStore, StoreError};

/// How long what was read is used again, with what was published since: thousands of entries are
/// read for a state, and under load one is put together every second. A change that another
/// process published is told so much later.
const READ_AGAIN_MS: i64 = 5_000;

/// The state put together from where links and salts are kept.
#[derive(Debug)]
pub struct StateOf<'a, L, C, E> {
    links: &'a L,
    counters: &'a C,
    entropy: &'a E,
    last: Mutex<Option<Read>>,
}

/// What was read of the stores.
#[derive(Clone, Debug)]
struct Read {
    at: Timestamp,
    changed: Vec<Changed>,
    salts: [(Timestamp, [u8; 16]); 2],
}

impl<'a, L: LinkStore, C: CounterStore, E: Entropy> StateOf<'a, L, C, E> {
    /// Reads changes of `links` and the salts of `counters`; days that have none get one from
    /// `entropy`. Keep it as long as the process.
    pub const fn new(links: &'a L, counters: &'a C, entropy: &'a E) -> Self {
        Self { links, counters, entropy, last: Mutex::new(None) }
    }

    async fn read(&self, now: Timestamp) -> Result<Read, StoreError> {
        let mut candidates = [[0; 16]; 2];
        candidates.iter_mut().for_each(|candidate| self.entropy.fill(candidate));
        let salts = salts::today_and_tomorrow(self.counters, now, candidates).await?;
        let changed = self.links.changed(now.plus_ms(-SPAN_MS), CHANGES_WANTED).await?;
        let read = Read { at: now, changed, salts };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        Ok(read)
    }

    fn read_lately(&self, now: Timestamp) -> Option<Read> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|read| (0..READ_AGAIN_MS).contains(&now.ms_since(read.at)))
    }
}

impl<L: LinkStore, C: CounterStore, E: Entropy> StateSource for StateOf<'_, L, C, E> {
    async fn state(&self, recent: &[Changed], now: Timestamp) -> Result<Vec<u8>, StoreError> {
        let Read { changed, salts, .. } = match self.read_lately(now) {
            Some(read) => read,
            None => self.read(now).await?,
        };
        Ok(compose(&merged(changed, recent, now.plus_ms(-SPAN_MS)), &salts, now))
    }
}

/// Both, each key once with its latest generation, latest first; at most [`CHANGES_WANTED`].
pub(super) fn merged(changed: Vec<Changed>, recent: &[Changed], after: Timestamp) -> Vec<Changed> {
    // What an index does not show yet, it does not show among its first entries either.
    let recent = recent.iter().filter(|change| after < change.at).cloned();
    let mut latest: BTreeMap<String, Changed> = BTreeMap::new();
    for change in changed.into_iter().chain(recent) {
        match latest.get_mut(change.key.as_str()) {
            Some(known) if known.generation >= change.generation => {}
            Some(known) => *known = change,
            None => {
                latest.insert(change.key.as_str().to_owned(), change);
            }
        }
    }
    let mut merged: Vec<Changed> = latest.into_values().collect();
    merged.sort_by_key(|change| Reverse((change.at, change.generation.link_id)));
    merged.truncate(CHANGES_WANTED);
    merged
}

#[cfg(test)]
mod tests {
    use pollster::block_on;
    use waypost_wire::key::LinkKey;
    use waypost_wire::record::Generation;
    use waypost_wire::state::{Change, EdgeState, decode};

    use super::*;
    use crate::ambient::Draws;
    use crate::testing::{MemoryHost, service};

    const NOW: Timestamp = Timestamp(1_795_244_400_000);

    fn changed(slug: &str, link_id: u64, version: u64, ago_ms: i64) -> Changed {
        Changed {
            at: NOW.plus_ms(-ago_ms),
            key: LinkKey::new("s.example", slug, false),
            generation: Generation { link_id, version },
            stopped: version == 9,
        }
    }

    #[test]
    fn what_the_index_does_not_show_yet_is_in_the_state() {
        let index = vec![changed("b", 2, 1, 10), changed("a", 1, 1, 20), changed("c", 3, 4, 30)];
        let recent = [
            changed("a", 1, 2, 5),
            changed("c", 3, 3, 40),
            changed("d", 4, 9, 1),
            changed("old", 5, 1, SPAN_MS),
        ];
        let expected = [recent[2].clone(), recent[0].clone(), index[0].clone(), index[2].clone()];
        assert_eq!(merged(index, &recent, NOW.plus_ms(-SPAN_MS)), expected);
    }

    #[test]
    fn a_state_has_no_more_than_it_may() {
        let index: Vec<_> = (0..5_000)
            .map(|n| changed(&format!("l{n}"), n, 1, i64::try_from(n).unwrap()))
            .collect();
        let merged = merged(index, &[changed("new", 9_999, 1, 0)], NOW.plus_ms(-SPAN_MS));
        assert_eq!(merged.len(), CHANGES_WANTED);
        assert_eq!(merged[0].key.slug(), "new");
        assert_eq!(merged[1].key.slug(), "l0");
    }

    #[test]
    fn it_has_the_salts_of_today_and_tomorrow() {
        let host = MemoryHost::new(NOW);
        let of = StateOf::new(&host.links, &host.counters, &host.ambient);
        let bytes = block_on(of.state(&[changed("a", 1, 9, 3)], NOW)).unwrap();
        let state = decode(&bytes).unwrap();
        let again = block_on(of.state(&[], NOW.plus_ms(60_000))).unwrap();
        assert_eq!(decode(&again).unwrap().salts, state.salts);
        assert_eq!(state.salts.len(), 2);
        let generation = Generation { link_id: 1, version: 9 };
        let changes = vec![Change { key: "s.example/a", generation, stopped: true }];
        let since = NOW.plus_ms(-SPAN_MS);
        let salts = state.salts.clone();
        assert_eq!(state, EdgeState { published_at: NOW, since, salts, changes });
    }

    #[test]
    fn the_stores_are_read_every_few_seconds() {
        let service = service(MemoryHost::new(NOW)).unwrap();
        let host = &service.host;
        let of = StateOf::new(&host.links, &host.counters, &host.ambient);
        let keys = |now: Timestamp| {
            let bytes = block_on(of.state(&[changed("told", 1, 9, 3)], now)).unwrap();
            let state = decode(&bytes).unwrap();
            assert_eq!(state.published_at, now);
            state.changes.iter().map(|change| change.key.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(NOW), ["s.example/told"]);
        let body = br#"{"destination": "https://example.com/", "slug": "new"}"#;
        let mut draws = Draws::new(&host.ambient);
        block_on(service.create(body, None, &mut draws, NOW)).unwrap();
        assert_eq!(keys(NOW.plus_ms(READ_AGAIN_MS - 1)), ["s.example/told"]);
        let both = ["s.example/new", "s.example/told"];
        assert_eq!(keys(NOW.plus_ms(READ_AGAIN_MS)), both);
        assert_eq!(keys(NOW.plus_ms(READ_AGAIN_MS - 1)), both, "a clock set back");
    }
}
