//! Starting and ending the program, and waiting for what it does in its own time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Client, get};

/// The program under test: the one that cargo builds before these tests, or another build of it
/// that `WAYPOST_TEST_PROGRAM` names.
fn program() -> OsString {
    let other = std::env::var_os("WAYPOST_TEST_PROGRAM");
    other.unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_waypost")))
}

/// Most time that anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The admin key of every installation but those that make their own.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests-0123456789";

/// A moment that comes soon, but not before a request made now has arrived on a busy machine.
pub(crate) fn soon() -> String {
    (jiff::Timestamp::now() + Duration::from_secs(2)).to_string()
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < deadline, "still waiting for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A data directory and settings. Servers run on it one after another.
#[derive(Debug)]
pub(crate) struct Installation {
    directory: TempDir,
    settings: BTreeMap<&'static str, String>,
}

impl Installation {
    /// With an admin key, a public name, geography from headers, and any free port.
    pub(crate) fn new() -> Self {
        let mut installation = Self {
            directory: tempfile::tempdir().expect("a directory"),
            settings: BTreeMap::new(),
        };
        installation.set("WAYPOST_LISTEN", "127.0.0.1:0");
        installation.set("WAYPOST_ADMIN_KEY", ADMIN_KEY);
        installation.set("WAYPOST_PUBLIC_URL", "http://go.example");
        installation.set("WAYPOST_TRUSTED_PROXIES", "127.0.0.1/32");
        installation.set("WAYPOST_GEO_HEADERS", "true");
        installation.set("WAYPOST_LOG_FORMAT", "json");
        installation.set("WAYPOST_FOLD_UNDER", "0");
        // Tests ask as often as they can.
        installation.set("WAYPOST_API_REQUESTS_PER_MINUTE", "0");
        installation
    }

    /// Changes a setting for servers started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.insert(name, value.to_owned());
    }

    /// Leaves a setting to its default.
    pub(crate) fn unset(&mut self, name: &'static str) {
        self.settings.remove(name);
    }

    /// Where it is started.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the program keeps everything.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Where its clicks wait for the database.
    pub(crate) fn journal(&self) -> PathBuf {
        self.data_dir().join("journal")
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data_dir().join(waypost_native::sqlite::FILE_NAME)
    }

    /// The program with these settings, no others, in a directory without a settings file.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .env("WAYPOST_DATA_DIR", self.data_dir())
            .envs(&self.settings)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same with more variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).output().expect("the program runs")
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn start(&self) -> Server {
        let mut child = self
            .command(&[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = Stream::of(child.stdout.take().expect("its output"));
        let log = Stream::of(child.stderr.take().expect("its log"));
        let mut server = Server {
            child: Some(child),
            client: Client::new(SocketAddr::from(([127, 0, 0, 1], 0)), None),
            stdout,
            log,
        };
        let key = self.settings.get("WAYPOST_ADMIN_KEY");
        server.client = Client::new(server.listening(), key.cloned());
        wait_for("/health", || (server.ask(&get("/health")).ok()?.status == 200).then_some(()));
        server
    }
}

/// What a process writes, line by line.
#[derive(Debug)]
struct Stream {
    /// Locked, so that threads can share a server.
    lines: Mutex<Receiver<String>>,
    whole: Option<JoinHandle<String>>,
}

impl Stream {
    /// Reads to the end, beside everything else, so that the process never waits for its reader.
    fn of(from: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut text = String::new();
            for line in BufReader::new(from).lines() {
                let line = line.expect("text");
                text += &line;
                text.push('\n');
                // The test may be over.
                let _ = sender.send(line);
            }
            text
        });
        Self { lines: Mutex::new(lines), whole: Some(thread) }
    }

    /// The next line that answers the question.
    fn next<T>(&self, what: &str, question: impl Fn(&str) -> Option<T>) -> T {
        let lines = self.lines.lock().expect("the lines");
        loop {
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {what}"));
            if let Some(answer) = question(&line) {
                return answer;
            }
        }
    }

    /// Everything, once the process has ended.
    fn whole(&mut self) -> String {
        self.whole.take().expect("a stream").join().expect("its text")
    }
}

/// What an ended server has left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it logged.
    pub(crate) log: String,
}

/// A running server, and a client of it; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Option<Child>,
    client: Client,
    stdout: Stream,
    log: Stream,
}

impl Server {
    fn listening(&self) -> SocketAddr {
        self.log.next("line that tells where it listens", |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            event["address"].as_str().filter(|_| event["message"] == "listening")?.parse().ok()
        })
    }

    /// The next line it prints that answers the question.
    pub(crate) fn printed<T>(&self, what: &str, question: impl Fn(&str) -> Option<T>) -> T {
        self.stdout.next(what, question)
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Gives it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        kill_process(Pid::from_child(child), signal).expect("a signal");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        self.end()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }

    fn end(&mut self) -> Ended {
        let mut child = self.child.take().expect("a running server");
        let status = wait_for("the end of the server", || child.try_wait().expect("a status"));
        Ended { status, stdout: self.stdout.whole(), log: self.log.whole() }
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_none() {
            return;
        }
        self.signal(Signal::KILL);
        let ended = self.end();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", ended.log);
        }
    }
}
