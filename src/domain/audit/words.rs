//! The words of the audit log: what can happen, and why it can be refused. Their names are stable.

/// What happened. A name is `noun.verb`, and `sign_in` alone stands for all that begin with it when the operator asks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AuditEvent {
    /// Somebody asked for an account.
    Register,
    /// Somebody signed in by password.
    #[strum(serialize = "sign_in.password")]
    SignInByPassword,
    /// Somebody signed in by a mailed code.
    #[strum(serialize = "sign_in.code")]
    SignInByCode,
    /// Somebody signed out.
    SignOut,
    /// A refresh token came back after its grace, and the session ended.
    #[strum(serialize = "refresh.reused")]
    RefreshReused,
    /// A refresh token came that this database never issued, and the session ended.
    #[strum(serialize = "refresh.ahead")]
    RefreshAhead,
    /// A refresh token came again within its grace, from another network or by another user agent.
    #[strum(serialize = "refresh.repeated")]
    RefreshRepeated,
    /// A refresh was refused, and no session ended by it.
    #[strum(serialize = "refresh.refused")]
    RefreshRefused,
    /// An owner ended sessions from another one.
    #[strum(serialize = "session.ended")]
    SessionEnded,
    /// A code was asked for.
    #[strum(serialize = "code.sent")]
    CodeSent,
    /// A verification mail was asked for.
    #[strum(serialize = "email.verification_sent")]
    VerificationSent,
    /// An address was verified through a link.
    #[strum(serialize = "email.verified")]
    EmailVerified,
    /// The owner of an address said that the account is not theirs, and it was deleted.
    #[strum(serialize = "email.rejected")]
    EmailRejected,
    /// The owner of an address proved it, and whoever had registered it lost the account.
    #[strum(serialize = "account.taken_back")]
    AccountTakenBack,
    /// An owner changed their password.
    #[strum(serialize = "password.changed")]
    PasswordChanged,
    /// A link to set a password was asked for.
    #[strum(serialize = "password.reset_sent")]
    ResetSent,
    /// A password was set through a link.
    #[strum(serialize = "password.reset")]
    PasswordReset,
    /// An owner changed their name, language or time zone.
    #[strum(serialize = "profile.changed")]
    ProfileChanged,
    /// Requests were refused because there were too many.
    Throttled,
    /// Captchas were refused.
    #[strum(serialize = "captcha.refused")]
    CaptchaRefused,
    /// The operator made an invite.
    #[strum(serialize = "invite.created")]
    InviteCreated,
    /// The operator took an invite back.
    #[strum(serialize = "invite.revoked")]
    InviteRevoked,
    /// The operator said who may register.
    #[strum(serialize = "registration.set")]
    RegistrationSet,
    /// The operator made an account.
    #[strum(serialize = "user.created")]
    UserCreated,
    /// The operator made a link to set a password.
    #[strum(serialize = "user.link_created")]
    UserLinkCreated,
    /// The operator set a password.
    #[strum(serialize = "user.password_set")]
    UserPasswordSet,
    /// The operator set an address.
    #[strum(serialize = "user.email_set")]
    UserEmailSet,
    /// The operator vouched for an address.
    #[strum(serialize = "user.email_verified")]
    UserEmailVerified,
    /// The operator suspended an account.
    #[strum(serialize = "user.suspended")]
    UserSuspended,
    /// The operator lifted a suspension.
    #[strum(serialize = "user.reactivated")]
    UserReactivated,
    /// The operator deleted an account.
    #[strum(serialize = "user.deleted")]
    UserDeleted,
    /// The operator ended sessions.
    #[strum(serialize = "session.revoked")]
    SessionRevoked,
    /// The operator made a backup.
    #[strum(serialize = "backup.made")]
    BackupMade,
    /// The operator put a backup in the place of the database.
    #[strum(serialize = "backup.restored")]
    BackupRestored,
    /// The operator had waiting mail tried again.
    #[strum(serialize = "mail.retried")]
    MailRetried,
    /// The operator replaced the signing key.
    #[strum(serialize = "key.rotated")]
    SigningKeyRotated,
    /// The operator replaced the key file.
    #[strum(serialize = "key.file_replaced")]
    KeyFileReplaced,
    /// The operator went on without a lost key file.
    #[strum(serialize = "key.file_reset")]
    KeyFileReset,
}

/// Why something was refused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AuditReason {
    /// No account has this name or address.
    UnknownAccount,
    /// The account has no password.
    NoPassword,
    /// The password is another.
    WrongPassword,
    /// The password was right, and was changed while it was checked.
    PasswordJustChanged,
    /// The account is suspended.
    Suspended,
    /// An account without a password may set one only soon after signing in.
    SignInTooOld,
    /// The present password was not given.
    PasswordMissing,
    /// The new password is one of the account's own names.
    PasswordContainsName,
    /// The code is another.
    WrongCode,
    /// The code is the one before, which a newer one has replaced.
    OlderCode,
    /// The code was too old.
    ExpiredCode,
    /// The code had been used.
    UsedCode,
    /// The code had been compared as often as it may be.
    AttemptsUsedUp,
    /// No code was asked for, or it was long ago.
    NoCode,
    /// Codes of the address are not compared for a while, because too many were wrong.
    CodesLocked,
    /// Too many mails were asked for.
    TooManyMails,
    /// Codes are mailed more slowly, because too many were wrong over all accounts.
    CodesBraked,
    /// The link is unknown, a newer one has replaced it, or the password was set since.
    UnknownLink,
    /// The link had been used.
    UsedLink,
    /// The link was too old.
    ExpiredLink,
    /// The address was verified meanwhile.
    AlreadyVerified,
    /// Nobody may register.
    RegistrationDisabled,
    /// No invite was given.
    InviteMissing,
    /// There is no such invite.
    UnknownInvite,
    /// The invite was too old.
    ExpiredInvite,
    /// The operator had taken the invite back.
    RevokedInvite,
    /// The invite had admitted as many accounts as it may.
    UsedUpInvite,
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the address.
    EmailTaken,
    /// There is no such living session.
    NoSuchSession,
    /// No refresh token was sent.
    RefreshTokenMissing,
    /// This server did not make the refresh token.
    ForgedToken,
    /// The session of the refresh token is not there, or not there any more.
    UnknownSession,
    /// The refresh token had been replaced a moment ago, from another network and by another user agent.
    FromElsewhere,
    /// Refresh tokens of living sessions of two accounts came at once.
    TwoAccounts,
    /// The session had been ended.
    SessionEnded,
    /// The session had ended because nobody used it.
    SessionUnused,
    /// The session had reached the longest age.
    SessionTooOld,
    /// Too many requests came from the address.
    AddressLimit,
    /// Too many requests came from the session.
    SessionLimit,
    /// The username of the account was changed too often, or tried to be.
    RenameLimit,
    /// Too many wrong passwords were tried on the account from one address.
    AccountLimit,
    /// So many wrong passwords were tried on the account, from everywhere or from one IPv6 site, that it takes none from there for a while.
    AccountPause,
    /// The captcha was not solved.
    CaptchaInvalid,
    /// Whether the captcha was solved could not be found out.
    CaptchaUnavailable,
}
