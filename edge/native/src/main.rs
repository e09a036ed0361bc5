//! The program `waypost`: everything is in the library, so that tests can call it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    waypost_native::cli::run(std::env::args_os(), waypost_native::serve::run)
}
