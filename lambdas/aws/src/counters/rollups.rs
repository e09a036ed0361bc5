//! Rollups as items, read so that every click is in one of them while others write.

use std::collections::BTreeSet;

use waypost_service::counting::rollup::{Rollup, Subject};
use waypost_service::counting::store::{Reading, Row};
use waypost_service::counting::window::Span;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::parts::{self, Whole};
use super::rows::{Marks, attributes};
use super::table::{FIRST, LAST, TRIES, key_of, pause};
use super::{Counters, keys};
use crate::item::{Fields, Item, damaged, number, time};

/// Rows deleted at a time: each is read first, with up to 200 KB.
const DELETED: usize = 50;

/// A row as it is stored, and the item it was read from.
#[derive(Clone, Debug)]
pub(super) struct StoredRow {
    pub(super) row: Row,
    pub(super) item: Item,
}

/// The item of a rollup.
pub(super) fn written(
    subject: Subject,
    start: Timestamp,
    span: Span,
    rollup: &Rollup,
) -> Result<Whole, StoreError> {
    let mut item = keys::rollup(subject, start, span);
    item.extend(attributes([("start", time(start)), ("span", number(span.code()))]));
    parts::whole(item, rollup.encode())
}

/// Splits rows into those that count and those that a coarser row covers. A coarser row holds all
/// that the finer ones in its span held: they are on their way out.
pub(super) fn covered(rows: Vec<StoredRow>) -> (Vec<StoredRow>, Vec<StoredRow>) {
    let coarse: BTreeSet<(Span, Timestamp)> =
        rows.iter().map(|stored| (stored.row.span, stored.row.start)).collect();
    let coarser = |span: Span| [Span::Hour, Span::Day].into_iter().filter(move |by| span < *by);
    rows.into_iter().partition(|StoredRow { row, .. }| {
        coarser(row.span).all(|span| !coarse.contains(&(span, span.start(row.start))))
    })
}

impl Counters<'_> {
    /// The rows of a subject that end after `after` and at or before `until`, in the order of
    /// their ends; `None` if one of them was replaced meanwhile.
    ///
    /// They are read in this order, and whoever compacts writes the coarser row before it deletes
    /// a finer one: so where a finer row is missing, the coarser one is read behind it.
    pub(super) async fn rows(
        &self,
        subject: Subject,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<StoredRow>>, StoreError> {
        let (from, to) = (keys::after(after), keys::until(until));
        let mut rows = Vec::new();
        for item in self.table.query(&keys::rollups(subject), &from, &to, usize::MAX).await? {
            let Some(data) = self.data(&item).await? else {
                return Ok(None);
            };
            let rollup = Rollup::decode(&data);
            let span: u8 = item.number("span")?;
            let row = Row {
                start: item.time("start")?,
                span: Span::from_code(span).ok_or_else(|| damaged(format!("span {span}")))?,
                rollup: rollup.map_err(|fault| damaged(format!("a rollup: {fault}")))?,
            };
            rows.push(StoredRow { row, item });
        }
        Ok(Some(rows))
    }

    pub(super) async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Reading, StoreError> {
        // Of spans that start before `until` none ends later than its day.
        let end = Span::Day.start(until.plus_ms(-1)).plus_ms(Span::Day.ms());
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "reading while windows close").await?;
            attempt += 1;
            let Marks { closed_until, .. } = self.marks().await?;
            if until <= from {
                return Ok(Reading { closed_until, rows: Vec::new() });
            }
            let Some(mut rows) = self.rows(subject, from, end).await? else {
                continue;
            };
            // Rows of windows are there before they are closed. Coarser rows are not: here some
            // windows were closed since the marks were read.
            let closed = |row: &Row| row.start.plus_ms(row.span.ms()) <= closed_until.start();
            if rows.iter().any(|StoredRow { row, .. }| row.span != Span::Window && !closed(row)) {
                continue;
            }
            rows.retain(|StoredRow { row, .. }| closed(row));
            let (rows, _) = covered(rows);
            let mut rows: Vec<Row> = rows.into_iter().map(|stored| stored.row).collect();
            rows.retain(|row| (from..until).contains(&row.start));
            rows.sort_by_key(|row| (row.start, row.span));
            return Ok(Reading { closed_until, rows });
        }
    }

    /// Deletes all rows of a subject.
    pub(super) async fn delete_rows(&self, subject: Subject) -> Result<(), StoreError> {
        let pk = keys::rollups(subject);
        loop {
            let page = self.table.query(&pk, FIRST, LAST, DELETED).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.delete_items(&page).await?;
        }
    }

    /// Deletes items, and the parts they do not have room for.
    pub(super) async fn delete_items(&self, items: &[Item]) -> Result<(), StoreError> {
        let keys = items.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        self.table.delete_all(keys).await?;
        let parts = items.iter().map(parts::keys).collect::<Result<Vec<_>, _>>()?;
        self.table.delete_all(parts.into_iter().flatten().collect()).await
    }
}
