use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use waypost_host::ambient::Ambient;
use waypost_host::settings::Settings;
use waypost_native::cli::{Surroundings, run_in};
use waypost_wire::time::Timestamp;

use crate::stub::Stub;

/// When all tests run: 2026-11-21T07:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_244_400_000);

/// A run of the program to come.
#[derive(Clone, Default)]
pub(crate) struct Waypost {
    environment: BTreeMap<String, String>,
    stdin: String,
    is_terminal: bool,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: ExitCode,
    /// The result; what is no UTF-8 in it, replaced.
    pub(crate) out: String,
    /// The result.
    pub(crate) bytes: Vec<u8>,
    pub(crate) err: String,
    /// What the server would have been started with.
    pub(crate) served: Option<Settings>,
}

impl Waypost {
    /// Without any environment variable.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Calls `stub` with the key `k`.
    pub(crate) fn calling(stub: &Stub) -> Self {
        Self::new().variable("WAYPOST_URL", &stub.url()).variable("WAYPOST_KEY", "k")
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.to_owned();
        self
    }

    /// A person reads, answers and watches.
    pub(crate) fn on_terminal(mut self) -> Self {
        self.is_terminal = true;
        self
    }

    pub(crate) fn run(self, args: &[&str]) -> Done {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut served = None;
        let args = std::iter::once("waypost").chain(args.iter().copied()).map(OsString::from);
        let mut surroundings = Surroundings {
            environment: self.environment,
            stdin: &mut self.stdin.as_bytes(),
            stdout: &mut out,
            stderr: &mut err,
            stdin_is_terminal: self.is_terminal,
            stdout_is_terminal: self.is_terminal,
            stderr_is_terminal: false,
            ambient: Ambient::with_clock(|| NOW),
            pause: |_| {},
        };
        let code = run_in(args, &mut surroundings, |settings| {
            served = Some(settings);
            ExitCode::from(42)
        });
        let err = String::from_utf8(err).expect("UTF-8");
        Done { code, out: String::from_utf8_lossy(&out).into_owned(), bytes: out, err, served }
    }
}

impl Done {
    /// The run succeeded without a word beside the result; answers the result.
    #[track_caller]
    pub(crate) fn quietly(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (ExitCode::SUCCESS, ""), "{}", self.out);
        self.out
    }

    /// The run ended with `code` and without a result; answers what it said.
    #[track_caller]
    pub(crate) fn refused(self, code: u8) -> String {
        assert_eq!((self.code, self.out.as_str()), (ExitCode::from(code), ""), "{}", self.err);
        self.err
    }
}
