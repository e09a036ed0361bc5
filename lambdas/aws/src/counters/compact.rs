//! Compaction: the coarser row first, then windows go; hours stay beside their days.
//!
//! Which subjects have rows is listed by whoever writes rows. A plan is made of the lists of one
//! coarser span and followed step by step; whoever follows it again finds what is done.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};
use waypost_service::counting::compact::merge;
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::window::Span;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::parts::Whole;
use super::rollups::{StoredRow, covered, written};
use super::rows::{Marks, decode_codes, encode_codes};
use super::table::{Action, FIRST, Outcome, TRANSACTION_MAX_BYTES, TRIES, key_of, pause};
use super::totals::is_kept;
use super::{Counters, keys};
use crate::item::{Fields, Item, bytes, from_sortable, number, pair};

/// Subjects of one item of a plan.
const PLANNED: usize = 1_000;
/// Merges of one transaction: two actions each, and one that checks the marks.
const MERGES: usize = 12;

/// An item of a plan, or of a list that is followed like one: subjects with rows in the span that
/// ends at `end`.
pub(super) struct Plan {
    pub(super) item: Item,
    pub(super) end: Timestamp,
    pub(super) subjects: Vec<Subject>,
    pub(super) done: usize,
}

impl Plan {
    pub(super) fn read(item: Item) -> Result<Self, StoreError> {
        let codes = decode_codes(item.bytes("subjects")?)?;
        let end = end_of(&item)?;
        let subjects = codes.into_iter().map(Subject::from_code).collect();
        let done = if item.has("done") { item.number("done")? } else { 0 };
        Ok(Self { end, subjects, done, item })
    }
}

/// The time that a sort key begins with.
pub(super) fn end_of(item: &Item) -> Result<Timestamp, StoreError> {
    from_sortable(item.text("sk")?.get(..16).unwrap_or_default())
}

impl Counters<'_> {
    pub(super) async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let Some(from) = into.finer() else {
            return Ok(0);
        };
        let Marks { closed_until, levels, .. } = self.marks().await?;
        let mut until = into.start(before.min(closed_until.start()));
        if into == Span::Day {
            if until <= levels.days_until {
                return Ok(0);
            }
            until = self.days_due(before, closed_until).await?;
        }
        let mut merges = 0;
        while merges < limit
            && let Some(plan) = self.next_plan(from, into, until).await?
        {
            merges += self.follow(plan, into, limit - merges).await?;
        }
        if into == Span::Day {
            self.note_days(until).await?;
        }
        Ok(merges)
    }

    /// The oldest plan; makes one if there is none.
    async fn next_plan(
        &self,
        from: Span,
        into: Span,
        until: Timestamp,
    ) -> Result<Option<Plan>, StoreError> {
        let (plans, lists) = (keys::plan(into), keys::subjects(from));
        let to = keys::until(until);
        if let Some(item) = self.table.query(&plans, FIRST, &to, 1).await?.pop() {
            return Plan::read(item).map(Some);
        }
        let Some(first) = self.table.query(&lists, FIRST, &to, 1).await?.pop() else {
            return Ok(None);
        };
        let start = into.start(end_of(&first)?.plus_ms(-1));
        let end = keys::span_end(start, into);
        let (after, until) = (keys::after(start), keys::until(end));
        let listed = self.table.query(&lists, &after, &until, usize::MAX).await?;
        let mut codes = BTreeSet::new();
        for item in &listed {
            codes.append(&mut decode_codes(item.bytes("subjects")?)?);
        }
        let codes: Vec<i64> = codes.into_iter().collect();
        let item = |(number_of, chunk): (usize, &[i64])| {
            let mut item = pair(&plans, keys::behind(end, format_args!("{number_of:08x}")));
            let chunk = chunk.iter().copied().collect();
            item.insert("subjects".to_owned(), bytes(encode_codes(&chunk)));
            item.insert("done".to_owned(), number(0));
            item
        };
        let items: Vec<Item> = codes.chunks(PLANNED).enumerate().map(item).collect();
        let plan = items.first().cloned().map(Plan::read).transpose()?;
        self.table.put_all(items).await?;
        let keys = listed.iter().map(key_of).collect::<Result<_, _>>()?;
        self.table.delete_all(keys).await?;
        Ok(plan)
    }

    /// Makes at most `limit` merges of a plan; how many it made.
    async fn follow(&self, plan: Plan, into: Span, limit: usize) -> Result<usize, StoreError> {
        let Plan { item, end, subjects, mut done } = plan;
        let start = end.plus_ms(-into.ms());
        let mut merges = 0;
        while merges < limit
            && let left = subjects.get(done..).unwrap_or_default()
            && !left.is_empty()
        {
            let some = left.get(..MERGES.min(limit - merges).min(left.len())).unwrap_or(left);
            merges += self.merge_some(into, start, some).await?;
            done += some.len();
            if done < subjects.len() {
                self.note(&item, done).await?;
            }
        }
        if subjects.len() <= done {
            let codes = subjects.iter().map(|subject| subject.code()).collect();
            // Named by its content: there may be another plan of the same span later.
            let digest = hex::encode(Sha256::digest(encode_codes(&codes)));
            let name = format!("p{}-", digest.get(..32).unwrap_or_default());
            self.put_subjects(into, end, &name, &codes).await?;
            self.table.delete_all(vec![key_of(&item)?]).await?;
        }
        Ok(merges)
    }

    /// Writes down how far a plan was followed. If it is gone, another one has followed it.
    pub(super) async fn note(&self, plan: &Item, done: usize) -> Result<(), StoreError> {
        let note = Action::Update {
            key: key_of(plan)?,
            update: "SET #done = :done",
            condition: Some(
                "attribute_exists(pk) AND (attribute_not_exists(#done) OR #done < :done)",
            ),
            values: vec![(":done", number(done))],
        };
        self.table.transact(&[note]).await.map(drop)
    }

    /// Merges what there is of some subjects in a span; how many merges that were.
    async fn merge_some(
        &self,
        into: Span,
        start: Timestamp,
        subjects: &[Subject],
    ) -> Result<usize, StoreError> {
        match self.try_merge(into, start, subjects).await? {
            Some(merges) => Ok(merges),
            None => {
                let mut merges = 0;
                for subject in subjects {
                    merges += self.merge_one(into, start, *subject).await?;
                }
                Ok(merges)
            }
        }
    }

    async fn merge_one(
        &self,
        into: Span,
        start: Timestamp,
        subject: Subject,
    ) -> Result<usize, StoreError> {
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "merging rollups").await?;
            attempt += 1;
            if let Some(merges) = self.try_merge(into, start, &[subject]).await? {
                return Ok(merges);
            }
            if into == Span::Day
                && self.table.get(keys::rollup(subject, start, into)).await?.is_some()
            {
                // Whoever writes one of its hours anew writes it anew.
                return Ok(0);
            }
            if let Subject::Link(link) = subject
                && self.total(link).await?.forgotten_at.is_some()
            {
                // Its rows are removed by whoever removed its numbers.
                return Ok(0);
            }
        }
    }

    /// The same, unless something is in the way of the transaction: `None`.
    async fn try_merge(
        &self,
        into: Span,
        start: Timestamp,
        subjects: &[Subject],
    ) -> Result<Option<usize>, StoreError> {
        // Before the rows, so that rows written anew meanwhile are noticed.
        let marks = self.marks().await?;
        let mut actions = vec![marks.is_not_rewritten()];
        let (mut merges, mut bytes) = (0, 0);
        let mut finer: Vec<Item> = Vec::new();
        let end = keys::span_end(start, into);
        if into == Span::Day && end <= marks.levels.days_until {
            return Ok(Some(0));
        }
        let read = subjects.iter().map(|subject| self.rows(*subject, start, end));
        for (subject, rows) in subjects.iter().zip(try_join_all(read).await?) {
            let Some(rows) = rows else {
                return Ok(None);
            };
            let (rows, covered) = covered(rows);
            let mut rows: Vec<StoredRow> =
                rows.into_iter().filter(|stored| stored.row.span < into).collect();
            if into == Span::Hour {
                finer.extend(rows.iter().chain(&covered).map(|stored| stored.item.clone()));
            }
            if rows.is_empty() {
                continue;
            }
            rows.sort_by_key(|stored| (stored.row.start, stored.row.span));
            let merged = merge(rows.iter().map(|stored| &stored.row.rollup));
            let Whole { item, parts } = written(*subject, start, into, &merged)?;
            self.table.put_all(parts).await?;
            let put =
                Action::Put { item, condition: Some("attribute_not_exists(pk)"), values: vec![] };
            bytes += put.weight();
            actions.push(put);
            if let Subject::Link(link) = subject {
                actions.push(is_kept(*link));
            }
            merges += 1;
        }
        if TRANSACTION_MAX_BYTES < bytes && subjects.len() > 1 {
            return Ok(None);
        }
        if merges > 0 && self.table.transact(&actions).await? != Outcome::Done {
            return Ok(None);
        }
        self.delete_items(&finer).await?;
        Ok(Some(merges))
    }
}
