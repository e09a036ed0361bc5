//! Marks, books, ledgers and batches as items.

use std::collections::BTreeSet;
use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;
use waypost_service::counting::batch::{Admission, decode_ranges, encode_ranges};
use waypost_service::counting::ledger::Ledger;
use waypost_service::counting::levels::Levels;
use waypost_service::counting::store::WindowRecord;
use waypost_service::counting::window::Window;
use waypost_service::seams::StoreError;
use waypost_wire::bytes::{ReadError, Reader, put_number, put_signed};
use waypost_wire::time::Timestamp;

use super::keys;
use super::table::{Action, Values};
use crate::item::{Fields, Item, bytes, damaged, number, text, time};

/// A batch with fresh clicks in more windows than this is listed with the wide ones instead of in
/// each of its windows: a transaction has room for a hundred actions.
const NARROW_MAX: usize = 8;

/// What only ever rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) sealed_until: Window,
    pub(super) closed_until: Window,
    /// Writes to closed hours.
    pub(super) rewrites: u64,
    pub(super) levels: Levels,
}

impl Marks {
    /// Of an item, if there is one yet.
    pub(super) fn read(item: Option<&Item>) -> Result<Self, StoreError> {
        let mut marks = Self {
            sealed_until: Window::FIRST,
            closed_until: Window::FIRST,
            rewrites: 0,
            levels: Levels::NONE,
        };
        let Some(item) = item else {
            return Ok(marks);
        };
        if item.has("sealed_until") {
            marks.sealed_until = window(item, "sealed_until")?;
        }
        if item.has("closed_until") {
            marks.closed_until = window(item, "closed_until")?;
        }
        if item.has("rewrites") {
            marks.rewrites = item.number("rewrites")?;
        }
        if item.has("days_until") {
            marks.levels.days_until = item.time("days_until")?;
        }
        if item.has("hours_from") {
            marks.levels.hours_from = item.time("hours_from")?;
        }
        Ok(marks)
    }

    /// Holds as long as no further window is sealed.
    pub(super) fn is_sealed_as_read(&self) -> Action {
        let condition = match self.sealed_until {
            Window::FIRST => "attribute_not_exists(#sealed_until) OR #sealed_until = :sealed",
            _ => "#sealed_until = :sealed",
        };
        let values = vec![(":sealed", time(self.sealed_until.start()))];
        Action::Check { key: keys::marks(), condition, values }
    }

    /// Holds as long as `window` is not closed, for those who write in this lane.
    pub(super) fn is_open(window: Window, lane: usize) -> Action {
        Action::Check {
            key: keys::lane(lane),
            condition: "attribute_not_exists(#closed_until) OR #closed_until <= :window",
            values: vec![(":window", time(window.start()))],
        }
    }

    /// Holds as long as no closed hour is written anew.
    pub(super) fn is_not_rewritten(&self) -> Action {
        let condition = "attribute_not_exists(#rewrites) OR #rewrites <= :rewrites";
        let values = vec![(":rewrites", number(self.rewrites))];
        Action::Check { key: keys::marks(), condition, values }
    }
}

/// The sums of all sources. Every change has the next version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) version: u64,
    pub(super) last_row: u64,
    pub(super) accepted: u64,
    pub(super) stored: u64,
    pub(super) duplicate: u64,
    pub(super) late: u64,
}

impl Books {
    /// Of an item, if there is one yet.
    pub(super) fn read(item: Option<&Item>) -> Result<Self, StoreError> {
        let Some(item) = item else {
            return Ok(Self::default());
        };
        Ok(Self {
            version: item.number("version")?,
            last_row: item.number("last_row")?,
            accepted: item.number("accepted")?,
            stored: item.number("stored")?,
            duplicate: item.number("duplicate")?,
            late: item.number("late")?,
        })
    }

    /// Adds what was admitted.
    pub(super) const fn add(&mut self, admission: &Admission, stored: u64) {
        self.accepted += admission.accepted;
        self.stored += stored;
        self.duplicate += admission.duplicate;
        self.late += admission.late;
    }

    /// Writes them, if what is there is still `version`.
    pub(super) fn write_over(&self, version: u64) -> Action {
        let mut item = keys::books();
        item.extend(attributes([
            ("version", number(version + 1)),
            ("last_row", number(self.last_row)),
            ("accepted", number(self.accepted)),
            ("stored", number(self.stored)),
            ("duplicate", number(self.duplicate)),
            ("late", number(self.late)),
        ]));
        let (condition, values): (_, Values) = match version {
            0 => ("attribute_not_exists(pk)", vec![]),
            _ => ("#version = :version", vec![(":version", number(version))]),
        };
        Action::Put { item, condition: Some(condition), values }
    }
}

/// A source, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) ledger: Ledger,
    /// When it was heard of; `None` if it never was.
    pub(super) heard_at: Option<Timestamp>,
}

/// Reads the bytes of a ledger.
pub(super) fn ledger(bytes: &[u8]) -> Result<Ledger, StoreError> {
    Ledger::decode(bytes).map_err(|fault| unreadable("ledger", fault))
}

/// A stored batch, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchRow {
    pub(super) row: u64,
    pub(super) received_at: Timestamp,
    pub(super) fresh: Vec<Range<u64>>,
    pub(super) floor: Window,
    pub(super) ceil: Window,
    /// The windows its fresh clicks are counted in.
    pub(super) windows: BTreeSet<Window>,
    pub(super) place: Place,
}

/// Where the bytes of a batch are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) object: String,
    pub(super) range: Range<u64>,
}

impl BatchRow {
    /// Whether it is listed with the wide ones.
    pub(super) fn is_wide(&self) -> bool {
        NARROW_MAX < self.windows.len()
    }

    /// Where it is listed: by row, and by its windows.
    pub(super) fn keys(&self) -> Vec<(String, String)> {
        let row = keys::row_text(self.row);
        let lists = match self.is_wide() {
            true => vec![keys::WIDE.to_owned()],
            false => self.windows.iter().map(|window| keys::of_window(*window)).collect(),
        };
        [keys::BATCHES.to_owned()].into_iter().chain(lists).map(|pk| (pk, row.clone())).collect()
    }

    /// The item, the same in each list.
    pub(super) fn item(&self, (pk, sk): (String, String)) -> Item {
        let mut windows = Vec::new();
        for window in &self.windows {
            put_signed(&mut windows, window.start().0);
        }
        let Range { start, end } = self.place.range;
        attributes([
            ("pk", text(pk)),
            ("sk", text(sk)),
            ("row", number(self.row)),
            ("received_at", time(self.received_at)),
            ("fresh", bytes(encode_ranges(&self.fresh))),
            ("floor", time(self.floor.start())),
            ("ceil", time(self.ceil.start())),
            ("windows", bytes(windows)),
            ("object", text(&self.place.object)),
            ("offset", number(start)),
            ("length", number(end - start)),
        ])
        .collect()
    }

    /// Reads what [`BatchRow::item`] made.
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let fresh = decode_ranges(item.bytes("fresh")?);
        let mut windows = BTreeSet::new();
        let mut from = Reader::new(item.bytes("windows")?);
        while from.remaining() > 0 {
            let start = from.signed().map_err(|fault| unreadable("windows", fault))?;
            windows.insert(Window::of(Timestamp(start)));
        }
        let (start, length): (u64, u64) = (item.number("offset")?, item.number("length")?);
        Ok(Self {
            row: item.number("row")?,
            received_at: item.time("received_at")?,
            fresh: fresh.map_err(|fault| unreadable("ranges", fault))?,
            floor: window(item, "floor")?,
            ceil: window(item, "ceil")?,
            windows,
            place: Place { object: item.text("object")?.to_owned(), range: start..start + length },
        })
    }
}

/// Writes down which row is the first with clicks in a window.
pub(super) fn first_row(window: Window, row: u64) -> Action {
    Action::Update {
        key: keys::window(window),
        update: "SET #first_row = if_not_exists(#first_row, :row)",
        condition: None,
        values: vec![(":row", number(row))],
    }
}

/// Writes the record of a window.
pub(super) fn record(window: Window, record: &WindowRecord) -> Action {
    Action::Update {
        key: keys::window(window),
        update: "SET #batches = :batches, #digest = :digest, #revision = :revision, \
                 #closed_at = :closed_at",
        condition: None,
        values: vec![
            (":batches", number(record.batches)),
            (":digest", bytes(record.digest)),
            (":revision", number(record.revision)),
            (":closed_at", time(record.closed_at)),
        ],
    }
}

/// Reads what [`record`] wrote, if it did.
pub(super) fn read_record(item: &Item) -> Result<Option<WindowRecord>, StoreError> {
    if !item.has("digest") {
        return Ok(None);
    }
    let digest = item.bytes("digest")?.try_into();
    Ok(Some(WindowRecord {
        batches: item.number("batches")?,
        digest: digest.map_err(|_| damaged("a digest is not 32 bytes long"))?,
        revision: item.number("revision")?,
        closed_at: item.time("closed_at")?,
    }))
}

/// Numbers of subjects, each with the difference to the one before.
pub(super) fn encode_codes(codes: &BTreeSet<i64>) -> Vec<u8> {
    let mut to = Vec::new();
    let mut before = 0_u64;
    // As numbers without sign in their order: -1 is the greatest.
    let sorted: BTreeSet<u64> = codes.iter().map(|code| code.cast_unsigned()).collect();
    for code in sorted {
        put_number(&mut to, code - before);
        before = code;
    }
    to
}

/// Reads what [`encode_codes`] wrote.
pub(super) fn decode_codes(bytes: &[u8]) -> Result<BTreeSet<i64>, StoreError> {
    let mut from = Reader::new(bytes);
    let mut codes = BTreeSet::new();
    let mut before = 0_u64;
    while from.remaining() > 0 {
        let step = from.number().map_err(|fault| unreadable("subjects", fault))?;
        before = before.wrapping_add(step);
        codes.insert(before.cast_signed());
    }
    Ok(codes)
}

/// A window whose start is an attribute.
pub(super) fn window(item: &Item, name: &str) -> Result<Window, StoreError> {
    item.time(name).map(Window::of)
}

/// Attributes with names of their own.
pub(super) fn attributes<const N: usize>(
    attributes: [(&str, AttributeValue); N],
) -> impl Iterator<Item = (String, AttributeValue)> {
    attributes.map(|(name, value)| (name.to_owned(), value)).into_iter()
}

pub(super) fn unreadable(what: &str, fault: ReadError) -> StoreError {
    damaged(format!("the {what} cannot be read: {fault:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Window {
        Window::of(Timestamp(minutes * 60_000))
    }

    #[test]
    fn batches_come_back_from_every_list() {
        for count in [1, 8, 9, 300] {
            let row = BatchRow {
                row: 77,
                received_at: Timestamp(1_795_219_200_123),
                fresh: vec![3..5, 9..10],
                floor: Window::FIRST,
                ceil: at(90),
                windows: (0..count).map(|number| at(number * 10 - 20)).collect(),
                place: Place { object: "raw/1".to_owned(), range: 4..99 },
            };
            let keys = row.keys();
            assert_eq!(keys.len(), if row.is_wide() { 2 } else { 1 + count as usize });
            assert_eq!(row.is_wide(), count > 8);
            for key in keys {
                let item = row.item(key.clone());
                assert_eq!((item.text("pk"), item.text("sk")), (Ok(&*key.0), Ok(&*key.1)));
                assert_eq!(BatchRow::read(&item), Ok(row.clone()));
            }
        }
        assert!(BatchRow::read(&Item::new()).is_err());
    }

    #[test]
    fn what_was_never_written_is_as_it_begins() {
        let first = Marks {
            sealed_until: Window::FIRST,
            closed_until: Window::FIRST,
            rewrites: 0,
            levels: Levels::NONE,
        };
        assert_eq!(Marks::read(None), Ok(first));
        assert_eq!(Marks::read(Some(&Item::new())), Ok(first));
        assert_eq!(Books::read(None), Ok(Books::default()));
        assert!(Books::read(Some(&Item::new())).is_err());
        assert_eq!(read_record(&Item::new()), Ok(None));
    }

    #[test]
    fn books_come_back() {
        let books =
            Books { version: 7, last_row: 1, accepted: u64::MAX, stored: 3, duplicate: 4, late: 5 };
        for version in [0, 7] {
            let Action::Put { item, .. } = books.write_over(version) else {
                panic!("books are put");
            };
            let expected = Books { version: version + 1, ..books };
            assert_eq!(Books::read(Some(&item)), Ok(expected));
        }
    }

    #[test]
    fn subjects_come_back() {
        for codes in [vec![], vec![-1], vec![0, 7, -1, i64::MAX, 8], vec![1; 3]] {
            let codes = BTreeSet::from_iter(codes);
            assert_eq!(decode_codes(&encode_codes(&codes)), Ok(codes));
        }
        assert!(decode_codes(&[0x80]).is_err());
    }
}
