//! Why mail cannot be sent. No text here holds a recipient, a password or any part of a mail; see [`Reply`] for what a server says of them.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::reply::Reply;
use super::stage::Stage;
use crate::tls::{TlsFailure, UnusableCertificates};

/// Why a transport cannot be used as it was configured.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error(
        "the sender of mails must be an address such as Example <no-reply@example.org>, in ASCII but for the name"
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

/// What a failure means for the mail and for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next mail would fail as well, until the mail server or its settings are mended.
    General,
    /// Another mail may go out; this one is tried again.
    Single,
    /// The mail server takes no mail for the recipient, or no attempt can succeed.
    Final,
    /// The mail server has the whole mail: it may have arrived.
    Unanswered,
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
    Malformed { part: &'static str },
    #[error("a mail cannot be written into {}", directory.display())]
    File { directory: PathBuf, source: io::Error },
    #[error("{}", failure.at(*stage))]
    Server {
        stage: Stage,
        failure: Failure,
        /// What the operator can do about it, if the cause is a known one: a clause without a full stop.
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
        /// After STARTTLS it may offer one.
        offers_starttls: bool,
    },
    /// The server gave no reply within this time.
    #[error("no answer came within {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection failed, or no SMTP came.
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
    /// The mail server has the whole mail, and has not said yet whether it takes it.
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

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Server { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// What it means for the mail and for others. Only a reply about the recipient is final: the operator can mend a refused sender, host name, password or
    /// content, and then the mail goes out.
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
