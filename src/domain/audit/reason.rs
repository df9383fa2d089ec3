//! The reasons for which events are refused.

/// Why an event was refused. The names are stable.
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
    /// Without a password, the owner proves to be present only by a recent sign-in.
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
    /// Too many wrong codes were tried, so this code is void.
    AttemptsUsedUp,
    /// No code was requested lately.
    NoCode,
    /// Too many wrong codes in a row were tried for the address; for a while no code is accepted.
    CodesLocked,
    /// Too many mails were requested.
    TooManyMails,
    /// Too many wrong codes were tried for all accounts together; codes are mailed more slowly.
    CodesBraked,
    /// The link does not exist, a newer one has replaced it, or the password was set after the link was created.
    UnknownLink,
    UsedLink,
    ExpiredLink,
    /// The link belongs to another account than the caller's.
    ForeignLink,
    /// The address was verified after the link was created.
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
    /// The refresh token was not issued with the current key file.
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
    /// The session reached its maximum age.
    SessionTooOld,
    AddressLimit,
    SessionLimit,
    /// The owner asked for too many changes of the username.
    RenameLimit,
    /// The owner asked too often to change the address, to delete or to export the account.
    OwnAccountLimit,
    /// Too many wrong passwords for the account came from one address.
    AccountLimit,
    /// Too many wrong passwords for the account came from all addresses together or from one IPv6 site; for a while no password from there is accepted.
    AccountPause,
    CaptchaInvalid,
    /// The captcha could not be checked.
    CaptchaUnavailable,
}
