//! A minimal HTTP/1.1 client on one keep-alive connection. It supports only what answers of arkloop and of the servers beside
//! it use, so that the load generator takes less CPU time than the server.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::chunked;

/// More than any answer of arkloop except its OpenAPI document. A longer answer is an error.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A serialized request, which can be sent repeatedly.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// Serializes a request; `fields` are headers in addition to those that every request has, and `body` is JSON or empty.
    pub(crate) fn new(method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: arkloop-load\r\n");
        for (name, value) in fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            text.push_str("Content-Type: application/json\r\n");
        }
        let length = body.len().to_string();
        text.extend(["Content-Length: ", &length, "\r\n\r\n", body]);
        Self(text.into_bytes())
    }
}

/// The parts of an answer that visitors use.
pub(crate) struct Response {
    /// The status.
    pub(crate) status: u16,
    /// The name and value of the cookie that was set.
    pub(crate) cookie: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    /// Connects to a server.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.received.clear();
        self.stream.write_all(&request.0).await?;
        let body_start = loop {
            match self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.receive().await?,
            }
        };
        let head = Head::parse(&self.received[..body_start])?;
        let (body, end) = match head.content_length {
            Some(length) => self.sized_body(body_start, length).await?,
            None => self.chunked_body(body_start).await?,
        };
        if self.received.len() > end {
            return Err(unreadable("more than one answer to one request"));
        }
        Ok(Response {
            status: head.status,
            cookie: head.cookie,
            body,
        })
    }

    /// The body of a known length, and where it ends.
    async fn sized_body(&mut self, start: usize, length: usize) -> io::Result<(Vec<u8>, usize)> {
        let end = start.saturating_add(length);
        while self.received.len() < end {
            self.receive().await?;
        }
        Ok((self.received[start..end].to_vec(), end))
    }

    /// The body of an answer in chunks, and where it ends.
    async fn chunked_body(&mut self, start: usize) -> io::Result<(Vec<u8>, usize)> {
        loop {
            if let Some((body, length)) = chunked::decode(&self.received[start..])? {
                return Ok((body, start + length));
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        if self.received.len() > MAX_ANSWER_BYTES {
            return Err(unreadable("an answer that is too long"));
        }
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The status line and the headers of an answer, as far as they are used.
struct Head {
    status: u16,
    /// `None` if the body comes in chunks.
    content_length: Option<usize>,
    cookie: Option<String>,
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable("an answer that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .ok_or_else(|| unreadable("an answer without a status"))?;
        let mut head = Self {
            status,
            content_length: Some(0),
            cookie: None,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                let length = value.parse();
                head.content_length = Some(length.map_err(|_| unreadable("a length that is no number"))?);
            } else if name.eq_ignore_ascii_case("set-cookie") {
                head.cookie = value.split(';').next().map(str::to_owned);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.content_length = None;
            }
        }
        Ok(head)
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}
