//! Queues of SQS, for processes that run all the time: functions are handed their messages.

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message as SqsMessage};
use waypost_service::counting::inbox::Message;
use waypost_service::seams::StoreError;

use crate::clients::Clients;
use crate::item::{damaged, unavailable};

/// Most messages of a call.
pub const MESSAGES_MAX: usize = 10;

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// A message that was received, and will come again unless it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it says.
    pub message: Message,
    /// What it is deleted by.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receptions: u32,
}

impl Queue {
    /// The queue at an address.
    pub fn new(clients: &Clients, url: impl Into<String>) -> Self {
        Self { client: clients.sqs.clone(), url: url.into() }
    }

    /// Puts a message into the queue; durable when it answers.
    ///
    /// # Errors
    /// If the queue does not take it.
    pub async fn send(&self, body: &str) -> Result<(), StoreError> {
        let call = self.client.send_message().queue_url(&self.url).message_body(body);
        call.send().await.map(drop).map_err(|error| unavailable(&error))
    }

    /// Waits up to `wait_seconds` (at most 20) for messages; at most [`MESSAGES_MAX`].
    ///
    /// # Errors
    /// If the queue does not answer.
    pub async fn receive(&self, wait_seconds: u8) -> Result<Vec<Received>, StoreError> {
        let wait_seconds = i32::from(wait_seconds.min(20));
        let call = self.client.receive_message().queue_url(&self.url);
        let call = call.max_number_of_messages(MESSAGES_MAX as i32).wait_time_seconds(wait_seconds);
        let receptions = aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
        // The answer takes as long as the wait, which is longer than other answers take.
        let timeout = std::time::Duration::from_secs(u64::from(wait_seconds.unsigned_abs()) + 5);
        let timeouts = aws_sdk_sqs::config::timeout::TimeoutConfig::builder()
            .operation_attempt_timeout(timeout)
            .operation_timeout(timeout)
            .build();
        let patience = aws_sdk_sqs::config::Builder::new().timeout_config(timeouts);
        let call = call.message_system_attribute_names(receptions.clone());
        let answer = call.customize().config_override(patience).send().await;
        let messages = answer.map_err(|error| unavailable(&error))?.messages.unwrap_or_default();
        messages.into_iter().map(|message| received(message, &receptions)).collect()
    }

    /// Deletes messages that are done with.
    ///
    /// # Errors
    /// If the queue does not answer, or keeps one: it will come again.
    pub async fn delete<'a>(
        &self,
        receipts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StoreError> {
        let entry = |(at, receipt): (usize, &str)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
            entry.receipt_handle(receipt).build().map_err(|error| damaged(error.to_string()))
        };
        let entries: Vec<_> =
            receipts.into_iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        for part in entries.chunks(MESSAGES_MAX) {
            let call = self.client.delete_message_batch().queue_url(&self.url);
            let answer = call.set_entries(Some(part.to_vec())).send().await;
            let answer = answer.map_err(|error| unavailable(&error))?;
            if let Some(kept) = answer.failed.first() {
                return Err(StoreError::Unavailable(format!("not deleted: {}", kept.code)));
            }
        }
        Ok(())
    }
}

fn received(
    message: SqsMessage,
    receptions: &aws_sdk_sqs::types::MessageSystemAttributeName,
) -> Result<Received, StoreError> {
    let count = message.attributes.as_ref().and_then(|all| all.get(receptions)?.parse().ok());
    Ok(Received {
        message: Message {
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        },
        receipt: message.receipt_handle.ok_or_else(|| damaged("a message without a receipt"))?,
        receptions: count.unwrap_or(1),
    })
}
