//! The command line: starts the server, or talks to one, or works on its data directory.
//!
//! In scope: reading arguments, calling the API, showing answers, importing files. Out of scope:
//! everything a server does; what `serve` means is handed in.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
//! 2 wrong use.

mod arguments;
mod backup;
mod cleanup;
mod client;
mod config;
#[cfg(feature = "aws")]
mod dlq;
mod doctor;
mod edge;
mod failure;
mod import;
mod keys;
mod link;
mod progress;
mod recount;
mod reseal;
mod restore;
mod seal_keys;
mod serve;
mod stats;
mod surroundings;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

use waypost_host::settings::Settings;

use arguments::Command;
use failure::Failure;

pub use surroundings::Surroundings;

/// Runs `waypost` with the arguments and in the surroundings of this process; `args` begins with
/// the program's name. `serve` is what starts a server.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Settings) -> ExitCode,
) -> ExitCode {
    Surroundings::with_process(|surroundings| run_in(args, surroundings, serve))
}

/// Like [`run`], in any surroundings.
pub fn run_in(
    args: impl IntoIterator<Item = OsString>,
    surroundings: &mut Surroundings<'_>,
    serve: impl FnOnce(Settings) -> ExitCode,
) -> ExitCode {
    let done = match arguments::parse(args) {
        Ok(Command::Serve(args)) => match args.settings(surroundings) {
            // The server owns the terminal from here on.
            Ok(settings) => return serve(settings),
            Err(failure) => Err(failure),
        },
        #[cfg(feature = "aws")]
        Ok(Command::Worker(args)) => match args.settings(surroundings) {
            Ok(settings) => return crate::worker::run(settings),
            Err(failure) => Err(failure),
        },
        Ok(command) => dispatch(command, surroundings),
        Err(error) => Err(Failure::Arguments(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(surroundings),
    }
}

fn dispatch(command: Command, surroundings: &mut Surroundings<'_>) -> Result<(), Failure> {
    match command {
        Command::Backup(args) => args.run(surroundings),
        Command::Cleanup(args) => args.run(surroundings),
        #[cfg(feature = "aws")]
        Command::Dlq(command) => command.run(surroundings),
        Command::Doctor(args) => args.run(surroundings),
        Command::Edge(command) => command.run(surroundings),
        Command::Import(args) => args.run(surroundings),
        Command::Keys(command) => command.run(surroundings),
        Command::Link(command) => command.run(surroundings),
        Command::Recount(args) => args.run(surroundings),
        Command::Reseal(args) => args.run(surroundings),
        Command::Restore(args) => args.run(surroundings),
        Command::SealKeys(command) => command.run(surroundings),
        Command::Serve(args) => args.settings(surroundings).map(drop),
        #[cfg(feature = "aws")]
        Command::Worker(args) => args.settings(surroundings).map(drop),
        Command::Stats(args) => args.run(surroundings),
    }
}
