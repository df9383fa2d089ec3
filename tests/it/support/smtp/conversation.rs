//! One conversation of the mail server with a client.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::starttls::StartTls;
use super::{Fault, Received, ReceivedMail, Shared, Stage, lock};

/// The longest line that is read, far more than any client here sends.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// How long a client is given to read one part of an answer before the next one is sent.
const BETWEEN_PARTS: Duration = Duration::from_millis(5);

/// How a command ended.
#[derive(PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Conversation {
    stream: BufReader<Box<dyn Stream>>,
    is_encrypted: bool,
    shared: Arc<Shared>,
    envelope: Option<(String, Vec<String>)>,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        // Parts that are written separately then also arrive separately.
        let _ = stream.set_nodelay(true);
        Self {
            stream: BufReader::new(Box::new(stream)),
            is_encrypted: false,
            shared,
            envelope: None,
        }
    }

    /// Runs the conversation until one side closes the connection. The error tells how it ended.
    pub(super) async fn run(mut self) -> io::Result<()> {
        if let Some(tls) = self.shared.start_tls.clone().filter(|tls| tls.is_implicit) {
            let encrypted = tls.acceptor.accept(self.stream.into_inner()).await?;
            self.stream = BufReader::new(Box::new(encrypted));
            self.is_encrypted = true;
        }
        self.answer(Stage::Greeting, "220 localhost ESMTP").await?;
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            match self.shared.start_tls.clone() {
                Some(start_tls) if line == "STARTTLS" && !self.is_encrypted => {
                    self = self.encrypt(&start_tls).await?;
                }
                _ => self.command(&line).await?,
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<()> {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match (verb.as_str(), &mut self.envelope) {
            ("EHLO" | "HELO", _) => {
                lock(&self.shared.greetings).push(line[4..].trim().to_owned());
                let (stage, answer) = match (&self.shared.start_tls, self.is_encrypted) {
                    (_, true) => (Stage::EncryptedHello, "250-localhost\r\n250 AUTH PLAIN"),
                    (None, false) => (Stage::Hello, "250-localhost\r\n250 AUTH PLAIN"),
                    (Some(_), false) => (Stage::Hello, "250-localhost\r\n250-AUTH PLAIN\r\n250 STARTTLS"),
                };
                let _ = self.answer(stage, answer).await?;
            }
            ("MAIL", None) => {
                if self.answer(Stage::Sender, "250 2.1.0 the sender is fine").await? == Outcome::Done {
                    self.envelope = Some((path_of(line), Vec::new()));
                }
            }
            ("RCPT", Some((_, recipients))) => {
                recipients.push(path_of(line));
                if self
                    .answer(Stage::Recipient, "250 2.1.5 the recipient is fine")
                    .await?
                    == Outcome::Refused
                    && let Some((_, recipients)) = &mut self.envelope
                {
                    recipients.pop();
                }
            }
            ("DATA", Some((_, recipients))) if !recipients.is_empty() => self.data().await?,
            ("RSET", _) => {
                self.envelope = None;
                self.say("250 2.0.0 forgotten").await?;
            }
            ("AUTH", _) => _ = self.answer(Stage::SignIn, "235 2.7.0 come in").await?,
            ("NOOP", _) => self.say("250 2.0.0 still here").await?,
            ("QUIT", _) => {
                self.say("221 2.0.0 goodbye").await?;
                return Err(closed());
            }
            ("MAIL" | "RCPT" | "DATA", _) => self.say("503 5.5.1 not now").await?,
            _ => self.say("502 5.5.2 not known").await?,
        }
        Ok(())
    }

    /// Sends the parts of the answer to STARTTLS, and begins TLS.
    async fn encrypt(mut self, start_tls: &StartTls) -> io::Result<Self> {
        if let Some(Fault::Answer(answer)) = self.fail(Stage::StartTls).await? {
            self.refuse(answer).await?;
            return Ok(self);
        }
        for part in &start_tls.answer {
            self.stream.write_all(part).await?;
            tokio::time::sleep(BETWEEN_PARTS).await;
        }
        let encrypted = start_tls.acceptor.accept(self.stream.into_inner()).await?;
        Ok(Self {
            stream: BufReader::new(Box::new(encrypted)),
            is_encrypted: true,
            ..self
        })
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.answer(Stage::Data, "354 go on").await? == Outcome::Refused {
            return Ok(());
        }
        let mut content = self.line().await?;
        self.fail(Stage::Content).await?;
        let mut line = std::mem::take(&mut content);
        while line != b".\r\n" {
            // RFC 5321 §4.5.2: a dot was put before a line that begins with one.
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            line = self.line().await?;
        }
        if let Some(Fault::Answer(answer)) = self.fail(Stage::End).await? {
            self.envelope = None;
            return self.refuse(answer).await;
        }
        let (sender, recipients) = self.envelope.take().unwrap_or_default();
        let mail = ReceivedMail {
            sender,
            recipients,
            content,
        };
        lock(&self.shared.received).push(Received { mail, is_read: false });
        self.shared.arrived.notify_waiters();
        let _ = self.answer(Stage::Taken, "250 2.0.0 taken").await?;
        self.fail(Stage::Told).await?;
        Ok(())
    }

    /// Sends the answer `usual`, unless a fault is set for `stage`.
    async fn answer(&mut self, stage: Stage, usual: &str) -> io::Result<Outcome> {
        if let Some(Fault::Answer(answer)) = self.fail(stage).await? {
            self.refuse(answer).await?;
            return Ok(Outcome::Refused);
        }
        self.say(usual).await?;
        Ok(Outcome::Done)
    }

    /// Causes the fault that is set for `stage`. A wrong answer is returned, so that the caller sends it.
    async fn fail(&mut self, stage: Stage) -> io::Result<Option<Fault>> {
        match self.shared.fault(stage) {
            Some(Fault::Silence) => {
                // The silence lasts until the client gives up.
                tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
                Err(closed())
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(None)
            }
            Some(Fault::Close) => Err(closed()),
            answer => Ok(answer),
        }
    }

    async fn refuse(&mut self, answer: &str) -> io::Result<()> {
        self.say(answer).await?;
        if answer.starts_with("421") {
            Err(closed())
        } else {
            Ok(())
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// Reads the next line, with its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .await?;
        if line.ends_with(b"\n") {
            Ok(line)
        } else {
            Err(closed())
        }
    }
}

fn closed() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

/// The address in a command: `ann@example.org` for `RCPT TO:<ann@example.org>`.
fn path_of(line: &str) -> String {
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
