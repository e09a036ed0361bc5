//! Writing a closed hour anew, subject by subject: each in one transaction with its total, so that
//! repeating what ended in the middle comes to the same.

use std::collections::BTreeSet;

use waypost_service::counting::rollup::{Rollup, Subject, Totals};
use waypost_service::counting::store::WindowRecord;
use waypost_service::counting::tally::Counted;
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::parts::{self, Whole};
use super::rollups::{StoredRow, covered, written};
use super::rows::{Marks, decode_codes, record};
use super::table::{Action, Outcome, TRIES, pause};
use super::totals::Total;
use super::{Counters, keys};
use crate::item::{Fields, Item, number};

impl Counters<'_> {
    pub(super) async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        counted: &Counted,
    ) -> Result<bool, StoreError> {
        let end = keys::span_end(hour, Span::Hour);
        let day = Span::Day.start(hour);
        if self.marks().await?.closed_until.start() < end {
            return Ok(false);
        }
        // A day with clicks has clicks on links or on slugs that are not there, and those two are
        // merged first.
        for subject in [Subject::Site, Subject::Orphans] {
            if self.table.get(keys::rollup(subject, day, Span::Day)).await?.is_some() {
                return Ok(false);
            }
        }
        let mut codes = self.listed(hour).await?;
        codes.extend(counted.rollups.keys().map(|subject| subject.code()));
        for code in &codes {
            let subject = Subject::from_code(*code);
            if !self.rewrite(hour, subject, counted.rollups.get(&subject)).await? {
                return Ok(false);
            }
        }
        let name = format!("r{:x}-", self.marks().await?.rewrites);
        self.put_subjects(Span::Hour, end, &name, &codes).await?;
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

    /// Replaces what a subject has in an hour; whether that is not part of a day.
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
            let end = keys::span_end(hour, Span::Hour);
            let Some(rows) = self.rows(subject, hour, end).await? else {
                continue;
            };
            if rows.iter().any(|stored| stored.row.span == Span::Day) {
                return Ok(false);
            }
            let (rows, covered) = covered(rows);
            let mut actions = vec![one_more(&marks), is_no_day(subject, hour)];
            let mut new = new;
            if let Subject::Link(link) = subject {
                let total = self.total(link).await?;
                new = new.filter(|_| total.forgotten_at.is_none());
                actions.extend(correction(link, &total, marks.closed_until, &rows, new));
            }
            let mut gone: Vec<&StoredRow> = rows.iter().chain(&covered).collect();
            let mut kept_parts = Vec::new();
            match new {
                Some(rollup) => {
                    let Whole { item, parts } = written(subject, hour, Span::Hour, rollup)?;
                    self.table.put_all(parts).await?;
                    gone.retain(|stored| stored.row.span != Span::Hour);
                    kept_parts = parts::keys(&item)?;
                    actions.push(Action::put(item));
                }
                None if gone.is_empty() => return Ok(true),
                None => actions.extend(gone.iter().map(|stored| Action::Delete {
                    key: keys::rollup(subject, stored.row.start, stored.row.span),
                    condition: None,
                    values: vec![],
                })),
            }
            match self.table.transact(&actions).await? {
                Outcome::Done => {}
                Outcome::Refused(which) if which.contains(&1) => return Ok(false),
                Outcome::Refused(_) => continue,
            }
            let gone: Vec<Item> = gone.into_iter().map(|stored| stored.item.clone()).collect();
            self.delete_items(&gone).await?;
            return self.delete_replaced_parts(&rows, &kept_parts).await.map(|()| true);
        }
    }

    /// Deletes the parts of a row of an hour that was written over, but for those it still has.
    async fn delete_replaced_parts(
        &self,
        rows: &[StoredRow],
        kept: &[Item],
    ) -> Result<(), StoreError> {
        let mut replaced = Vec::new();
        for stored in rows.iter().filter(|stored| stored.row.span == Span::Hour) {
            replaced.extend(parts::keys(&stored.item)?);
        }
        replaced.retain(|key| !kept.contains(key));
        self.table.delete_all(replaced).await
    }
}

/// Counts a writing to closed hours, so that whoever read rows before it does not write what they
/// came to.
fn one_more(marks: &Marks) -> Action {
    Action::Update {
        key: keys::marks(),
        update: "SET #rewrites = :next",
        condition: Some("attribute_not_exists(#rewrites) OR #rewrites = :rewrites"),
        values: vec![(":next", number(marks.rewrites + 1)), (":rewrites", number(marks.rewrites))],
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
