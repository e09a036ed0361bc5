//! Processes of the binary, over tables and a queue of their own.

use std::net::{SocketAddr, TcpListener};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use waypost_aws::clients::Clients;
use waypost_aws::schema::Names;
use waypost_tests::wire::{Raw, exchange};
use waypost_tests_aws::emulator::Emulator;

const KEY: &str = "the-admin-key-of-tests";
const SECRET: &str = "one-secret-that-all-the-nodes-of-tests-share";
/// Longest wait for anything: the worker looks every ten seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// Tables, a bucket and a queue.
pub(crate) struct Installation {
    clients: Clients,
    names: Names,
    clicks: String,
    url: String,
    seal_keys: String,
}

/// A process that answers HTTP.
pub(crate) struct Node {
    address: SocketAddr,
    process: Process,
}

/// A process.
pub(crate) struct Process {
    child: Child,
    _directory: TempDir,
}

impl Installation {
    pub(crate) async fn new(emulator: &Emulator) -> Self {
        let (clients, names) = emulator.tables().await;
        let clicks = create_queue(&clients, &format!("{}-clicks", names.links)).await;
        Self { clients, names, clicks, url: emulator.url(), seal_keys: String::new() }
    }

    /// Processes seal links with these keys from now on.
    pub(crate) fn seal_with(&mut self, keys: &str) {
        keys.clone_into(&mut self.seal_keys);
    }

    /// Starts a node and waits until it is well.
    pub(crate) async fn node(&self) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let process = self.start("serve", &address.to_string());
        let node = Node { address, process };
        until("the node is well", async || {
            let health =
                exchange(address, b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            health.await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        node
    }

    /// Starts a worker.
    pub(crate) fn worker(&self) -> Process {
        self.start("worker", "127.0.0.1:0")
    }

    /// Runs a command to its end; what it said.
    pub(crate) async fn run(&self, args: &[&str]) -> String {
        let done = self.configured().args(args).output().await.expect("it runs");
        let said = String::from_utf8(done.stdout).expect("text");
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        said
    }

    /// A new queue.
    pub(crate) async fn queue(&self, name: &str) -> String {
        create_queue(&self.clients, &format!("{}-{name}", self.names.links)).await
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) {
        let call = self.clients.sqs.send_message().queue_url(queue).message_body(body);
        call.send().await.expect("sent");
    }

    /// Makes messages that somebody looked at visible again.
    pub(crate) async fn show_again(&self, queue: &str) {
        until("the messages are there again", async || self.messages(queue).await == 2).await;
    }

    /// Messages that can be received from a queue.
    pub(crate) async fn messages(&self, queue: &str) -> usize {
        let mut found = 0;
        loop {
            let call = self.clients.sqs.receive_message().queue_url(queue);
            let call = call.visibility_timeout(0).max_number_of_messages(10);
            let messages = call.send().await.expect("an answer").messages.unwrap_or_default();
            if messages.len() <= found {
                return found;
            }
            found = messages.len();
        }
    }

    fn start(&self, command: &str, listen: &str) -> Process {
        let directory = TempDir::new().expect("a directory");
        let mut process = self.configured();
        process
            .arg(command)
            .env("WAYPOST_LISTEN", listen)
            .env("WAYPOST_DATA_DIR", directory.path());
        let child = process.spawn().expect("it starts");
        Process { child, _directory: directory }
    }

    /// The program with the settings of all processes.
    fn configured(&self) -> Command {
        let mut command = self.command();
        command
            .env("WAYPOST_STORE", "dynamodb")
            .env("WAYPOST_SEAL_KEYS", &self.seal_keys)
            .env("WAYPOST_LINKS_TABLE", &self.names.links)
            .env("WAYPOST_CONTROL_TABLE", &self.names.control)
            .env("WAYPOST_COUNTERS_TABLE", &self.names.counters)
            .env("WAYPOST_RAW_BUCKET", &self.names.raw_bucket)
            .env("WAYPOST_CLICKS_QUEUE_URL", &self.clicks)
            .env("WAYPOST_KEYS", SECRET)
            .env("WAYPOST_ADMIN_KEY", KEY)
            .env("WAYPOST_PUBLIC_URL", "http://go.example")
            .env("WAYPOST_LOG_LEVEL", "warn");
        command
    }

    fn command(&self) -> Command {
        let program = std::env::var("WAYPOST_AWS_BINARY").unwrap_or_else(|_| {
            panic!(
                "WAYPOST_AWS_BINARY must name the binary: run `tests/run aws`, or\n  \
                 cargo build -p waypost-native --features aws"
            )
        });
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

impl Node {
    /// Calls it, with the admin key where the API is.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Raw {
        self.call_as(KEY, method, path, body).await
    }

    /// Calls it with a key.
    pub(crate) async fn call_as(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Raw {
        let body = body.map_or_else(String::new, ToString::to_string);
        let host = if path.starts_with("/api/") { "api.example" } else { "go.example" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        exchange(self.address, request.as_bytes()).await.expect("an answer")
    }

    pub(crate) async fn stop(self) -> ExitStatus {
        self.process.stop().await
    }
}

impl Process {
    /// Asks it to end, and waits.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(told.expect("kill runs").success());
        self.child.wait().await.expect("it ends")
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.child.start_kill().expect("it runs");
    }
}

async fn create_queue(clients: &Clients, name: &str) -> String {
    let created = clients.sqs.create_queue().queue_name(name);
    // What a killed worker had received is there again after five seconds.
    let visibility = waypost_aws::testing::visibility_seconds(5);
    let created = created.set_attributes(Some(visibility)).send().await.expect("a queue");
    created.queue_url.expect("its address")
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
