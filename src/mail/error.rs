//! Why mail cannot be sent. No text here holds a recipient, a password or any part of a mail; [`Reply`] removes them from the words of a server.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::reply::Reply;
use super::stage::Stage;
use crate::tls::{TlsFailure, UnusableCertificates};

/// Why a transport cannot be used with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error(
        "the sender of mails must be an address such as Example <no-reply@example.org>, in ASCII except for the name"
    )]
    From,
    #[error("the file of mail.ca_file, {}, cannot be read", path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("the file of mail.ca_file, {}, {problem}", path.display())]
    Certificates {
        path: PathBuf,
        problem: UnusableCertificates,
    },
}

/// What a failure means for this mail and for other mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next mail would fail as well, until the mail server or its settings are fixed.
    General,
    /// Other mails may succeed; this one is tried again.
    Single,
    /// The mail server takes no mail for the recipient, or no attempt can succeed.
    Final,
    /// The mail server has received the whole mail but has not replied, so the mail may arrive. RFC 5321 §4.5.3.2.6 asks clients to wait 10 minutes,
    /// because servers look for spam and viruses before they reply.
    Unanswered,
}

/// Why an attempt to send a mail failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No transport is configured.
    #[error("mail is off")]
    Off,
    /// A fault of this program while it handled this mail.
    #[error("{0}")]
    Program(String),
    /// A part of the mail is not allowed in a message, so that no attempt can succeed.
    #[error("the {part} has a form that no mail can have")]
    Malformed { part: &'static str },
    #[error("a mail cannot be written into {}", directory.display())]
    File { directory: PathBuf, source: io::Error },
    #[error("{}", failure.at(*stage))]
    Server {
        stage: Stage,
        failure: Failure,
        /// What the operator can do, if the cause is a known one: a clause without a full stop.
        hint: Option<String>,
    },
}

/// What went wrong in a conversation with the mail server.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server gave another reply than the expected one.
    #[error("{}{}", .0.status(), .0.quoted())]
    Refused(Reply),
    #[error("{0}")]
    Tls(TlsFailure),
    #[error("it offers no STARTTLS")]
    NoStartTls,
    #[error("it offers no way to sign in that is known here (PLAIN or LOGIN)")]
    NoSignIn {
        /// If so, the server may offer a way to sign in after STARTTLS.
        offers_starttls: bool,
    },
    /// The server gave no reply within this time.
    #[error("no answer came within {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection failed, or the server does not speak SMTP.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    fn at(&self, stage: Stage) -> String {
        match (self, stage) {
            (Self::Refused(reply), _) => format!(
                "the mail server answered {} while {stage}{}",
                reply.status(),
                reply.quoted()
            ),
            (_, Stage::End) => {
                format!("the whole mail was sent, and the mail server did not say whether it took it: {self}")
            }
            (Self::Silent(_), _) => format!("the mail server did not answer in time while {stage}"),
            _ => format!("the conversation with the mail server failed while {stage}: {self}"),
        }
    }
}

impl SendError {
    /// The error for a mail that the server has received completely and has not replied to.
    pub fn unanswered(cause: &str) -> Self {
        Self::Server {
            stage: Stage::End,
            failure: Failure::Broken(cause.to_owned()),
            hint: None,
        }
    }

    /// How far the conversation with the mail server came; `None` if there was none.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Server { stage, .. } => Some(*stage),
            _ => None,
        }
    }

    /// What the operator can do about the error.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Server { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// Decides what the failure means. Only a reply about the recipient is final. Servers also use 5xx to refuse a sender, a host name, a network or a
    /// content: the operator can fix these, and the mail is then sent.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Off | Self::File { .. } => Verdict::General,
            Self::Program(_) => Verdict::Single,
            Self::Malformed { .. } => Verdict::Final,
            Self::Server { stage, failure, .. } => match failure {
                Failure::Refused(reply) if reply.refuses_recipient(*stage) => Verdict::Final,
                Failure::Refused(_) if *stage == Stage::End => Verdict::Single,
                _ if *stage == Stage::End => Verdict::Unanswered,
                _ if stage.is_general() => Verdict::General,
                _ => Verdict::Single,
            },
        }
    }
}
