//! Rollups as items, read so that every click is in one of them while others write.

use waypost_service::counting::levels::{self, whole};
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
/// Hours behind those asked for that are rather read in vain than left out by a second query.
const BESIDE_MAX_MS: i64 = 2 * Span::Day.ms();

/// A row as it is stored, and the item it was read from, without its bytes.
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

/// Splits rows into those that count and those that a coarser row covers: they are on their way
/// out.
pub(super) fn covered(rows: Vec<StoredRow>) -> (Vec<StoredRow>, Vec<StoredRow>) {
    levels::covered(rows, |stored| (stored.row.span, stored.row.start))
}

impl Counters<'_> {
    /// The rows of windows and hours of a subject that end after `after` and at or before `until`,
    /// in the order of their ends; `None` if one of them was replaced meanwhile.
    ///
    /// They are read in this order, and whoever compacts writes the hour before it deletes its
    /// windows: so where a window is missing, the hour is read behind it.
    pub(super) async fn rows(
        &self,
        subject: Subject,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<StoredRow>>, StoreError> {
        self.range(subject, &keys::after(after), &keys::finer_until(until)).await
    }

    /// The rows between two sort keys.
    async fn range(
        &self,
        subject: Subject,
        from: &str,
        to: &str,
    ) -> Result<Option<Vec<StoredRow>>, StoreError> {
        let mut rows = Vec::new();
        for item in self.table.query(&keys::rollups(subject), from, to, usize::MAX).await? {
            let Some(row) = self.stored_row(item).await? else {
                return Ok(None);
            };
            rows.push(row);
        }
        Ok(Some(rows))
    }

    /// The row of an item; `None` if it was replaced meanwhile.
    async fn stored_row(&self, mut item: Item) -> Result<Option<StoredRow>, StoreError> {
        let Some(data) = self.data(&item).await? else {
            return Ok(None);
        };
        let rollup = Rollup::decode(&data);
        // Not twice in memory: a year of days may be 10 MB.
        item.remove("data");
        let span: u8 = item.number("span")?;
        let row = Row {
            start: item.time("start")?,
            span: Span::from_code(span).ok_or_else(|| damaged(format!("span {span}")))?,
            rollup: rollup.map_err(|fault| damaged(format!("a rollup: {fault}")))?,
        };
        Ok(Some(StoredRow { row, item }))
    }

    pub(super) async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        let (from, until) = whole(from, until, by);
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "reading while windows close").await?;
            attempt += 1;
            let marks = self.marks().await?;
            let Marks { closed_until, levels, .. } = marks;
            if until <= from {
                return Ok(Reading { closed_until, rows: Vec::new() });
            }
            let Some(rows) = self.needed(subject, from, until, by, &marks).await? else {
                continue;
            };
            let mut rows: Vec<Row> = rows.into_iter().map(|stored| stored.row).collect();
            // Rows of windows are there before they are closed. Coarser rows are not: here some
            // windows were closed since the marks were read.
            let closed = |row: &Row| row.end() <= closed_until.start();
            if rows.iter().any(|row| row.span != Span::Window && !closed(row)) {
                continue;
            }
            // Or hours have begun to go that were to be read.
            if by < Span::Day && levels.hours_from.max(from) < self.marks().await?.levels.hours_from
            {
                continue;
            }
            rows.retain(closed);
            let mut rows = levels.chosen(rows, by);
            rows.retain(|row| (from..until).contains(&row.start));
            return Ok(Reading { closed_until, rows });
        }
    }

    /// The rows that an answer may be made of, and perhaps some beside them: finer ones first, then
    /// days. Whoever makes days lets their hours be until the days are there: so where an hour is
    /// missing, its day is read behind it.
    async fn needed(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
        marks: &Marks,
    ) -> Result<Option<Vec<StoredRow>>, StoreError> {
        let finer_from = from.max(marks.levels.finer_from(by));
        // Of spans that start before `until` none ends later than its day.
        let end = Span::Day.start(until.plus_ms(-1)).plus_ms(Span::Day.ms());
        let days_to = end.min(marks.levels.days_to(by));
        let finer = (keys::after(finer_from), keys::finer_until(end));
        let days = (keys::day(days_to), keys::day(from.plus_ms(1)));
        let beside_ms = marks.closed_until.start().ms_since(end);
        match (finer_from < end, from < days_to) {
            (true, true) if by == Span::Day && beside_ms <= BESIDE_MAX_MS => {
                self.range(subject, &finer.0, &days.1).await
            }
            (is_finer, is_days) => {
                let mut rows = Vec::new();
                for (from, to) in
                    [is_finer.then_some(finer), is_days.then_some(days)].iter().flatten()
                {
                    let Some(more) = self.range(subject, from, to).await? else {
                        return Ok(None);
                    };
                    rows.extend(more);
                }
                Ok(Some(rows))
            }
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
