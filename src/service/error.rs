//! Every way in which a use case refuses or fails.

use std::time::Duration;

use crate::crypto::HashError;
use crate::domain::{AuditReason, FieldErrors, Limit, RegistrationMode, Timestamp};
use crate::store::{self, StoreError, Taken};

/// When whoever found the database busy or the hash queue full should come again: both clear within a second or two.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// Why a use case was not carried out. Everything but [`Error::Unavailable`] and [`Error::Internal`] is a refusal: the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One or more fields are bad.
    #[error("a field is not acceptable")]
    Invalid(FieldErrors),
    /// The access token is past its `exp`.
    #[error("the access token has expired")]
    TokenExpired,
    /// The access or refresh token is forged, revoked, of an ended session or of a user that is gone.
    #[error("the token is not valid")]
    InvalidToken,
    /// A refresh without the cookie.
    #[error("the refresh token cookie is missing")]
    RefreshTokenMissing,
    /// Wrong login or password.
    #[error("the login or the password is wrong")]
    InvalidCredentials,
    /// The account is suspended.
    #[error("the account is suspended")]
    UserSuspended,
    /// Nobody may register.
    #[error("registration is disabled")]
    RegistrationDisabled,
    /// Registration needs an invite.
    #[error("registration needs an invite code")]
    InviteCodeRequired,
    /// The invite is unknown, expired, revoked or used up.
    #[error("the invite code cannot be used")]
    InviteCodeInvalid,
    /// The username is taken.
    #[error("the username is taken")]
    LoginExists,
    /// The address is taken.
    #[error("the e-mail address is taken")]
    EmailExists,
    /// The caller has no such session.
    #[error("there is no such session")]
    SessionNotFound,
    /// No account has this username, address or id.
    #[error("there is no user \"{0}\"")]
    UserNotFound(String),
    /// The text is an IP address, and an account has it as its username.
    #[error("{0} is an IP address, and an account has it as its username")]
    AddressAndUsername(String),
    /// No invite has this code.
    #[error("there is no invite with this code")]
    InviteNotFound,
    /// A list has no row with this id, behind which it was to begin.
    #[error("the list has nothing with the id {0}, so it cannot go on behind it")]
    NotInList(String),
    /// The configuration fixes the registration mode.
    #[error("the configuration pins registration.mode to {0}")]
    RegistrationPinned(RegistrationMode),
    /// The captcha was not solved.
    #[error("the captcha was not solved")]
    CaptchaInvalid,
    /// Whether the captcha was solved cannot be found out.
    #[error("the captcha cannot be checked: {0}")]
    CaptchaUnavailable(String),
    /// The one-time code is wrong, used, expired, guessed at too often, or of an unknown address.
    #[error("the code is wrong or has expired")]
    CodeInvalid,
    /// Mail was asked for too often for one address.
    #[error("too many mails were asked for")]
    CodeRateLimited {
        /// When one more is allowed.
        retry_after: Duration,
    },
    /// Codes of one address were guessed at too often.
    #[error("too many wrong codes were tried")]
    CodeLocked {
        /// When codes are compared again.
        retry_after: Duration,
    },
    /// This was tried too often.
    #[error("this was tried too often")]
    RateLimited {
        /// Whose limit was reached.
        limit: Limit,
        /// When it may be tried again.
        retry_after: Duration,
    },
    /// The verification link is unknown, used or expired.
    #[error("the verification link cannot be used")]
    EmailTokenInvalid,
    /// The link to set a password is unknown, used or expired.
    #[error("the link to set a password cannot be used")]
    ResetTokenInvalid,
    /// The address is verified already.
    #[error("the address is verified already")]
    EmailAlreadyVerified,
    /// The sign-in is too long ago for this.
    #[error("the sign-in is too long ago")]
    ReauthenticationRequired,
    /// The configuration turns this off.
    #[error("this is turned off")]
    FeatureOff,
    /// A backup cannot be made where it was asked for.
    #[error("{problem}")]
    NoPlaceForBackup {
        /// What was found there.
        problem: String,
        /// How to mend it.
        hint: String,
    },
    /// A key that was made before does not sign yet.
    #[error("the key {kid} was made before and waits: it signs from {active_at} on")]
    RotationWaits {
        /// The key that waits.
        kid: String,
        /// From when on it signs.
        active_at: Timestamp,
    },
    /// The configuration says that no mail is sent.
    #[error("mail is off")]
    MailUnavailable,
    /// A mail was not sent.
    #[error("the mail was not sent: {reason}")]
    MailRefused {
        /// How far it came, and what the mail server said.
        reason: String,
        /// What the operator can do about it, if the cause is a known one.
        hint: Option<String>,
    },
    /// No server has run on this database yet, so that nothing signs.
    #[error("there is no signing key yet")]
    NoSigningKey,
    /// The copy of the database is not whole, and so the database is not.
    #[error("the database is damaged: {0}")]
    DatabaseDamaged(String),
    /// The backup cannot be made.
    #[error("the backup cannot be made: {0}")]
    BackupFailed(#[source] store::OpenError),
    /// The server cannot do this now: the database is busy or full, or too many passwords wait to be hashed.
    #[error("the server cannot do this now: {reason}")]
    Unavailable {
        /// What is busy, for the log.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of this program or of its files; the cause is for the log only.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps a fault.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Self::Unavailable {
                reason,
                retry_after: SOON,
            },
            other => Self::internal(other),
        }
    }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::QueueFull => Self::Unavailable {
                reason: error.to_string(),
                retry_after: SOON,
            },
            HashError::Unusable(_) | HashError::NoThread(_) => Self::internal(error),
        }
    }
}

impl From<Taken> for Error {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Username => Self::LoginExists,
            Taken::Email => Self::EmailExists,
        }
    }
}

/// Why a transaction was not carried out: a refusal, whose changes are undone and whose row is written, or a fault, after which nothing is.
#[derive(Debug)]
pub(in crate::service) struct Refused {
    pub(in crate::service) error: Error,
    pub(in crate::service) reason: Option<AuditReason>,
}

impl Refused {
    /// The same where there is no account: whatever code is typed for it, that is what is wrong with it.
    pub(in crate::service) fn without_account(self) -> Self {
        match self.error {
            Error::CodeInvalid => Error::CodeInvalid.because(AuditReason::UnknownAccount),
            _ => self,
        }
    }
}

impl Error {
    /// This refusal, for a reason that the caller is not told.
    pub(in crate::service) fn because(self, reason: AuditReason) -> Refused {
        Refused {
            error: self,
            reason: Some(reason),
        }
    }

    /// The reason, where the refusal has only one.
    fn only_reason(&self) -> Option<AuditReason> {
        Some(match self {
            Self::UserSuspended => AuditReason::Suspended,
            Self::RegistrationDisabled => AuditReason::RegistrationDisabled,
            Self::InviteCodeRequired => AuditReason::InviteMissing,
            Self::LoginExists => AuditReason::UsernameTaken,
            Self::EmailExists => AuditReason::EmailTaken,
            Self::SessionNotFound => AuditReason::NoSuchSession,
            Self::CodeRateLimited { .. } => AuditReason::TooManyMails,
            Self::CodeLocked { .. } => AuditReason::CodesLocked,
            Self::EmailAlreadyVerified => AuditReason::AlreadyVerified,
            Self::ReauthenticationRequired => AuditReason::SignInTooOld,
            _ => return None,
        })
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            reason: error.only_reason(),
            error,
        }
    }
}

/// For where nothing is written, so that the reason has no place.
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
