//! The keys of visitor hashes: one a day, random, thrown away after two.

use std::sync::{PoisonError, RwLock};

use waypost_wire::time::Timestamp;

/// A UTC day: days since 1970-01-01.
pub fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(86_400_000)
}

/// The salts of today and tomorrow, so that nothing has to be fetched at midnight.
#[derive(Debug, Default)]
pub struct Salts(RwLock<[(i64, [u8; 16]); 2]>);

impl Salts {
    /// The salt of the day of `now`; `None` if it is not here, and then visitors are not told
    /// apart.
    pub fn of_day(&self, now: Timestamp) -> Option<[u8; 16]> {
        let day = day(now);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .find(|(its_day, salt)| *its_day == day && *salt != [0; 16])
            .map(|(_, salt)| *salt)
    }

    /// Replaces what is known.
    pub fn set(&self, today_and_tomorrow: [(i64, [u8; 16]); 2]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = today_and_tomorrow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_own_salt_and_other_days_none() {
        let salts = Salts::default();
        assert_eq!(salts.of_day(Timestamp(0)), None);
        salts.set([(0, [1; 16]), (1, [2; 16])]);
        assert_eq!(salts.of_day(Timestamp(86_399_999)), Some([1; 16]));
        assert_eq!(salts.of_day(Timestamp(86_400_000)), Some([2; 16]));
        assert_eq!(salts.of_day(Timestamp(-1)), None);
        assert_eq!(salts.of_day(Timestamp(2 * 86_400_000)), None);
    }
}
