//! The stages of a conversation with a mail server, and their timeouts.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A stage of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Stage {
    /// Looking up the server's addresses, and connecting over TCP.
    #[strum(to_string = "connecting")]
    Connect,
    /// The TLS handshake, at the beginning or after STARTTLS.
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
    /// The final dot was sent. Without a reply, the server may have taken the mail.
    #[strum(to_string = "sending the mail")]
    End,
}

impl Stage {
    /// Whether the next mail would fail at this stage too. From RCPT on, the recipient may be the cause: some servers ask the recipient's own server first,
    /// and reply only after that server has.
    pub const fn is_general(self) -> bool {
        !matches!(self, Self::Recipient | Self::Data | Self::Content | Self::End)
    }

    /// Whether another address of the server may still answer.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Connect | Self::Tls | Self::Greeting | Self::Hello)
    }
}

/// How long the client waits for a mail server.
#[derive(Clone, Copy, Debug)]
pub struct SmtpTimeouts {
    /// For a TCP connection to one address of the server.
    pub connection: Duration,
    /// For the greeting and the reply to EHLO.
    pub greeting: Duration,
    /// For the reply to each other command except DATA, and for the TLS handshake.
    pub command: Duration,
    /// For the reply to DATA.
    pub data: Duration,
    /// For sending the mail.
    pub content: Duration,
    /// For the reply to the whole mail.
    pub end: Duration,
    /// After this time without a reply the delivery counts as slow, and other mails do not wait for it.
    pub slow: Duration,
}

impl SmtpTimeouts {
    /// For the running server: RFC 5321 §4.5.3.2. Mail servers look for spam and viruses before they reply to a mail; a client that gives up earlier sends it
    /// again and again. That section has no timeout for the TCP connection. A host that does not accept one within `connection` is down.
    pub const SERVER: Self = Self {
        connection: Duration::from_secs(30),
        greeting: Duration::from_mins(5),
        command: Duration::from_mins(5),
        data: Duration::from_mins(2),
        content: Duration::from_mins(3),
        end: Duration::from_mins(10),
        slow: Duration::from_secs(10),
    };

    /// For the command line, where a person waits.
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

/// The present stage of a delivery, which other tasks can read.
#[derive(Debug)]
pub struct Progress(Mutex<(Stage, Instant)>);

impl Progress {
    /// The present stage, and how long it has lasted.
    pub fn at(&self) -> (Stage, Duration) {
        let (stage, since) = *self.0.lock();
        (stage, since.elapsed())
    }

    pub(super) fn reach(&self, stage: Stage) {
        *self.0.lock() = (stage, Instant::now());
    }
}

/// Starts at [`Stage::Connect`], now.
impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((Stage::Connect, Instant::now())))
    }
}
