//! The function behind the queue of clicks: keeps batches, and names the messages to bring again.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use waypost_service::counting::inbox::{Collected, Inbox, Message, collect};
use waypost_wire::time::Timestamp;

use crate::metrics::{count, emit};

/// Takes in an event.
pub async fn handle(inbox: &impl Inbox, event: SqsEvent, now: Timestamp) -> SqsBatchResponse {
    let messages = messages(event);
    let received = messages.len() as u64;
    let collected = collect(inbox, messages, now).await;
    let metrics = [
        count("Messages", received),
        count("ClicksReceived", collected.clicks),
        count("MessagesFailed", collected.failed.len() as u64),
        count("MessagesMalformed", collected.malformed),
    ];
    emit("aggregate", &metrics, &[("problem", collected.fault.clone().into())], now);
    answer(&collected)
}

/// A message without id or text is one all the same: it fails under the id it has.
fn messages(event: SqsEvent) -> Vec<Message> {
    let message = |record: aws_lambda_events::sqs::SqsMessage| Message {
        id: record.message_id.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
    };
    event.records.into_iter().map(message).collect()
}

fn answer(collected: &Collected) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    for id in &collected.failed {
        answer.add_failure(id);
    }
    answer
}
