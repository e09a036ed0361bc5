//! Writing a closed hour anew, subject by subject: each in one transaction with its total, so that
//! repeating what ended in the middle comes to the same.

use std::collections::BTreeSet;

use waypost_service::counting::compact::merge;
use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::WindowRecord;
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::parts::{self, Whole};
use super::rollups::{StoredRow, covered, written};
use super::rows::{Marks, decode_codes, encode_codes, record};
use super::table::{Action, Outcome, TRIES, key_of, pause};
use super::totals::{Total, is_kept};
use super::{Counters, keys};
use crate::item::{Fields, Item, bytes, number, pair, time};

impl Counters<'_> {
    pub(super) async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        counted: &Counted,
    ) -> Result<bool, StoreError> {
        let end = keys::span_end(hour, Span::Hour);
        let marks = self.marks().await?;
        if marks.closed_until.start() < end || hour < marks.levels.hours_from {
            return Ok(false);
        }
        let mut codes = self.listed(hour).await?;
        codes.extend(counted.rollups.keys().map(|subject| subject.code()));
        for code in &codes {
            let subject = Subject::from_code(*code);
            if !self.rewrite(hour, subject, counted.rollups.get(&subject)).await? {
                return Ok(false);
            }
        }
        for (window, of) in windows {
            self.table.transact(&[record(*window, of)]).await?;
        }
        Ok(true)
    }

    /// The subjects that may have rows in an hour. They are looked for in the order in which they
    /// go from one list to the next.
    async fn listed(&self, hour: Timestamp) -> Result<BTreeSet<i64>, StoreError> {
        let end = keys::span_end(hour, Span::Hour);
        let day = Span::Day.start(hour);
        let day_end = keys::span_end(day, Span::Day);
        let lists = [
            (keys::subjects(Span::Window), hour, end),
            (keys::plan(Span::Hour), hour, end),
            (keys::subjects(Span::Hour), hour, end),
            (keys::plan(Span::Day), day, day_end),
            (keys::subjects(Span::Day), day, day_end),
        ];
        let mut codes = BTreeSet::new();
        for (list, after, until) in lists {
            let (from, to) = (keys::after(after), keys::until(until));
            for item in self.table.query(&list, &from, &to, usize::MAX).await? {
                codes.append(&mut decode_codes(item.bytes("subjects")?)?);
            }
        }
        Ok(codes)
    }

    /// Replaces what a subject has in an hour, and its day if that is made; whether the hours of
    /// the day are kept.
    async fn rewrite(
        &self,
        hour: Timestamp,
        subject: Subject,
        new: Option<&Rollup>,
    ) -> Result<bool, StoreError> {
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "counting an hour again").await?;
            attempt += 1;
            let marks = self.marks().await?;
            if hour < marks.levels.hours_from {
                return Ok(false);
            }
            let Some(found) = self.found(hour, subject, &marks).await? else {
                continue;
            };
            let mut new = new;
            let mut actions = vec![one_more(&marks)];
            if let Subject::Link(link) = subject {
                let total = self.total(link).await?;
                new = new.filter(|_| total.forgotten_at.is_none());
                let correction = correction(link, &total, marks.closed_until, &found.rows, new);
                actions.push(correction.unwrap_or_else(|| is_kept(link)));
                if total.forgotten_at.is_some() {
                    // Its rows are removed by whoever removed its numbers.
                    return Ok(true);
                }
            }
            let Change { written, gone } = found.change(hour, subject, new)?;
            if written.is_empty() && gone.is_empty() {
                return Ok(true);
            }
            let mut kept_parts = Vec::new();
            for Whole { item, parts } in written {
                self.table.put_all(parts).await?;
                kept_parts.extend(parts::keys(&item)?);
                actions.push(Action::put(item));
            }
            if found.day.is_none() && !found.is_made {
                actions.push(is_no_day(subject, hour));
            }
            if new.is_some() {
                actions.push(listed_anew(hour, subject, &marks));
            }
            for item in &gone {
                actions.push(Action::Delete {
                    key: key_of(item)?,
                    condition: None,
                    values: vec![],
                });
            }
            if self.table.transact(&actions).await? != Outcome::Done {
                continue;
            }
            let replaced = found.items().map(parts::keys).collect::<Result<Vec<_>, _>>()?;
            let mut replaced: Vec<Item> = replaced.into_iter().flatten().collect();
            replaced.retain(|key| !kept_parts.contains(key));
            return self.table.delete_all(replaced).await.map(|()| true);
        }
    }

    /// What there is of a subject in an hour, and in its day if that is made; `None` if some of it
    /// was replaced meanwhile.
    async fn found(
        &self,
        hour: Timestamp,
        subject: Subject,
        marks: &Marks,
    ) -> Result<Option<Found>, StoreError> {
        let day = Span::Day.start(hour);
        let item = self.table.get(keys::rollup(subject, day, Span::Day)).await?;
        let is_made = item.is_some() || day < marks.levels.days_until;
        let span = if is_made { Span::Day } else { Span::Hour };
        let start = span.start(hour);
        let Some(rows) = self.rows(subject, start, keys::span_end(start, span)).await? else {
            return Ok(None);
        };
        let of_hour = |stored: &StoredRow| Span::Hour.start(stored.row.start) == hour;
        let (rows, others) = rows.into_iter().partition(of_hour);
        let (rows, covered) = covered(rows);
        let others = super::rollups::covered(others).0;
        Ok(Some(Found { is_made, day: item, rows, covered, others }))
    }
}

/// What there is of a subject.
struct Found {
    /// Whether there is a row of the day, or would be one if it had clicks.
    is_made: bool,
    /// The row of the day.
    day: Option<Item>,
    /// Rows of the hour that count.
    rows: Vec<StoredRow>,
    /// Rows of the hour that are on their way out.
    covered: Vec<StoredRow>,
    /// Rows of the other hours of the day, if it is made.
    others: Vec<StoredRow>,
}

/// What becomes of it.
struct Change {
    written: Vec<Whole>,
    gone: Vec<Item>,
}

impl Found {
    fn change(
        &self,
        hour: Timestamp,
        subject: Subject,
        new: Option<&Rollup>,
    ) -> Result<Change, StoreError> {
        let finer = self.rows.iter().chain(&self.covered);
        let replaced = |stored: &&StoredRow| new.is_none() || stored.row.span != Span::Hour;
        let mut gone: Vec<Item> =
            finer.filter(replaced).map(|stored| stored.item.clone()).collect();
        let mut written = Vec::new();
        if let Some(rollup) = new {
            written.push(self::written(subject, hour, Span::Hour, rollup)?);
        }
        if self.is_made && (new.is_some() || !gone.is_empty()) {
            let others = self.others.iter().map(|stored| (stored.row.start, &stored.row.rollup));
            let mut hours: Vec<(Timestamp, &Rollup)> =
                others.chain(new.map(|rollup| (hour, rollup))).collect();
            hours.sort_by_key(|(start, _)| *start);
            let day = Span::Day.start(hour);
            match (&self.day, hours.is_empty()) {
                (Some(item), true) => gone.push(item.clone()),
                (None, true) => {}
                (_, false) => {
                    let merged = merge(hours.into_iter().map(|(_, rollup)| rollup));
                    written.push(self::written(subject, day, Span::Day, &merged)?);
                }
            }
        }
        Ok(Change { written, gone })
    }

    /// All that may be replaced.
    fn items(&self) -> impl Iterator<Item = &Item> {
        let finer = self.rows.iter().chain(&self.covered);
        finer.map(|stored| &stored.item).chain(&self.day)
    }
}

/// Counts a writing to closed hours, so that whoever read rows before it does not write what they
/// came to. Holds as long as no further day is made, and the hours of none begin to go.
fn one_more(marks: &Marks) -> Action {
    Action::Update {
        key: keys::marks(),
        update: "SET #rewrites = :next",
        condition: Some(
            "(attribute_not_exists(#rewrites) OR #rewrites = :rewrites) \
             AND (attribute_not_exists(#days_until) OR #days_until = :days_until) \
             AND (attribute_not_exists(#hours_from) OR #hours_from = :hours_from)",
        ),
        values: vec![
            (":next", number(marks.rewrites + 1)),
            (":rewrites", number(marks.rewrites)),
            (":days_until", time(marks.levels.days_until)),
            (":hours_from", time(marks.levels.hours_from)),
        ],
    }
}

/// Holds as long as a subject has no row of the day.
fn is_no_day(subject: Subject, hour: Timestamp) -> Action {
    Action::Check {
        key: keys::rollup(subject, Span::Day.start(hour), Span::Day),
        condition: "attribute_not_exists(pk)",
        values: vec![],
    }
}

/// Lists a subject with those that have rows in an hour, or in its day if all days until there are
/// made: it may have had none, and is in no list then.
fn listed_anew(hour: Timestamp, subject: Subject, marks: &Marks) -> Action {
    let code = subject.code();
    let name = format_args!("r{:x}-{:016x}", marks.rewrites, code.cast_unsigned());
    let is_made = hour < marks.levels.days_until;
    let span = if is_made { Span::Day } else { Span::Hour };
    let end = keys::span_end(span.start(hour), span);
    let mut item = pair(keys::subjects(span), keys::behind(end, name));
    item.insert("subjects".to_owned(), bytes(encode_codes(&BTreeSet::from([code]))));
    Action::put(item)
}

/// What the total of a link becomes when its rows become another one, unless it has none.
fn correction(
    link: LinkId,
    total: &Total,
    closed_until: Window,
    rows: &[StoredRow],
    new: Option<&Rollup>,
) -> Option<Action> {
    if total.forgotten_at.is_some() || (total.through.is_none() && new.is_none()) {
        return None;
    }
    let mut old = Totals::default();
    for stored in rows {
        old.merge(&stored.row.rollup.totals);
    }
    let new = new.map(|rollup| rollup.totals).unwrap_or_default();
    Some(total.corrected(closed_until, &old, &new).write_over(link, total))
}
