use clap::Args;
use serde_json::{Value, json};

use super::client::{Call, Remote};
use super::failure::Failure;
use super::surroundings::Surroundings;
use super::{progress, table};

const EXAMPLES: &str = "\
Examples:
  waypost cleanup --dry-run
  waypost cleanup

The server cleans up every day by itself (`waypost serve --help`: --cleanup-at). This does it now.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CleanupArgs {
    /// Only report what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
}

impl CleanupArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let body = json!({"dry_run": self.dry_run}).to_string().into_bytes();
        let spinner = progress::spinner(surroundings, "cleaning up");
        let call = Call { method: "POST", path: &["cleanup"], body: Some(body), ..Call::default() };
        let answer = client.api(&call);
        spinner.finish_and_clear();
        let answer = answer?;
        if self.remote.json {
            return surroundings.say(&answer.json());
        }
        let mut rows = Vec::new();
        flatten("", &answer.read()?, &mut rows);
        surroundings.say(&table::pairs(&rows))
    }
}

/// Every number, text and yes or no of a report with the words that lead to it.
fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let below = |part: &str| match name {
        "" => part.replace('_', " "),
        name => format!("{name}: {}", part.replace('_', " ")),
    };
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| flatten(name, item, rows));
        }
        Value::Bool(value) => {
            let word = if *value { "yes" } else { "no" };
            rows.push((name.to_owned(), word.to_owned()));
        }
        Value::Null => {}
        Value::Number(number) => rows.push((name.to_owned(), number.to_string())),
        Value::Object(fields) => {
            fields.iter().for_each(|(part, value)| flatten(&below(part), value, rows));
        }
        Value::String(text) => rows.push((name.to_owned(), text.clone())),
    }
}
