//! The native server in this process: the real program on a socket, with a clock of the test's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use waypost_host::ambient::Ambient;
use waypost_host::settings::Settings;
use waypost_native::serve::{self, StartError};

use crate::wire::{self, Raw};

/// The admin key of every test server.
pub const KEY: &str = "the-admin-key-of-tests";

/// A running server; it ends with [`Server::stop`], or is cut off with the test.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its data is.
    pub directory: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StartError>>,
}

impl Server {
    /// Starts one with the given settings, by key, and the system's clock.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_at(settings, Ambient::system()).await
    }

    /// Starts one with another clock.
    ///
    /// # Panics
    /// If it does not start.
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub async fn start_at(settings: &[(&str, &str)], ambient: Ambient) -> Self {
        let directory = TempDir::new().expect("a directory");
        let settings = read(settings, directory.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            // Either way it is over.
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve::start(settings, ambient, listener, shutdown));
        Self { address, directory, stop, task }
    }

    /// Lets it end gracefully.
    ///
    /// # Panics
    /// If it ended badly.
    #[expect(clippy::expect_used, reason = "a server that ends badly fails its test")]
    pub async fn stop(self) -> TempDir {
        drop(self.stop);
        self.task.await.expect("no panic").expect("a good end");
        self.directory
    }

    /// Sends one request with these headers, and a body.
    ///
    /// # Panics
    /// If there is no answer.
    #[expect(clippy::expect_used, reason = "no answer fails the test")]
    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Raw {
        let mut request = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request.push_str("host: 127.0.0.1\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        wire::exchange(self.address, request.as_bytes()).await.expect("an answer")
    }

    /// Calls the API with the admin key.
    pub async fn api(&self, line: &str, body: &str) -> Raw {
        let authorization = format!("Bearer {KEY}");
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.send(line, &headers, body).await
    }
}

#[expect(clippy::panic, reason = "faulty settings of a test fail it")]
fn read(settings: &[(&str, &str)], directory: &Path) -> Settings {
    let mut flags: BTreeMap<String, String> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    flags.insert("data_dir".to_owned(), directory.display().to_string());
    flags.entry("admin_key".to_owned()).or_insert_with(|| KEY.to_owned());
    // Tests ask as often as they can.
    flags.entry("api_requests_per_minute".to_owned()).or_insert_with(|| "0".to_owned());
    Settings::read(&flags, &BTreeMap::new(), None).unwrap_or_else(|faults| panic!("{faults:?}"))
}
