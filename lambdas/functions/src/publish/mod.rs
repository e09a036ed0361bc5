//! The functions that keep the stores of edges up to date: one follows the stream of links, one
//! compares.

mod event;
pub mod reconcile;
mod target;

use std::collections::BTreeSet;

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;
use waypost_aws::queue::Queue;
use waypost_service::ambient::{Clock, Pause};
use waypost_service::model::LinkId;
use waypost_service::publish::{
    Change, EdgeStore, Fault, LinkTable, Published, Publisher, StateSource, StatisticsQueue,
};
use waypost_service::seams::StoreError;
use waypost_wire::time::Timestamp;

use crate::metrics::{Metric, Unit, count, emit};

pub use event::{StreamEvent, StreamRecord, Task, Work};
pub use target::{Target, targets};

/// Left to the platform: for one call of a store that is under way, 15 s at most, and the answer.
const MARGIN_MS: i64 = 20_000;

/// So long one store may keep changes from the others by failing: what it misses is for
/// `reconcile`. A store that is alone, or fails like all others, keeps nothing from anybody.
const PATIENCE_MS: i64 = 60_000;

/// Failures that are written to the log one by one.
const TOLD_MAX: usize = 10;

/// Messages sent side by side.
const AT_ONCE: usize = 16;

/// What publishing asks of everything around it.
pub struct Surroundings<'a, T, P, Q> {
    /// Links.
    pub table: &'a T,
    /// The state.
    pub states: &'a P,
    /// Clean-up.
    pub statistics: &'a Q,
    /// How many stores there are.
    pub stores: usize,
}

/// Publishes what changed, or the state alone; answers where the stream is to go on from.
pub async fn handle<S, A, T, P, Q>(
    publisher: &Publisher<S, A>,
    around: &Surroundings<'_, T, P, Q>,
    clock: &impl Clock,
    work: Work,
    ends_at_ms: u64,
) -> DynamoDbEventResponse
where
    S: EdgeStore,
    A: Clock + Pause,
    T: LinkTable,
    P: StateSource,
    Q: StatisticsQueue,
{
    let deadline = deadline(ends_at_ms, clock.now());
    let mut answer = DynamoDbEventResponse::default();
    let event = match work {
        Work::Changes(event) => event,
        Work::State(_) => {
            let failures = publisher.publish_state(around.states, deadline).await;
            told(&Published { state_failures: failures, ..Published::default() }, 0, None, clock);
            return answer;
        }
    };
    let changes: Vec<Change> = event.records.iter().filter_map(StreamRecord::change).collect();
    let unchanged = event.records.iter().filter(|record| record.is_unchanged()).count();
    let strange = event.records.len() - changes.len() - unchanged;
    let Surroundings { table, states, statistics, .. } = *around;
    let done = publisher.publish_changed(table, states, statistics, &changes, deadline).await;
    let now = clock.now();
    if let Some(failed) = first_failed(&event.records, &done, around.stores, now) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(failed.sequence_number().to_owned());
        answer.batch_item_failures.push(failure);
    }
    told(&done, strange, lag_ms(&event.records, &done, now), clock);
    answer
}

/// The earliest record that is to come again, with all behind it.
fn first_failed<'a>(
    records: &'a [StreamRecord],
    done: &Published,
    stores: usize,
    now: Timestamp,
) -> Option<&'a StreamRecord> {
    let retry = done.retry();
    let failing: BTreeSet<Option<&str>> = done
        .failures
        .iter()
        .filter(|failure| failure.fault.may_pass())
        .map(|failure| failure.store.as_deref())
        .collect();
    let is_some_stores = !failing.contains(&None) && failing.len() < stores;
    let is_worth = |record: &&StreamRecord| {
        let is_patient = now.ms_since(record.at()) < PATIENCE_MS;
        let is_failed = record.change().is_some_and(|change| retry.contains(change.key.as_str()));
        is_failed && (is_patient || !is_some_stores)
    };
    // The state is put again with the last record; the schedule does it within a minute.
    let state = || {
        let is_patient = |record: &&StreamRecord| now.ms_since(record.at()) < PATIENCE_MS;
        records.last().filter(|_| done.retry_state()).filter(is_patient)
    };
    records.iter().find(is_worth).or_else(state)
}

/// The longest time from a write to its record in the stores, of the keys that all stores have.
fn lag_ms(records: &[StreamRecord], done: &Published, now: Timestamp) -> Option<i64> {
    let failed: BTreeSet<&str> = done.failures.iter().map(|failed| failed.key.as_str()).collect();
    let is_done = |change: &Change| !failed.contains(change.key.as_str());
    let done = records.iter().filter(|record| record.change().as_ref().is_some_and(is_done));
    done.map(|record| now.ms_since(record.at()).max(0)).max()
}

fn told(done: &Published, strange: usize, lag_ms: Option<i64>, clock: &impl Clock) {
    let mut metrics = vec![
        count("RecordsPublished", done.written as u64),
        count("RecordsRemoved", done.removed as u64),
        count("ReplicationFailures", done.failures.len() as u64),
        count("StateFailures", done.state_failures.len() as u64),
        count("StrangeChanges", strange as u64),
    ];
    if let Some(ms) = lag_ms {
        let value = ms as f64;
        metrics.push(Metric { name: "ReplicationLagMs", unit: Unit::Milliseconds, value });
    }
    let failures = done.failures.iter().take(TOLD_MAX).map(|failure| Told {
        key: Some(&failure.key),
        store: failure.store.as_deref(),
        problem: failure.fault.to_string(),
    });
    let states = done.state_failures.iter().map(|(store, fault): &(String, Fault)| Told {
        key: None,
        store: Some(store),
        problem: fault.to_string(),
    });
    let failures: Vec<Told<'_>> = failures.chain(states).collect();
    let failures = serde_json::to_value(failures).unwrap_or(Value::Null);
    let properties =
        [("keys", done.keys.into()), ("newer", done.newer.into()), ("failures", failures)];
    emit("publish", &metrics, &properties, clock.now());
}

/// A failure, for the log.
#[derive(Serialize)]
struct Told<'a> {
    key: Option<&'a str>,
    store: Option<&'a str>,
    problem: String,
}

/// When the last call of a store may begin. Short invocations keep half of their time.
fn deadline(ends_at_ms: u64, now: Timestamp) -> Timestamp {
    let ends_at = Timestamp(i64::try_from(ends_at_ms).unwrap_or(i64::MAX));
    let left_ms = ends_at.ms_since(now).max(0);
    now.plus_ms((left_ms - MARGIN_MS).max(left_ms / 2))
}

/// The queue of links whose statistics are to go: one message for each, the id as the API shows it.
#[derive(Clone, Debug)]
pub struct CleanupQueue(pub Queue);

impl StatisticsQueue for CleanupQueue {
    async fn delete_statistics(&self, links: &[LinkId]) -> Result<(), StoreError> {
        for some in links.chunks(AT_ONCE) {
            let mut sends = JoinSet::new();
            for link in some {
                let (queue, text) = (self.0.clone(), link.to_string());
                sends.spawn(async move { queue.send(&text).await });
            }
            while let Some(sent) = sends.join_next().await {
                sent.map_err(|error| StoreError::Unavailable(error.to_string()))??;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
