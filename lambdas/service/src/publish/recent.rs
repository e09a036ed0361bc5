//! What was published lately.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use waypost_wire::key::LinkKey;
use waypost_wire::time::Timestamp;

use super::seams::Current;
use crate::edge::state::CHANGES_WANTED;
use crate::seams::Changed;

/// How long it is told in every state: longer than an index takes to show it.
const TOLD_MS: i64 = 2 * 60 * 1_000;

/// What was found in the table lately, each key once. Lost with its process: the next state has it
/// from the index.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeMap<String, (Timestamp, Changed)>);

impl Recent {
    /// Notes what the table had at `now`.
    pub(super) fn note(&mut self, key: &str, current: &Current, now: Timestamp) {
        if self.0.get(key).is_some_and(|(_, known)| known.generation > current.generation) {
            return;
        }
        let change = Changed {
            at: current.updated_at,
            key: link_key(key),
            generation: current.generation,
            stopped: current.stopped,
        };
        self.0.insert(key.to_owned(), (now, change));
        if self.0.len() > 2 * CHANGES_WANTED {
            self.shorten();
        }
    }

    /// What was noted lately.
    pub(super) fn told(&mut self, now: Timestamp) -> Vec<Changed> {
        self.0.retain(|_, (at, _)| (0..TOLD_MS).contains(&now.ms_since(*at)));
        self.0.values().map(|(_, change)| change.clone()).collect()
    }

    /// A state has no room for more than the latest.
    fn shorten(&mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.0).into_iter().collect();
        all.sort_by_key(|(_, (_, change))| Reverse(change.at));
        all.truncate(CHANGES_WANTED);
        self.0 = all.into_iter().collect();
    }
}

/// The key of a text, which is one already: nothing is folded again.
fn link_key(text: &str) -> LinkKey {
    let (domain, slug) = text.split_once('/').unwrap_or((text, ""));
    LinkKey::new(domain, slug, false)
}

#[cfg(test)]
mod tests {
    use waypost_wire::record::Generation;

    use super::*;

    fn current(version: u64, at: i64) -> Current {
        Current {
            record: Vec::new(),
            generation: Generation { link_id: 1, version },
            stopped: false,
            updated_at: Timestamp(at),
        }
    }

    #[test]
    fn the_newest_of_each_key_is_told_for_a_while() {
        let mut recent = Recent::default();
        recent.note("s/a", &current(2, 20), Timestamp(100));
        recent.note("s/a", &current(1, 10), Timestamp(101));
        recent.note("s/b", &current(1, 30), Timestamp(101));
        let told: Vec<_> =
            recent.told(Timestamp(102)).iter().map(|c| c.generation.version).collect();
        assert_eq!(told, [2, 1]);
        assert_eq!(recent.told(Timestamp(100 + TOLD_MS)).len(), 1);
        assert_eq!(recent.told(Timestamp(0)), []);
    }

    #[test]
    fn of_too_many_the_latest_stay() {
        let mut recent = Recent::default();
        let count = i64::try_from(2 * CHANGES_WANTED + 1).unwrap();
        for n in 0..count {
            recent.note(&format!("s/{n}"), &current(1, n), Timestamp(0));
        }
        let told = recent.told(Timestamp(0));
        assert_eq!(told.len(), CHANGES_WANTED);
        let wanted = i64::try_from(CHANGES_WANTED).unwrap();
        assert!(told.iter().all(|change| change.at.0 >= count - wanted));
    }
}
