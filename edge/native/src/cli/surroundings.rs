use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use waypost_host::ambient::Ambient;

use super::failure::Failure;

/// What a command has around it: values and streams, so that tests can bring their own.
pub struct Surroundings<'a> {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Answers to questions, and passwords.
    pub stdin: &'a mut dyn BufRead,
    /// Results.
    pub stdout: &'a mut dyn Write,
    /// Everything else.
    pub stderr: &'a mut dyn Write,
    /// A person answers.
    pub stdin_is_terminal: bool,
    /// A person reads the results.
    pub stdout_is_terminal: bool,
    /// A person watches.
    pub stderr_is_terminal: bool,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Lets time pass before another attempt.
    pub pause: fn(Duration),
}

impl Surroundings<'_> {
    /// Runs `command` in the surroundings of this process.
    pub(super) fn with_process(
        command: impl FnOnce(&mut Surroundings<'_>) -> ExitCode,
    ) -> ExitCode {
        let variables = std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        command(&mut Surroundings {
            environment: variables.collect(),
            // Not locked: a server that is started from here may write as well.
            stdin: &mut io::BufReader::new(io::stdin()),
            stdout: &mut io::stdout(),
            stderr: &mut io::stderr(),
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            ambient: Ambient::system(),
            pause: thread::sleep,
        })
    }

    /// The value of an environment variable; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// Writes a line of the result.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.stdout, "{line}").map_err(Failure::Output)
    }

    /// Writes a line beside the result. If nobody can read it any more, so be it.
    pub(super) fn note(&mut self, line: &str) {
        let _ = writeln!(self.stderr, "{line}");
    }

    /// Asks a question that is answered with yes or no; anything but a yes is a no.
    pub(super) fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let _ = write!(self.stderr, "{question} [y/N] ");
        let _ = self.stderr.flush();
        let answer = self.line()?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Reads a line, without its end.
    pub(super) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.stdin
            .read_line(&mut line)
            .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Colours are for terminals whose owner did not say no (no-color.org).
    pub(super) fn colours(&self, is_terminal: bool) -> bool {
        is_terminal && self.variable("NO_COLOR").is_none()
    }
}
