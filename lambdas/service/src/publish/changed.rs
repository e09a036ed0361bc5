//! Following changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

use super::pace::Backoff;
use super::recent::Recent;
use super::report::{Failure, Fault, Published};
use super::seams::{Current, LinkTable, StateSource, StatisticsQueue};
use super::store::{Budget, EdgeStore, Kept, StoreFault};
use super::together::together;
use super::writer::Writer;
use crate::ambient::{Clock, Pause};
use crate::model::LinkId;
use crate::seams::Changed;

/// Keys whose records are in memory at a time, 16 KB each at most.
const GROUP_MAX: usize = 1_000;

/// An event: something was written under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The text of a [`LinkKey`](waypost_wire::key::LinkKey).
    pub key: String,
    /// The latest generation that the event tells of. What is published is not taken from it.
    pub generation: Generation,
    /// The link that lost the key for good: it was purged, or a later link took its place.
    pub gone: Option<LinkId>,
}

/// Follows the changes of the table in any number of stores, which do not wait for each other.
#[derive(Debug)]
pub struct Publisher<S, A> {
    writers: Vec<Writer<S>>,
    ambient: A,
    backoff: Backoff,
    recent: Mutex<Recent>,
}

impl<S: EdgeStore, A: Clock + Pause> Publisher<S, A> {
    /// A publisher to `stores`. Keep it as long as the process: it keeps the pace.
    pub fn new(stores: Vec<S>, ambient: A, backoff: Backoff) -> Self {
        let writers = stores.into_iter().map(|store| Writer::new(store, Budget::Publisher));
        let recent = Mutex::new(Recent::default());
        Self { writers: writers.collect(), ambient, backoff, recent }
    }

    /// Brings the keys of `changes` and the state up to date in all stores, and orders the clean-up
    /// of the statistics of links that are gone. Calls must not overlap. No call of a store begins
    /// after `deadline`.
    pub async fn publish_changed(
        &self,
        table: &impl LinkTable,
        states: &impl StateSource,
        statistics: &impl StatisticsQueue,
        changes: &[Change],
        deadline: Timestamp,
    ) -> Published {
        let mut keys: BTreeMap<&str, Generation> = BTreeMap::new();
        for change in changes {
            let latest = keys.entry(&change.key).or_default();
            *latest = change.generation.max(*latest);
        }
        let mut published = Published { keys: keys.len(), ..Published::default() };
        self.clean_up(table, statistics, changes, &mut published).await;
        let stores = self.writers.iter().map(|writer| async {
            let mut done = self.records(writer, table, &keys, deadline).await;
            done.state_failures.extend(self.state(writer, states, deadline).await);
            done
        });
        together(stores.collect()).await.into_iter().for_each(|done| published.add(done));
        published
    }

    /// Puts the state to all stores; answers those that did not get it. Edges take a state that is
    /// older than five minutes for no news, so call it at least every minute.
    pub async fn publish_state(
        &self,
        states: &impl StateSource,
        deadline: Timestamp,
    ) -> Vec<(String, Fault)> {
        let stores = self.writers.iter().map(|writer| self.state(writer, states, deadline));
        together(stores.collect()).await.into_iter().flatten().collect()
    }

    /// Orders the clean-up of the statistics of links that are really gone.
    async fn clean_up<T: LinkTable>(
        &self,
        table: &T,
        statistics: &impl StatisticsQueue,
        changes: &[Change],
        published: &mut Published,
    ) {
        let mut gone: BTreeMap<&str, BTreeSet<LinkId>> = BTreeMap::new();
        for change in changes {
            if let Some(id) = change.gone {
                gone.entry(&change.key).or_default().insert(id);
            }
        }
        let keys: Vec<&str> = gone.keys().copied().collect();
        for keys in keys.chunks(T::KEYS_MAX) {
            let mut ids = BTreeSet::new();
            let mut failed = |keys: &[&str], fault: &Fault| {
                let failure = |key: &&str| Failure {
                    key: (*key).to_owned(),
                    store: None,
                    fault: fault.clone(),
                };
                published.failures.extend(keys.iter().map(failure));
            };
            for (key, found) in keys.iter().zip(table.current(keys).await) {
                match found {
                    Ok(found) => {
                        let is_gone = |id: &&LinkId| {
                            found.as_ref().is_none_or(|found| found.generation.link_id != id.0)
                        };
                        let of_key = gone.get(key).into_iter().flatten();
                        ids.extend(of_key.filter(is_gone).copied());
                    }
                    Err(fault) => failed(&[key], &Fault::Table(fault)),
                }
            }
            if ids.is_empty() {
                continue;
            }
            let ids: Vec<LinkId> = ids.into_iter().collect();
            match statistics.delete_statistics(&ids).await {
                Ok(()) => published.statistics += ids.len(),
                Err(fault) => failed(keys, &Fault::Statistics(fault)),
            }
        }
    }

    /// Brings keys up to date in one store.
    async fn records<T: LinkTable>(
        &self,
        writer: &Writer<S>,
        table: &T,
        keys: &BTreeMap<&str, Generation>,
        deadline: Timestamp,
    ) -> Published {
        let mut done = Published::default();
        let mut open: Vec<&str> = keys.keys().copied().collect();
        for attempt in 1.. {
            let mut failures: Vec<(&str, Fault)> = Vec::new();
            let mut groups = open.chunks(GROUP_MAX.min(writer.limits.puts_max));
            while let Some(group) = groups.next() {
                let told = |key: &str| keys.get(key).copied().unwrap_or_default();
                let ended =
                    self.group(writer, table, group, told, deadline, &mut done, &mut failures);
                if let Err(fault) = ended.await {
                    // What stops one group stops the next ones.
                    let fault = Fault::Store(fault);
                    let unasked = groups.by_ref().flatten();
                    failures.extend(unasked.map(|key| (*key, fault.clone())));
                }
            }
            let (again, settled): (Vec<_>, Vec<_>) =
                failures.into_iter().partition(|(_, fault)| fault.may_pass());
            done.failures
                .extend(settled.into_iter().map(|(key, fault)| writer.failure(key, fault)));
            let pause_ms = self.backoff.pause_ms(attempt).filter(|ms| {
                let ms = i64::try_from(*ms).unwrap_or(i64::MAX);
                !again.is_empty() && ms < deadline.ms_since(self.ambient.now())
            });
            let Some(ms) = pause_ms else {
                done.failures.extend(again.into_iter().map(|(key, f)| writer.failure(key, f)));
                break;
            };
            open = again.into_iter().map(|(key, _)| key).collect();
            self.ambient.pause_ms(ms).await;
        }
        done
    }

    /// Reads what the table has under these keys and writes that. The error is one that stops
    /// others too; it is among `failures` for the keys of this group.
    #[expect(clippy::too_many_arguments, reason = "one step of a loop, with what the loop knows")]
    async fn group<'a, T: LinkTable>(
        &self,
        writer: &Writer<S>,
        table: &T,
        group: &[&'a str],
        told: impl Fn(&str) -> Generation,
        deadline: Timestamp,
        done: &mut Published,
        failures: &mut Vec<(&'a str, Fault)>,
    ) -> Result<(), StoreFault> {
        if let Err(fault) = writer.ready(&self.ambient, group, deadline).await {
            failures.extend(group.iter().map(|key| (*key, Fault::Store(fault.clone()))));
            return Err(fault);
        }
        let mut found: Vec<(&'a str, Option<Current>)> = Vec::with_capacity(group.len());
        for keys in group.chunks(T::KEYS_MAX) {
            for (key, answer) in keys.iter().zip(table.current(keys).await) {
                match answer {
                    Ok(current) => found.push((*key, current)),
                    Err(fault) => failures.push((*key, Fault::Table(fault))),
                }
            }
        }
        self.remember(&found);
        let tally = writer.write(&self.ambient, &found, told, deadline).await;
        done.written += tally.written;
        done.removed += tally.removed;
        done.newer += tally.newer;
        failures.extend(tally.failures);
        tally.stopped.map_or(Ok(()), Err)
    }

    /// Puts the state together and to a store.
    async fn state(
        &self,
        writer: &Writer<S>,
        states: &impl StateSource,
        deadline: Timestamp,
    ) -> Option<(String, Fault)> {
        for attempt in 1.. {
            let fault = match self.state_once(writer, states, deadline).await {
                Ok(()) => return None,
                Err(fault) => fault,
            };
            let left_ms = deadline.ms_since(self.ambient.now());
            let pause_ms = self.backoff.pause_ms(attempt);
            match pause_ms.filter(|ms| i64::try_from(*ms).is_ok_and(|ms| ms < left_ms)) {
                Some(ms) if fault.may_pass() => self.ambient.pause_ms(ms).await,
                _ => return Some((writer.store.name().to_owned(), fault)),
            }
        }
        None
    }

    async fn state_once(
        &self,
        writer: &Writer<S>,
        states: &impl StateSource,
        deadline: Timestamp,
    ) -> Result<(), Fault> {
        writer.ready(&self.ambient, &[], deadline).await.map_err(Fault::Store)?;
        let now = self.ambient.now();
        let state = states.state(&self.recent(now), now).await.map_err(Fault::Table)?;
        let kept = writer.put_state(&self.ambient, &state, deadline).await;
        match kept.map_err(Fault::Store)? {
            // Edges believe the later one.
            Kept::Stored | Kept::Newer => Ok(()),
            Kept::Failed => Err(Fault::NotTaken),
            Kept::Refused => Err(Fault::NeverTaken),
        }
    }

    fn remember(&self, found: &[(&str, Option<Current>)]) {
        let now = self.ambient.now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, current) in found {
            let Some(current) = current else { continue };
            recent.note(key, current, now);
        }
    }

    fn recent(&self, now: Timestamp) -> Vec<Changed> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).told(now)
    }
}
