//! Days: until when all of them are made, and hours that go because they are old.

use waypost_service::counting::levels::{Levels, days_due};
use waypost_service::counting::rollup::Subject;
use waypost_service::counting::window::{Span, Window};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::compact::{Plan, end_of};
use super::rows::Marks;
use super::table::{Action, FIRST, LAST, key_of};
use super::{Counters, keys};
use crate::item::{number, time};

impl Counters<'_> {
    /// Until when days can be made, at best.
    pub(super) async fn days_due(
        &self,
        before: Timestamp,
        closed_until: Window,
    ) -> Result<Timestamp, StoreError> {
        let windows = [keys::subjects(Span::Window), keys::plan(Span::Hour)];
        Ok(days_due(before, closed_until, self.first_of(&windows).await?))
    }

    /// When the oldest span begins to end that lists tell of. They are looked at in the order in
    /// which subjects go from one to the next, so that none is missed.
    async fn first_of(&self, lists: &[String]) -> Result<Option<Timestamp>, StoreError> {
        let mut first: Option<Timestamp> = None;
        for list in lists {
            if let Some(item) = self.table.query(list, FIRST, LAST, 1).await?.pop() {
                let last_moment = end_of(&item)?.plus_ms(-1);
                first = Some(first.map_or(last_moment, |first| first.min(last_moment)));
            }
        }
        Ok(first)
    }

    /// Moves `days_until` behind the last day before `until` that every subject has.
    pub(super) async fn note_days(&self, until: Timestamp) -> Result<(), StoreError> {
        // Before the lists, so that an hour written anew meanwhile is noticed.
        let marks = self.marks().await?;
        let lists = [
            keys::subjects(Span::Window),
            keys::plan(Span::Hour),
            keys::subjects(Span::Hour),
            keys::plan(Span::Day),
        ];
        let left = self.first_of(&lists).await?;
        let until = left.map_or(until, |at| Span::Day.start(at).min(until));
        if until <= marks.levels.days_until {
            return Ok(());
        }
        let note = Action::Update {
            key: keys::marks(),
            update: "SET #days_until = :until",
            condition: Some(
                "(attribute_not_exists(#days_until) OR #days_until < :until) \
                 AND (attribute_not_exists(#rewrites) OR #rewrites = :rewrites)",
            ),
            values: vec![(":until", time(until)), (":rewrites", number(marks.rewrites))],
        };
        // Refused: somebody else did it, or it is for the next time.
        self.table.transact(&[note]).await.map(drop)
    }

    pub(super) async fn delete_hours(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let Marks { levels: Levels { days_until, hours_from }, .. } = self.marks().await?;
        let until = Span::Day.start(before).min(days_until).max(hours_from);
        if hours_from < until {
            let note = Action::Update {
                key: keys::marks(),
                update: "SET #hours_from = :until",
                condition: Some("attribute_not_exists(#hours_from) OR #hours_from < :until"),
                values: vec![(":until", time(until))],
            };
            // Refused: they go already.
            self.table.transact(&[note]).await?;
        }
        let (lists, to) = (keys::subjects(Span::Day), keys::until(until));
        let mut deleted = 0;
        while deleted < limit
            && let Some(item) = self.table.query(&lists, FIRST, &to, 1).await?.pop()
        {
            deleted += self.delete_hours_of(Plan::read(item)?, limit - deleted).await?;
        }
        Ok(deleted)
    }

    /// Deletes about `limit` rows of hours that a list tells of; how many.
    async fn delete_hours_of(&self, plan: Plan, limit: usize) -> Result<usize, StoreError> {
        let Plan { item, end, subjects, mut done } = plan;
        let (from, to) = (keys::after(end.plus_ms(-Span::Day.ms())), keys::until(end));
        let mut deleted = 0;
        while deleted < limit
            && let Some(subject) = subjects.get(done)
        {
            deleted += self.delete_range(*subject, &from, &to).await?;
            done += 1;
        }
        match done < subjects.len() {
            true => self.note(&item, done).await?,
            false => self.table.delete_all(vec![key_of(&item)?]).await?,
        }
        Ok(deleted)
    }

    async fn delete_range(
        &self,
        subject: Subject,
        from: &str,
        to: &str,
    ) -> Result<usize, StoreError> {
        let items = self.table.query(&keys::rollups(subject), from, to, usize::MAX).await?;
        self.delete_items(&items).await?;
        Ok(items.len())
    }
}
