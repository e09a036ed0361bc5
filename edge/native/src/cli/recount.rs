use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use waypost_service::counting::window::Span;
use waypost_service::time;
use waypost_wire::time::Timestamp;

use super::client::{Call, Client, Remote};
use super::failure::Failure;
use super::progress;
use super::surroundings::Surroundings;
use super::table::{grouped, table};

const EXAMPLES: &str = "\
Examples:
  waypost recount --from 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z

Counts full hours (UTC) that are closed again, from raw clicks and by the rules of the server's
version: after an update that tells people and bots apart better, for example. This writes over the
statistics of these hours. Hours whose raw clicks are deleted, or that are kept by day only, stay as
they are.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RecountArgs {
    /// Time from which on to count again, with its offset
    #[arg(long, value_name = "TIME", value_parser = at)]
    from: Timestamp,
    /// Time before which to stop; not in the future
    #[arg(long, value_name = "TIME", value_parser = at)]
    until: Timestamp,
    #[command(flatten)]
    remote: Remote,
}

/// What the server answers about a slice, and the sum of all of them.
#[derive(Default, Deserialize, Serialize)]
struct Report {
    from: String,
    until: String,
    hours: u64,
    changed_windows: u64,
    gone_hours: u64,
    not_possible_hours: u64,
}

impl RecountArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        if self.until <= self.from {
            return Err(Failure::Usage("--from is not before --until".to_owned()));
        }
        let client = self.remote.client(surroundings)?;
        let slices = self.slices();
        let bar = progress::bar(surroundings, slices.len() as u64).with_message("counting again");
        let mut report = Report::default();
        // The latest first: if it is in the future, the server refuses before anything is done.
        for (from, until) in slices.into_iter().rev() {
            report = report.after(slice(&client, from, until)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        match self.remote.json {
            true => surroundings.say(&json!(report).to_string()),
            false => report.show(surroundings),
        }
    }

    /// The span in parts of at most a day, the most that the server takes at once. All start at a
    /// full hour, so that none is counted twice.
    fn slices(&self) -> Vec<(Timestamp, Timestamp)> {
        let mut slices = Vec::new();
        let mut from = Span::Hour.start(self.from);
        while from < self.until {
            let until = from.plus_ms(Span::Day.ms()).min(self.until);
            slices.push((from, until));
            from = until;
        }
        slices
    }
}

fn slice(client: &Client, from: Timestamp, until: Timestamp) -> Result<Report, Failure> {
    let body = json!({"from": time::format(from), "until": time::format(until)});
    let body = Some(body.to_string().into_bytes());
    let path = &["stats", "recount"];
    client.api(&Call { method: "POST", path, body, ..Call::default() })?.read()
}

impl Report {
    /// One report of this one and that of the slice before it.
    fn after(self, earlier: Self) -> Self {
        Self {
            until: if self.until.is_empty() { earlier.until } else { self.until },
            from: earlier.from,
            hours: self.hours + earlier.hours,
            changed_windows: self.changed_windows + earlier.changed_windows,
            gone_hours: self.gone_hours + earlier.gone_hours,
            not_possible_hours: self.not_possible_hours + earlier.not_possible_hours,
        }
    }

    fn show(&self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let rows = [
            (self.hours, "hours asked for"),
            (self.changed_windows, "windows of ten minutes changed"),
            (self.gone_hours, "hours left as they are: their raw clicks are deleted"),
            (self.not_possible_hours, "hours left as they are: not closed, or kept by day"),
        ]
        .map(|(count, what)| vec![grouped(count), what.to_owned()]);
        surroundings.say(&format!("from {} until {}\n", self.from, self.until))?;
        surroundings.say(&table(&["count", "what"], &rows))
    }
}

fn at(text: &str) -> Result<Timestamp, String> {
    time::parse(text).ok_or_else(|| "expected a time like 2026-11-01T00:00:00Z".to_owned())
}
