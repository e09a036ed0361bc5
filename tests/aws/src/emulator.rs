//! The emulator: one process for each test program, tables of its own for each test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypost_aws::clients::Clients;
use waypost_aws::schema::Names;
use waypost_aws::testing::create_all;

/// Longest start: it takes a third of a second on an idle machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A running emulator. It ends with the program that started it.
#[derive(Debug)]
pub struct Emulator {
    port: u16,
    _child: Reaped,
}

/// Ends its process when the program ends in order.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

static SHARED: OnceLock<Emulator> = OnceLock::new();
static TESTS: AtomicU32 = AtomicU32::new(0);

impl Emulator {
    /// The emulator of this test program, started by whoever asks first.
    ///
    /// # Panics
    /// If `WAYPOST_AWS_EMULATOR` does not name its program (`tests/run aws` does), or if it does
    /// not start.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }

    /// Starts another one.
    ///
    /// # Panics
    /// As [`Emulator::shared`].
    pub fn start() -> Self {
        let program = std::env::var("WAYPOST_AWS_EMULATOR").unwrap_or_else(|_| {
            panic!(
                "WAYPOST_AWS_EMULATOR must name the emulator: run `tests/run aws`, or\n  \
                 eval \"$(tests/setup/aws-tools.sh)\""
            )
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        // It ends with this program, whatever ends that: a shell waits for the end of its input.
        let script = format!("{program:?} & read -r _; kill $!");
        let child = Command::new("/bin/sh")
            .args(["-c", &script])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", std::env::temp_dir())
            .env("BIND_HOST", "127.0.0.1")
            .env("IOT_MTLS_ENABLED", "0")
            .env("GATEWAY_PORT", port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the emulator starts");
        let emulator = Self { port, _child: Reaped(child) };
        emulator.wait();
        emulator
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait(&self) {
        let since = Instant::now();
        // On a thread of its own: the caller may be on a runtime.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    while !is_healthy(self.port).await {
                        assert!(since.elapsed() < START_MAX, "the emulator does not answer");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            });
        });
    }

    /// Clients of it.
    pub async fn clients(&self) -> Clients {
        Clients::of(&waypost_aws::testing::config(&self.url()).await)
    }

    /// Clients, and tables and a bucket that nobody else uses.
    pub async fn tables(&self) -> (Clients, Names) {
        let clients = self.clients().await;
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        let names = Names::with_prefix(&format!("t{number}"));
        create_all(&clients, &names).await.expect("new tables");
        (clients, names)
    }
}

async fn is_healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let ask = b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if stream.write_all(ask).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}
