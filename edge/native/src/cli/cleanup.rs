use clap::Args;
use serde_json::{Value, json};

use super::client::{Answer, Call, Client, Remote};
use super::failure::Failure;
use super::progress;
use super::surroundings::Surroundings;
use super::table::{grouped, shown, table};

const EXAMPLES: &str = "\
Examples:
  waypost cleanup --dry-run
  waypost cleanup

The server cleans up every day by itself (`waypost serve --help`: --cleanup-at). This does it now.";

/// The numbers of a report, in words.
const COUNTS: [(&str, &str); 11] = [
    ("expired", "expired links deleted"),
    ("unused", "unused links deleted"),
    ("purged", "deleted links gone for good, with their statistics"),
    ("settled", "links brought into their present state"),
    ("recompiled", "links compiled anew"),
    ("kept", "links due but kept: blocked, or not started"),
    ("skipped", "links changed meanwhile, left for the next run"),
    ("raw_batches", "batches of raw clicks forgotten"),
    ("idempotency_keys", "idempotency keys forgotten"),
    ("salts", "daily salts forgotten"),
    ("faults", "links that could not be written"),
];

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CleanupArgs {
    /// Only report what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
}

impl CleanupArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let spinner = progress::spinner(surroundings, "cleaning up");
        let report = self.report(&client);
        spinner.finish_and_clear();
        let report = report?;
        match self.remote.json {
            true => surroundings.say(&report.to_string())?,
            false => self.show(&report, surroundings)?,
        }
        match report.get("faults").and_then(Value::as_u64) {
            Some(0) | None => Ok(()),
            Some(_) => Err(Failure::Reported),
        }
    }

    /// The server cleans up slice by slice; the report is about all of them.
    fn report(&self, client: &Client) -> Result<Value, Failure> {
        let mut report = Value::Null;
        let mut cursor: Option<String> = None;
        loop {
            let slice: Value = self.slice(client, cursor.as_deref())?.read()?;
            let next = slice.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            report = merged(report, slice);
            match next {
                None => return Ok(report),
                next if next == cursor => {
                    return Err(Failure::Failed("the server repeats a slice".to_owned()));
                }
                next => cursor = next,
            }
        }
    }

    fn slice(&self, client: &Client, cursor: Option<&str>) -> Result<Answer, Failure> {
        let mut body = json!({"dry_run": self.dry_run});
        if let Some(cursor) = cursor {
            body["cursor"] = json!(cursor);
        }
        let body = Some(body.to_string().into_bytes());
        client.api(&Call { method: "POST", path: &["cleanup"], body, ..Call::default() })
    }

    fn show(&self, report: &Value, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        if self.dry_run {
            surroundings.say("Nothing was done. This is what would be done now:")?;
        }
        let count = |(name, words): (&str, &str)| {
            let count = report.get(name)?.as_u64().filter(|count| *count > 0)?;
            Some(vec![grouped(count), words.to_owned()])
        };
        let rows: Vec<_> = COUNTS.into_iter().filter_map(count).collect();
        match rows.as_slice() {
            [] => surroundings.say("There was nothing to clean up.")?,
            rows => surroundings.say(&table(&["count", "what"], rows))?,
        }
        let examples = report.get("fault_examples").and_then(Value::as_array);
        for example in examples.into_iter().flatten().filter_map(Value::as_str) {
            surroundings.note(&format!("warning: {}", shown(example)));
        }
        Ok(())
    }
}

/// One report of two: numbers add up, lists follow each other, everything else is the later one's.
fn merged(earlier: Value, later: Value) -> Value {
    match (earlier, later) {
        (Value::Array(mut items), Value::Array(more)) => {
            items.extend(more);
            Value::Array(items)
        }
        (Value::Number(count), Value::Number(more)) => {
            json!(count.as_u64().unwrap_or_default() + more.as_u64().unwrap_or_default())
        }
        (Value::Object(mut fields), Value::Object(more)) => {
            for (name, value) in more {
                let before = fields.remove(&name).unwrap_or_default();
                fields.insert(name, merged(before, value));
            }
            Value::Object(fields)
        }
        (_, later) => later,
    }
}
