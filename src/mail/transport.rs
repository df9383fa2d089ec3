//! The ways to send mail: a mail server, files, or none.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use lettre::message::Mailbox;

use super::compose::Message;
use super::error::{SendError, TransportError};
use super::file::FileTransport;
use super::settings::SmtpSettings;
use super::smtp::SmtpTransport;
use super::stage::{Progress, SmtpTimeouts};
use crate::domain::{HeloName, QueuedMail, Timestamp};

/// A way to send mail. Each call of [`Transport::send`] is one attempt; the caller decides whether to try again.
pub enum Transport {
    Smtp(Box<SmtpTransport>),
    /// Writes files into a directory, for trials.
    File(FileTransport),
    Off,
}

impl Transport {
    /// Sends to a mail server. Reads the file of authorities, but does not connect yet.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, TransportError> {
        SmtpTransport::new(settings).map(|smtp| Self::Smtp(Box::new(smtp)))
    }

    /// Writes into `directory`, which the first mail creates.
    pub const fn file(directory: PathBuf, from: Mailbox) -> Self {
        Self::File(FileTransport { directory, from })
    }

    /// Whether no mail can be sent.
    pub const fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Tries once to send `message`, the opened content of `mail`. `Ok` means that the mail server has taken it, or that the file is written.
    ///
    /// Dropping the future closes the connection. The mail may then have arrived if `progress` has reached [`Stage::End`](super::Stage::End).
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

    /// The time after which a delivery counts as slow.
    pub const fn slow_after(&self) -> Duration {
        match self {
            Self::Smtp(smtp) => smtp.slow_after(),
            Self::File(_) | Self::Off => SmtpTimeouts::SERVER.slow,
        }
    }

    /// Tests everything that can be tested without a mail: connects, signs in and names the sender, or checks the directory. Changes nothing. Returns the
    /// argument of EHLO.
    pub async fn check(&self) -> Result<Option<HeloName>, SendError> {
        match self {
            Self::Smtp(smtp) => smtp.check().await.map(Some),
            Self::File(file) => file.check().await.map(|()| None),
            Self::Off => Err(SendError::Off),
        }
    }

    /// Removes the files of mails that have expired at `now`, and returns how many. Other transports have no files.
    pub fn sweep_files(&self, now: Timestamp) -> io::Result<usize> {
        match self {
            Self::File(file) => file.sweep(now),
            Self::Smtp(_) | Self::Off => Ok(0),
        }
    }
}

/// Leaves out the settings, which hold a password.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp(_) => "Transport(smtp)",
            Self::File(_) => "Transport(file)",
            Self::Off => "Transport(off)",
        })
    }
}
