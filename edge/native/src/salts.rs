//! The keys of visitor hashes: one a day, random, thrown away after two.

use std::sync::{PoisonError, RwLock};

use waypost_wire::state::salt_of_day;
use waypost_wire::time::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The salts of today and tomorrow, so that nothing has to be fetched at midnight.
#[derive(Debug, Default)]
pub struct Salts(RwLock<Vec<(Timestamp, [u8; 16])>>);

impl Salts {
    /// The salt of the day of `now`; `None` if it is not here, and then visitors are not told
    /// apart.
    pub fn of_day(&self, now: Timestamp) -> Option<[u8; 16]> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        salt_of_day(&known, now)
    }

    /// Whether nothing has to be fetched before the next day.
    pub fn has_today_and_tomorrow(&self, now: Timestamp) -> bool {
        self.of_day(now).is_some() && self.of_day(now.plus_ms(DAY_MS)).is_some()
    }

    /// Replaces what is known: salts with the starts of their days.
    pub fn set(&self, salts: [(Timestamp, [u8; 16]); 2]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = salts.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_own_salt_and_other_days_none() {
        let salts = Salts::default();
        assert_eq!(salts.of_day(Timestamp(0)), None);
        salts.set([(Timestamp(0), [1; 16]), (Timestamp(DAY_MS), [2; 16])]);
        assert_eq!(salts.of_day(Timestamp(86_399_999)), Some([1; 16]));
        assert_eq!(salts.of_day(Timestamp(86_400_000)), Some([2; 16]));
        assert!(salts.has_today_and_tomorrow(Timestamp(86_399_999)));
        assert!(!salts.has_today_and_tomorrow(Timestamp(86_400_000)));
        assert_eq!(salts.of_day(Timestamp(-1)), None);
        assert_eq!(salts.of_day(Timestamp(2 * 86_400_000)), None);
    }
}
