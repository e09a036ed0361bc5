//! Booking: what is new in batches, decided and written in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use waypost_service::counting::batch::{Admission, ReceivedBatch};
use waypost_service::counting::window::Window;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::objects::{join, split};
use super::rows::{BatchRow, Books, Marks, Place, Source, attributes, first_row, ledger};
use super::table::{Action, Outcome, TRANSACTION_MAX, TRANSACTION_MAX_BYTES, pause};
use super::{Counters, keys, parts};
use crate::item::{Fields, Item, damaged, pair, time};

/// Tries of a booking that others were faster than. One of them always gets through.
const TRIES: u32 = 60;
/// How exactly the index of sources knows when they were heard of: five minutes.
const HEARD_MS: i64 = 5 * 60 * 1_000;
/// Marks, books, and the inbox.
const ACTIONS_ALWAYS: usize = 3;

/// What one transaction books. All that it reads is as it was at one version of the books, and it
/// is written only if that still is their version.
#[derive(Debug)]
pub(super) struct Booking {
    now: Timestamp,
    marks: Marks,
    version: u64,
    books: Books,
    sources: BTreeMap<u64, BookedSource>,
    rows: Vec<BatchRow>,
}

#[derive(Debug, Default)]
struct BookedSource {
    before: Source,
    /// The item it was read from.
    item: Option<Item>,
    /// As it will be, if anything was booked.
    after: Option<Source>,
}

impl BookedSource {
    fn current(&self) -> &Source {
        self.after.as_ref().unwrap_or(&self.before)
    }
}

impl Booking {
    /// Books a batch whose bytes will be in `place`; `None` if the transaction has no room for it.
    pub(super) fn admit(&mut self, batch: &ReceivedBatch, place: Place) -> Option<Admission> {
        let source = self.sources.entry(batch.id.source).or_default();
        let mut after = source.current().clone();
        let admission =
            Admission::decide(batch, &mut after.ledger, self.marks.sealed_until, self.now);
        after.heard_at = Some(self.now.max(after.heard_at.unwrap_or(self.now)));
        let stored = admission.stored();
        let row = (stored > 0).then(|| BatchRow {
            row: self.books.last_row + 1,
            received_at: self.now,
            fresh: admission.fresh.clone(),
            floor: admission.floor,
            ceil: admission.ceil,
            windows: admission.windows.clone(),
            place,
        });
        let before = source.after.replace(after);
        let is_first = self.rows.is_empty() && before.is_none();
        self.rows.extend(row);
        if !is_first && !self.fits() {
            if stored > 0 {
                self.rows.pop();
            }
            if let Some(source) = self.sources.get_mut(&batch.id.source) {
                source.after = before;
            }
            return None;
        }
        self.books.last_row += u64::from(stored > 0);
        self.books.add(&admission, stored);
        Some(admission)
    }

    /// Books how many numbers a source has given.
    pub(super) fn report(&mut self, source: u64, accepted: u64) {
        let source = self.sources.entry(source).or_default();
        let mut after = source.current().clone();
        let before = after.ledger.accepted();
        after.ledger.report(accepted, self.now);
        after.heard_at = Some(self.now.max(after.heard_at.unwrap_or(self.now)));
        self.books.accepted += after.ledger.accepted() - before;
        source.after = Some(after);
    }

    /// The rows it will write.
    pub(super) fn rows_mut(&mut self) -> &mut [BatchRow] {
        &mut self.rows
    }

    fn fits(&self) -> bool {
        let rows: usize = self.rows.iter().map(|row| row.keys().len()).sum();
        let sources: Vec<&Source> =
            self.sources.values().filter_map(|source| source.after.as_ref()).collect();
        let actions = ACTIONS_ALWAYS + rows + self.narrow_windows().len() + 3 * sources.len();
        let ledgers: usize = sources.iter().map(|source| source.ledger.encode().len()).sum();
        actions <= TRANSACTION_MAX && ledgers + 20_000 * self.rows.len() <= TRANSACTION_MAX_BYTES
    }

    /// The windows of rows that are listed by window, each with its first row.
    fn narrow_windows(&self) -> BTreeMap<Window, u64> {
        let mut windows = BTreeMap::new();
        for row in self.rows.iter().filter(|row| !row.is_wide()) {
            for window in &row.windows {
                windows.entry(*window).or_insert(row.row);
            }
        }
        windows
    }

    /// What writes it, what must be there before, and what nobody needs behind it.
    fn written(&self) -> Result<Written, StoreError> {
        let mut written = Written {
            actions: vec![self.books.write_over(self.version), self.marks.is_sealed_as_read()],
            ..Written::default()
        };
        for (id, source) in &self.sources {
            let Some(after) = &source.after else {
                continue;
            };
            let heard_at = after.heard_at.unwrap_or(self.now);
            let mut item = keys::ledger(*id);
            item.extend(attributes([("heard_at", time(heard_at))]));
            let whole = parts::whole(item, after.ledger.encode())?;
            if let Some(before) = &source.item {
                let still: BTreeSet<_> = names(&parts::keys(&whole.item)?);
                let mut old = parts::keys(before)?;
                old.retain(|key| !still.contains(&name(key)));
                written.obsolete.extend(old);
            }
            written.actions.push(Action::put(whole.item));
            written.parts.extend(whole.parts);
            let (old, new) = (source.before.heard_at.map(bucket), bucket(heard_at));
            if old != Some(new) {
                written.actions.push(Action::put(heard(new, *id)));
                written.actions.extend(old.map(|old| Action::Delete {
                    key: heard(old, *id),
                    condition: None,
                    values: vec![],
                }));
            }
        }
        for (window, row) in self.narrow_windows() {
            written.actions.push(first_row(window, row));
        }
        for row in &self.rows {
            written.actions.extend(row.keys().into_iter().map(|key| Action::put(row.item(key))));
            if row.is_wide() {
                written.before.extend(row.windows.iter().map(|window| first_row(*window, row.row)));
            }
        }
        Ok(written)
    }
}

#[derive(Debug, Default)]
struct Written {
    actions: Vec<Action>,
    before: Vec<Action>,
    parts: Vec<Item>,
    obsolete: Vec<Item>,
}

fn name(key: &Item) -> (String, String) {
    let text = |name| key.text(name).unwrap_or_default().to_owned();
    (text("pk"), text("sk"))
}

fn names(keys: &[Item]) -> BTreeSet<(String, String)> {
    keys.iter().map(name).collect()
}

/// The five minutes that a time is in.
pub(super) const fn bucket(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(at.0.rem_euclid(HEARD_MS)))
}

fn heard(bucket: Timestamp, source: u64) -> Item {
    pair(keys::HEARD, keys::behind(bucket, format_args!("{source:016x}")))
}

/// The source that an item of the index of sources is about.
pub(super) fn heard_source(item: &Item) -> Result<u64, StoreError> {
    let key = item.text("sk")?;
    let source = key.split_once('#').and_then(|(_, id)| u64::from_str_radix(id, 16).ok());
    source.ok_or_else(|| damaged(format!("{key:?} names no source")))
}

impl Counters<'_> {
    /// Begins a booking of what these sources bring.
    pub(super) async fn begin(
        &self,
        sources: &BTreeSet<u64>,
        now: Timestamp,
    ) -> Result<Booking, StoreError> {
        // First the books: what is read behind them is of their version or a later one, and then
        // nothing will be written.
        let books = self.books().await?;
        let mut wanted: Vec<Item> = sources.iter().map(|source| keys::ledger(*source)).collect();
        wanted.push(keys::marks());
        let found = self.table.get_all(wanted).await?;
        let mut booking = Booking {
            now,
            marks: Marks::read(found.get(&name(&keys::marks())))?,
            version: books.version,
            books,
            sources: BTreeMap::new(),
            rows: Vec::new(),
        };
        for id in sources {
            let mut source = BookedSource::default();
            if let Some(item) = found.get(&name(&keys::ledger(*id))) {
                source.before = self.source(item).await?;
                source.item = Some(item.clone());
            }
            booking.sources.insert(*id, source);
        }
        Ok(booking)
    }

    /// Reads a source.
    pub(super) async fn source(&self, item: &Item) -> Result<Source, StoreError> {
        let data = self.data(item).await?;
        let data = data.ok_or_else(|| StoreError::Unavailable("a ledger was replaced".into()))?;
        Ok(Source { ledger: ledger(&data)?, heard_at: Some(item.time("heard_at")?) })
    }

    /// Writes a booking together with `also`; whether it was, or something was in the way.
    pub(super) async fn commit(
        &self,
        booking: &Booking,
        also: Option<Action>,
    ) -> Result<bool, StoreError> {
        let Written { mut actions, before, parts, obsolete } = booking.written()?;
        self.table.put_all(parts).await?;
        // A window without clicks among the open ones, or one that seems to begin before it does,
        // does no harm if what follows is not written.
        for chunk in before.chunks(TRANSACTION_MAX) {
            self.table.transact(chunk).await?;
        }
        actions.extend(also);
        let outcome = self.table.transact(&actions).await?;
        let done = outcome == Outcome::Done;
        if done {
            self.table.delete_all(obsolete).await?;
        }
        Ok(done)
    }

    /// Stores what is new in one batch.
    pub(super) async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let sources = BTreeSet::from([batch.id.source]);
        let mut kept: Option<Place> = None;
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "booking a batch").await?;
            attempt += 1;
            let mut booking = self.begin(&sources, now).await?;
            let unknown = Place { object: String::new(), range: 0..0 };
            let admission = booking.admit(batch, unknown);
            let admission = admission.ok_or_else(|| damaged("a batch has no room by itself"))?;
            for row in booking.rows_mut() {
                row.place = match kept.take() {
                    Some(place) => place,
                    None => self.keep(&batch.bytes, now).await?,
                };
                kept = Some(row.place.clone());
            }
            if self.commit(&booking, None).await? {
                return Ok(admission);
            }
        }
    }

    async fn keep(&self, batch: &[u8], now: Timestamp) -> Result<Place, StoreError> {
        let content = join([batch]);
        let range = split(&content)?.into_iter().next();
        let range = range.ok_or_else(|| damaged("an object of one batch has none"))?;
        Ok(Place { object: self.objects.put(content, now).await?, range })
    }

    /// Books how many numbers a source has given.
    pub(super) async fn report(
        &self,
        source: u64,
        accepted: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sources = BTreeSet::from([source]);
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "booking a report").await?;
            attempt += 1;
            let mut booking = self.begin(&sources, now).await?;
            booking.report(source, accepted);
            if self.commit(&booking, None).await? {
                return Ok(());
            }
        }
    }
}
