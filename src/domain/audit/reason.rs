//! The reasons for which events are refused.

/// The names are stable.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AuditReason {
    /// No account has this name or address.
    UnknownAccount,
    /// The account has no password.
    NoPassword,
    WrongPassword,
    /// The password was right, but changed while it was checked.
    PasswordJustChanged,
    Suspended,
    /// An account without a password may set one only soon after signing in.
    SignInTooOld,
    /// The current password was not given.
    PasswordMissing,
    /// The new password is one of the account's own names.
    PasswordContainsName,
    WrongCode,
    /// A newer code has replaced this one.
    OlderCode,
    ExpiredCode,
    UsedCode,
    /// The code was compared too often.
    AttemptsUsedUp,
    /// No code was requested lately.
    NoCode,
    /// Too many codes of the address were wrong; for a while none is compared.
    CodesLocked,
    /// Too many mails were requested.
    TooManyMails,
    /// Too many codes of all accounts were wrong; codes are mailed more slowly.
    CodesBraked,
    /// The link does not exist, a newer one has replaced it, or the password was set since.
    UnknownLink,
    UsedLink,
    ExpiredLink,
    /// The address was verified after the link was made.
    AlreadyVerified,
    RegistrationDisabled,
    InviteMissing,
    UnknownInvite,
    ExpiredInvite,
    RevokedInvite,
    UsedUpInvite,
    UsernameTaken,
    EmailTaken,
    /// The session does not exist or has ended.
    NoSuchSession,
    RefreshTokenMissing,
    /// This server did not make the refresh token.
    ForgedToken,
    /// The session of the refresh token does not exist.
    UnknownSession,
    /// The refresh token was replaced shortly before, and came from another network and another user agent.
    FromElsewhere,
    /// One request had refresh tokens of live sessions of two accounts.
    TwoAccounts,
    SessionEnded,
    /// The session was not refreshed in time.
    SessionUnused,
    /// The session reached its absolute age.
    SessionTooOld,
    AddressLimit,
    SessionLimit,
    /// The account changed its username too often.
    RenameLimit,
    /// Too many wrong passwords for the account came from one address.
    AccountLimit,
    /// Too many wrong passwords for the account came from everywhere or from one IPv6 site; for a while it takes none from there.
    AccountPause,
    CaptchaInvalid,
    /// The captcha could not be checked.
    CaptchaUnavailable,
}
