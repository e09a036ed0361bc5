//! HTTP as bytes on a socket: what is sent is sent as it is, what comes back is taken apart and
//! not interpreted.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The status.
    pub status: u16,
    /// Names as sent, and values, in order.
    pub headers: Vec<(String, String)>,
    /// Everything behind the headers.
    pub body: Vec<u8>,
}

impl Raw {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` on a connection of its own and reads until the server closes it; the request
/// should ask for that with `connection: close`.
///
/// # Errors
/// What went wrong with the socket or the answer.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Result<Raw, String> {
    let mut stream = TcpStream::connect(address).await.map_err(text)?;
    stream.write_all(request).await.map_err(text)?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.map_err(text)?;
    parse(&received)
}

/// Takes an answer apart.
///
/// # Errors
/// It is none.
pub fn parse(received: &[u8]) -> Result<Raw, String> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n");
    let end =
        end.ok_or_else(|| format!("no end of headers in {:?}", String::from_utf8_lossy(received)))?;
    let head = std::str::from_utf8(&received[..end]).map_err(text)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Ok(Raw {
        status: status.ok_or("no status")?,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: received[end + 4..].to_vec(),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
