//! What the store has against what the table has.

use waypost_wire::time::Timestamp;

use super::{Difference, Run};
use crate::ambient::{Clock, Pause};
use crate::publish::mark::Mark;
use crate::publish::seams::{Current, LinkTable};
use crate::publish::store::{EdgeStore, Listed, StoreFault};

/// What a store has under a key: nothing, something unreadable, or a record.
pub(super) type Found = Option<Option<Mark>>;

impl<S: EdgeStore, A: Clock + Pause, T: LinkTable> Run<'_, S, A, T> {
    /// Compares what the store has with what the table has now, and repairs.
    pub(super) async fn compare(&mut self, keys: Vec<(String, Found)>) -> Result<(), StoreFault> {
        let mut differences = Vec::new();
        for keys in keys.chunks(T::KEYS_MAX) {
            let texts: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
            let now = self.ambient.now();
            let current = self.table.current(&texts).await;
            for ((key, found), current) in keys.iter().zip(current) {
                self.report.checked += u64::from(found.is_some());
                match current {
                    Ok(current) => {
                        differences.extend(self.difference(key, *found, current.as_ref(), now));
                    }
                    Err(_) => {
                        self.report.failed += 1;
                        self.report.example("unread", key);
                    }
                }
            }
        }
        Box::pin(self.repair(differences)).await
    }

    /// What is to be repaired under a key, if anything.
    fn difference(
        &mut self,
        key: &str,
        found: Found,
        current: Option<&Current>,
        now: Timestamp,
    ) -> Option<Difference> {
        let right = current.map(|current| Mark::with(current.generation, &current.record));
        let is_young = current.is_some_and(|c| now.ms_since(c.updated_at) < self.options.settle_ms);
        let report = &mut self.report;
        let (count, word) = match (found, right) {
            (None, None) => return None,
            (Some(has), Some(_)) if has == right => return None,
            (_, Some(_)) if is_young => {
                report.young += 1;
                return None;
            }
            (None, Some(_)) => (&mut report.missing, "missing"),
            (Some(_), Some(_)) => (&mut report.outdated, "outdated"),
            (Some(_), None) => (&mut report.foreign, "foreign"),
        };
        *count += 1;
        report.example(word, key);
        let is_held_back = right.is_none()
            && (!is_link_key(key) || self.options.foreign_max < report.foreign - report.held_back);
        if is_held_back {
            report.held_back += 1;
            return None;
        }
        let generation = found.flatten().map(|mark| mark.generation).unwrap_or_default();
        Some(Difference { key: key.to_owned(), generation })
    }

    pub(super) async fn list(&mut self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        for attempt in 1.. {
            let answer = self.writer.list(self.ambient, cursor, self.options.deadline).await;
            match answer {
                Ok(mut page) => {
                    // The keys of the system are no links.
                    page.keys.retain(|(key, _)| !key.starts_with('!'));
                    return Ok(page);
                }
                Err(fault) => self.again(attempt, fault).await?,
            }
        }
        Ok(Listed::default())
    }

    pub(super) async fn marks(&mut self, keys: &[&str]) -> Result<Vec<Found>, StoreFault> {
        for attempt in 1.. {
            match self.writer.marks(self.ambient, keys, self.options.deadline).await {
                Ok(found) => return Ok(found),
                Err(fault) => self.again(attempt, fault).await?,
            }
        }
        Ok(Vec::new())
    }

    /// Pauses before another try, if there is one.
    pub(super) async fn again(&self, attempt: u32, fault: StoreFault) -> Result<(), StoreFault> {
        let left_ms = self.options.deadline.ms_since(self.ambient.now());
        let pause_ms = self.options.backoff.pause_ms(attempt).filter(|_| fault.may_pass());
        match pause_ms.filter(|ms| i64::try_from(*ms).is_ok_and(|ms| ms < left_ms)) {
            Some(ms) => {
                self.ambient.pause_ms(ms).await;
                Ok(())
            }
            None => Err(fault),
        }
    }
}

/// Whether a key can be one of a link. What somebody else keeps in the same store is not removed.
fn is_link_key(key: &str) -> bool {
    let is_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
    key.split_once('/').is_some_and(|(domain, slug)| {
        !domain.is_empty() && domain.chars().all(is_host) && !slug.is_empty()
    })
}
