//! Windows and the batches in them.

use std::collections::BTreeMap;
use std::ops::Range;

use futures_util::StreamExt as _;
use futures_util::stream;
use waypost_service::counting::batch::StoredBatch;
use waypost_service::counting::store::{Open, WindowRecord};
use waypost_service::counting::window::Window;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::objects::cut;
use super::rows::{BatchRow, Books, Marks, read_record};
use super::table::{Action, LAST};
use super::{Counters, keys};
use crate::item::{Fields, Item, damaged, pair, sortable, time};

/// Objects read side by side.
const SIDE_BY_SIDE: usize = 8;
/// By how much the clocks of those who book may differ: an hour.
const CLOCKS_DIFFER_MS: i64 = 60 * 60 * 1_000;

impl Counters<'_> {
    /// The marks as they are now.
    pub(super) async fn marks(&self) -> Result<Marks, StoreError> {
        Marks::read(self.table.get(keys::marks()).await?.as_ref())
    }

    /// The books as they are now.
    pub(super) async fn books(&self) -> Result<Books, StoreError> {
        Books::read(self.table.get(keys::books()).await?.as_ref())
    }

    pub(super) async fn open(&self) -> Result<Open, StoreError> {
        // In this order: a batch stored meanwhile has a row behind the last one read.
        let last_row = self.books().await?.last_row;
        let Marks { sealed_until, closed_until, levels, .. } = self.marks().await?;
        let from = sortable(closed_until.start());
        let open = self.table.query(keys::WINDOWS, &from, LAST, usize::MAX).await?;
        let mut oldest = None;
        let mut after_row = last_row;
        for item in open {
            if item.has("first_row") {
                let start = crate::item::from_sortable(item.text("sk")?)?;
                oldest = oldest.or(Some(Window::of(start)));
                after_row = after_row.min(item.number::<u64>("first_row")?.saturating_sub(1));
            }
        }
        Ok(Open { sealed_until, closed_until, oldest, after_row, levels })
    }

    pub(super) async fn seal(&self, until: Window) -> Result<(), StoreError> {
        let seal = Action::Update {
            key: keys::marks(),
            update: "SET #sealed_until = :until",
            condition: Some("attribute_not_exists(#sealed_until) OR #sealed_until < :until"),
            values: vec![(":until", time(until.start()))],
        };
        // Refused: it is there or further.
        self.table.transact(&[seal]).await.map(drop)
    }

    pub(super) async fn closed_window(
        &self,
        window: Window,
    ) -> Result<Option<WindowRecord>, StoreError> {
        let item = self.table.get(keys::window(window)).await?;
        item.as_ref().map_or(Ok(None), read_record)
    }

    pub(super) async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        let from = keys::row_text(after_row.saturating_add(1));
        let items = self.table.query(keys::BATCHES, &from, LAST, limit).await?;
        self.stored(items.iter().map(BatchRow::read).collect::<Result<_, _>>()?).await
    }

    pub(super) async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        let from = keys::row_text(after_row.saturating_add(1));
        let list = keys::of_window(window);
        let mut rows = BTreeMap::new();
        for item in self.table.query(&list, &from, LAST, limit).await? {
            let row = BatchRow::read(&item)?;
            rows.insert(row.row, row);
        }
        for item in self.table.query(keys::WIDE, &from, LAST, usize::MAX).await? {
            let row = BatchRow::read(&item)?;
            if row.windows.contains(&window) {
                rows.insert(row.row, row);
            }
        }
        self.stored(rows.into_values().take(limit).collect()).await
    }

    /// Adds the bytes. Batches that lie side by side in an object are read together; those whose
    /// object has gone are left out.
    async fn stored(&self, rows: Vec<BatchRow>) -> Result<Vec<StoredBatch>, StoreError> {
        let groups: Vec<&[BatchRow]> =
            rows.chunk_by(|one, next| one.place.object == next.place.object).collect();
        let mut batches = Vec::with_capacity(rows.len());
        let reading = groups.into_iter().map(|group| self.read_group(group));
        let mut read = stream::iter(reading.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE);
        while let Some(group) = read.next().await {
            batches.extend(group?);
        }
        Ok(batches)
    }

    async fn read_group(&self, group: &[BatchRow]) -> Result<Vec<StoredBatch>, StoreError> {
        let Some(first) = group.first() else {
            return Ok(Vec::new());
        };
        let ends = |range: &Range<u64>| (range.start, range.end);
        let (starts, ends): (Vec<_>, Vec<_>) =
            group.iter().map(|row| ends(&row.place.range)).unzip();
        let start = starts.into_iter().min().unwrap_or_default();
        let end = ends.into_iter().max().unwrap_or_default();
        let object = &first.place.object;
        let Some(bytes) = self.objects.get(object, Some(start..end)).await? else {
            // Objects end by themselves some hours before or after what is known of their batches
            // is removed. What is in open windows must be there.
            let closed_until = self.marks().await?.closed_until;
            let is_open = |row: &BatchRow| row.windows.range(closed_until..).next().is_some();
            return match group.iter().any(is_open) {
                true => Err(damaged(format!("there is no object {object}"))),
                false => Ok(Vec::new()),
            };
        };
        let stored = |row: &BatchRow| {
            Ok(StoredBatch {
                row: row.row,
                fresh: row.fresh.clone(),
                floor: row.floor,
                ceil: row.ceil,
                bytes: cut(&bytes, start, &row.place.range)?,
            })
        };
        group.iter().map(stored).collect()
    }

    pub(super) async fn delete_batches(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let closed_until = self.marks().await?.closed_until;
        let mut old = Vec::new();
        let mut after_row = 0;
        'pages: while old.len() < limit {
            let from = keys::row_text(after_row + 1);
            let page = self.table.query(keys::BATCHES, &from, LAST, limit.clamp(25, 500)).await?;
            if page.is_empty() {
                break;
            }
            for item in page {
                let row = BatchRow::read(&item)?;
                after_row = row.row;
                if before.plus_ms(CLOCKS_DIFFER_MS) <= row.received_at {
                    break 'pages;
                }
                let is_open = row.windows.range(closed_until..).next().is_some();
                if row.received_at < before && !is_open && old.len() < limit {
                    old.push(row);
                }
            }
        }
        // A batch is last removed from where it is found again if this ends before.
        let key = |(pk, sk)| pair(pk, sk);
        let (first, last): (Vec<(String, String)>, Vec<_>) =
            old.iter().flat_map(BatchRow::keys).partition(|(pk, _)| pk != keys::BATCHES);
        self.table.delete_all(first.into_iter().map(key).collect()).await?;
        self.table.delete_all(last.into_iter().map(key).collect::<Vec<Item>>()).await?;
        if old.len() < limit {
            self.delete_tombstones(before, limit).await?;
        }
        Ok(old.len())
    }
}
