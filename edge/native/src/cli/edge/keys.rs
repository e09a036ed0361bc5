use clap::Args;

use super::super::config::DataDirectory;
use super::super::failure::Failure;
use super::super::surroundings::Surroundings;
use crate::export::Source;
use waypost_host::keys::Keys;

const EXAMPLES: &str = "\
Examples:
  waypost edge keys
  waypost edge keys --data-dir /var/lib/waypost
  waypost edge keys --secret-stdin

One line, the value of waypost_edge_keys. Hand it over without showing it:
  $ waypost edge keys | npx wrangler secret put WAYPOST_EDGE_KEYS --env production
  $ spin up --variable waypost_edge_keys=\"$(waypost edge keys)\"

On AWS the keys come from a secret; whoever may read it makes the line of it:
  $ aws secretsmanager get-secret-value --secret-id ARN --query SecretString --output text | waypost edge keys --secret-stdin

Whoever has it can forge codes and cookies, read every link, and add clicks.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct KeysArgs {
    #[command(flatten)]
    data: DataDirectory,
    /// Take them from the secret, or all keys in one line, on standard input
    #[arg(long, conflicts_with_all = ["data_dir", "config"])]
    secret_stdin: bool,
}

impl KeysArgs {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let keys = match self.secret_stdin {
            true => Keys::read(&surroundings.line()?)
                .map_err(|fault| Failure::Usage(format!("these are no keys: {fault}")))?,
            false => {
                let directory = self.data.path(surroundings)?;
                Source::open(&directory)
                    .and_then(|source| source.secrets())
                    .map_err(|error| Failure::Failed(error.to_string()))?
            }
        };
        if surroundings.stdout_is_terminal {
            surroundings.note("warning: these are secrets, and the terminal may keep them");
        }
        surroundings.say(&keys.to_edge_line())
    }
}
