//! Clicks for tests of counting.

use waypost_service::counting::batch::ReceivedBatch;
use waypost_wire::click::{BatchWriter, Click, Target};
use waypost_wire::time::Timestamp;

/// A user agent that a person has.
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// A full hour and day; all times of these tests are near it.
pub const MIDNIGHT: Timestamp = Timestamp(1_795_219_200_000);

/// A time so many minutes and seconds after [`MIDNIGHT`].
pub const fn at(minutes: i64, seconds: i64) -> Timestamp {
    MIDNIGHT.plus_ms((minutes * 60 + seconds) * 1_000)
}

/// A person's click on a link.
pub fn click(link_id: u64, at: Timestamp) -> Click<'static> {
    Click {
        link_id,
        at,
        user_agent: FIREFOX,
        country: "DE",
        target: Target::Default,
        ..Click::default()
    }
}

/// The bytes of a batch whose first click has the number `first_sequence`.
pub fn packed(source: u64, first_sequence: u64, clicks: &[Click<'_>]) -> Vec<u8> {
    let mut writer = BatchWriter::new(source, first_sequence);
    for click in clicks {
        writer.push(click);
    }
    writer.finish()
}

/// The same, as it arrives.
pub fn batch(source: u64, first_sequence: u64, clicks: &[Click<'_>]) -> ReceivedBatch {
    match ReceivedBatch::parse(packed(source, first_sequence, clicks)) {
        Ok(batch) => batch,
        Err(error) => panic!("a packed batch cannot be read: {error:?}"),
    }
}
