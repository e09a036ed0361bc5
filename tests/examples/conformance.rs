//! Prints what became of all cases on every host that ran them, as their tests left it, and fails
//! if one of them is not like the others.

use std::process::ExitCode;

use waypost_tests::report;

fn main() -> ExitCode {
    match report::table(&report::folder()) {
        Ok((table, is_right)) => {
            print!("{table}");
            if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{}: {error}", report::folder().display());
            ExitCode::FAILURE
        }
    }
}
