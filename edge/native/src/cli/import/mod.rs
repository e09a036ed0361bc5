//! `waypost import`: read the file, check every row, then create what is fine.

mod check;
mod columns;
mod files;
mod read;
mod report;
mod send;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::{Digest, Sha256};
use waypost_service::ambient::Clock;

use super::client::{Client, Remote};
use super::failure::Failure;
use super::progress;
use super::surroundings::Surroundings;

use check::{Checked, Finding};
use report::Report;
use send::{Creation, Outcome};

const EXAMPLES: &str = "\
Examples:
  waypost import links.csv
  waypost import links.csv --apply
  waypost import links.csv --apply --skip-faulty --output made.csv

The file is CSV in UTF-8, with , ; or tabs between cells. Its first line names the columns:
  destination (needed), slug, domain, title, tags (with | or , between), notes, status, starts_at,
  expires_at, expired_destination, max_clicks, forward_query, forward_path, utm_source, utm_medium,
  utm_campaign, utm_term, utm_content, ios_destination, android_destination, preview_title,
  preview_description, preview_image, external_id, password, keep, disabled, idempotency_key

Without --apply nothing is sent: every row is checked by the code of the server, as far as that is
possible without its settings and its links. With --apply, rows that the server refuses are written
to FILE.failed.csv with the reason; correct them there and import that file. If an import is cut
off, run it again within 24 hours: rows that made a link make no second one, as long as the file is
the same.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// CSV file to read
    file: PathBuf,
    /// Create the links
    #[arg(long)]
    apply: bool,
    /// Create the links of the other rows if some are faulty
    #[arg(long, requires = "apply")]
    skip_faulty: bool,
    /// Leave out columns that are not known
    #[arg(long)]
    ignore_unknown: bool,
    /// File to write the rows to that made a link, with their short URLs; must not exist
    #[arg(long, value_name = "FILE", requires = "apply")]
    output: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl ImportArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = match self.apply {
            true => Some(self.remote.client(surroundings)?),
            false => None,
        };
        if let Some(path) = self.output.as_deref().filter(|path| path.exists()) {
            return Err(Failure::Usage(format!("{} exists; choose another name", path.display())));
        }
        let name = self.file.display().to_string();
        let bytes = fs::read(&self.file)
            .map_err(|error| Failure::Failed(format!("cannot read {name}: {error}")))?;
        let sheet = read::read(&bytes, self.ignore_unknown).map_err(|faults| {
            Failure::Failed(format!("{name} cannot be imported:\n  {}", faults.join("\n  ")))
        })?;
        let header = sheet.header.clone();
        let mut report = Report::new(name, &sheet);
        let rows = check::check(sheet, surroundings.ambient.now());
        report.checked(&rows);
        if !self.remote.json {
            report.show_findings(surroundings)?;
        }
        if let Some(client) = client.filter(|_| self.skip_faulty || !report.has_faults()) {
            self.create(&client, &bytes, &header, &rows, &mut report, surroundings)?;
        }
        match self.remote.json {
            true => surroundings.say(&report.to_json())?,
            false => report.show_outcome(self.apply, surroundings)?,
        }
        match report.is_good() {
            true => Ok(()),
            false => Err(Failure::Reported),
        }
    }

    /// Creates the links of all rows without faults, and writes down what became of them.
    fn create(
        &self,
        client: &Client,
        bytes: &[u8],
        header: &[String],
        rows: &[Checked],
        report: &mut Report,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), Failure> {
        let keys = keys(bytes, rows);
        let sent: Vec<_> =
            rows.iter().zip(&keys).filter(|(row, _)| row.faults.is_empty()).collect();
        let creations: Vec<_> = sent
            .iter()
            .map(|(row, key)| Creation { body: &row.body, idempotency_key: key.as_str() })
            .collect();
        let bar =
            progress::bar(surroundings, creations.len() as u64).with_message("creating links");
        let (outcomes, stopped) = send::send(client, &creations, &bar, surroundings.pause);
        bar.finish_and_clear();
        report.stopped(stopped);
        let mut outcomes = outcomes.into_iter();
        for (index, (row, key)) in rows.iter().zip(&keys).enumerate() {
            let outcome = match row.faults.as_slice() {
                [] => outcomes.next().unwrap_or(Outcome::Unknown),
                faults => Outcome::Refused { reason: reason(faults) },
            };
            report.outcome(index, row, key, outcome);
        }
        let written = |path: &Path, columns: &[&str], rows: &[files::Extended<'_>]| {
            files::write(path, &self.file, header, columns, rows).map_err(|error| {
                Failure::Failed(format!("cannot write {}: {error}", path.display()))
            })
        };
        if let Some(path) = &self.output {
            written(path, &["short_url"], &report.made(rows))?;
        }
        let failed = report.failed_rows(rows);
        if !failed.is_empty() {
            let path = files::failed_path(&self.file);
            written(&path, &files::FAILED_COLUMNS, &failed)?;
            report.failed_file(&path);
        }
        Ok(())
    }
}

/// Why a row was not sent, in one cell; the line leads back to the file.
fn reason(faults: &[Finding]) -> String {
    let told = faults.iter().map(|fault| {
        let Finding { line, column, problem, expected } = fault;
        let place = if column.is_empty() { String::new() } else { format!("{column}: ") };
        format!("line {line}: {place}{problem}; expected {expected}")
    });
    told.collect::<Vec<_>>().join(". ")
}

/// The idempotency key of each row: the file's own, or one that follows from the file and the
/// row's place in it.
fn keys(bytes: &[u8], rows: &[Checked]) -> Vec<String> {
    let digest = Sha256::digest(bytes);
    let file = hex::encode(&digest[..16]);
    let key = |(index, row): (usize, &Checked)| match &row.key {
        Some(key) => key.clone(),
        None => format!("import-{file}-{}", index + 1),
    };
    rows.iter().enumerate().map(key).collect()
}
