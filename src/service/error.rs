//! Every way in which a use case refuses or fails, each with the reason that the audit log gives.

use std::time::Duration;

use crate::crypto::HashError;
use crate::domain::{AuditReason, FieldErrors, Limit, RegistrationMode, Timestamp, Username};
use crate::store::{OpenError, StoreError};

/// When to try again after a busy database or a full hash queue: both clear within a second or two.
const SOON: Duration = Duration::from_secs(2);

/// Why a use case was not carried out. All variants except [`Error::Unavailable`] and [`Error::Internal`] are refusals, whose cause the caller can remove.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a field is not acceptable")]
    Invalid(FieldErrors),
    /// The access token is past its `exp`.
    #[error("the access token has expired")]
    TokenExpired,
    /// The access or refresh token is forged or revoked, or its session has ended, or its account was deleted.
    #[error("the token is not valid")]
    InvalidToken,
    #[error("the refresh token cookie is missing")]
    RefreshTokenMissing,
    #[error("the login or the password is wrong")]
    InvalidCredentials,
    #[error("the account is suspended")]
    UserSuspended,
    /// The flow token is forged or too old, or its account was deleted or has another address now.
    #[error("the flow token is not valid")]
    FlowTokenInvalid,
    #[error("registration is disabled")]
    RegistrationDisabled,
    #[error("registration needs an invite code")]
    InviteCodeRequired,
    /// The invite is unknown, expired, revoked or used up.
    #[error("the invite code cannot be used")]
    InviteCodeInvalid,
    #[error("the username is taken")]
    LoginExists,
    #[error("the e-mail address is taken")]
    EmailExists,
    /// An undo reserves the address. Over HTTP this is [`Error::EmailExists`].
    #[error("the account {username} had this address and can still take it back, until {until}")]
    EmailReserved { username: Username, until: Timestamp },
    #[error("there is no such session")]
    SessionNotFound,
    #[error("there is no user \"{0}\"")]
    UserNotFound(String),
    #[error("{0} is an IP address, and an account has it as its username")]
    AddressAndUsername(String),
    #[error("there is no invite with this code")]
    InviteNotFound,
    /// The list was to begin after the row with this id, and has no such row.
    #[error("the list has nothing with the id {0}, so it cannot go on behind it")]
    NotInList(String),
    #[error("the configuration pins registration.mode to {}", .0.into_str())]
    RegistrationPinned(RegistrationMode),
    #[error("the captcha was not solved")]
    CaptchaInvalid,
    #[error("the captcha cannot be checked: {0}")]
    CaptchaUnavailable(String),
    /// The one-time code is wrong, used, expired, guessed at too often, or of an unknown address.
    #[error("the code is wrong or has expired")]
    CodeInvalid,
    /// Too many mails to one mailbox were requested.
    #[error("too many mails were asked for")]
    CodeRateLimited { retry_after: Duration },
    #[error("too many wrong codes were tried")]
    CodeLocked { retry_after: Duration },
    #[error("this was tried too often")]
    RateLimited { limit: Limit, retry_after: Duration },
    /// The link of an address is unknown, used or expired.
    #[error("the verification link cannot be used")]
    EmailTokenInvalid,
    /// The link to set a password is unknown, used or expired.
    #[error("the link to set a password cannot be used")]
    ResetTokenInvalid,
    #[error("the address is verified already")]
    EmailAlreadyVerified,
    #[error("the sign-in is too long ago")]
    ReauthenticationRequired,
    #[error("this is turned off")]
    FeatureOff,
    /// The backup cannot be made at its destination.
    #[error("{problem}")]
    NoPlaceForBackup { problem: String, hint: String },
    /// The key of an earlier rotation does not sign yet.
    #[error("the key {kid} was made before and waits: it signs from {active_at} on")]
    RotationWaits { kid: String, active_at: Timestamp },
    #[error("mail is off")]
    MailUnavailable,
    /// `reason` says how far the mail came and what the mail server said; `hint` says how to fix a known cause.
    #[error("the mail was not sent: {reason}")]
    MailRefused { reason: String, hint: Option<String> },
    /// No server has run on this database yet.
    #[error("there is no signing key yet")]
    NoSigningKey,
    /// A copy of the database is damaged, so the database is too.
    #[error("the database is damaged: {0}")]
    DatabaseDamaged(String),
    #[error("the backup cannot be made: {0}")]
    BackupFailed(#[source] OpenError),
    /// The database is no file, and only its own tools can copy it while it is used.
    #[error("the database is PostgreSQL, which makes its own backups")]
    NoFileToBackUp,
    /// The database is busy or full, or too many passwords wait to be hashed. The reason is for the log.
    #[error("the server cannot do this now: {reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// A fault of this program or of its files. The cause is for the log only.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    pub(super) fn unavailable(reason: String) -> Self {
        Self::Unavailable {
            reason,
            retry_after: SOON,
        }
    }

    /// This refusal, for a reason that only the audit log states.
    pub(super) fn because(self, reason: AuditReason) -> Refused {
        Refused {
            error: self,
            reason: Some(reason),
        }
    }

    /// The reason of a refusal that has only one.
    fn only_reason(&self) -> Option<AuditReason> {
        Some(match self {
            Self::UserSuspended => AuditReason::Suspended,
            Self::RegistrationDisabled => AuditReason::RegistrationDisabled,
            Self::InviteCodeRequired => AuditReason::InviteMissing,
            Self::LoginExists => AuditReason::UsernameTaken,
            Self::EmailExists | Self::EmailReserved { .. } => AuditReason::EmailTaken,
            Self::SessionNotFound => AuditReason::NoSuchSession,
            Self::CodeRateLimited { .. } => AuditReason::TooManyMails,
            Self::CodeLocked { .. } => AuditReason::CodesLocked,
            Self::EmailAlreadyVerified => AuditReason::AlreadyVerified,
            Self::ReauthenticationRequired => AuditReason::SignInTooOld,
            _ => return None,
        })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Self::unavailable(reason),
            other => Self::internal(other),
        }
    }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::QueueFull => Self::unavailable(error.to_string()),
            HashError::Unusable(_) | HashError::NoThread(_) => Self::internal(error),
        }
    }
}

/// Why a change was not carried out. A refusal undoes the change and, if it has a reason, writes an audit row. A fault writes nothing.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Error,
    /// `None` for a fault, and for a refusal without an audit row.
    pub(super) reason: Option<AuditReason>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            reason: error.only_reason(),
            error,
        }
    }
}

/// Drops the reason, where no audit row is written.
impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}
