//! The ways mail can leave.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::compose::Message;
use super::error::{SendError, TransportError};
use super::file::FileTransport;
use super::patience::{Progress, SmtpTimeouts};
use super::smtp::SmtpTransport;
use super::smtp_server::SmtpSettings;
use crate::domain::{HeloName, QueuedMail, Timestamp};

/// By which way mail leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Through a mail server.
    Smtp,
    /// Into a directory.
    File,
    /// Not at all.
    Off,
}

/// A way for mail to leave. Each attempt is one; whoever sends decides about the next.
pub enum Transport {
    /// Through a mail server.
    Smtp(Box<SmtpTransport>),
    /// Into a directory, to try things out.
    File(FileTransport),
    /// Not at all.
    Off,
}

impl Transport {
    /// Through the mail server of `settings`. Reads the file of authorities; connects only when there is a mail.
    pub fn smtp(settings: &SmtpSettings) -> Result<Self, TransportError> {
        SmtpTransport::new(settings).map(|smtp| Self::Smtp(Box::new(smtp)))
    }

    /// Into `directory`, which the first mail creates.
    pub fn file(directory: PathBuf, from: &str) -> Result<Self, TransportError> {
        FileTransport::new(directory, from).map(Self::File)
    }

    /// Not at all.
    pub const fn off() -> Self {
        Self::Off
    }

    /// Whether no mail can be sent.
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Tries once to send `mail`, which says `message`. `Ok` means that the other side has taken it over.
    ///
    /// Dropping the future closes the connection; whether the mail arrived is then unknown, unless `progress` says that its end was not sent.
    pub async fn send(
        &self,
        mail: &QueuedMail,
        message: &Message,
        progress: &Progress,
    ) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(mail, message, progress).await,
            Self::File(file) => file.send(mail, message).await,
            Self::Off => Err(SendError::Off),
        }
    }

    /// From when on a delivery is slow.
    pub const fn slow_after(&self) -> Duration {
        match self {
            Self::Smtp(smtp) => smtp.slow_after(),
            Self::File(_) | Self::Off => SmtpTimeouts::SERVER.slow,
        }
    }

    /// Goes as far as is possible without a mail: connects, signs in and names the sender, or looks at the directory. It makes nothing. Says how the mail
    /// server was greeted.
    pub async fn check(&self) -> Result<Option<HeloName>, SendError> {
        match self {
            Self::Smtp(smtp) => smtp.check().await.map(Some),
            Self::File(file) => file.check().await.map(|()| None),
            Self::Off => Err(SendError::Off),
        }
    }

    /// Removes the files of mails that had expired at `now`, and says how many. Other transports leave none.
    pub fn sweep_files(&self, now: Timestamp) -> io::Result<usize> {
        match self {
            Self::File(file) => file.sweep(now),
            Self::Smtp(_) | Self::Off => Ok(0),
        }
    }
}

/// Which one alone: it knows a password.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp(_) => "Transport(smtp)",
            Self::File(_) => "Transport(file)",
            Self::Off => "Transport(off)",
        })
    }
}
