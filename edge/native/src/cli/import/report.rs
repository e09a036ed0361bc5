//! What an import found and did, for people and for programs.

use std::path::Path;

use serde::Serialize;

use super::check::{Checked, Finding};
use super::files::Extended;
use super::read::Sheet;
use super::send::Outcome;
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;
use crate::cli::table::{clipped, grouped, table};

/// Widest text of a finding on a terminal.
const FINDING_CHARS: usize = 70;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: String,
    rows: usize,
    empty_rows: usize,
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
    created: Vec<Made>,
    failed: Vec<Failed>,
    /// Rows whose fate is not known: to be sent again.
    unknown: usize,
    /// Where the failed rows are.
    failed_file: Option<String>,
    #[serde(skip)]
    faulty_rows: usize,
    #[serde(skip)]
    stopped: Option<Failure>,
}

/// A row that made a link, now or in an earlier run.
#[derive(Debug, Serialize)]
struct Made {
    line: u64,
    short_url: String,
    #[serde(skip)]
    index: usize,
}

/// A row that made none.
#[derive(Debug, Serialize)]
struct Failed {
    line: u64,
    reason: String,
    #[serde(skip)]
    index: usize,
    #[serde(skip)]
    idempotency_key: String,
}

impl Report {
    pub(super) fn new(file: String, sheet: &Sheet) -> Self {
        Self {
            file,
            rows: sheet.rows.len(),
            empty_rows: sheet.empty_rows,
            faults: Vec::new(),
            warnings: Vec::new(),
            created: Vec::new(),
            failed: Vec::new(),
            unknown: 0,
            failed_file: None,
            faulty_rows: 0,
            stopped: None,
        }
    }

    /// Takes what the dry run found.
    pub(super) fn checked(&mut self, rows: &[Checked]) {
        self.faults = rows.iter().flat_map(|row| row.faults.clone()).collect();
        self.warnings = rows.iter().flat_map(|row| row.warnings.clone()).collect();
        self.faulty_rows = rows.iter().filter(|row| !row.faults.is_empty()).count();
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Why not all rows were sent.
    pub(super) fn stopped(&mut self, why: Option<Failure>) {
        self.stopped = why;
    }

    /// Takes what became of row number `index`.
    pub(super) fn outcome(&mut self, index: usize, row: &Checked, key: &str, outcome: Outcome) {
        let line = row.row.line;
        match outcome {
            Outcome::Created { short_url } => self.created.push(Made { line, short_url, index }),
            Outcome::Refused { reason } => {
                let idempotency_key = key.to_owned();
                self.failed.push(Failed { line, reason, index, idempotency_key });
            }
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// The rows that made a link, with its address.
    pub(super) fn made<'a>(&'a self, rows: &'a [Checked]) -> Vec<Extended<'a>> {
        let extended = |made: &'a Made| {
            Some(Extended { row: &rows.get(made.index)?.row, added: vec![&made.short_url] })
        };
        self.created.iter().filter_map(extended).collect()
    }

    /// The rows that failed, with key and reason.
    pub(super) fn failed_rows<'a>(&'a self, rows: &'a [Checked]) -> Vec<Extended<'a>> {
        let extended = |failed: &'a Failed| {
            let added = vec![failed.idempotency_key.as_str(), failed.reason.as_str()];
            Some(Extended { row: &rows.get(failed.index)?.row, added })
        };
        self.failed.iter().filter_map(extended).collect()
    }

    pub(super) fn failed_file(&mut self, path: &Path) {
        self.failed_file = Some(path.display().to_string());
    }

    /// Every row did what it should.
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
            && self.failed.is_empty()
            && self.unknown == 0
            && self.stopped.is_none()
    }
}

impl Report {
    /// Shows what the dry run found.
    pub(super) fn show_findings(&self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let cut = |text: &str| match surroundings.stdout_is_terminal {
            true => clipped(text, FINDING_CHARS),
            false => text.to_owned(),
        };
        let row = |(finding, word): (&Finding, &str)| {
            let Finding { line, column, problem, expected } = finding;
            let column = if column.is_empty() { "(row)" } else { column };
            vec![line.to_string(), word.to_owned(), column.to_owned(), cut(problem), cut(expected)]
        };
        let faults = self.faults.iter().map(|finding| (finding, "fault"));
        let warnings = self.warnings.iter().map(|finding| (finding, "warning"));
        let rows: Vec<_> = faults.chain(warnings).map(row).collect();
        if !rows.is_empty() {
            surroundings.say(&table(&["line", "", "column", "problem", "expected"], &rows))?;
            surroundings.say("")?;
        }
        if !self.warnings.is_empty() {
            surroundings.note("Warnings are about what the server's settings may allow or not.");
        }
        Ok(())
    }

    /// Shows what came of it all.
    pub(super) fn show_outcome(
        &self,
        apply: bool,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<(), Failure> {
        if let Some(failure) = &self.stopped {
            failure.tell(surroundings);
        }
        let rows = grouped(self.rows as u64);
        let file = &self.file;
        let faulty = grouped(self.faulty_rows as u64);
        let was_sent = self.created.len() + self.failed.len() + self.unknown > 0;
        let line = match (self.has_faults(), apply) {
            (true, _) if !was_sent => {
                format!("{file}: {faulty} of {rows} rows have faults. Nothing was created.")
            }
            (false, false) => format!(
                "{file}: {rows} rows, no faults found here. Nothing was created; to create \
                 the links, add --apply."
            ),
            _ => format!(
                "{file}: {created} of {rows} rows have their link, {failed} failed, {unknown} \
                 were not finished.",
                created = grouped(self.created.len() as u64),
                failed = grouped(self.failed.len() as u64),
                unknown = grouped(self.unknown as u64),
            ),
        };
        surroundings.say(&line)?;
        if self.empty_rows > 0 {
            surroundings
                .say(&format!("Empty rows left out: {}.", grouped(self.empty_rows as u64)))?;
        }
        if let Some(failed) = &self.failed_file {
            surroundings
                .say(&format!("The failed rows, each with its reason, are in {failed}."))?;
        }
        if self.unknown > 0 {
            surroundings.say("Run the same command again to finish; no link is made twice.")?;
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> String {
        // Strings and numbers always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
