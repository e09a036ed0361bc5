//! Closing a window: more writes than a transaction has room for, seen all at once.
//!
//! First everything about links is written, some links at a time, each with its rollup, its total
//! and its last use in one transaction that holds only while the window is open. Readers leave out
//! rows of open windows and know which part of a total belongs to one. Then one transaction moves
//! the mark. Ended anywhere, it is done again and comes to the same bytes; what is written already
//! is only read then, so that a window too large for one run is closed by several.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use waypost_service::counting::rollup::{Rollup, Subject};
use waypost_service::counting::store::{Closed, ClosingWindow};
use waypost_service::counting::window::{Span, Window};
use waypost_service::model::LinkId;
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use super::parts::Whole;
use super::rollups::written;
use super::rows::{Marks, encode_codes, record};
use super::table::{
    Action, Found, Outcome, TRANSACTION_MAX, TRANSACTION_MAX_BYTES, TRIES, Values, key_of, pause,
};
use super::totals::Total;
use super::{Counters, keys};
use crate::item::{Fields, Item, bytes, damaged, pair, sortable, text, time};

/// Links of one transaction: three actions each, and one that checks the mark.
const LINKS: usize = (TRANSACTION_MAX - 1) / 3;
/// Subjects in one item of a list: up to ten bytes each.
const LISTED: usize = 20_000;

/// What is written about a link, and before it the parts of its rollup.
#[derive(Default)]
struct Staged {
    actions: Vec<Action>,
    parts: Vec<Item>,
}

/// What a window comes to for a link.
struct LinkClosing<'a> {
    link: LinkId,
    rollup: Option<&'a Rollup>,
    last_click: Option<Timestamp>,
}

impl Counters<'_> {
    pub(super) async fn close_window(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        let window = closing.window;
        if window < self.marks().await?.closed_until {
            return Ok(Closed::Already);
        }
        let rollups = &closing.counted.rollups;
        let last_clicks = &closing.counted.last_clicks;
        let codes: BTreeSet<i64> = rollups.keys().map(|subject| subject.code()).collect();
        self.put_subjects(Span::Window, window.end(), "w", &codes).await?;
        let mut links: BTreeSet<LinkId> = last_clicks.keys().copied().collect();
        links.extend(rollups.keys().filter_map(|subject| match subject {
            Subject::Link(link) => Some(*link),
            Subject::Site | Subject::Orphans => None,
        }));
        let links: Vec<LinkClosing<'_>> = links
            .into_iter()
            .map(|link| LinkClosing {
                link,
                rollup: rollups.get(&Subject::Link(link)),
                last_click: last_clicks.get(&link).copied(),
            })
            .collect();
        let lanes = (0..keys::LANES).map(|lane| self.stage_lane(window, &links, lane));
        if try_join_all(lanes).await?.contains(&Closed::Already) {
            return Ok(Closed::Already);
        }
        self.move_mark(closing).await
    }

    /// Writes every so many of the links, one transaction after the other.
    async fn stage_lane(
        &self,
        window: Window,
        links: &[LinkClosing<'_>],
        lane: usize,
    ) -> Result<Closed, StoreError> {
        for links in links.chunks(LINKS).skip(lane).step_by(keys::LANES) {
            if self.stage(window, links, lane).await? == Closed::Already {
                return Ok(Closed::Already);
            }
        }
        Ok(Closed::Closed)
    }

    /// Writes some links, in as many transactions as their bytes need.
    async fn stage(
        &self,
        window: Window,
        links: &[LinkClosing<'_>],
        lane: usize,
    ) -> Result<Closed, StoreError> {
        let mut attempt = 0;
        'again: loop {
            pause(attempt, TRIES, "closing a window").await?;
            attempt += 1;
            let wanted = links
                .iter()
                .flat_map(|closing| [keys::total(closing.link), keys::last_use(closing.link)]);
            let found = self.table.get_all(wanted.collect()).await?;
            let found_rows = self.staged_before(window, links, &found).await?;
            let mut transactions = vec![vec![Marks::is_open(window, lane)]];
            let mut bytes = 0;
            for closing in links {
                let of = |sk: &str| found.get(&(keys::of_link(closing.link), sk.to_owned()));
                let Some(Staged { actions, parts }) =
                    closing.actions(window, Total::read(of("total"))?, of("use"))?
                else {
                    return match window < self.marks().await?.closed_until {
                        true => Ok(Closed::Already),
                        false => Err(damaged("the total of a link is ahead of its windows")),
                    };
                };
                self.table.put_all(parts).await?;
                if is_written(&actions, &found_rows)? {
                    continue;
                }
                let weight: usize = actions.iter().map(Action::weight).sum();
                bytes += weight;
                if TRANSACTION_MAX_BYTES < bytes {
                    bytes = weight;
                    transactions.push(vec![Marks::is_open(window, lane)]);
                }
                if let Some(last) = transactions.last_mut() {
                    last.extend(actions);
                }
            }
            for actions in transactions.iter().filter(|actions| actions.len() > 1) {
                match self.table.transact(actions).await? {
                    Outcome::Done => {}
                    Outcome::Refused(which) if which.contains(&0) => return Ok(Closed::Already),
                    // Somebody else closes, or a link was deleted meanwhile.
                    Outcome::Refused(_) => continue 'again,
                }
            }
            return Ok(Closed::Closed);
        }
    }

    /// The rows of links whose totals say that somebody was here before.
    async fn staged_before(
        &self,
        window: Window,
        links: &[LinkClosing<'_>],
        found: &Found,
    ) -> Result<Found, StoreError> {
        let mut rows = Vec::new();
        for LinkClosing { link, rollup, .. } in links {
            let total = found.get(&(keys::of_link(*link), "total".to_owned()));
            if let Some(rollup) = rollup
                && Total::read(total)?.through == Some(window)
            {
                let subject = Subject::Link(*link);
                let whole = written(subject, window.start(), Span::Window, rollup)?;
                rows.push(key_of(&whole.item)?);
            }
        }
        self.table.get_all(rows).await
    }

    async fn move_mark(&self, closing: &ClosingWindow) -> Result<Closed, StoreError> {
        let window = closing.window;
        let mut actions = vec![Action::Update {
            key: keys::marks(),
            update: "SET #closed_until = :next",
            condition: Some("attribute_not_exists(#closed_until) OR #closed_until <= :window"),
            values: vec![(":next", time(window.next().start())), (":window", time(window.start()))],
        }];
        actions.extend((0..keys::LANES).map(|lane| Action::Update {
            key: keys::lane(lane),
            update: "SET #closed_until = :next",
            condition: None,
            values: vec![(":next", time(window.next().start()))],
        }));
        for subject in [Subject::Site, Subject::Orphans] {
            if let Some(rollup) = closing.counted.rollups.get(&subject) {
                let Whole { item, parts } = written(subject, window.start(), Span::Window, rollup)?;
                self.table.put_all(parts).await?;
                actions.push(Action::put(item));
            }
        }
        if closing.record.batches > 0 {
            actions.push(record(window, &closing.record));
        }
        Ok(match self.table.transact(&actions).await? {
            Outcome::Done => Closed::Closed,
            Outcome::Refused(_) => Closed::Already,
        })
    }

    /// Writes down which subjects have rows of a span that ends at `end`, under a name.
    pub(super) async fn put_subjects(
        &self,
        span: Span,
        end: Timestamp,
        name: &str,
        codes: &BTreeSet<i64>,
    ) -> Result<(), StoreError> {
        let codes: Vec<i64> = codes.iter().copied().collect();
        let item = |(number, chunk): (usize, &[i64])| {
            let sk = keys::behind(end, format_args!("{name}{number:04x}"));
            let mut item = pair(keys::subjects(span), sk);
            let chunk = chunk.iter().copied().collect();
            item.insert("subjects".to_owned(), bytes(encode_codes(&chunk)));
            item
        };
        self.table.put_all(codes.chunks(LISTED).enumerate().map(item).collect()).await
    }
}

impl LinkClosing<'_> {
    /// What to write; `None` if a later window was closed already.
    fn actions(
        &self,
        window: Window,
        total: Total,
        last_use: Option<&Item>,
    ) -> Result<Option<Staged>, StoreError> {
        let Staged { mut actions, mut parts } = Staged::default();
        if let (Some(rollup), None) = (self.rollup, total.forgotten_at) {
            let Some(after) = total.with(window, &rollup.totals) else {
                return Ok(None);
            };
            let subject = Subject::Link(self.link);
            let whole = written(subject, window.start(), Span::Window, rollup)?;
            parts = whole.parts;
            actions.extend([after.write_over(self.link, &total), Action::put(whole.item)]);
        }
        if let (Some(at), Some(item)) = (self.last_click, last_use)
            && let before = item.time("last_used_at")?
            && before < at
        {
            actions.push(used(self.link, before, at));
        }
        Ok(Some(Staged { actions, parts }))
    }
}

/// Whether a link's row is there as it would be written. Then its total and its last use are too:
/// all come with one transaction.
fn is_written(actions: &[Action], rows: &Found) -> Result<bool, StoreError> {
    for action in actions {
        if let Action::Put { item, condition: None, .. } = action {
            let name = (item.text("pk")?.to_owned(), item.text("sk")?.to_owned());
            return Ok(rows.get(&name) == Some(item));
        }
    }
    Ok(false)
}

/// Moves the last use of a link forward. In the index it moves when the day changes.
fn used(link: LinkId, before: Timestamp, at: Timestamp) -> Action {
    let day = Span::Day.start(at);
    let mut values: Values = vec![(":at", time(at))];
    let update = match Span::Day.start(before) < day {
        true => {
            values.push((":day", text(format!("{}#{:016x}", sortable(day), link.0))));
            "SET #last_used_at = :at, #last_use = :day"
        }
        false => "SET #last_used_at = :at",
    };
    let condition = Some("attribute_exists(pk) AND #last_used_at < :at");
    Action::Update { key: keys::last_use(link), update, condition, values }
}
