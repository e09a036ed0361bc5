use clap::Args;

use super::name::LinkName;
use super::view::LinkView;
use crate::cli::client::{Call, Remote};
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;

const EXAMPLES: &str = "\
Examples:
  waypost link show summer
  waypost link show summer --domain go.example.com
  waypost link show http://127.0.0.1:8080/summer --json";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    link: LinkName,
    #[command(flatten)]
    remote: Remote,
}

impl ShowArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let answer = self.link.call(&client, None, &Call::default())?;
        match self.remote.json {
            true => surroundings.say(&answer.json()),
            false => surroundings.say(&answer.read::<LinkView>()?.details()),
        }
    }
}
