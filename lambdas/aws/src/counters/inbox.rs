//! The inbox: batches are kept as they come, many in one object, and booked by one after another.
//!
//! Who collects touches nothing that anybody else writes, so that any number can. An object
//! without an item of the inbox, left by a process that ended between the two, is not booked and
//! goes with the old ones; its batches come again, since nobody acknowledged them.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream;
use waypost_service::counting::batch::ReceivedBatch;
use waypost_service::seams::StoreError;
use waypost_wire::click::BatchError;
use waypost_wire::time::Timestamp;

use super::booking::Booking;
use super::compact::end_of;
use super::objects::{cut, join, split};
use super::rows::{Place, attributes};
use super::table::{Action, FIRST, LAST, pause};
use super::{Counters, keys};
use crate::item::{Fields, Item, damaged, number, pair, text};
use crate::store::AwsStore;

/// Objects read ahead.
const PAGE: usize = 8;
/// Batches looked at for one transaction; about 30 have room.
const CANDIDATES: usize = 90;
/// How long an object may be missing: a day.
const MISSED_MS: i64 = 24 * 60 * 60 * 1_000;
/// Tries of a transaction that others were faster than.
const TRIES: u32 = 60;

/// What became of a batch: how many clicks it has, or why it is none.
pub type Collected = Result<u64, BatchError>;

/// What was booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// Objects that are done with.
    pub objects: u64,
    /// Batches booked.
    pub batches: u64,
    /// Clicks that are new, each stored once.
    pub stored: u64,
    /// Clicks that had been stored before.
    pub duplicate: u64,
    /// Clicks that are counted in a later window than their own, which was sealed.
    pub late: u64,
    /// Objects that are not there: somebody removed them, or the name of the bucket is not the one
    /// they were written to. After a day they are given up.
    pub missing: u64,
    /// Objects that cannot be read, such as those of a newer version. They stay.
    pub damaged: u64,
    /// Whether it ended before the end of the inbox. Then no window should be closed: clicks that
    /// lie there would be late.
    pub left: bool,
}

impl AwsStore {
    /// Keeps batches, all in one object. When it answers they are durable and will be counted,
    /// each click once, however often its batch is brought. Answers for each, in order; what is no
    /// batch is kept nowhere.
    ///
    /// # Errors
    /// If the store fails: bring all of them again.
    pub async fn collect(
        &self,
        batches: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Collected>, StoreError> {
        let counters = Counters::of(self);
        let mut results = Vec::with_capacity(batches.len());
        let mut kept = Vec::new();
        for batch in batches {
            results.push(ReceivedBatch::parse(batch).map(|batch| {
                kept.push(batch.bytes);
                batch.count
            }));
        }
        if kept.is_empty() {
            return Ok(results);
        }
        let object = counters.objects.put(join(kept.iter().map(Vec::as_slice)), now).await?;
        let content = object.rsplit('/').next().unwrap_or_default();
        let mut item = pair(keys::INBOX, keys::behind(now, content));
        item.extend(attributes([("object", text(&object)), ("done", number(0))]));
        counters.table.put_all(vec![item]).await?;
        Ok(results)
    }

    /// Books what lies in the inbox, the oldest first, until it is empty or `is_over`, which is
    /// asked between transactions. Every transaction books batches and notes that they are booked,
    /// so that it can end anywhere, and several can run at once.
    ///
    /// # Errors
    /// If the store fails; what was booked before stays so.
    pub async fn book(
        &self,
        now: Timestamp,
        is_over: impl Fn() -> bool + Send + Sync,
    ) -> Result<Booked, StoreError> {
        let counters = Counters::of(self);
        let mut booked = Booked::default();
        let mut after = FIRST.to_owned();
        loop {
            let page = counters.table.query(keys::INBOX, &after, LAST, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(booked);
            };
            after = format!("{}{LAST}", last.text("sk")?);
            let objects: Vec<_> = stream::iter(page.into_iter().map(|item| counters.fetch(item)))
                .buffered(PAGE)
                .collect()
                .await;
            for fetched in objects {
                if !counters.book_object(fetched?, now, &is_over, &mut booked).await? {
                    booked.left = true;
                    return Ok(booked);
                }
            }
        }
    }
}

/// An item of the inbox, and what its object holds.
struct Fetched {
    key: Item,
    object: String,
    done: usize,
    content: Option<Vec<u8>>,
}

/// A batch of an object.
struct Found {
    batch: ReceivedBatch,
    place: Place,
}

impl Counters<'_> {
    async fn fetch(&self, item: Item) -> Result<Fetched, StoreError> {
        let object = item.text("object")?.to_owned();
        let content = self.objects.get(&object, None).await?;
        let key = pair(item.text("pk")?, item.text("sk")?);
        Ok(Fetched { key, object, done: item.number("done")?, content })
    }

    /// Books what is left of an object; whether it came to its end.
    async fn book_object(
        &self,
        fetched: Fetched,
        now: Timestamp,
        is_over: &(impl Fn() -> bool + Send + Sync),
        booked: &mut Booked,
    ) -> Result<bool, StoreError> {
        let Fetched { key, object, done, content } = fetched;
        let Some(content) = content else {
            booked.missing += 1;
            if end_of(&key)?.plus_ms(MISSED_MS) <= now {
                self.table.delete_all(vec![key]).await?;
            }
            return Ok(true);
        };
        let Ok(found) = found(&object, &content) else {
            booked.damaged += 1;
            return Ok(true);
        };
        let mut next = Some(done);
        while let Some(done) = next {
            if is_over() {
                return Ok(false);
            }
            next = self.book_some(&key, &found, done, now, booked).await?;
        }
        booked.objects += 1;
        Ok(true)
    }

    /// Books batches from the position `done` on, as many as a transaction has room for; the
    /// position to go on from, if there is more.
    async fn book_some(
        &self,
        key: &Item,
        found: &[Found],
        mut done: usize,
        now: Timestamp,
        booked: &mut Booked,
    ) -> Result<Option<usize>, StoreError> {
        let mut attempt = 0;
        loop {
            pause(attempt, TRIES, "booking from the inbox").await?;
            attempt += 1;
            let candidates: Vec<&Found> = found.iter().skip(done).take(CANDIDATES).collect();
            let sources: BTreeSet<u64> =
                candidates.iter().map(|found| found.batch.id.source).collect();
            let mut booking = self.begin(&sources, now).await?;
            let (sums, count) = admit(&mut booking, &candidates);
            let end = done + count;
            if self.commit(&booking, Some(noted(key, done, end, found.len()))).await? {
                booked.batches += count as u64;
                booked.stored += sums.stored;
                booked.duplicate += sums.duplicate;
                booked.late += sums.late;
                return Ok(Some(end).filter(|end| *end < found.len()));
            }
            // Others book, perhaps this very object.
            match self.table.get(key.clone()).await? {
                None => return Ok(None),
                Some(item) => done = item.number("done")?,
            }
        }
    }
}

fn admit(booking: &mut Booking, candidates: &[&Found]) -> (Booked, usize) {
    let mut sums = Booked::default();
    let mut count = 0;
    for Found { batch, place } in candidates {
        let Some(admission) = booking.admit(batch, place.clone()) else {
            break;
        };
        sums.stored += admission.stored();
        sums.duplicate += admission.duplicate;
        sums.late += admission.late;
        count += 1;
    }
    (sums, count)
}

/// Writes down that the batches up to `end` are booked, if so far those up to `done` were.
fn noted(key: &Item, done: usize, end: usize, count: usize) -> Action {
    let (key, condition) = (key.clone(), Some("#done = :done"));
    let done = (":done", number(done));
    match end < count {
        true => Action::Update {
            key,
            update: "SET #done = :end",
            condition,
            values: vec![done, (":end", number(end))],
        },
        false => Action::Delete { key, condition, values: vec![done] },
    }
}

fn found(object: &str, content: &[u8]) -> Result<Vec<Found>, StoreError> {
    let found = |range| {
        let batch = ReceivedBatch::parse(cut(content, 0, &range)?);
        let batch = batch.map_err(|error| damaged(format!("{object}: {error:?}")))?;
        Ok(Found { batch, place: Place { object: object.to_owned(), range } })
    };
    split(content)?.into_iter().map(found).collect()
}
