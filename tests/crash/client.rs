//! A small HTTP client that tells a request that was never sent from one whose outcome is unknown.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

/// Longer than any server takes that is alive.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub bearer: Option<&'a str>,
    pub cookie: Option<&'a str>,
    pub body: Option<Value>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The refresh token that the answer sets.
    pub cookie: Option<String>,
    pub trace_id: String,
    pub retry_after: Option<String>,
    pub body: Value,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answered(Answer),
    /// No connection was made: it did nothing.
    Unsent,
    /// The connection was lost: it took effect, or it did not.
    Lost,
}

impl<'a> Request<'a> {
    pub const fn post(path: &'a str) -> Self {
        Self {
            method: "POST",
            path,
            bearer: None,
            cookie: None,
            body: None,
        }
    }

    pub const fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            bearer: None,
            cookie: None,
            body: None,
        }
    }

    pub const fn bearer(mut self, token: &'a str) -> Self {
        self.bearer = Some(token);
        self
    }

    pub const fn cookie(mut self, cookie: &'a str) -> Self {
        self.cookie = Some(cookie);
        self
    }

    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn send(&self, address: &str) -> Reply {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return Reply::Unsent;
        };
        self.converse(&mut stream, address)
            .map_or(Reply::Lost, Reply::Answered)
    }

    fn converse(&self, stream: &mut TcpStream, address: &str) -> Option<Answer> {
        let body = self.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nuser-agent: crash harness\r\n",
            self.method, self.path
        );
        if let Some(token) = self.bearer {
            let _ = write!(head, "authorization: Bearer {token}\r\n");
        }
        if let Some(cookie) = self.cookie {
            let _ = write!(head, "cookie: arkloop_refresh_token={cookie}\r\n");
        }
        if self.body.is_some() {
            head += "content-type: application/json\r\n";
        }
        let _ = write!(head, "content-length: {}\r\n\r\n{body}", body.len());
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        let mut response = Vec::new();
        match stream.read_to_end(&mut response) {
            // A killed server resets connections, also after a whole answer.
            Err(error) if error.kind() != ErrorKind::ConnectionReset => None,
            _ => Answer::parse(&String::from_utf8(response).ok()?),
        }
    }
}

impl Answer {
    /// `None` unless the answer is whole: what was cut off is in doubt.
    fn parse(response: &str) -> Option<Self> {
        let (head, body) = response.split_once("\r\n\r\n")?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        if body.len() < length {
            return None;
        }
        let cookie = header("set-cookie").and_then(|cookie| {
            let value = cookie.strip_prefix("arkloop_refresh_token=")?;
            Some(value.split(';').next()?.to_owned())
        });
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            cookie: cookie.filter(|value| !value.is_empty()),
            trace_id: header("x-trace-id").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        })
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("-")
    }

    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code, which is what a report shows: bodies have tokens in them.
    pub fn brief(&self) -> String {
        format!("{} {} (trace {})", self.status, self.code(), self.trace_id)
    }

    /// The id of the session that the access token in the answer belongs to.
    pub fn session_id(&self) -> Option<String> {
        let token = self.body["access_token"].as_str()?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        Some(claims["sid"].as_str()?.to_owned())
    }
}
