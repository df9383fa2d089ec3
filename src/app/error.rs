//! Why the parts could not be joined, and how the operator mends it.

use std::path::PathBuf;

use crate::captcha::CaptchaSettingsError;
use crate::crypto::{HashError, KeyFileError};
use crate::mail::TransportError;
use crate::{service, store};

/// Why the parts could not be joined. Nothing was changed then, except that a new data directory or key file may have been made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The key file is of another database.
    #[error("the key file {} does not belong to the database {}", key.display(), database.display())]
    ForeignKey {
        /// The key file.
        key: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// The password parameters.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// How mail is sent.
    #[error(transparent)]
    Mail(#[from] TransportError),
    /// How captchas are checked.
    #[error(transparent)]
    Captcha(#[from] CaptchaSettingsError),
    /// A first question to the database.
    #[error(transparent)]
    Service(#[from] service::Error),
}

impl OpenError {
    /// How to mend it, as a sentence for the operator; `None` where the message says all there is to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Store(error) => return store_hint(error),
            Self::KeyFile(error) => return Some(key_file_hint(error)),
            Self::ForeignKey { .. } => {
                "put the key file that belongs to this database in its place, or name it with key_file in the configuration"
            }
            Self::Hash(_) => "check the argon2 parameters of [password] in the configuration",
            Self::Mail(_) => "check [mail] in the configuration",
            Self::Captcha(_) => "check [turnstile] in the configuration",
            Self::Service(_) => "see the log; `arkloop --data-dir DIR serve` names another data directory",
        };
        Some(hint.to_owned())
    }
}

fn store_hint(error: &store::OpenError) -> Option<String> {
    use store::OpenError as Refused;
    Some(match error {
        Refused::Missing(_) => {
            "make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR".to_owned()
        }
        Refused::AlreadyServed(_) => "stop that one first, or name another data directory with --data-dir DIR".to_owned(),
        Refused::InUse(_) => "wait until it has finished, and try again".to_owned(),
        Refused::Foreign(_) => "name another data directory with --data-dir DIR; nothing was changed".to_owned(),
        Refused::Corrupt { .. } => "put a backup in its place; nothing was changed".to_owned(),
        Refused::Newer { .. } => "use the version of arkloop that made it, or a newer one".to_owned(),
        Refused::Older { .. } => "run `arkloop init` or restart `arkloop serve` to bring it up to date".to_owned(),
        Refused::EditedHistory { .. } => "use the version of arkloop that made it".to_owned(),
        Refused::OtherOwner { owner, .. } => format!("run as: sudo -u {} arkloop …", user_name(*owner)),
        Refused::OldSqlite(_) => "build arkloop with its bundled SQLite".to_owned(),
        Refused::Io { .. } => "check that the directory exists, has room and belongs to the user who runs arkloop".to_owned(),
        Refused::Unusable(_) => return None,
    })
}

fn key_file_hint(error: &KeyFileError) -> String {
    match error {
        KeyFileError::Missing(_) => {
            "put the key file of this database there, or name it with key_file in the configuration; \
                                     without it the database cannot be used"
                .to_owned()
        }
        KeyFileError::Io { .. } => "check that it belongs to the user who runs arkloop".to_owned(),
        KeyFileError::TooOpen { path, .. } => format!("run: chmod 600 {}", path.display()),
        KeyFileError::WrongLength { .. } => "put the right key file there; it was not changed".to_owned(),
    }
}

impl From<store::StoreError> for OpenError {
    fn from(error: store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// The name of a user as `sudo -u` takes it: from the local accounts, else the number with a `#`.
fn user_name(id: u32) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    };
    accounts
        .lines()
        .find_map(of_line)
        .unwrap_or_else(|| format!("'#{id}'"))
}
