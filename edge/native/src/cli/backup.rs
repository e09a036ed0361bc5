use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;

use crate::backup::{Progress, backup};

use super::config::DataDirectory;
use super::failure::Failure;
use super::surroundings::Surroundings;
use super::{progress, table};

const EXAMPLES: &str = "\
Examples:
  waypost backup waypost-backup.db
  waypost backup --data-dir /var/lib/waypost /mnt/backups/waypost.db

The server may run meanwhile. The copy is one file, as the database was at one moment, and checked
from end to end. It holds hashes of passwords and keys: keep it as safe as the database.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// File to write; must not exist
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    data: DataDirectory,
}

impl BackupArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let directory = self.data.path(surroundings)?;
        let bar = progress::bar(surroundings, 0);
        let copied = backup(&directory, &self.to, &mut |progress| show(&bar, progress));
        bar.finish_and_clear();
        let bytes = copied.map_err(|error| Failure::Failed(error.to_string()))?;
        let bytes = table::grouped(bytes);
        surroundings.say(&format!("{} is written and checked: {bytes} bytes", self.to.display()))
    }
}

/// Shows how far a copy has come.
pub(super) fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Checking => bar.set_message("checking"),
        Progress::Copying { pages, of_pages } => {
            bar.set_message("copying pages");
            bar.set_length(of_pages.into());
            bar.set_position(pages.into());
        }
    }
}
