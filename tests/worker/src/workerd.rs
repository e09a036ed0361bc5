//! The runtime of Cloudflare Workers as a process of its own, with the built Worker behind the
//! entry module of tests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The header of a request whose value is `request.cf`, as JSON.
pub const CF_HEADER: &str = "x-test-cf";

/// Longest wait for workerd to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs workerd, and kills it as soon as nobody holds the other end of its standard input, or when
/// it is told to end itself: not even a test that is killed leaves one behind. Standard output is
/// given to workerd alone, so that its end is seen.
const GUARD: &str = r#"
"$@" </dev/null & child=$!
trap 'kill -9 $child' EXIT
trap exit HUP INT TERM
exec >&-
read -r _
kill -9 $child
wait $child
"#;

const SOCKETS: [&str; 3] = ["proxy", "host", "control"];

/// A running workerd. It is killed when it is dropped.
#[derive(Debug)]
pub struct Workerd {
    /// Where requests name their whole address in the first line, which is then the Worker's
    /// `request.url`.
    pub proxy: SocketAddr,
    /// Where requests have a path in the first line, and a `Host`.
    pub host: SocketAddr,
    /// The entry point `control` of `js/entry.js`.
    pub control: SocketAddr,
    guard: Option<ChildStdin>,
    child: Child,
    folder: TempDir,
}

/// Which build of the Worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Build {
    /// What is deployed: `edge/worker/build.sh`.
    #[default]
    Deployed,
    /// With the feature `inject`: `edge/worker/build.sh --features inject --out-dir
    /// <repository>/target/edge/inject`.
    Inject,
}

impl Build {
    /// The folder of the built Worker: WAYPOST_WORKER_DIR, WAYPOST_WORKER_INJECT_DIR, or where
    /// the commands above put it.
    pub fn folder(self) -> PathBuf {
        let (variable, default) = match self {
            Self::Deployed => ("WAYPOST_WORKER_DIR", "edge/worker/build/worker"),
            Self::Inject => ("WAYPOST_WORKER_INJECT_DIR", "target/edge/inject/worker"),
        };
        std::env::var_os(variable).map_or_else(|| repository().join(default), PathBuf::from)
    }
}

impl Workerd {
    /// Starts one; everything that the Worker asks goes to `behind`.
    ///
    /// # Errors
    /// What is missing, or what workerd said.
    pub async fn start(build: Build, behind: SocketAddr) -> Result<Self, String> {
        let folder = TempDir::new().map_err(text)?;
        let modules = copy_modules(build, folder.path())?;
        let config = config(&modules, behind)?;
        fs::write(folder.path().join("config.capnp"), config).map_err(text)?;
        let log = fs::File::create(folder.path().join("stderr.log")).map_err(text)?;
        let mut child = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(program()?)
            .args(["serve", "--control-fd=1", "config.capnp"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(text)?;
        let guard = child.stdin.take();
        let said = child.stdout.take().ok_or("no standard output")?;
        let ports = tokio::time::timeout(PATIENCE, ports(said)).await;
        let Some(ports) = ports.ok().flatten() else {
            let said = fs::read_to_string(folder.path().join("stderr.log")).unwrap_or_default();
            return Err(format!("workerd does not start: {said}"));
        };
        let address = |name: &str| SocketAddr::from(([127, 0, 0, 1], ports[name]));
        let [proxy, host, control] = SOCKETS.map(address);
        Ok(Self { proxy, host, control, guard, child, folder })
    }

    /// Kills it, as a machine that loses its power would, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn kill(mut self) -> Result<(), String> {
        drop(self.guard.take());
        self.child.wait().await.map(drop).map_err(text)
    }

    /// What it said of its own troubles.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr.log")).unwrap_or_default()
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program: WAYPOST_WORKERD, or the one in the cache of tools.
fn program() -> Result<PathBuf, String> {
    if let Some(program) = std::env::var_os("WAYPOST_WORKERD") {
        return Ok(program.into());
    }
    let cache = std::env::var_os("WAYPOST_CACHE");
    let cache = cache.map_or_else(|| repository().join(".cache"), PathBuf::from);
    let folders = fs::read_dir(&cache).into_iter().flatten().flatten();
    let mut found: Vec<_> = folders
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("npm-"))
        .map(|entry| entry.path().join("bin/workerd"))
        .filter(|program| program.exists())
        .collect();
    found.sort_by_key(|program| fs::metadata(program).and_then(|its| its.modified()).ok());
    found.pop().ok_or_else(|| {
        format!("there is no workerd in {}: tests/setup/npm.sh fetches it", cache.display())
    })
}

/// Copies the modules to where their configuration is; their names, the main one first.
fn copy_modules(build: Build, to: &Path) -> Result<Vec<String>, String> {
    let js = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
    let mut modules = Vec::new();
    let mut copy = |from: PathBuf| {
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copied = fs::copy(&from, to.join(&name));
        copied.map_err(|error| format!("{}: {error}", from.display()))?;
        modules.push(name);
        Ok::<_, String>(())
    };
    for name in ["entry.js", "before.js"] {
        copy(js.join(name))?;
    }
    let built = build.folder();
    let missing = |error| format!("{}: {error}; edge/worker/build.sh makes it", built.display());
    for entry in fs::read_dir(&built).map_err(missing)? {
        let path = entry.map_err(text)?.path();
        if path.extension().is_some_and(|its| its == "mjs" || its == "js" || its == "wasm") {
            copy(path)?;
        }
    }
    Ok(modules)
}

#[derive(Debug, Deserialize)]
struct Deployment {
    compatibility_date: String,
    #[serde(default)]
    compatibility_flags: Vec<String>,
}

fn config(modules: &[String], behind: SocketAddr) -> Result<String, String> {
    let deployed = fs::read_to_string(repository().join("wrangler.toml"))
        .map_err(|error| format!("wrangler.toml: {error}"))?;
    let deployed: Deployment = toml::from_str(&deployed).map_err(text)?;
    let mut list = String::new();
    for name in modules {
        let kind = if name.ends_with(".wasm") { "wasm" } else { "esModule" };
        write!(list, "(name = {name:?}, {kind} = embed {name:?}),\n    ").map_err(text)?;
    }
    Ok(format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "kv", external = (address = "{behind}", http = ())),
    (name = "out", external = (address = "{behind}", http = (style = proxy))),
  ],
  sockets = [
    (name = "proxy", address = "127.0.0.1:0", service = "worker",
      http = (style = proxy, cfBlobHeader = "{CF_HEADER}")),
    (name = "host", address = "127.0.0.1:0", service = "worker",
      http = (style = host, cfBlobHeader = "{CF_HEADER}")),
    (name = "control", address = "127.0.0.1:0", http = (),
      service = (name = "worker", entrypoint = "control")),
  ],
);
const worker :Workerd.Worker = (
  modules = [
    {list}
  ],
  bindings = [(name = "LINKS", kvNamespace = "kv")],
  compatibilityDate = {date:?},
  compatibilityFlags = {flags:?},
  globalOutbound = "out",
);
"#,
        date = deployed.compatibility_date,
        flags = deployed.compatibility_flags,
    ))
}

#[derive(Debug, Deserialize)]
struct Listening {
    socket: String,
    port: u16,
}

/// The ports of all sockets, as workerd tells them one line each. Whatever it says later is read
/// and dropped, so that it never waits for a reader.
async fn ports(said: ChildStdout) -> Option<BTreeMap<String, u16>> {
    let mut lines = BufReader::new(said).lines();
    let mut ports = BTreeMap::new();
    while ports.len() < SOCKETS.len() {
        let line = lines.next_line().await.ok().flatten()?;
        if let Ok(listening) = serde_json::from_str::<Listening>(&line) {
            ports.insert(listening.socket, listening.port);
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some(ports)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
