//! Messages of a queue on their way into the store. They are only put aside, durably and many at a
//! time, without a look at what is known of their sources; they are booked afterwards, by one
//! booker at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waypost_wire::click::BatchError;
use waypost_wire::time::Timestamp;

use crate::seams::StoreError;

/// Where batches wait until they are booked.
pub trait Inbox {
    /// Keeps batches; durable when it answers. Answers for each, in order, how many clicks it has,
    /// or why it is no batch. Bringing a batch again does no harm: booking counts every click once.
    ///
    /// # Errors
    /// If the store fails: bring all of them again.
    async fn collect(
        &self,
        batches: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Vec<Result<u64, BatchError>>, StoreError>;
}

/// A message of a queue: a batch of clicks in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the queue knows it by.
    pub id: String,
    /// Its text.
    pub body: String,
}

/// What became of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Clicks that are kept.
    pub clicks: u64,
    /// The messages that are not kept, in their order: the queue brings them again, and in the end
    /// puts them aside.
    pub failed: Vec<String>,
    /// How many of those never will be: they are no batches.
    pub malformed: u64,
    /// Why the store failed, for the log.
    pub fault: Option<String>,
}

/// Keeps what messages bring.
pub async fn collect(inbox: &impl Inbox, messages: Vec<Message>, now: Timestamp) -> Collected {
    let mut collected = Collected::default();
    let decoded: Vec<Option<Vec<u8>>> =
        messages.iter().map(|message| STANDARD.decode(message.body.trim()).ok()).collect();
    let batches = decoded.iter().flatten().cloned().collect();
    let kept = inbox.collect(batches, now).await;
    collected.fault = kept.as_ref().err().map(ToString::to_string);
    let mut kept = kept.unwrap_or_default().into_iter();
    for (message, bytes) in messages.into_iter().zip(decoded) {
        // A store that answers for fewer than it was given did not keep the rest.
        let outcome = match bytes {
            Some(_) => kept.next(),
            None => Some(Err(BatchError::Empty)),
        };
        match outcome {
            Some(Ok(clicks)) => {
                collected.clicks += clicks;
                continue;
            }
            Some(Err(_)) => collected.malformed += 1,
            None => {}
        }
        collected.failed.push(message.id);
    }
    collected
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use waypost_wire::click::{Batch, BatchWriter, Click};

    use super::*;

    #[derive(Default)]
    struct Kept {
        batches: RefCell<Vec<Vec<u8>>>,
        is_down: Cell<bool>,
    }

    impl Inbox for Kept {
        async fn collect(
            &self,
            batches: Vec<Vec<u8>>,
            _: Timestamp,
        ) -> Result<Vec<Result<u64, BatchError>>, StoreError> {
            if self.is_down.get() {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            let keep = |bytes: Vec<u8>| {
                let count = Batch::parse(&bytes)?.count();
                self.batches.borrow_mut().push(bytes);
                Ok(count)
            };
            Ok(batches.into_iter().map(keep).collect())
        }
    }

    fn batch(clicks: u64) -> Vec<u8> {
        let mut batch = BatchWriter::new(7, 0);
        for _ in 0..clicks {
            batch.push(&Click::default());
        }
        batch.finish()
    }

    fn message(id: &str, body: impl Into<String>) -> Message {
        Message { id: id.to_owned(), body: body.into() }
    }

    fn messages() -> Vec<Message> {
        vec![
            message("poison", "not base64!"),
            message("two", STANDARD.encode(batch(2))),
            message("empty", ""),
            message("other", STANDARD.encode("something else")),
            message("three", format!("{}\n", STANDARD.encode(batch(3)))),
        ]
    }

    #[test]
    fn batches_are_kept_and_the_rest_is_named() {
        let inbox = Kept::default();
        let collected = pollster::block_on(collect(&inbox, messages(), Timestamp(0)));
        let failed = ["poison", "empty", "other"].map(str::to_owned).to_vec();
        assert_eq!(collected, Collected { clicks: 5, failed, malformed: 3, fault: None });
        assert_eq!(*inbox.batches.borrow(), [batch(2), batch(3)]);
    }

    #[test]
    fn what_the_store_did_not_keep_comes_again() {
        let inbox = Kept::default();
        inbox.is_down.set(true);
        let collected = pollster::block_on(collect(&inbox, messages(), Timestamp(0)));
        let failed = ["poison", "two", "empty", "other", "three"].map(str::to_owned).to_vec();
        let fault = Some("store is unavailable: away".to_owned());
        assert_eq!(collected, Collected { clicks: 0, failed, malformed: 1, fault });
    }
}
