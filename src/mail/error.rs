//! Why mail cannot be sent. No text here holds a recipient, a password or anything of a mail; see [`Reply`] for what a server says of them.

use std::path::PathBuf;
use std::{fmt, io};

use super::reply::Reply;
use crate::tls::UnusableCertificates;

/// Why a way of sending mail cannot be used as it was configured.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The URL of the mail server has another form. It is not repeated: somebody may have put a password into it.
    #[error(
        "the URL of the mail server must be smtp://host[:port] or smtps://host[:port], without user, password and path"
    )]
    Url,
    /// One without the other.
    #[error("a user of the mail server needs a password, and a password a user")]
    Credentials,
    /// The sender is no mailbox.
    #[error(
        "the sender of mails must be an address such as Example <no-reply@example.org>, in ASCII but for the name"
    )]
    From,
    /// The file of certificates cannot be read.
    #[error("the file of mail.ca_file, {}, cannot be read", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in it cannot be used.
    #[error("the file of mail.ca_file, {}, {problem}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: UnusableCertificates,
    },
}

/// How far a conversation with the mail server had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finding the server's addresses, and TCP.
    Connect,
    /// The handshake of TLS, at the beginning or after STARTTLS.
    Tls,
    /// The server's first words.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    SignIn,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before anything of the mail is sent.
    Data,
    /// The mail itself.
    Content,
    /// The dot that ends the mail was sent: without an answer the server may have taken it.
    End,
}

impl Stage {
    /// Whether what goes wrong here would go wrong with the next mail as well. From the recipient on it may be due to the recipient: servers that ask the
    /// recipient's own server first take as long as that one does.
    pub const fn is_general(self) -> bool {
        !matches!(self, Self::Recipient | Self::Data | Self::Content | Self::End)
    }
}

/// What a failure means for the mail and for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next mail would fail as well, until the mail server or its settings are mended.
    General,
    /// Another mail may go out; this one is tried again.
    Single,
    /// The mail server says of the recipient that it takes no mail for it, or no attempt can succeed.
    Final,
    /// The mail server has the whole mail: it may have arrived.
    Unanswered,
}

impl Stage {
    /// Whether another address of the server may still answer.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Connect | Self::Tls | Self::Greeting | Self::Hello)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "starting TLS",
            Self::Greeting => "waiting for its greeting",
            Self::Hello => "saying EHLO",
            Self::StartTls => "asking for STARTTLS",
            Self::SignIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Data => "announcing the mail",
            Self::Content | Self::End => "sending the mail",
        })
    }
}

/// Why a mail was not sent this time.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No transport is configured.
    #[error("mail is off")]
    Off,
    /// A fault of this program with the one mail.
    #[error("{0}")]
    Program(String),
    /// A part of the mail cannot stand in a message, so that no attempt will succeed.
    #[error("the {part} has a form that no mail can have")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The server said no.
    #[error("the mail server answered {} while {stage}{}", .reply.status(), .reply.quoted())]
    Refused {
        /// To what.
        stage: Stage,
        /// What it said.
        reply: Reply,
        /// What the operator can do about it, if the cause is a known one.
        hint: Option<String>,
    },
    /// The server said nothing for too long.
    #[error("the mail server did not answer in time while {stage}")]
    Timeout {
        /// To what.
        stage: Stage,
        /// As in a refusal.
        hint: Option<String>,
    },
    /// The server could not be reached or spoken to.
    #[error("the conversation with the mail server failed while {stage}: {cause}")]
    Connection {
        /// When.
        stage: Stage,
        /// What the system or TLS says.
        cause: String,
        /// As in a refusal.
        hint: Option<String>,
    },
    /// The whole mail was sent, and the server did not say whether it took it.
    #[error("the whole mail was sent, and the mail server did not say whether it took it: {cause}")]
    Unanswered {
        /// What came instead of an answer.
        cause: String,
    },
    /// The file could not be written.
    #[error("a mail cannot be written into {}", directory.display())]
    File {
        /// Where to.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl SendError {
    /// How far the conversation had come; `None` if it was not about one.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Refused { stage, .. } | Self::Timeout { stage, .. } | Self::Connection { stage, .. } => {
                Some(*stage)
            }
            Self::Unanswered { .. } => Some(Stage::End),
            Self::Off | Self::Program(_) | Self::Malformed { .. } | Self::File { .. } => None,
        }
    }

    /// What the server answered, if it refused.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Refused { reply, .. } => Some(reply),
            _ => None,
        }
    }

    /// What the operator can do about it: a clause without a full stop.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } | Self::Timeout { hint, .. } | Self::Connection { hint, .. } => {
                hint.as_deref()
            }
            _ => None,
        }
    }

    /// What it means for the mail and for others. Final is only what a server says of the recipient: a refused sender, host name, password or content is the
    /// operator's to mend, and the mail goes out then.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Program(_) => Verdict::Single,
            Self::Malformed { .. } => Verdict::Final,
            Self::Unanswered { .. } => Verdict::Unanswered,
            Self::Refused { stage, reply, .. } if reply.refuses_recipient(*stage) => Verdict::Final,
            _ if self.stage().is_none_or(Stage::is_general) => Verdict::General,
            _ => Verdict::Single,
        }
    }
}
