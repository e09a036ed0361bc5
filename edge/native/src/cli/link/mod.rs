//! `waypost link`: one file per thing that can be done with a link.

mod change;
mod create;
mod delete;
mod explain;
mod fields;
mod list;
mod name;
mod show;
mod view;

use clap::Subcommand;

use super::failure::Failure;
use super::surroundings::Surroundings;

pub(super) use name::LinkName;

const EXAMPLES: &str = "\
Examples:
  waypost link create https://example.com/summer --slug summer --tag campaign
  waypost link list --tag campaign
  waypost link show summer
  waypost link update summer --destination https://example.com/autumn
  waypost link explain summer --country DE --user-agent 'Mozilla/5.0 (iPhone)'
  waypost link disable summer

A link is named by its slug (with --domain if it is not on the default domain), or by its whole
short URL.";

/// Links.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum Command {
    /// Make a link; prints its short URL
    Create(Box<create::CreateArgs>),
    /// Show a link
    Show(show::ShowArgs),
    /// List links
    List(list::ListArgs),
    /// Change a link
    Update(Box<change::UpdateArgs>),
    /// Switch a link off; its visitors see that it is gone
    Disable(change::DisableArgs),
    /// Switch a link on again
    Enable(change::EnableArgs),
    /// Delete a link; its slug is free again after the quarantine
    Delete(delete::DeleteArgs),
    /// Tell what a visitor would get, and why
    Explain(explain::ExplainArgs),
}

impl Command {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.run(surroundings),
            Self::Delete(args) => args.run(surroundings),
            Self::Disable(args) => args.run(surroundings),
            Self::Enable(args) => args.run(surroundings),
            Self::Explain(args) => args.run(surroundings),
            Self::List(args) => args.run(surroundings),
            Self::Show(args) => args.run(surroundings),
            Self::Update(args) => args.run(surroundings),
        }
    }
}
