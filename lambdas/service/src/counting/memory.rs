//! Counting in memory, for tests: simple enough to be right at a glance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use waypost_wire::time::Timestamp;

use super::batch::{Admission, ReceivedBatch, StoredBatch};
use super::compact;
use super::ledger::Ledger;
use super::levels::{Levels, days_due, whole};
use super::rollup::{Rollup, Subject, Totals};
use super::store::{
    Account, Closed, ClosingWindow, CounterStore, Open, Reading, Row, WindowRecord,
};
use super::tally::Counted;
use super::window::{Span, Window};
use crate::model::LinkId;
use crate::seams::StoreError;

/// What a rollup is stored under.
type Key = (Subject, Timestamp, Span);

/// Clicks and rollups in memory. Links are elsewhere, so nobody learns of their last use.
#[derive(Debug, Default)]
pub struct MemoryCounters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    batches: BTreeMap<u64, Entry>,
    last_row: u64,
    ledgers: BTreeMap<u64, (Timestamp, Ledger)>,
    account: Account,
    marks: Marks,
    windows: BTreeMap<Window, WindowRecord>,
    /// As bytes, so that what is read was written and read back.
    rollups: BTreeMap<Key, Vec<u8>>,
    totals: BTreeMap<LinkId, Totals>,
    forgotten: BTreeMap<LinkId, Timestamp>,
    salts: BTreeMap<Timestamp, [u8; 16]>,
}

#[derive(Debug)]
struct Marks {
    sealed_until: Window,
    closed_until: Window,
    levels: Levels,
}

impl Default for Marks {
    fn default() -> Self {
        Self { sealed_until: Window::FIRST, closed_until: Window::FIRST, levels: Levels::NONE }
    }
}

#[derive(Debug)]
struct Entry {
    received_at: Timestamp,
    windows: BTreeSet<Window>,
    batch: StoredBatch,
}

impl MemoryCounters {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn oldest(&self) -> Option<Window> {
        let open = self.marks.closed_until;
        self.batches.values().filter_map(|entry| entry.windows.range(open..).next().copied()).min()
    }

    fn batches_in(&self, window: Window) -> impl Iterator<Item = &StoredBatch> {
        self.batches
            .values()
            .filter(move |entry| entry.windows.contains(&window))
            .map(|entry| &entry.batch)
    }

    fn write(&mut self, subject: Subject, start: Timestamp, span: Span, rollup: &Rollup) {
        if let Subject::Link(link) = subject {
            if self.forgotten.contains_key(&link) {
                return;
            }
            self.totals.entry(link).or_default().merge(&rollup.totals);
        }
        self.rollups.insert((subject, start, span), rollup.encode());
    }

    /// The rows of a span that lie in a coarser one starting at `start`.
    fn parts(
        &self,
        subject: Subject,
        start: Timestamp,
        coarser: Span,
        of: Span,
    ) -> Result<Vec<(Key, Rollup)>, StoreError> {
        let end = start.plus_ms(coarser.ms());
        self.rollups
            .range((subject, start, Span::Window)..(subject, end, Span::Window))
            .filter(|((_, _, span), _)| *span == of)
            .map(|(key, bytes)| Ok((*key, rollup(bytes)?)))
            .collect()
    }

    /// Adds the hours of a day up; whether there are any.
    fn make_day(&mut self, subject: Subject, day: Timestamp) -> Result<bool, StoreError> {
        let hours = self.parts(subject, day, Span::Day, Span::Hour)?;
        let key = (subject, day, Span::Day);
        match hours.is_empty() {
            true => self.rollups.remove(&key),
            false => {
                let merged = compact::merge(hours.iter().map(|(_, rollup)| rollup));
                self.rollups.insert(key, merged.encode())
            }
        };
        Ok(!hours.is_empty())
    }

    /// Hours before `until` whose day is not made: the starts of their days, and their subjects.
    fn days_left(&self, until: Timestamp) -> BTreeSet<(Timestamp, Subject)> {
        self.rollups
            .keys()
            .filter(|(_, at, span)| *span == Span::Hour && *at < until)
            .map(|(subject, at, _)| (Span::Day.start(*at), *subject))
            .filter(|(day, subject)| !self.rollups.contains_key(&(*subject, *day, Span::Day)))
            .collect()
    }

    fn make_days(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let windows = self.rollups.keys().filter(|(_, _, span)| *span == Span::Window);
        let window = windows.map(|(_, at, _)| *at).min();
        let until = days_due(before, self.marks.closed_until, window);
        let mut done = 0;
        for (day, subject) in self.days_left(until).into_iter().take(limit) {
            self.make_day(subject, day)?;
            done += 1;
        }
        let left = self.days_left(until).first().map_or(until, |(day, _)| *day);
        let days_until = &mut self.marks.levels.days_until;
        *days_until = left.max(*days_until);
        Ok(done)
    }
}

fn rollup(bytes: &[u8]) -> Result<Rollup, StoreError> {
    Rollup::decode(bytes).map_err(|error| StoreError::Damaged(error.to_string()))
}

impl CounterStore for MemoryCounters {
    async fn store_batch(
        &self,
        batch: &ReceivedBatch,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let state = &mut *self.state();
        let (heard_at, ledger) = state.ledgers.entry(batch.id.source).or_default();
        let admission = Admission::decide(batch, ledger, state.marks.sealed_until, now);
        *heard_at = now.max(*heard_at);
        state.account.accepted += admission.accepted;
        state.account.stored += admission.stored();
        state.account.duplicate += admission.duplicate;
        state.account.late += admission.late;
        if !admission.fresh.is_empty() {
            state.last_row += 1;
            let stored = StoredBatch {
                row: state.last_row,
                fresh: admission.fresh.clone(),
                floor: admission.floor,
                ceil: admission.ceil,
                bytes: batch.bytes.clone(),
            };
            let windows = admission.windows.clone();
            let entry = Entry { received_at: now, windows, batch: stored };
            state.batches.insert(state.last_row, entry);
        }
        Ok(admission)
    }

    async fn report(&self, source: u64, accepted: u64, now: Timestamp) -> Result<(), StoreError> {
        let state = &mut *self.state();
        let (heard_at, ledger) = state.ledgers.entry(source).or_default();
        let before = ledger.accepted();
        ledger.report(accepted, now);
        *heard_at = now.max(*heard_at);
        state.account.accepted += ledger.accepted() - before;
        Ok(())
    }

    async fn open(&self) -> Result<Open, StoreError> {
        let state = self.state();
        let Marks { sealed_until, closed_until, levels } = state.marks;
        let mut rows = state.batches.iter();
        let first = rows.find(|(_, entry)| entry.windows.range(closed_until..).next().is_some());
        Ok(Open {
            sealed_until,
            closed_until,
            oldest: state.oldest(),
            after_row: first.map_or(state.last_row, |(row, _)| row - 1),
            levels,
        })
    }

    async fn batches_after(
        &self,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        let state = self.state();
        let behind = state.batches.range(after_row + 1..).take(limit);
        Ok(behind.map(|(_, entry)| entry.batch.clone()).collect())
    }

    async fn batches_of(
        &self,
        window: Window,
        after_row: u64,
        limit: usize,
    ) -> Result<Vec<StoredBatch>, StoreError> {
        let state = self.state();
        let behind = state.batches_in(window).filter(|batch| after_row < batch.row);
        Ok(behind.take(limit).cloned().collect())
    }

    async fn seal(&self, until: Window) -> Result<(), StoreError> {
        let marks = &mut self.state().marks;
        marks.sealed_until = marks.sealed_until.max(until);
        Ok(())
    }

    async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        let state = &mut *self.state();
        let window = closing.window;
        if window < state.marks.closed_until {
            return Ok(Closed::Already);
        }
        for (subject, rollup) in &closing.counted.rollups {
            state.write(*subject, window.start(), Span::Window, rollup);
        }
        if closing.record.batches > 0 {
            state.windows.insert(window, closing.record);
        }
        state.marks.closed_until = window.next();
        Ok(Closed::Closed)
    }

    async fn closed_window(&self, window: Window) -> Result<Option<WindowRecord>, StoreError> {
        Ok(self.state().windows.get(&window).copied())
    }

    async fn rewrite_hour(
        &self,
        hour: Timestamp,
        windows: &[(Window, WindowRecord)],
        rollups: &Counted,
    ) -> Result<bool, StoreError> {
        let state = &mut *self.state();
        let end = hour.plus_ms(Span::Hour.ms());
        if hour < state.marks.levels.hours_from || state.marks.closed_until.start() < end {
            return Ok(false);
        }
        let is_old = |(_, at, span): &&Key| (hour..end).contains(at) && *span < Span::Day;
        let old: Vec<_> = state.rollups.keys().filter(is_old).copied().collect();
        let mut subjects: BTreeSet<Subject> = rollups.rollups.keys().copied().collect();
        for key in old {
            subjects.insert(key.0);
            let bytes = state.rollups.remove(&key).unwrap_or_default();
            if let (Subject::Link(link), ..) = key {
                state.totals.entry(link).or_default().subtract(&rollup(&bytes)?.totals);
            }
        }
        for (subject, rollup) in &rollups.rollups {
            state.write(*subject, hour, Span::Hour, rollup);
        }
        let day = Span::Day.start(hour);
        for subject in subjects {
            if day < state.marks.levels.days_until
                || state.rollups.contains_key(&(subject, day, Span::Day))
            {
                state.make_day(subject, day)?;
            }
        }
        state.windows.extend(windows.iter().copied());
        Ok(true)
    }

    async fn compact(
        &self,
        into: Span,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let state = &mut *self.state();
        match into {
            Span::Window => return Ok(0),
            Span::Day => return state.make_days(before, limit),
            Span::Hour => {}
        }
        let until = Span::Hour.start(before.min(state.marks.closed_until.start()));
        let groups: BTreeSet<(Timestamp, Subject)> = state
            .rollups
            .keys()
            .filter(|(_, at, span)| *span == Span::Window && *at < until)
            .map(|(subject, at, _)| (Span::Hour.start(*at), *subject))
            .collect();
        let mut done = 0;
        for (start, subject) in groups.into_iter().take(limit) {
            let parts = state.parts(subject, start, Span::Hour, Span::Window)?;
            let merged = compact::merge(parts.iter().map(|(_, rollup)| rollup));
            for (key, _) in parts {
                state.rollups.remove(&key);
            }
            state.rollups.insert((subject, start, Span::Hour), merged.encode());
            done += 1;
        }
        Ok(done)
    }

    async fn delete_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let state = &mut *self.state();
        let Levels { days_until, hours_from } = &mut state.marks.levels;
        *hours_from = Span::Day.start(before).min(*days_until).max(*hours_from);
        let is_old = |(_, at, span): &&Key| *span == Span::Hour && at < hours_from;
        let mut old: Vec<_> = state.rollups.keys().filter(is_old).copied().collect();
        old.sort_by_key(|(subject, at, _)| (*at, *subject));
        old.truncate(limit);
        for key in &old {
            state.rollups.remove(key);
        }
        Ok(old.len())
    }

    async fn read(
        &self,
        subject: Subject,
        from: Timestamp,
        until: Timestamp,
        by: Span,
    ) -> Result<Reading, StoreError> {
        let state = self.state();
        let (from, until) = whole(from, until, by);
        let mut rows = Vec::new();
        for ((of, start, span), bytes) in &state.rollups {
            if *of == subject && (from..until).contains(start) {
                rows.push(Row { start: *start, span: *span, rollup: rollup(bytes)? });
            }
        }
        let rows = state.marks.levels.chosen(rows, by);
        Ok(Reading { closed_until: state.marks.closed_until, rows })
    }

    async fn link_totals(&self, ids: &[LinkId]) -> Result<(Window, Vec<Totals>), StoreError> {
        let state = self.state();
        let totals = ids.iter().map(|id| state.totals.get(id).copied().unwrap_or_default());
        Ok((state.marks.closed_until, totals.collect()))
    }

    async fn delete_link_statistics(&self, link: LinkId, now: Timestamp) -> Result<(), StoreError> {
        let state = &mut *self.state();
        state.rollups.retain(|(subject, ..), _| *subject != Subject::Link(link));
        state.totals.remove(&link);
        state.forgotten.insert(link, now);
        Ok(())
    }

    async fn delete_batches(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let state = &mut *self.state();
        let open = state.marks.closed_until;
        let old: Vec<u64> = state
            .batches
            .iter()
            .filter(|(_, entry)| entry.received_at < before)
            .filter(|(_, entry)| entry.windows.range(open..).next().is_none())
            .map(|(row, _)| *row)
            .take(limit)
            .collect();
        for row in &old {
            state.batches.remove(row);
        }
        state.forgotten.retain(|_, at| before <= *at);
        Ok(old.len())
    }

    async fn account(&self, since: Timestamp) -> Result<Account, StoreError> {
        let state = self.state();
        let recent = state.ledgers.values().filter(|(heard_at, _)| since < *heard_at);
        Ok(Account { recent: recent.map(|(_, ledger)| ledger.clone()).collect(), ..state.account })
    }

    async fn salt(&self, day: Timestamp, candidate: [u8; 16]) -> Result<[u8; 16], StoreError> {
        Ok(*self.state().salts.entry(day).or_insert(candidate))
    }

    async fn delete_salts(&self, until: Timestamp) -> Result<usize, StoreError> {
        let state = &mut *self.state();
        let before = state.salts.len();
        state.salts.retain(|day, _| until < *day);
        Ok(before - state.salts.len())
    }
}
