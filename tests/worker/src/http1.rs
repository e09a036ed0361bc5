//! HTTP/1.1 as bytes on a socket, for both sides: what is sent is sent as it is, what comes is
//! taken apart and not interpreted. Only what workerd sends is understood.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest message; more is a fault of the test.
const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The first line, without its end.
    pub start: String,
    /// Lower-case names, and values.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Message {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str())
    }
}

/// How the length of a body is found where no header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// There is no body: requests.
    Empty,
    /// There is none although headers may tell of one: answers to HEAD.
    Never,
    /// It lasts as long as the connection.
    UntilClosed,
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Takes a connected socket.
    pub const fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits until the other side closes the connection.
    pub async fn closed(&mut self) {
        let mut bytes = [0; 1024];
        while matches!(self.stream.read(&mut bytes).await, Ok(1..)) {}
    }

    /// The next message; `None` if the other side closed the connection instead.
    ///
    /// # Errors
    /// The socket's, or the connection ended within the message.
    pub async fn receive(&mut self, untold: Untold) -> io::Result<Option<Message>> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut message = Message { start, headers, body: Vec::new() };
        message.body = self.body(&message, untold).await?;
        Ok(Some(message))
    }

    async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let rest = self.buffer.split_off(end + 4);
                let head = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(String::from_utf8_lossy(&head[..end]).into_owned()));
            }
            if !self.more().await? {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(cut()),
                };
            }
        }
    }

    async fn body(&mut self, message: &Message, untold: Untold) -> io::Result<Vec<u8>> {
        if untold == Untold::Never {
            return Ok(Vec::new());
        }
        if message.header("transfer-encoding") == Some("chunked") {
            return self.chunks().await;
        }
        match (message.header("content-length").and_then(|length| length.parse().ok()), untold) {
            (Some(length), _) => self.take(length).await,
            (None, Untold::UntilClosed) => {
                while self.more().await? {}
                Ok(std::mem::take(&mut self.buffer))
            }
            (None, _) => Ok(Vec::new()),
        }
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer, b"\r\n") {
                    break self.take(end + 2).await?;
                }
                if !self.more().await? {
                    return Err(cut());
                }
            };
            let digits = std::str::from_utf8(&line).unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| cut())?;
            let mut chunk = self.take(length + 2).await?;
            chunk.truncate(length);
            if chunk.is_empty() {
                return Ok(body);
            }
            body.append(&mut chunk);
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(cut());
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads more; `false` at the end.
    async fn more(&mut self) -> io::Result<bool> {
        if self.buffer.len() > MESSAGE_MAX_BYTES {
            return Err(io::Error::other("the message is too long"));
        }
        self.buffer.reserve(16 * 1024);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the message was cut off")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
