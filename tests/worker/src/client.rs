//! Visitors: requests as bytes, on connections that are used again.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use waypost_tests::wire::Raw;

use crate::http1::{Message, Untold, Wire};

/// Longest wait for an answer; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends requests to one address.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    idle: Mutex<Vec<Wire>>,
}

impl Client {
    /// One without connections yet.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    /// Sends the bytes of a request and reads the whole answer, with lower-case names of headers
    /// and without what frames the body.
    ///
    /// # Errors
    /// There was no whole answer.
    pub async fn send(&self, request: &[u8]) -> Result<Raw, String> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        exchange.map_err(|_| "no answer for a long time".to_owned())?
    }

    async fn exchange(&self, request: &[u8]) -> Result<Raw, String> {
        // The other side may have closed an idle connection meanwhile: then nothing comes.
        loop {
            let idle = self.idle().pop();
            let Some(mut wire) = idle else { break };
            if let Ok(Some(message)) = exchange(&mut wire, request).await {
                return self.finish(wire, message);
            }
        }
        let stream = TcpStream::connect(self.address).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let mut wire = Wire::new(stream);
        match exchange(&mut wire, request).await {
            Ok(Some(message)) => self.finish(wire, message),
            Ok(None) => Err("the connection was closed without an answer".to_owned()),
            Err(error) => Err(error),
        }
    }

    fn finish(&self, wire: Wire, message: Message) -> Result<Raw, String> {
        if message.header("connection") != Some("close") {
            self.idle().push(wire);
        }
        let status = message.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        let is_framing = |name: &str| matches!(name, "connection" | "transfer-encoding");
        Ok(Raw {
            status: status.ok_or_else(|| format!("no status in {:?}", message.start))?,
            headers: message.headers.into_iter().filter(|(name, _)| !is_framing(name)).collect(),
            body: message.body,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Wire>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn exchange(wire: &mut Wire, request: &[u8]) -> Result<Option<Message>, String> {
    let untold = match request.starts_with(b"HEAD ") {
        true => Untold::Never,
        false => Untold::UntilClosed,
    };
    // An answer may come before the whole request was taken.
    let sent = wire.send(request).await;
    match (wire.receive(untold).await, sent) {
        (Ok(Some(message)), _) => Ok(Some(message)),
        (_, Err(error)) | (Err(error), Ok(())) => Err(text(error)),
        (Ok(None), Ok(())) => Ok(None),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
