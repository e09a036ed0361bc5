//! Time zones as the edge knows them: a table of UTC offsets, computed when a link is written.

use jiff::Timestamp as Instant;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use waypost_wire::time::Timestamp;

/// A Julian year.
const YEAR_MS: i64 = 31_557_600_000;

/// How far tables reach. Ten years are twenty changes, about 150 bytes of a record.
const HORIZON_MS: i64 = 10 * YEAR_MS;

/// When a table must be made anew: two years before it runs out, so that a recompilation that
/// keeps failing is noticed long before a visitor could.
const RECOMPILE_AFTER_MS: i64 = 8 * YEAR_MS;

/// The offsets of a zone from some moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// In force before the first change, in minutes east of UTC.
    pub offset_minutes: i16,
    /// Later changes, in order: UTC time in seconds, and the minutes east that hold from then on.
    pub changes: Vec<(i64, i16)>,
    /// When the table must be made anew; `None` for a zone without changes.
    pub recompile_at: Option<Timestamp>,
}

/// The spelling the tz database has for a zone's name; `None` if it has no such zone. Old names
/// (US/Eastern) are names.
pub fn canonical_name(name: &str) -> Option<String> {
    Some(zone(name)?.iana_name()?.to_owned())
}

/// The offsets of a zone from `now` on; `None` if the tz database has no such zone.
pub fn offsets(name: &str, now: Timestamp) -> Option<Offsets> {
    let zone = zone(name)?;
    let start = instant(now);
    let end = now.plus_ms(HORIZON_MS).seconds();
    let offset_minutes = minutes(zone.to_offset(start).seconds());
    let mut changes: Vec<(i64, i16)> = Vec::new();
    for transition in zone.following(start) {
        let at_seconds = transition.timestamp().as_second();
        if at_seconds > end {
            break;
        }
        let after = minutes(transition.offset().seconds());
        // A transition can change the abbreviation only.
        let before = changes.last().map_or(offset_minutes, |(_, offset)| *offset);
        if before != after {
            changes.push((at_seconds, after));
        }
    }
    let recompile_at = (!changes.is_empty()).then(|| now.plus_ms(RECOMPILE_AFTER_MS));
    Some(Offsets { offset_minutes, changes, recompile_at })
}

/// The zone from the tables in the build, never from the machine's, so that every host of one
/// release compiles the same bytes.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    // Etc/Unknown is jiff's word for a zone nobody knows.
    (!zone.is_unknown()).then_some(zone)
}

/// Times outside of jiff's range (years -9999 to 9999) become its ends.
pub(crate) fn instant(at: Timestamp) -> Instant {
    let end = match at.0 < 0 {
        true => Instant::MIN,
        false => Instant::MAX,
    };
    Instant::from_millisecond(at.0).unwrap_or(end)
}

/// Offsets are less than 26 hours. Since 1972 all are whole minutes; older ones round to the past.
fn minutes(offset_seconds: i32) -> i16 {
    i16::try_from(offset_seconds.div_euclid(60)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T07:00:00Z.
    const NOW: Timestamp = Timestamp(1_795_244_400_000);

    fn offset_at(table: &Offsets, seconds: i64) -> i16 {
        let mut offset = table.offset_minutes;
        for (at, after) in &table.changes {
            if *at <= seconds {
                offset = *after;
            }
        }
        offset
    }

    #[test]
    fn every_zone_agrees_with_the_database_for_ten_years() {
        let mut zones = 0;
        for name in TimeZoneDatabase::bundled().available() {
            let table = offsets(name.as_str(), NOW).expect("a zone");
            let zone = zone(name.as_str()).expect("a zone");
            let truth = |seconds: i64| {
                zone.to_offset(Instant::from_second(seconds).expect("in range")).seconds()
            };
            let start = NOW.seconds();
            // 7 h 13 min: every time of day, day of the week and of the year gets its turn.
            let regular = (start..start + HORIZON_MS / 1_000).step_by(7 * 3_600 + 780);
            let edges = table.changes.iter().flat_map(|(at, _)| [at - 1, *at, at + 1]);
            for seconds in regular.chain(edges) {
                let ours = i32::from(offset_at(&table, seconds)) * 60;
                assert_eq!(ours, truth(seconds), "{} at {seconds}", name.as_str());
            }
            assert_eq!(table.recompile_at.is_some(), !table.changes.is_empty());
            zones += 1;
        }
        assert!(zones > 550, "{zones}");
    }

    #[test]
    fn the_table_of_berlin() {
        let table = offsets("Europe/Berlin", NOW).expect("a zone");
        assert_eq!(table.offset_minutes, 60);
        assert_eq!(table.changes.len(), 20);
        // 2027-03-28T01:00Z and 2027-10-31T01:00Z.
        let first: Vec<_> = table.changes.iter().take(2).copied().collect();
        assert_eq!(first, [(1_806_195_600, 120), (1_824_944_400, 60)]);
        let eight_years = Timestamp(NOW.0 + 8 * YEAR_MS);
        assert_eq!(table.recompile_at, Some(eight_years));
    }

    #[test]
    fn fixed_zones_are_for_ever() {
        for (name, offset_minutes) in [("UTC", 0), ("Asia/Kolkata", 330), ("Etc/GMT+12", -720)] {
            let expected = Offsets { offset_minutes, changes: vec![], recompile_at: None };
            assert_eq!(offsets(name, NOW), Some(expected), "{name}");
        }
    }

    #[test]
    fn names_are_found_without_case_and_written_with_it() {
        for (name, canonical) in [
            ("europe/BERLIN", Some("Europe/Berlin")),
            ("us/eastern", Some("US/Eastern")),
            ("utc", Some("UTC")),
            ("Etc/Unknown", None),
            ("Europe/Bielefeld", None),
            ("../../etc/passwd", None),
            ("+02:00", None),
            ("CET-1CEST", None),
            ("", None),
            ("Europe/Berlin\0", None),
        ] {
            assert_eq!(canonical_name(name).as_deref(), canonical, "{name}");
        }
    }

    #[test]
    fn no_time_is_out_of_range() {
        for ms in [i64::MIN, i64::MAX, 0] {
            assert!(offsets("Europe/Berlin", Timestamp(ms)).is_some(), "{ms}");
        }
    }
}
