//! Snowflake ids: unique numbers, roughly in order of time, from clock and machine alone.

/// 2026-01-01T00:00:00Z in Unix milliseconds: the ids count from here, for 69 years.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

const TIME_BITS: u32 = 41;
const MACHINE_BITS: u32 = 5;
const SEQUENCE_BITS: u32 = 12;

/// Exclusive bound of datacentre and of worker numbers.
pub const MACHINES: u8 = 1 << MACHINE_BITS;

const SEQUENCE_MAX: u16 = (1 << SEQUENCE_BITS) - 1;

/// An id: from the top one zero bit, 41 bits of milliseconds since [`EPOCH_MS`], 5 bits of
/// datacentre, 5 bits of worker, 12 bits of sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnowflakeId(pub u64);

impl SnowflakeId {
    /// When it was made, in Unix milliseconds by the clock of its machine.
    pub const fn created_ms(self) -> i64 {
        // 42 bits are left, so the number fits.
        EPOCH_MS + (self.0 >> (2 * MACHINE_BITS + SEQUENCE_BITS)) as i64
    }
}

/// Why there is no id at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnowflakeFault {
    /// The clock stands further back than the bound that is waited for.
    #[error("the clock went back by {by_ms} ms")]
    ClockBackwards {
        /// Behind the newest id.
        by_ms: i64,
    },
    /// The clock stands before [`EPOCH_MS`] or 2^41 ms behind it.
    #[error("the clock stands before 2026 or after 2095")]
    ClockOutOfRange,
    /// Ask again after this time: the 4,096 ids of this millisecond are used, or the clock went
    /// back a little.
    #[error("no id for the next {ms} ms")]
    Wait {
        /// In milliseconds.
        ms: u32,
    },
}

/// A datacentre or worker number is not below [`MACHINES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("datacentre {datacentre} and worker {worker} must both be 0 to 31")]
pub struct NoMachine {
    /// As given.
    pub datacentre: u8,
    /// As given.
    pub worker: u8,
}

/// Makes ids for one machine. No two values with the same machine may be in use at a time.
///
/// It remembers the newest id only in memory: a process that is restarted after its clock was set
/// back can repeat ids, which the conditional write of whatever carries them must catch.
#[derive(Clone, Debug)]
pub struct Snowflake {
    machine: u64,
    skew_max_ms: u32,
    last_ms: i64,
    /// Next free number of `last_ms`.
    sequence: u16,
}

impl Snowflake {
    /// Ids of this machine. A clock that goes back by at most `skew_max_ms` is waited for.
    pub fn new(datacentre: u8, worker: u8, skew_max_ms: u32) -> Result<Self, NoMachine> {
        if datacentre >= MACHINES || worker >= MACHINES {
            return Err(NoMachine { datacentre, worker });
        }
        let machine = (u64::from(datacentre) << MACHINE_BITS) | u64::from(worker);
        Ok(Self { machine, skew_max_ms, last_ms: i64::MIN, sequence: 0 })
    }

    /// Makes ids of another machine from here on: five bits of datacentre, five of worker. They go
    /// on rising.
    ///
    /// # Errors
    /// If there is no such machine; it stays the one it was.
    pub fn move_to(&mut self, number: u16) -> Result<(), NoMachine> {
        let part = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
        let (datacentre, worker) = (number >> MACHINE_BITS, number & u16::from(MACHINES - 1));
        let machine = Self::new(part(datacentre), part(worker), self.skew_max_ms)?.machine;
        if machine != self.machine {
            self.machine = machine;
            // Beside the last id's, the next one's machine may be the lower one: not in its
            // millisecond.
            self.sequence = SEQUENCE_MAX + 1;
        }
        Ok(())
    }

    /// The next id at `now_ms`, Unix time. Ids of one value rise strictly.
    pub fn next(&mut self, now_ms: i64) -> Result<SnowflakeId, SnowflakeFault> {
        let by_ms = self.last_ms.saturating_sub(now_ms);
        if by_ms > i64::from(self.skew_max_ms) {
            return Err(SnowflakeFault::ClockBackwards { by_ms });
        }
        if by_ms > 0 {
            return Err(SnowflakeFault::Wait { ms: u32::try_from(by_ms).unwrap_or(u32::MAX) });
        }
        let since_epoch = now_ms
            .checked_sub(EPOCH_MS)
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|ms| *ms < 1 << TIME_BITS)
            .ok_or(SnowflakeFault::ClockOutOfRange)?;
        if now_ms > self.last_ms {
            self.last_ms = now_ms;
            self.sequence = 0;
        }
        if self.sequence > SEQUENCE_MAX {
            return Err(SnowflakeFault::Wait { ms: 1 });
        }
        let sequence = u64::from(self.sequence);
        self.sequence += 1;
        Ok(SnowflakeId(
            (since_epoch << (2 * MACHINE_BITS + SEQUENCE_BITS))
                | (self.machine << SEQUENCE_BITS)
                | sequence,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = EPOCH_MS + 1_000;

    fn snowflake(skew_max_ms: u32) -> Snowflake {
        Snowflake::new(3, 5, skew_max_ms).expect("a machine")
    }

    #[test]
    fn an_id_is_time_machine_and_sequence() {
        let mut ids = snowflake(0);
        let machine = 3 << 17 | 5 << 12;
        assert_eq!(ids.next(NOW_MS), Ok(SnowflakeId(1_000 << 22 | machine)));
        assert_eq!(ids.next(NOW_MS), Ok(SnowflakeId(1_000 << 22 | machine | 1)));
        assert_eq!(ids.next(NOW_MS + 1), Ok(SnowflakeId(1_001 << 22 | machine)));
    }

    #[test]
    fn the_epoch_is_the_start_of_2026() {
        let id = snowflake(0).next(EPOCH_MS).expect("an id");
        assert_eq!(id.created_ms(), EPOCH_MS);
        assert_eq!(crate::time::parse("2026-01-01T00:00:00Z").map(|at| at.0), Some(EPOCH_MS));
    }

    #[test]
    fn machines_never_share_an_id() {
        let mut seen = std::collections::BTreeSet::new();
        for datacentre in 0..MACHINES {
            for worker in 0..MACHINES {
                let mut ids = Snowflake::new(datacentre, worker, 0).expect("a machine");
                for _ in 0..2 {
                    assert!(seen.insert(ids.next(NOW_MS).expect("an id")));
                }
            }
        }
        for (datacentre, worker) in [(32, 0), (0, 32), (255, 255)] {
            let made = Snowflake::new(datacentre, worker, 0).map(|_| ());
            assert_eq!(made, Err(NoMachine { datacentre, worker }));
        }
    }

    #[test]
    fn ids_of_another_machine_go_on_rising() {
        let mut ids = snowflake(0);
        let first = ids.next(NOW_MS).expect("an id");
        assert_eq!(ids.move_to(3 << 5 | 5), Ok(()));
        assert_eq!(ids.next(NOW_MS), Ok(SnowflakeId(first.0 + 1)), "it is the same machine");
        assert_eq!(ids.move_to(7), Ok(()));
        assert_eq!(ids.next(NOW_MS), Err(SnowflakeFault::Wait { ms: 1 }));
        assert_eq!(ids.next(NOW_MS + 1), Ok(SnowflakeId(1_001 << 22 | 7 << 12)));
        assert_eq!(ids.move_to(1_024), Err(NoMachine { datacentre: 32, worker: 0 }));
        assert_eq!(ids.next(NOW_MS + 1), Ok(SnowflakeId(1_001 << 22 | 7 << 12 | 1)));
        let mut new = snowflake(0);
        assert_eq!(new.move_to(1_023), Ok(()));
        assert_eq!(new.next(NOW_MS), Ok(SnowflakeId(1_000 << 22 | 1_023 << 12)));
    }

    #[test]
    fn a_used_up_millisecond_is_waited_for() {
        let mut ids = snowflake(0);
        let mut last = None;
        for _ in 0..4_096 {
            let id = ids.next(NOW_MS).expect("an id");
            assert!(Some(id) > last);
            last = Some(id);
        }
        for _ in 0..3 {
            assert_eq!(ids.next(NOW_MS), Err(SnowflakeFault::Wait { ms: 1 }));
        }
        let next = ids.next(NOW_MS + 1).expect("an id");
        assert!(Some(next) > last);
        assert_eq!(next.created_ms(), NOW_MS + 1);
    }

    #[test]
    fn a_clock_a_little_back_is_waited_for_and_then_goes_on() {
        let mut ids = snowflake(5);
        let first = ids.next(NOW_MS).expect("an id");
        assert_eq!(ids.next(NOW_MS - 5), Err(SnowflakeFault::Wait { ms: 5 }));
        assert_eq!(ids.next(NOW_MS - 1), Err(SnowflakeFault::Wait { ms: 1 }));
        assert_eq!(ids.next(NOW_MS), Ok(SnowflakeId(first.0 + 1)));
    }

    #[test]
    fn a_clock_far_back_is_refused_until_it_is_right_again() {
        let mut ids = snowflake(5);
        let first = ids.next(NOW_MS).expect("an id");
        assert_eq!(ids.next(NOW_MS - 6), Err(SnowflakeFault::ClockBackwards { by_ms: 6 }));
        assert_eq!(ids.next(i64::MIN), Err(SnowflakeFault::ClockBackwards { by_ms: i64::MAX }));
        assert_eq!(ids.next(NOW_MS), Ok(SnowflakeId(first.0 + 1)));
    }

    #[test]
    fn a_clock_outside_of_the_range_is_refused_and_forgotten() {
        let mut ids = snowflake(5);
        for now_ms in [i64::MIN, -1, 0, EPOCH_MS - 1, EPOCH_MS + (1 << 41), i64::MAX] {
            assert_eq!(ids.next(now_ms), Err(SnowflakeFault::ClockOutOfRange), "{now_ms}");
        }
        assert!(ids.next(NOW_MS).is_ok());
        let last = ids.next(EPOCH_MS + (1 << 41) - 1).expect("the last millisecond");
        assert_eq!(last.0 >> 63, 0);
    }

    #[test]
    fn a_storm_of_clocks_never_repeats_an_id() {
        let mut ids = snowflake(50);
        let mut given = Vec::new();
        for step in 0..50_000_i64 {
            // Forwards on the whole, with jumps back of up to 96 ms.
            let now_ms = NOW_MS + step / 40 - (step * 37) % 97 * i64::from(step % 3 == 0);
            given.extend(ids.next(now_ms).ok());
        }
        assert!(given.is_sorted_by(|a, b| a < b));
        assert!(given.len() > 10_000, "{}", given.len());
    }
}
