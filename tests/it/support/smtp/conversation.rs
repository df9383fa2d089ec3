//! One conversation of the mail server with whoever sends mail.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Fault, Received, ReceivedMail, Shared, Stage, lock};

/// The longest line that is read, far more than any client here sends.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// What became of a command.
#[derive(PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

pub(super) struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    shared: Arc<Shared>,
    envelope: Option<(String, Vec<String>)>,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            shared,
            envelope: None,
        }
    }

    /// Speaks until one side closes; the error is how.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.answer(Stage::Greeting, "220 localhost ESMTP").await?;
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.command(&line).await?;
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
                let _ = self
                    .answer(Stage::Hello, "250-localhost\r\n250 AUTH PLAIN")
                    .await?;
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
            ("AUTH", _) => self.say("235 2.7.0 come in").await?,
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

    /// Says `usual`, unless something goes wrong at `stage`.
    async fn answer(&mut self, stage: Stage, usual: &str) -> io::Result<Outcome> {
        if let Some(Fault::Answer(answer)) = self.fail(stage).await? {
            self.refuse(answer).await?;
            return Ok(Outcome::Refused);
        }
        self.say(usual).await?;
        Ok(Outcome::Done)
    }

    /// Falls silent or closes if that goes wrong at `stage`; gives a wrong answer to whoever has to say it.
    async fn fail(&mut self, stage: Stage) -> io::Result<Option<Fault>> {
        match self.shared.fault(stage) {
            Some(Fault::Silence) => {
                // Until the client gives up.
                tokio::io::copy(&mut self.reader, &mut tokio::io::sink()).await?;
                Err(closed())
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
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await
    }

    /// The next line with its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader)
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

/// `ann@example.org` of `RCPT TO:<ann@example.org>`.
fn path_of(line: &str) -> String {
    let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
