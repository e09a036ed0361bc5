//! `waypost doctor`: looks at everything that has ever gone wrong, and says what to do about it.

mod check;
mod data;
mod database;
mod server;
mod windows;

use clap::Args;
use serde_json::json;
use waypost_service::ambient::Clock;

use super::client::base_url;
use super::config::DataDirectory;
use super::failure::Failure;
use super::progress;
use super::surroundings::Surroundings;
use super::table::table;

use check::{Check, Verdict};

const EXAMPLES: &str = "\
Examples:
  waypost doctor
  waypost doctor --data-dir /var/lib/waypost
  waypost doctor --url http://127.0.0.1:8080

Without --url, the data directory is checked; with it, the running server, and the data directory
as well if --data-dir names one. No link and no number is changed. Exit code 1 if any check fails.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    data: DataDirectory,
    /// Address of a running server to check
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// API key for the numbers of a server on another machine [env: WAYPOST_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let now = surroundings.ambient.now();
        let mut checks = Vec::new();
        if self.url.is_none() || self.data.is_given() {
            let directory = self.data.path(surroundings)?;
            let spinner = progress::spinner(surroundings, "reading the database");
            let sealing = self.data.sealing(surroundings).map_err(|failure| failure.line());
            checks.extend(data::checks(&directory, now, &sealing));
            spinner.finish_and_clear();
        }
        if let Some(url) = &self.url {
            let key = self.key.as_deref().or_else(|| surroundings.variable("WAYPOST_KEY"));
            checks.extend(server::checks(base_url(url)?, key, now));
        }
        match self.json {
            true => surroundings.say(&json!({"checks": checks}).to_string())?,
            false => show(&checks, surroundings)?,
        }
        match checks.iter().any(|check| check.verdict == Verdict::Fail) {
            true => Err(Failure::Reported),
            false => Ok(()),
        }
    }
}

fn show(checks: &[Check], surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
    let row = |check: &Check| {
        vec![check.verdict.word().to_owned(), check.name.clone(), check.found.clone()]
    };
    let rows: Vec<_> = checks.iter().map(row).collect();
    surroundings.say(&table(&["", "check", "found"], &rows))?;
    for check in checks {
        if let Some(advice) = &check.advice {
            surroundings.note(&format!("{}: {advice}", check.name));
        }
    }
    Ok(())
}
