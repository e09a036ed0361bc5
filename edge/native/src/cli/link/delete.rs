use clap::Args;

use super::name::LinkName;
use super::view::LinkView;
use crate::cli::client::{Call, Remote};
use crate::cli::failure::Failure;
use crate::cli::surroundings::Surroundings;
use crate::cli::table::shown;

const EXAMPLES: &str = "\
Examples:
  waypost link delete summer
  waypost link delete summer --yes

The slug answers 410 until its quarantine ends. To stop a link for a while, disable it instead. On
a terminal, the link is shown and confirmation is asked for; elsewhere it is not.";

#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    link: LinkName,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

impl DeleteArgs {
    pub(super) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        let client = self.remote.client(surroundings)?;
        let mut etag = None;
        if surroundings.stdin_is_terminal && !self.yes {
            let answer = self.link.call(&client, None, &Call::default())?;
            let link: LinkView = answer.read()?;
            if !surroundings.confirm(&format!("Delete {}?", shown(&link.summary())))? {
                return Err(Failure::Failed("nothing was deleted".to_owned()));
            }
            // What is deleted is what was shown.
            etag = answer.etag;
        }
        let headers: Vec<_> = etag.iter().map(|etag| ("if-match", etag.as_str())).collect();
        let call = Call { method: "DELETE", headers: &headers, ..Call::default() };
        let answer = self.link.call(&client, None, &call)?;
        match self.remote.json {
            // A success without content has no JSON.
            true if answer.body.is_empty() => Ok(()),
            true => surroundings.say(&answer.json()),
            false => surroundings.say(&format!("{} is deleted", shown(&self.link.parts().0))),
        }
    }
}
