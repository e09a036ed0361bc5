//! What was found in the table, written to a store.

use super::mark::Mark;
use super::report::{Failure, Fault};
use super::seams::Current;
use super::store::{EdgeStore, Kept, Put, Removal, StoreFault};
use super::writer::{Writer, fitting};
use crate::ambient::{Clock, Pause};
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

/// What became of the keys of a call or two.
pub(super) struct Tally<'a> {
    pub(super) written: usize,
    pub(super) removed: usize,
    pub(super) newer: usize,
    pub(super) failures: Vec<(&'a str, Fault)>,
    /// A call came to nothing.
    pub(super) stopped: Option<StoreFault>,
}

impl<S: EdgeStore> Writer<S> {
    /// Writes what was found: a record, or that there is none.
    pub(super) async fn write<'a, A: Clock + Pause>(
        &self,
        ambient: &A,
        found: &[(&'a str, Option<Current>)],
        told: impl Fn(&str) -> Generation,
        deadline: Timestamp,
    ) -> Tally<'a> {
        let mut tally =
            Tally { written: 0, removed: 0, newer: 0, failures: Vec::new(), stopped: None };
        let (mut puts, mut put_keys, mut removals, mut removed_keys) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, current) in found {
            match current {
                Some(current) => {
                    let Current { record, generation, .. } = current;
                    puts.push(Put { key, record, mark: Mark::with(*generation, record) });
                    put_keys.push(*key);
                }
                None => {
                    removals.push(Removal { key, generation: told(key) });
                    removed_keys.push(*key);
                }
            }
        }
        let (mut rest, mut keys) = (puts.as_slice(), put_keys.as_slice());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest, &self.limits));
            let (now_keys, later_keys) = keys.split_at(now.len());
            let answer = match &tally.stopped {
                None => self.put(ambient, now, deadline).await,
                Some(fault) => Err(fault.clone()),
            };
            tally.written += tally.book(now_keys, answer);
            (rest, keys) = (later, later_keys);
        }
        let max = self.limits.removals_max;
        for (now, keys) in removals.chunks(max).zip(removed_keys.chunks(max)) {
            let answer = match &tally.stopped {
                None => self.remove(ambient, now, deadline).await,
                Some(fault) => Err(fault.clone()),
            };
            tally.removed += tally.book(keys, answer);
        }
        tally
    }

    pub(super) fn failure(&self, key: &str, fault: Fault) -> Failure {
        Failure { key: key.to_owned(), store: Some(self.store.name().to_owned()), fault }
    }
}

impl<'a> Tally<'a> {
    /// Books the answer of a call; how many keys the store has now as they were written.
    fn book(&mut self, keys: &[&'a str], answer: Result<Vec<Kept>, StoreFault>) -> usize {
        match answer {
            Ok(kept) => {
                let mut stored = 0;
                // What the answer leaves out was not done, as far as anybody knows.
                let kept = kept.into_iter().chain(std::iter::repeat(Kept::Failed));
                for (key, kept) in keys.iter().zip(kept) {
                    match kept {
                        Kept::Stored => stored += 1,
                        Kept::Newer => self.newer += 1,
                        Kept::Failed => self.failures.push((key, Fault::NotTaken)),
                        Kept::Refused => self.failures.push((key, Fault::NeverTaken)),
                    }
                }
                stored
            }
            Err(fault) => {
                self.failures.extend(keys.iter().map(|key| (*key, Fault::Store(fault.clone()))));
                self.stopped = Some(fault);
                0
            }
        }
    }
}
