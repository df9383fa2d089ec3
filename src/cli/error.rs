//! Refusals for an operator: the problem and how to fix it.

use crate::app::{LogoError, OpenError};
use crate::config::ConfigError;
use crate::domain::{FieldError, FieldErrors, printable};
use crate::fault::with_sources;
use crate::service::Error;

/// Why a command ends with exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            hint: Some(hint.into()),
        }
    }

    /// The problem and the hint in one printable line.
    pub(super) fn to_line(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}"));
        one_line(&format!("error: {}{}", self.problem, hint.unwrap_or_default()))
    }
}

/// Turns a text into one printable line: the answer of a mail server, for example, may contain line ends and control characters.
pub(super) fn one_line(text: &str) -> String {
    printable(&text.replace(['\n', '\r', '\t'], " "), &[]).into_owned()
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string(), error.hint)
    }
}

impl From<LogoError> for Refusal {
    fn from(error: LogoError) -> Self {
        Self::new(with_sources(&error), error.hint())
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Service(error) => error.into(),
            error => Self {
                problem: with_sources(&error),
                hint: error.hint(),
            },
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let problem = match &error {
            Error::Invalid(fields) => describe_fields(fields),
            Error::Internal(cause) => format!("internal error: {}", with_sources(cause.as_ref())),
            Error::BackupFailed(cause) => format!("the backup cannot be made: {}", with_sources(cause)),
            Error::Unavailable { reason, .. } => format!("nothing was changed: {reason}"),
            other => other.to_string(),
        };
        Self {
            problem,
            hint: hint(&error).map(str::to_owned),
        }
    }
}

fn hint(error: &Error) -> Option<&str> {
    let hint = match error {
        Error::LoginExists => "choose another, or look who has it: arkloop user list --search NAME",
        Error::EmailExists => "give another, or look who has it: arkloop user list --search ADDRESS",
        Error::EmailReserved { .. } => {
            "wait, or set another address for that account first: arkloop user set-email USER ADDRESS"
        }
        Error::UserSuspended => {
            "no link works for it; let it be used again first: arkloop user reactivate USER"
        }
        Error::UserNotFound(_) => "give a username, an e-mail address or an id; see: arkloop user list",
        Error::AddressAndUsername(_) => {
            "for the IP address say: arkloop explain --ip IP; for the account give its e-mail address or id; see: arkloop user show NAME"
        }
        Error::NotInList(_) => {
            "it may have been removed meanwhile; give the id of another row, or begin again without --after"
        }
        Error::InviteNotFound => "see: arkloop invite list --all",
        Error::SessionNotFound => "it may have ended already; see: arkloop session list USER",
        Error::RegistrationPinned(_) => {
            "take registration.mode out of the configuration (and restart the server) to set it here"
        }
        Error::MailUnavailable => {
            "set mail.transport to \"smtp\" and mail.smtp_url to your mail server (or mail.transport to \"file\", to try \
             things out) in the configuration of the server, and name that with --config"
        }
        Error::MailRefused { hint: Some(hint), .. } | Error::NoPlaceForBackup { hint, .. } => hint,
        Error::MailRefused { hint: None, .. } => {
            "check [mail] in the configuration, and whether the mail server runs"
        }
        Error::RotationWaits { .. } => {
            "wait until then; if a key may be in other hands: arkloop key rotate --now"
        }
        Error::NoSigningKey => "the server makes one when it starts",
        Error::DatabaseDamaged(_) => "no backup was made; restore the last one that is good, and keep it",
        Error::NoFileToBackUp => {
            "use pg_dump -Fc, or snapshots of the server; after bringing one back, run: arkloop restore --after-external"
        }
        Error::BackupFailed(_) => {
            "check that the directory exists, has room and belongs to the user who runs arkloop"
        }
        Error::Unavailable { .. } => {
            "try again in a moment; if it stays so, see whether the disk is full or another program has locked the database"
        }
        Error::Internal(_) => "run it again with -vv to see more",
        Error::Invalid(_) => "choose another and run the command again",
        // Only HTTP clients get the other errors.
        _ => return None,
    };
    Some(hint)
}

fn describe_fields(fields: &FieldErrors) -> String {
    let described = fields
        .iter()
        .map(|(field, error)| format!("{field} {}", describe(error)));
    described.collect::<Vec<_>>().join("; ")
}

/// The error of a field, as the rest of a sentence that begins with its name.
pub(super) fn describe(error: FieldError) -> String {
    match error {
        FieldError::Missing => "is empty".to_owned(),
        FieldError::Unknown => "is not known".to_owned(),
        FieldError::Duplicate => "is given twice".to_owned(),
        FieldError::WrongType { expected } => format!("must be a {expected}"),
        FieldError::TooShort { min } => format!("is too short: at least {min} characters"),
        FieldError::TooLong { max } => format!("is too long: at most {max} characters"),
        FieldError::TooManyBytes { max } => format!("is too long: at most {max} bytes"),
        FieldError::Invalid { form } => format!("must be {form}"),
        FieldError::InvalidCharacters { allowed } => format!("may only have {allowed}"),
        FieldError::CommonPassword => "is one of the most common passwords".to_owned(),
        FieldError::ContainsIdentity => "must not be the account's own username or address".to_owned(),
        FieldError::Incorrect => "is wrong".to_owned(),
    }
}
