//! The function that cleans up.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use waypost_service::ambient::Clock;
use waypost_service::cleanup::{Cursor, Options, Report, run};
use waypost_service::counting::store::CounterStore;
use waypost_service::links::{Host, Service};
use waypost_service::model::LinkId;
use waypost_service::problem::Problem;

use crate::invocation::Deadline;
use crate::metrics::{count, emit};

/// Links looked at between two looks at the clock.
const STEP_LINKS: usize = 200;

/// What the function is called with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// By the queue: links that are gone, whose statistics are to go.
    Gone(SqsEvent),
    /// By the schedule, or by hand.
    Round(Round),
}

/// A round over everything that is due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Round {
    /// Only count what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Where an earlier round stopped.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Why a round ended early. The next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The store's fault.
    #[error("{}", .0.log.as_ref().unwrap_or(&.0.detail))]
    Problem(Box<Problem>),
    /// The event names a cursor that no round gave.
    #[error(transparent)]
    Cursor(#[from] waypost_service::cleanup::NoCursor),
}

/// Does the work; answers what was done, or which messages are to come again.
///
/// # Errors
/// See [`CleanupError`].
pub async fn handle<H: Host>(
    service: &Service<H>,
    work: Work,
    ends_at_ms: u64,
) -> Result<Value, CleanupError> {
    match work {
        Work::Gone(event) => {
            let answer = delete_statistics(service, event).await;
            Ok(serde_json::to_value(answer).unwrap_or_default())
        }
        Work::Round(round) => round_of(service, &round, ends_at_ms).await,
    }
}

async fn delete_statistics<H: Host>(service: &Service<H>, event: SqsEvent) -> SqsBatchResponse {
    let now = service.host.ambient().now();
    let mut answer = SqsBatchResponse::default();
    let mut deleted = 0;
    for record in event.records {
        let id: Option<LinkId> = record.body.as_deref().and_then(|body| body.trim().parse().ok());
        let done = match id {
            Some(id) => service.host.counters().delete_link_statistics(id, now).await.is_ok(),
            None => false,
        };
        match done {
            true => deleted += 1,
            false => answer.add_failure(record.message_id.unwrap_or_default()),
        }
    }
    let failed = answer.batch_item_failures.len() as u64;
    emit("cleanup", &[count("StatisticsDeleted", deleted), count("Failed", failed)], &[], now);
    answer
}

async fn round_of<H: Host>(
    service: &Service<H>,
    round: &Round,
    ends_at_ms: u64,
) -> Result<Value, CleanupError> {
    let clock = service.host.ambient();
    let began = clock.now();
    let deadline = Deadline::of(ends_at_ms, began);
    let start = round.cursor.as_deref().map(str::parse).transpose()?.unwrap_or_default();
    let mut options = Options {
        dry_run: round.dry_run,
        per_second_max: service.settings.cleanup_per_second_max,
        links_max: Some(STEP_LINKS),
        start,
    };
    let mut total = Report { dry_run: round.dry_run, ..Report::default() };
    loop {
        let step = run(service, &options, began, |_| {}).await;
        let step = step.map_err(|problem| CleanupError::Problem(Box::new(problem)))?;
        let next = step.next_cursor.clone();
        total.add(step);
        let Some(next) = next.filter(|_| !deadline.is_over(clock.now())) else { break };
        options.start = next.parse::<Cursor>()?;
    }
    let now = clock.now();
    let metrics = [
        count("LinksExpired", total.expired),
        count("LinksUnused", total.unused),
        count("LinksPurged", total.purged),
        count("LinksRecompiled", total.recompiled),
        count("Faults", total.faults),
    ];
    let examples = json!(total.fault_examples);
    emit("cleanup", &metrics, &[("fault_examples", examples)], now);
    Ok(serde_json::to_value(total).unwrap_or_default())
}
