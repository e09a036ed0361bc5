use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use waypost_aws::clients::Clients;
use waypost_aws::queue::{Queue, Received};
use waypost_service::seams::StoreError;
use waypost_wire::click::Batch;

use super::failure::Failure;
use super::surroundings::Surroundings;
use super::table;

const EXAMPLES: &str = "\
Examples:
  waypost dlq list --from https://sqs.eu-central-1.amazonaws.com/123456789012/waypost-dead
  waypost dlq redrive --from https://sqs.eu-central-1.amazonaws.com/123456789012/waypost-dead --to https://sqs.eu-central-1.amazonaws.com/123456789012/waypost-clicks

Account, region and credentials are found as the AWS command line finds them. What is listed is
hidden from others for the queue's visibility timeout, and then there again.";

/// Messages that could not be handled, and were put aside.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    /// Show what is there
    #[command(after_help = EXAMPLES)]
    List(ListArgs),
    /// Put messages back into the queue that they came from; clicks are counted once, however often
    /// they come
    #[command(after_help = EXAMPLES)]
    Redrive(RedriveArgs),
}

#[derive(Args, Clone, Debug)]
pub(super) struct ListArgs {
    /// The dead-letter queue
    #[arg(long, value_name = "URL")]
    from: String,
    /// Most messages shown
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

#[derive(Args, Clone, Debug)]
pub(super) struct RedriveArgs {
    /// The dead-letter queue
    #[arg(long, value_name = "URL")]
    from: String,
    /// The queue to put them into
    #[arg(long, value_name = "URL")]
    to: String,
    /// Most messages put back
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    limit: usize,
    /// Messages that are no clicks too: they would come back
    #[arg(long)]
    all: bool,
}

impl Command {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
        runtime.block_on(async {
            let clients = Clients::from_environment().await;
            match self {
                Self::List(args) => list(&args, &clients, surroundings).await,
                Self::Redrive(args) => redrive(&args, &clients, surroundings).await,
            }
        })
    }
}

async fn list(
    args: &ListArgs,
    clients: &Clients,
    surroundings: &mut Surroundings<'_>,
) -> Result<(), Failure> {
    let queue = Queue::new(clients, &args.from);
    let (mut seen, mut rows) = (BTreeSet::new(), Vec::new());
    while rows.len() < args.limit {
        let received = queue.receive(1).await.map_err(failed)?;
        let fresh: Vec<Received> =
            received.into_iter().filter(|one| seen.insert(one.message.id.clone())).collect();
        if fresh.is_empty() {
            break;
        }
        rows.extend(fresh.iter().map(|received| {
            let Received { message, receptions, .. } = received;
            vec![message.id.clone(), receptions.to_string(), content(&message.body)]
        }));
    }
    if rows.is_empty() {
        surroundings.note("there are no messages, or somebody else is looking at them");
        return Ok(());
    }
    rows.truncate(args.limit);
    surroundings.say(&table::table(&["message", "receptions", "content"], &rows))
}

async fn redrive(
    args: &RedriveArgs,
    clients: &Clients,
    surroundings: &mut Surroundings<'_>,
) -> Result<(), Failure> {
    let (from, to) = (Queue::new(clients, &args.from), Queue::new(clients, &args.to));
    let (mut seen, mut moved, mut left) = (BTreeSet::new(), 0, 0);
    while moved < args.limit {
        let received = from.receive(1).await.map_err(failed)?;
        let fresh: Vec<Received> =
            received.into_iter().filter(|one| seen.insert(one.message.id.clone())).collect();
        if fresh.is_empty() {
            break;
        }
        for Received { message, receipt, .. } in fresh.into_iter().take(args.limit - moved) {
            if !args.all && clicks(&message.body).is_none() {
                left += 1;
                continue;
            }
            // In this order: a message that is in both queues is counted once, one in none is lost.
            to.send(&message.body).await.map_err(failed)?;
            from.delete([receipt.as_str()]).await.map_err(failed)?;
            moved += 1;
        }
    }
    if left > 0 {
        surroundings
            .note(&format!("{left} messages are no clicks and stay (--all takes them too)"));
    }
    surroundings.say(&format!("{moved} messages put back"))
}

/// What a message is, for people.
fn content(body: &str) -> String {
    match clicks(body) {
        Some((source, first, count)) => {
            format!("clicks {first} to {} of source {source:016x}", first + count - 1)
        }
        None => format!("no clicks: {}", table::clipped(body, 40)),
    }
}

/// Source, first number and count of a batch of clicks.
fn clicks(body: &str) -> Option<(u64, u64, u64)> {
    let bytes = STANDARD.decode(body.trim()).ok()?;
    let batch = Batch::parse(&bytes).ok()?;
    let id = batch.id();
    Some((id.source, id.first_sequence, batch.count())).filter(|(.., count)| *count > 0)
}

fn failed(error: StoreError) -> Failure {
    Failure::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use waypost_wire::click::{BatchWriter, Click};

    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let mut batch = BatchWriter::new(7, 40);
        for _ in 0..3 {
            batch.push(&Click::default());
        }
        let body = STANDARD.encode(batch.finish());
        assert_eq!(content(&body), "clicks 40 to 42 of source 0000000000000007");
        assert_eq!(content("poison"), "no clicks: poison");
        assert_eq!(content(&"x".repeat(50)).chars().count(), "no clicks: ".len() + 40);
        assert_eq!(clicks(""), None);
    }
}
