use clap::Args;

use super::super::config::DataDirectory;
use super::super::failure::Failure;
use super::super::surroundings::Surroundings;
use crate::export::Source;

const EXAMPLES: &str = "\
Examples:
  waypost edge keys
  waypost edge keys --data-dir /var/lib/waypost

One line, the value of waypost_edge_keys. Hand it over without showing it:
  $ waypost edge keys | npx wrangler secret put WAYPOST_EDGE_KEYS --env production
  $ spin up --variable waypost_edge_keys=\"$(waypost edge keys)\"

Whoever has it can forge codes and cookies, read every link, and add clicks.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct KeysArgs {
    #[command(flatten)]
    data: DataDirectory,
}

impl KeysArgs {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let directory = self.data.path(surroundings)?;
        let secrets = Source::open(&directory)
            .and_then(|source| source.secrets())
            .map_err(|error| Failure::Failed(error.to_string()))?;
        if surroundings.stdout_is_terminal {
            surroundings.note("warning: these are secrets, and the terminal may keep them");
        }
        surroundings.say(&secrets.to_edge_line())
    }
}
