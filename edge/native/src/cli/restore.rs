use std::path::PathBuf;

use clap::Args;

use crate::backup::{BackupError, restore};

use super::backup::show;
use super::config::DataDirectory;
use super::failure::Failure;
use super::surroundings::Surroundings;
use super::{progress, table};

const EXAMPLES: &str = "\
Examples:
  waypost restore waypost-backup.db
  waypost restore waypost-backup.db --data-dir /var/lib/waypost --replace

The server must not run. The backup is checked from end to end before anything is replaced.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RestoreArgs {
    /// Backup to read
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Replace the database that is there; it is lost
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    data: DataDirectory,
}

impl RestoreArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let directory = self.data.path(surroundings)?;
        let bar = progress::bar(surroundings, 0);
        let mut shown = |progress| show(&bar, progress);
        let restored = restore(&self.from, &directory, self.replace, &mut shown);
        bar.finish_and_clear();
        let bytes = restored.map_err(|error| match error {
            BackupError::Exists { path } => {
                Failure::Failed(format!("{} exists: --replace replaces it", path.display()))
            }
            other => Failure::Failed(other.to_string()),
        })?;
        let bytes = table::grouped(bytes);
        surroundings.say(&format!("{} is restored: {bytes} bytes", directory.display()))
    }
}
