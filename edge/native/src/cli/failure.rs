use std::io;
use std::process::ExitCode;

use serde::Deserialize;
use waypost_service::problem::Kind;

use super::surroundings::Surroundings;
use super::table::shown;

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the parser of arguments has to say; help and version come this way too.
    Arguments(clap::Error),
    /// It was tried and did not work.
    Failed(String),
    /// The result could not be written.
    Output(io::Error),
    /// The server refused.
    Problem(Box<ProblemDocument>),
    /// It did not work, and all is said.
    Reported,
    /// It was asked for in a wrong way.
    Usage(String),
}

/// A problem document (RFC 9457) as any version of the API may write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ProblemDocument {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    pub(super) status: u16,
    detail: String,
    instance: String,
    errors: Vec<FieldFault>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct FieldFault {
    pointer: String,
    detail: String,
    expected: String,
}

impl Failure {
    /// Says what went wrong; answers the exit code.
    pub(super) fn report(self, surroundings: &mut Surroundings<'_>) -> ExitCode {
        self.tell(surroundings);
        match self {
            Self::Arguments(error) if !error.use_stderr() => ExitCode::SUCCESS,
            Self::Arguments(_) | Self::Usage(_) => ExitCode::from(WRONG_USE),
            Self::Failed(_) | Self::Output(_) | Self::Problem(_) | Self::Reported => {
                ExitCode::from(FAILED)
            }
        }
    }

    /// Says what went wrong.
    pub(super) fn tell(&self, surroundings: &mut Surroundings<'_>) {
        match self {
            Self::Arguments(error) => tell_of_arguments(error, surroundings),
            Self::Failed(text) | Self::Usage(text) => surroundings.note(&format!("error: {text}")),
            // The reader has seen enough, as `head` has.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Self::Output(error) => {
                surroundings.note(&format!("error: cannot write the result: {error}"));
            }
            Self::Problem(problem) => surroundings.note(&problem.text()),
            Self::Reported => {}
        }
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Arguments(error) => error.to_string(),
            Self::Failed(text) | Self::Usage(text) => text.clone(),
            Self::Output(error) => error.to_string(),
            Self::Problem(problem) => problem.line(),
            Self::Reported => String::new(),
        }
    }
}

fn tell_of_arguments(error: &clap::Error, surroundings: &mut Surroundings<'_>) {
    let is_terminal = match error.use_stderr() {
        true => surroundings.stderr_is_terminal,
        false => surroundings.stdout_is_terminal,
    };
    let rendered = error.render();
    let text = match surroundings.colours(is_terminal) {
        true => rendered.ansi().to_string(),
        false => rendered.to_string(),
    };
    match error.use_stderr() {
        true => surroundings.note(text.trim_end()),
        // Help that nobody reads was not asked for.
        false => drop(surroundings.say(text.trim_end())),
    }
}

impl ProblemDocument {
    /// For people: what, where, what would be right, what to do.
    fn text(&self) -> String {
        let title = if self.title.is_empty() { "the server refused" } else { &self.title };
        let mut lines = vec![format!("error: {} ({})", shown(title), self.status)];
        let is_new = |detail: &&String| self.errors.is_empty() && !detail.is_empty();
        lines
            .extend(Some(&self.detail).filter(is_new).map(|detail| format!("  {}", shown(detail))));
        lines.extend(self.errors.iter().map(|fault| format!("  {}", fault.text())));
        // Where fields are at fault, they say what to do.
        let is_ours = |kind: &Kind| self.errors.is_empty() && kind.uri() == self.kind;
        let kind = Kind::ALL.into_iter().find(is_ours);
        lines.extend(kind.map(|kind| format!("  {}", kind.about().advice)));
        if self.status >= 500 && !self.instance.is_empty() {
            lines.push(format!("  The server's log knows this as {}", shown(&self.instance)));
        }
        lines.join("\n")
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        match self.errors.as_slice() {
            [] if self.detail.is_empty() => format!("{} ({})", self.title, self.status),
            [] => self.detail.clone(),
            faults => faults.iter().map(FieldFault::text).collect::<Vec<_>>().join("; "),
        }
    }
}

impl FieldFault {
    fn text(&self) -> String {
        let place = match self.pointer.trim_start_matches('/') {
            "" => "the request",
            place => place,
        };
        shown(&format!("{place}: {}; expected {}", self.detail, self.expected))
    }
}
