//! Making store and table the same.

use std::collections::{BTreeMap, BTreeSet};

use waypost_wire::record::Generation;

use super::{Difference, Run};
use crate::ambient::{Clock, Pause};
use crate::publish::seams::{Current, LinkTable};
use crate::publish::store::{EdgeStore, StoreFault};

/// How often a key is written because the link changed meanwhile, or the store did not take it.
const ROUNDS: u32 = 4;

/// Keys whose records are in memory at a time.
const GROUP_MAX: usize = 1_000;

impl<S: EdgeStore, A: Clock + Pause, T: LinkTable> Run<'_, S, A, T> {
    /// Repairs these keys. The error is one that stops the run.
    pub(super) async fn repair(&mut self, differences: Vec<Difference>) -> Result<(), StoreFault> {
        if self.options.dry_run {
            return Ok(());
        }
        for group in differences.chunks(GROUP_MAX.min(self.writer.limits.puts_max)) {
            let keys: BTreeMap<&str, Generation> =
                group.iter().map(|found| (found.key.as_str(), found.generation)).collect();
            let mut settled = 0;
            let ended = self.settle(keys, &mut settled).await;
            self.report.repaired += settled;
            ended?;
        }
        Ok(())
    }

    /// Sends all of these keys to a store that does not tell what it has.
    pub(super) async fn send(&mut self, keys: Vec<String>) -> Result<(), StoreFault> {
        self.report.checked += keys.len() as u64;
        if self.options.dry_run {
            return Ok(());
        }
        for group in keys.chunks(GROUP_MAX.min(self.writer.limits.puts_max)) {
            let keys = group.iter().map(|key| (key.as_str(), Generation::default())).collect();
            let mut settled = 0;
            let ended = self.settle(keys, &mut settled).await;
            self.report.sent += settled;
            ended?;
        }
        Ok(())
    }

    /// Writes what the table has, until it is what the table still has behind the write; counts
    /// the keys that came to that.
    async fn settle(
        &mut self,
        mut keys: BTreeMap<&str, Generation>,
        settled: &mut u64,
    ) -> Result<(), StoreFault> {
        let deadline = self.options.deadline;
        let mut open: Vec<&str> = keys.keys().copied().collect();
        let mut failed = Vec::new();
        for round in 1..=ROUNDS {
            // The wait before the look, so that nothing lies between look and write.
            self.writer.ready(self.ambient, &open, deadline).await?;
            let found = self.current(&open, &mut failed).await;
            let told = |key: &str| keys.get(key).copied().unwrap_or_default();
            let tally = self.writer.write(self.ambient, &found, told, deadline).await;
            // What was written may be what has to go in the next round.
            for (key, current) in &found {
                let known = keys.entry(key).or_default();
                let written = current.as_ref().map(|current| current.generation);
                *known = written.unwrap_or_default().max(*known);
            }
            let mut again: Vec<&str> = Vec::new();
            for (key, fault) in &tally.failures {
                match fault.may_pass() {
                    true => again.push(key),
                    false => failed.push(key),
                }
            }
            let not_written: BTreeSet<&str> = tally.failures.iter().map(|(key, _)| *key).collect();
            let written: BTreeMap<&str, Option<Generation>> = found
                .into_iter()
                .filter(|(key, _)| !not_written.contains(key))
                .map(|(key, current)| (key, current.map(|current| current.generation)))
                .collect();
            *settled += self.behind(&written, &mut again).await;
            open = again;
            if let Some(fault) = tally.stopped
                && let Err(fault) = self.again(round, fault).await
            {
                self.note_failed(open.iter().chain(&failed));
                return Err(fault);
            }
            if open.is_empty() {
                break;
            }
        }
        self.note_failed(open.iter().chain(&failed));
        Ok(())
    }

    /// Looks at the table behind a write: a link that changed meanwhile is written again, as the
    /// publisher may have written it before this did.
    async fn behind<'k>(
        &self,
        written: &BTreeMap<&'k str, Option<Generation>>,
        again: &mut Vec<&'k str>,
    ) -> u64 {
        let keys: Vec<&str> = written.keys().copied().collect();
        // What cannot be read now is worth another write: it may be wrong.
        let now = self.current(&keys, again).await;
        let mut settled = 0;
        for (key, current) in now {
            let generation = current.map(|current| current.generation);
            match written.get(key) == Some(&generation) {
                true => settled += 1,
                false => again.push(key),
            }
        }
        settled
    }

    /// What the table has now; keys that cannot be read go to `failed`.
    async fn current<'k>(
        &self,
        keys: &[&'k str],
        failed: &mut Vec<&'k str>,
    ) -> Vec<(&'k str, Option<Current>)> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(T::KEYS_MAX) {
            for (key, answer) in keys.iter().zip(self.table.current(keys).await) {
                match answer {
                    Ok(current) => found.push((*key, current)),
                    Err(_) => failed.push(key),
                }
            }
        }
        found
    }

    fn note_failed<'k>(&mut self, keys: impl Iterator<Item = &'k &'k str>) {
        for key in keys {
            self.report.failed += 1;
            self.report.example("failed", key);
        }
    }
}
