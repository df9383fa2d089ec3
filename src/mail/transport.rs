//! The ways to send mail.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::compose::Message;
use super::error::{SendError, TransportError};
use super::file::FileTransport;
use super::message::Sender;
use super::settings::SmtpSettings;
use super::smtp::SmtpTransport;
use super::stage::{Progress, SmtpTimeouts};
use crate::domain::{HeloName, QueuedMail, Timestamp};

/// A way to send mail. Each call is one attempt; the caller decides about the next.
pub enum Transport {
    Smtp(Box<SmtpTransport>),
    /// Into a directory, for trials.
    File(FileTransport),
    Off,
}

impl Transport {
    /// Reads the file of authorities; connects only when there is a mail.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, TransportError> {
        SmtpTransport::new(settings).map(|smtp| Self::Smtp(Box::new(smtp)))
    }

    /// Into `directory`, which the first mail creates.
    pub const fn file(directory: PathBuf, from: Sender) -> Self {
        Self::File(FileTransport { directory, from })
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

    /// After how long a delivery is slow.
    pub const fn slow_after(&self) -> Duration {
        match self {
            Self::Smtp(smtp) => smtp.slow_after(),
            Self::File(_) | Self::Off => SmtpTimeouts::SERVER.slow,
        }
    }

    /// Goes as far as possible without a mail: connects, signs in and names the sender, or checks the directory. Makes nothing. Returns how it greeted the
    /// mail server.
    pub async fn check(&self) -> Result<Option<HeloName>, SendError> {
        match self {
            Self::Smtp(smtp) => smtp.check().await.map(Some),
            Self::File(file) => file.check().await.map(|()| None),
            Self::Off => Err(SendError::Off),
        }
    }

    /// Removes the files of mails that had expired at `now`; returns how many. Other transports have none.
    pub fn sweep_files(&self, now: Timestamp) -> io::Result<usize> {
        match self {
            Self::File(file) => file.sweep(now),
            Self::Smtp(_) | Self::Off => Ok(0),
        }
    }
}

/// Without the settings, which hold a password.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp(_) => "Transport(smtp)",
            Self::File(_) => "Transport(file)",
            Self::Off => "Transport(off)",
        })
    }
}
