//! What an operator hands to edges.

mod config;
mod export;
mod keys;
mod push;

use clap::{Subcommand, ValueEnum};

use super::failure::Failure;
use super::surroundings::Surroundings;

const EXAMPLES: &str = "\
Examples:
  waypost edge config
  waypost edge keys
  waypost edge export --format wrangler
  waypost edge push https://go.example

The server may run meanwhile. With --data-dir or --config, they read what the server reads.";

/// Edges far from the server.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) enum Command {
    /// Print the variables of edges, from the settings of the server
    Config(config::ConfigArgs),
    /// Write all links in the form that a store of edges is filled with
    Export(export::ExportArgs),
    /// Print the keys that edges share with the server; keep them secret
    Keys(keys::KeysArgs),
    /// Send all links to an edge that fills its own store
    Push(push::PushArgs),
}

/// What an edge runs on, for the spelling of its variables.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// Spin, variables in lower case
    Spin,
    /// Cloudflare Workers, variables in upper case
    Wrangler,
}

impl Command {
    pub(in crate::cli) fn run(self, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
        match self {
            Self::Config(args) => args.run(surroundings),
            Self::Export(args) => args.run(surroundings),
            Self::Keys(args) => args.run(surroundings),
            Self::Push(args) => args.run(surroundings),
        }
    }
}
