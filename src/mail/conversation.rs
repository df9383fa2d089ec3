//! The client's side of SMTP: commands and their replies. The caller sets the timeouts.
//!
//! The library that formats messages has an SMTP client too. That client does not say at which stage a server refused, reads replies only as UTF-8, accepts no
//! verifier of certificates, and keeps its read buffer when STARTTLS begins TLS.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{
    AsyncBufRead as _, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio_rustls::TlsConnector;

use super::error::Failure;
use super::reply::Reply;
use crate::tls::{ClientConfig, TlsFailure, server_name};

/// The longest line of a reply. RFC 5321 §4.5.3.1.5 allows 512 bytes; some servers send more.
const MAX_LINE: u64 = 4096;
/// The most lines of a reply; servers offer about a dozen extensions.
const MAX_LINES: usize = 100;

/// The errors of a connection that the other side has closed. Timing decides which one occurs.
const CLOSED: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match TlsFailure::of_io(&error) {
            Some(failure) => Self::Tls(failure),
            None if CLOSED.contains(&error.kind()) => closed(),
            None => Self::Broken(error.to_string()),
        }
    }
}

fn closed() -> Failure {
    Failure::Broken("it closed the connection".to_owned())
}

/// TCP, or TLS over TCP.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

pub(super) type AnyStream = Box<dyn Stream>;

pub(super) struct Conversation {
    stream: BufReader<AnyStream>,
    /// The lines of the last reply to EHLO, in upper case; each line offers an extension.
    offers: Vec<String>,
}

impl Conversation {
    pub(super) fn new(stream: AnyStream) -> Self {
        Self {
            stream: BufReader::new(stream),
            offers: Vec::new(),
        }
    }

    /// Says EHLO, and remembers what the server offers.
    pub(super) async fn hello(&mut self, name: &str) -> Result<(), Failure> {
        let lines = self.command(&format!("EHLO {name}"), 250).await?;
        self.offers = lines.iter().map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    /// Whether the server offers an extension: the first word of its line.
    fn offers(&self, extension: &str) -> bool {
        self.offers
            .iter()
            .any(|line| line.split_whitespace().next() == Some(extension))
    }

    /// Signs in (RFC 4954) with PLAIN, or with LOGIN if the server does not offer PLAIN.
    pub(super) async fn sign_in(&mut self, user: &str, password: &SecretString) -> Result<(), Failure> {
        // Some servers write `AUTH=LOGIN` for old clients.
        let offers = |mechanism: &str| {
            self.offers.iter().any(|line| {
                let mut words = line.split([' ', '=']);
                words.next() == Some("AUTH") && words.any(|word| word == mechanism)
            })
        };
        let password = password.expose_secret();
        if offers("PLAIN") {
            let response = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command(&format!("AUTH PLAIN {response}"), 235).await?;
        } else if offers("LOGIN") {
            self.command("AUTH LOGIN", 334).await?;
            self.command(&STANDARD.encode(user), 334).await?;
            self.command(&STANDARD.encode(password), 235).await?;
        } else {
            let offers_starttls = self.offers("STARTTLS");
            return Err(Failure::NoSignIn { offers_starttls });
        }
        Ok(())
    }

    /// Sends a mail whose lines end in CRLF, without the final dot. A dot at the beginning of a line is doubled (RFC 5321 §4.5.2).
    pub(super) async fn content(&mut self, message: &[u8]) -> Result<(), Failure> {
        let mut stuffed = Vec::with_capacity(message.len() + 64);
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        if !stuffed.ends_with(b"\r\n") {
            stuffed.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&stuffed).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends a command and waits for the reply, which must have the code `due`; returns its lines without the code.
    pub(super) async fn command(&mut self, line: &str, due: u16) -> Result<Vec<String>, Failure> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        self.expect(due).await
    }

    /// Waits for a reply with the code `due`.
    pub(super) async fn expect(&mut self, due: u16) -> Result<Vec<String>, Failure> {
        let (code, lines) = self.read_reply().await?;
        // Any 2xx counts as 250: RFC 5321 §4.2.1 has 251 and 252 as replies to RCPT.
        if code == due || (due == 250 && code / 100 == 2) {
            return Ok(lines);
        }
        Err(Failure::Refused(Reply::new(code, &lines)))
    }

    /// Reads a reply. All its lines have the same code.
    async fn read_reply(&mut self) -> Result<(u16, Vec<String>), Failure> {
        let no_smtp = || Failure::Broken("its answer is no SMTP".to_owned());
        let (mut code, mut lines) = (None, Vec::new());
        loop {
            let mut line = Vec::new();
            (&mut self.stream)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
                .await?;
            if !line.ends_with(b"\n") {
                let is_long = line.len() as u64 == MAX_LINE;
                return Err(if is_long { no_smtp() } else { closed() });
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            let (number, rest) = line.split_at_checked(3).ok_or_else(no_smtp)?;
            let number = number
                .parse()
                .ok()
                .filter(|number| (200..600).contains(number))
                .ok_or_else(no_smtp)?;
            let is_same = *code.get_or_insert(number) == number;
            if !is_same || lines.len() == MAX_LINES || !(rest.is_empty() || rest.starts_with([' ', '-'])) {
                return Err(no_smtp());
            }
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok((number, lines));
            }
        }
    }

    /// Agrees on STARTTLS (RFC 3207) and returns the connection, on which TLS must begin next.
    ///
    /// Plaintext that is still in a buffer after the upgrade would count as encrypted (CVE-2021-38371). So the buffer is dropped, and a server that has sent
    /// more than the reply is refused.
    pub(super) async fn start_tls(mut self) -> Result<AnyStream, Failure> {
        self.refuse_early().await?;
        if !self.offers("STARTTLS") {
            return Err(Failure::NoStartTls);
        }
        self.command("STARTTLS", 220).await?;
        self.refuse_early().await?;
        Ok(self.stream.into_inner())
    }

    /// Refuses a server that has sent something before it was asked.
    pub(super) async fn refuse_early(&mut self) -> Result<(), Failure> {
        let has_spoken = poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut self.stream).poll_fill_buf(cx) {
                Poll::Ready(Ok(bytes)) => Ok(!bytes.is_empty()),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Pending => Ok(false),
            })
        });
        if !has_spoken.await? {
            return Ok(());
        }
        Err(Failure::Broken(
            "it sent more than the answer that was due before TLS began, which a third party may have added"
                .to_owned(),
        ))
    }
}

/// Starts TLS on a connection.
pub(super) async fn encrypt(
    stream: AnyStream,
    tls: &Arc<ClientConfig>,
    host: &str,
) -> Result<AnyStream, Failure> {
    let name = server_name(host)
        .ok_or_else(|| Failure::Broken("the host of mail.smtp_url is not a valid TLS name".to_owned()))?;
    let encrypted = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
    Ok(Box::new(encrypted))
}
