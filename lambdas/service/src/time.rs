//! Times as the API writes them: RFC 3339 in UTC.

use jiff::Timestamp as Instant;
use waypost_wire::time::Timestamp;

/// `2026-11-21T07:00:00Z`, with milliseconds only if there are any. Times outside of jiff's range
/// (years -9999 to 9999) are written as its ends.
pub fn format(at: Timestamp) -> String {
    let instant = Instant::from_millisecond(at.0);
    instant.unwrap_or(if at.0 < 0 { Instant::MIN } else { Instant::MAX }).to_string()
}

/// Reads RFC 3339 with any offset; `None` if the text is no such time.
pub fn parse(text: &str) -> Option<Timestamp> {
    let instant: Instant = text.parse().ok()?;
    Some(Timestamp(instant.as_millisecond()))
}

/// `#[serde(with)]` for a time.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use waypost_wire::time::Timestamp;

    /// Writes RFC 3339 in UTC.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*at))
    }

    /// Reads RFC 3339 with any offset.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no RFC 3339 time")))
    }
}

/// `#[serde(with)]` for a time that may be missing.
pub mod rfc3339_option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use waypost_wire::time::Timestamp;

    /// Writes RFC 3339 in UTC, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_some(&super::format(*at)),
            None => to.serialize_none(),
        }
    }

    /// Reads RFC 3339 with any offset, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        match super::parse(&text) {
            Some(at) => Ok(Some(at)),
            None => Err(D::Error::custom(format!("{text:?} is no RFC 3339 time"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_and_are_written_in_utc() {
        let at = parse("2026-11-21T08:00:00.250+01:00");
        assert_eq!(at, Some(Timestamp(1_795_244_400_250)));
        assert_eq!(format(Timestamp(1_795_244_400_250)), "2026-11-21T07:00:00.25Z");
        assert_eq!(format(Timestamp(1_795_244_400_000)), "2026-11-21T07:00:00Z");
    }

    #[test]
    fn no_time_without_an_offset() {
        assert_eq!(parse("2026-11-21T08:00:00"), None);
        assert_eq!(parse("tomorrow"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn times_outside_the_calendar_stay_at_its_ends() {
        assert!(format(Timestamp(i64::MAX)).starts_with("9999-"));
        assert!(format(Timestamp(i64::MIN)).starts_with("-009999-"));
    }
}
