//! Raw clicks in S3: many batches in an object, found again by where they lie in it.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use sha2::{Digest, Sha256};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::item::{damaged, unavailable};

/// Before each batch of an object stands its length.
const LENGTH_BYTES: usize = 4;

/// The bucket of raw clicks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Objects<'a> {
    /// How it is called.
    pub(super) s3: &'a Client,
    /// What it is called.
    pub(super) bucket: &'a str,
}

impl Objects<'_> {
    /// Writes an object, under a name that follows from the hour and the content, and answers it.
    pub(super) async fn put(&self, content: Vec<u8>, now: Timestamp) -> Result<String, StoreError> {
        let name = name(&content, now);
        let request = self.s3.put_object().bucket(self.bucket).key(&name);
        let answer = request.body(ByteStream::from(content)).send().await;
        answer.map_err(|error| unavailable(&error))?;
        Ok(name)
    }

    /// A part of an object, or all of it; `None` if there is no such object.
    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.s3.get_object().bucket(self.bucket).key(name).set_range(bytes);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(unavailable(&error)),
        };
        let body = answer.body.collect().await;
        let body = body.map_err(|error| StoreError::Unavailable(format!("{name}: {error}")))?;
        Ok(Some(body.to_vec()))
    }
}

/// `raw/<year>/<month>/<day>/<hour>/<SHA-256 of the content>`.
fn name(content: &[u8], now: Timestamp) -> String {
    let (year, month, day) = date(now);
    let hour = now.seconds().rem_euclid(86_400) / 3_600;
    format!("raw/{year:04}/{month:02}/{day:02}/{hour:02}/{}", hex::encode(Sha256::digest(content)))
}

/// The date in UTC, by the count of days (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn date(at: Timestamp) -> (i64, i64, i64) {
    let days = at.seconds().div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Batches after each other, each behind its length.
pub(super) fn join<'a>(batches: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut content = Vec::new();
    for batch in batches {
        // Longer than a batch can be.
        let length = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        content.extend_from_slice(&length.to_be_bytes());
        content.extend_from_slice(batch);
    }
    content
}

/// Where the batches lie that [`join`] put together.
pub(super) fn split(content: &[u8]) -> Result<Vec<Range<u64>>, StoreError> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < content.len() {
        let start = at + LENGTH_BYTES;
        let length: Option<[u8; LENGTH_BYTES]> =
            content.get(at..start).and_then(|bytes| bytes.try_into().ok());
        let end = length.map(|length| start + u32::from_be_bytes(length) as usize);
        let end = end.filter(|end| *end <= content.len());
        let end = end.ok_or_else(|| damaged("an object of batches ends early"))?;
        ranges.push(start as u64..end as u64);
        at = end;
    }
    Ok(ranges)
}

/// The bytes in a range, of an object or of a part of it that starts at `from`.
pub(super) fn cut(bytes: &[u8], from: u64, range: &Range<u64>) -> Result<Vec<u8>, StoreError> {
    let within = |at: u64| at.checked_sub(from).and_then(|at| usize::try_from(at).ok());
    let (start, end) = (within(range.start), within(range.end));
    let cut = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
    cut.map(<[u8]>::to_vec).ok_or_else(|| damaged("an object is shorter than what lies in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_by_hour_and_content() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (ms, hour) in [
            (0, "1970/01/01/00"),
            (951_782_400_000 - 1, "2000/02/28/23"),
            (951_782_400_000, "2000/02/29/00"),
            (1_795_272_013_500, "2026/11/21/14"),
            (4_107_542_400_000, "2100/03/01/00"),
        ] {
            assert_eq!(name(b"", Timestamp(ms)), format!("raw/{hour}/{empty}"));
        }
    }

    #[test]
    fn batches_come_out_as_they_went_in() {
        let batches: [&[u8]; 4] = [b"one", b"", b"three", &[7; 300]];
        let content = join(batches);
        let ranges = split(&content).expect("whole");
        let found: Vec<_> = ranges.iter().map(|range| cut(&content, 0, range)).collect();
        assert_eq!(found, batches.map(|batch| Ok(batch.to_vec())));
        let second = ranges.get(2).expect("a third");
        let part = content.get(second.start as usize..).expect("so long");
        assert_eq!(cut(part, second.start, second), Ok(b"three".to_vec()));
        assert_eq!(split(b""), Ok(vec![]));
        for end in [1, 3, 5, content.len() - 1] {
            assert!(split(&content[..end]).is_err(), "{end}");
        }
        assert!(cut(&content, 9, &(3..10)).is_err());
        assert!(cut(&content, 0, &(0..content.len() as u64 + 1)).is_err());
    }
}
