//! How far a conversation with the mail server has come, and how long each stage may take.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A stage of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Stage {
    /// Finding the server's addresses, and TCP.
    #[strum(to_string = "connecting")]
    Connect,
    /// The handshake of TLS, at the beginning or after STARTTLS.
    #[strum(to_string = "starting TLS")]
    Tls,
    #[strum(to_string = "waiting for its greeting")]
    Greeting,
    #[strum(to_string = "saying EHLO")]
    Hello,
    #[strum(to_string = "asking for STARTTLS")]
    StartTls,
    #[strum(to_string = "signing in")]
    SignIn,
    /// MAIL FROM.
    #[strum(to_string = "naming the sender")]
    Sender,
    /// RCPT TO.
    #[strum(to_string = "naming the recipient")]
    Recipient,
    /// DATA, before any part of the mail is sent.
    #[strum(to_string = "announcing the mail")]
    Data,
    #[strum(to_string = "sending the mail")]
    Content,
    /// The dot that ends the mail was sent: without a reply the server may have taken it.
    #[strum(to_string = "sending the mail")]
    End,
}

impl Stage {
    /// Whether a failure here would repeat with the next mail. From the recipient on it may be the recipient's: a server that asks the recipient's own server
    /// first takes as long as that one.
    pub const fn is_general(self) -> bool {
        !matches!(self, Self::Recipient | Self::Data | Self::Content | Self::End)
    }

    /// Whether another address of the server may still answer.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Connect | Self::Tls | Self::Greeting | Self::Hello)
    }
}

/// How long a mail server may take.
#[derive(Clone, Copy, Debug)]
pub struct SmtpTimeouts {
    /// For TCP to one address of the server.
    pub connection: Duration,
    /// For its greeting and its reply to EHLO.
    pub greeting: Duration,
    /// For its reply to each command but DATA, and for the handshake of TLS.
    pub command: Duration,
    /// For its reply to DATA.
    pub data: Duration,
    /// For reading the mail.
    pub content: Duration,
    /// For its reply to the whole mail.
    pub end: Duration,
    /// After this time without a reply the server is slow, and holds up no other mail.
    pub slow: Duration,
}

impl SmtpTimeouts {
    /// Of the running server: RFC 5321 §4.5.3.2. Mail servers look for spam and viruses before they reply to a mail; a client that gives up earlier sends it
    /// again and again. That section does not cover the TCP connection: a host that lets it wait is down.
    pub const SERVER: Self = Self {
        connection: Duration::from_secs(30),
        greeting: Duration::from_mins(5),
        command: Duration::from_mins(5),
        data: Duration::from_mins(2),
        content: Duration::from_mins(3),
        end: Duration::from_mins(10),
        slow: Duration::from_secs(10),
    };

    /// Of a command, for which a person waits.
    pub const COMMAND: Self = Self {
        connection: Duration::from_secs(10),
        greeting: Duration::from_secs(30),
        command: Duration::from_secs(30),
        data: Duration::from_secs(30),
        content: Duration::from_secs(30),
        end: Duration::from_mins(1),
        ..Self::SERVER
    };

    pub(super) const fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Connect => self.connection,
            Stage::Greeting | Stage::Hello => self.greeting,
            Stage::Tls | Stage::StartTls | Stage::SignIn | Stage::Sender | Stage::Recipient => self.command,
            Stage::Data => self.data,
            Stage::Content => self.content,
            Stage::End => self.end,
        }
    }
}

/// How far the delivery of a mail has come, for others to see while it goes on.
#[derive(Debug)]
pub struct Progress(Mutex<(Stage, Instant)>);

impl Progress {
    /// The present stage, and for how long it has lasted.
    pub fn at(&self) -> (Stage, Duration) {
        let (stage, since) = *self.state();
        (stage, since.elapsed())
    }

    pub(super) fn reach(&self, stage: Stage) {
        *self.state() = (stage, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, (Stage, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery that begins now.
impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((Stage::Connect, Instant::now())))
    }
}
