//! The words of SMTP: what is said to a mail server, and how its answers are read. How long it may take is not decided here.

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
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::{ClientConfig, TlsFailure, server_name};

/// The longest line of an answer. RFC 5321 §4.5.3.1.5 allows 512 bytes; some send more.
const MAX_LINE: u64 = 4096;
/// The most lines of an answer: servers offer a dozen extensions.
const MAX_LINES: usize = 100;

/// What the system says of a connection that the other side has closed, depending on the moment.
const CLOSED: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];

/// Why a conversation does not go on.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said something other than what was due.
    Answer {
        /// Its reply code.
        code: u16,
        /// Its words.
        lines: Vec<String>,
    },
    /// TLS was refused, by one side or the other.
    Tls(TlsFailure),
    /// It offers no STARTTLS.
    NoStartTls,
    /// It offers no way to sign in that is known here.
    NoSignIn {
        /// Whether it offers STARTTLS, after which it may.
        offers_starttls: bool,
    },
    /// Something else came, or nothing.
    Broken(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match TlsFailure::of_io(&error) {
            Some(failure) => Self::Tls(failure),
            None if CLOSED.contains(&error.kind()) => Self::closed(),
            None => Self::Broken(error.to_string()),
        }
    }
}

impl Failure {
    fn closed() -> Self {
        Self::Broken("it closed the connection".to_owned())
    }
}

/// TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// What is spoken over, once nothing about it changes any more.
pub(super) type AnyStream = Box<dyn Stream>;

/// One conversation.
pub(super) struct Conversation<S = AnyStream> {
    stream: BufReader<S>,
    /// The lines of the last answer to EHLO, in upper case: each is an extension.
    offers: Vec<String>,
}

impl<S: Stream> Conversation<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            offers: Vec::new(),
        }
    }

    /// Waits for the server's first words.
    pub(super) async fn greeting(&mut self) -> Result<(), Failure> {
        self.expect(220).await.map(drop)
    }

    /// Says EHLO, and remembers what the server offers.
    pub(super) async fn hello(&mut self, name: &str) -> Result<(), Failure> {
        self.say(&format!("EHLO {name}")).await?;
        let lines = self.expect(250).await?;
        self.offers = lines.iter().map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    /// Whether an extension was offered, by the first word of its line.
    fn offers(&self, extension: &str) -> bool {
        self.offers
            .iter()
            .any(|line| line.split_whitespace().next() == Some(extension))
    }

    /// Signs in as RFC 4954 says, with PLAIN or else LOGIN.
    pub(super) async fn sign_in(&mut self, user: &str, password: &SecretString) -> Result<(), Failure> {
        // Some servers write `AUTH=LOGIN` for the sake of old clients.
        let offers = |mechanism: &str| {
            self.offers.iter().any(|line| {
                let mut words = line.split([' ', '=']);
                words.next() == Some("AUTH") && words.any(|word| word == mechanism)
            })
        };
        let password = password.expose_secret();
        if offers("PLAIN") {
            let response = STANDARD.encode(format!("\0{user}\0{password}"));
            self.say(&format!("AUTH PLAIN {response}")).await?;
        } else if offers("LOGIN") {
            self.say("AUTH LOGIN").await?;
            for answer in [user, password] {
                self.expect(334).await?;
                self.say(&STANDARD.encode(answer)).await?;
            }
        } else {
            let offers_starttls = self.offers("STARTTLS");
            return Err(Failure::NoSignIn { offers_starttls });
        }
        self.expect(235).await.map(drop)
    }

    /// Says a command that is answered by a 250: MAIL, RCPT or NOOP.
    pub(super) async fn command(&mut self, command: &str) -> Result<(), Failure> {
        self.say(command).await?;
        self.expect(250).await.map(drop)
    }

    /// Announces the mail.
    pub(super) async fn data(&mut self) -> Result<(), Failure> {
        self.say("DATA").await?;
        self.expect(354).await.map(drop)
    }

    /// Sends a mail, without the dot that ends it. Its lines end in CRLF; a dot at the beginning of one is doubled (RFC 5321 §4.5.2).
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

    /// Ends the mail, and waits for the server's word that it has taken it.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        self.command(".").await
    }

    /// Takes leave, as RFC 5321 §4.1.1.10 wants it.
    pub(super) async fn quit(&mut self) -> Result<(), Failure> {
        self.say("QUIT").await?;
        self.expect(221).await.map(drop)
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    async fn expect(&mut self, due: u16) -> Result<Vec<String>, Failure> {
        let (code, lines) = self.read_answer().await?;
        // Any 2xx is as good as another (RFC 5321 §4.2.1 knows 251 and 252 to RCPT), but for what begins something.
        if code == due || (due == 250 && code / 100 == 2) {
            return Ok(lines);
        }
        Err(Failure::Answer { code, lines })
    }

    /// Reads an answer of one or more lines, which all have the same code.
    async fn read_answer(&mut self) -> Result<(u16, Vec<String>), Failure> {
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
                return Err(if is_long { no_smtp() } else { Failure::closed() });
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
            let is_last = !rest.starts_with('-');
            if !is_same || lines.len() == MAX_LINES || !(rest.is_empty() || rest.starts_with([' ', '-'])) {
                return Err(no_smtp());
            }
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if is_last {
                return Ok((number, lines));
            }
        }
    }
}

impl Conversation<TcpStream> {
    /// Asks for STARTTLS (RFC 3207), after which nothing but TLS may come.
    ///
    /// What is read in plaintext and used after the upgrade is believed as if it had come encrypted (CVE-2021-38371 and its kin): so nothing is kept of the
    /// plaintext part, and a server that says more than its turn allows is refused.
    pub(super) async fn agree_on_tls(&mut self) -> Result<(), Failure> {
        self.refuse_early().await?;
        if !self.offers("STARTTLS") {
            return Err(Failure::NoStartTls);
        }
        self.say("STARTTLS").await?;
        self.expect(220).await?;
        self.refuse_early().await
    }

    /// The connection alone.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// Refuses a server that has said something before its turn.
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

/// Begins TLS on a connection, on which nothing has been said or which has agreed to it.
pub(super) async fn encrypt(
    tcp: TcpStream,
    tls: &Arc<ClientConfig>,
    host: &str,
) -> Result<Conversation, Failure> {
    let name = server_name(host)
        .ok_or_else(|| Failure::Broken("no certificate can be for the host of mail.smtp_url".to_owned()))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?;
    Ok(Conversation::new(Box::new(stream)))
}
