use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

#[cfg(feature = "aws")]
use super::dlq;
use super::serve::ServeArgs;
use super::{backup, cleanup, doctor, edge, import, keys, link, recount, reseal, restore};
use super::{seal_keys, stats};

const ABOUT: &str = "\
Short links on your own domain: create, follow, count, clean up.

Without a command, `waypost` starts the server (see `waypost serve --help` for its settings).
link, stats, recount, cleanup, import and keys talk to a running server, at --url and with --key;
backup, restore, reseal, doctor and edge work on its data directory.";

const EXAMPLES: &str = "\
Examples:
  waypost serve --listen 127.0.0.1:8080
  waypost link create https://example.com/a/long/address
  waypost link list
  waypost stats --by country,referrer

Exit codes: 0 done, 1 failed, 2 wrong use. Colours are off when NO_COLOR is set.";

#[derive(Parser)]
#[command(
    name = "waypost",
    version,
    about = "Short links on your own domain: create, follow, count, clean up",
    long_about = ABOUT,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What `waypost` can do.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Start the server
    Serve(ServeArgs),
    /// Make, show and change links
    #[command(subcommand)]
    Link(link::Command),
    /// Show who follows a link, or all links
    Stats(stats::StatsArgs),
    /// Count closed hours again by the rules of today
    Recount(recount::RecountArgs),
    /// Remove expired and unused links, ended quarantines and old raw clicks
    Cleanup(cleanup::CleanupArgs),
    /// Copy the database, also while the server runs
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the database
    Restore(restore::RestoreArgs),
    /// Seal all links with the first key
    Reseal(Box<reseal::ResealArgs>),
    /// Create links from a CSV file; only tries it unless told otherwise
    Import(import::ImportArgs),
    /// Check a data directory and a running server
    Doctor(doctor::DoctorArgs),
    /// Print what edges far from the server need: links, keys, variables
    #[command(subcommand)]
    Edge(edge::Command),
    /// Take clicks from the queue, count and clean up, beside nodes that share a store
    #[cfg(feature = "aws")]
    Worker(ServeArgs),
    /// Look at messages that were put aside, and put them back
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make keys that links are sealed with at rest
    #[command(subcommand)]
    SealKeys(seal_keys::Command),
}

/// Reads the arguments; the first one is the program's name.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args)?;
    let arguments =
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(arguments.command.unwrap_or(Command::Serve(arguments.serve)))
}

/// The settings of the server are flags of `waypost` as well, but only the help of `serve` lists
/// them.
fn command() -> clap::Command {
    Arguments::command().mut_args(|arg| arg.hide(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        for sub in subcommands {
            leaves(sub, &format!("{path} {}", sub.get_name()), found);
        }
        found.push((path.to_owned(), help));
    }

    fn helps() -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut command = command();
        command.build();
        leaves(&command, "waypost", &mut found);
        found
    }

    #[test]
    fn arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_level_has_examples_that_parse() {
        for (path, help) in helps() {
            let examples: Vec<&str> =
                help.lines().map(str::trim).filter(|line| line.starts_with("waypost ")).collect();
            assert!(!examples.is_empty(), "{path} has no example");
            for example in examples {
                let words = shlex::split(example).expect("an example a shell can read");
                let parsed = parse(words.into_iter().map(OsString::from));
                assert!(parsed.is_ok(), "{example}\n{}", parsed.err().unwrap());
            }
        }
    }

    #[test]
    fn every_flag_says_what_it_does() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }

    #[test]
    fn without_a_command_the_server_starts() {
        for args in [&["waypost"][..], &["waypost", "--listen", "[::1]:80"], &["waypost", "serve"]]
        {
            let parsed = parse(args.iter().map(OsString::from)).expect("arguments");
            assert!(matches!(parsed, Command::Serve(_)), "{args:?}");
        }
        assert!(parse(["waypost", "--listen", "x", "stats"].map(OsString::from)).is_err());
    }
}
