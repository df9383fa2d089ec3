//! Why mail cannot be sent. No text here holds a recipient, a password or anything of a mail.

use std::path::PathBuf;
use std::{fmt, io};

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
        "the sender of mails must be an address such as Arkloop <no-reply@example.org>, in ASCII but for the name"
    )]
    From,
    /// The private authority cannot be read.
    #[error("the file of certificate authorities {} cannot be read", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds no certificate that can be used.
    #[error("the file {} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
}

/// How far a conversation with the mail server had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// TCP, with implicit TLS the handshake, the greeting and EHLO.
    Connect,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH.
    SignIn,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA and the mail itself.
    Content,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::StartTls => "starting TLS",
            Self::SignIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Content => "sending the mail",
        })
    }
}

/// Why a mail was not sent this time.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No transport is configured.
    #[error("mail is off")]
    Off,
    /// A part of the mail cannot stand in a message, so that no attempt will succeed.
    #[error("the {part} has a form that no mail can have")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The server said no.
    #[error("the mail server answered {status} while {step}")]
    Refused {
        /// To what.
        step: Step,
        /// Its reply code.
        code: u16,
        /// The code, followed by the enhanced code of RFC 3463 if there was one: `550 5.1.1`. The server's words are left out, because they
        /// often repeat the recipient.
        status: String,
    },
    /// The server said nothing for too long.
    #[error("the mail server did not answer in time while {step}")]
    Timeout {
        /// To what.
        step: Step,
    },
    /// The server could not be reached or spoken to.
    #[error("the conversation with the mail server failed while {step}: {cause}")]
    Connection {
        /// When.
        step: Step,
        /// What the system or TLS says.
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
    /// Whether trying this mail again is useless: the server refuses its recipient or its content for good.
    ///
    /// A refused password or sender is not: the operator mends it, and the mail goes out then.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Malformed { .. } => true,
            // RFC 4954 §6: "authentication required" may be the answer at any step.
            Self::Refused { step, code, .. } => {
                matches!(step, Step::Recipient | Step::Content) && *code >= 500 && *code != 530
            }
            Self::Off | Self::Timeout { .. } | Self::Connection { .. } | Self::File { .. } => false,
        }
    }

    /// Whether the cause lies with the server or the directory, so that the next mail would fail as well. What happens after the recipient was named may
    /// be due to the recipient: servers that ask the recipient's own server first take as long as that one does.
    pub fn is_general(&self) -> bool {
        match self {
            Self::Off | Self::File { .. } => true,
            Self::Malformed { .. } => false,
            Self::Refused { step, .. } | Self::Timeout { step } | Self::Connection { step, .. } => {
                !matches!(step, Step::Recipient | Step::Content)
            }
        }
    }
}
