//! The events of the audit log.

use std::collections::BTreeMap;

use strum::VariantArray;

/// What happened. The names are stable, and most have the form `noun.verb`. The operator can ask for all events of a noun.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AuditEvent {
    Register,
    #[strum(serialize = "sign_in.password")]
    SignInByPassword,
    #[strum(serialize = "sign_in.code")]
    SignInByCode,
    SignOut,
    /// A refresh token was used after its grace, and the session ended.
    #[strum(serialize = "refresh.reused")]
    RefreshReused,
    /// This database never issued the refresh token, and the session ended.
    #[strum(serialize = "refresh.ahead")]
    RefreshAhead,
    /// A refresh token was repeated within its grace, from another network or by another user agent.
    #[strum(serialize = "refresh.repeated")]
    RefreshRepeated,
    /// A refresh was refused, and the session did not end.
    #[strum(serialize = "refresh.refused")]
    RefreshRefused,
    /// An owner ended sessions from another session.
    #[strum(serialize = "session.ended")]
    SessionEnded,
    /// A code was requested.
    #[strum(serialize = "code.sent")]
    CodeSent,
    /// A verification mail was requested.
    #[strum(serialize = "email.verification_sent")]
    VerificationSent,
    /// An address was verified through a link.
    #[strum(serialize = "email.verified")]
    EmailVerified,
    /// The owner of an address said that the account is not theirs, and it was deleted.
    #[strum(serialize = "email.rejected")]
    EmailRejected,
    /// An owner asked for a change of the address.
    #[strum(serialize = "email.change_requested")]
    EmailChangeRequested,
    /// A change of the address was confirmed.
    #[strum(serialize = "email.changed")]
    EmailChanged,
    /// The reader of the new address cancelled a change.
    #[strum(serialize = "email.change_cancelled")]
    EmailChangeCancelled,
    /// The owner of the former address took it back.
    #[strum(serialize = "email.change_undone")]
    EmailChangeUndone,
    /// The owner of an address gave it to another account, and the account that had claimed it without verifying it was deleted.
    #[strum(serialize = "account.displaced")]
    AccountDisplaced,
    /// The owner of an address proved it, and took over the account that someone else had registered with it.
    #[strum(serialize = "account.taken_back")]
    AccountTakenBack,
    /// An owner deleted their account.
    #[strum(serialize = "account.deleted")]
    AccountDeleted,
    /// An owner exported the data of their account.
    #[strum(serialize = "account.exported")]
    AccountExported,
    /// An owner changed their password.
    #[strum(serialize = "password.changed")]
    PasswordChanged,
    /// A link to set a password was requested.
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
    /// The operator created an invite.
    #[strum(serialize = "invite.created")]
    InviteCreated,
    /// The operator revoked an invite.
    #[strum(serialize = "invite.revoked")]
    InviteRevoked,
    /// The operator set the registration mode.
    #[strum(serialize = "registration.set")]
    RegistrationSet,
    /// The operator created an account.
    #[strum(serialize = "user.created")]
    UserCreated,
    /// The operator created a link to set a password.
    #[strum(serialize = "user.link_created")]
    UserLinkCreated,
    /// The operator set a password.
    #[strum(serialize = "user.password_set")]
    UserPasswordSet,
    /// The operator set an address.
    #[strum(serialize = "user.email_set")]
    UserEmailSet,
    /// The operator marked an address as verified.
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
    /// The operator replaced the database by a backup.
    #[strum(serialize = "backup.restored")]
    BackupRestored,
    /// The operator had waiting mail sent at once.
    #[strum(serialize = "mail.retried")]
    MailRetried,
    /// The operator replaced the signing key.
    #[strum(serialize = "key.rotated")]
    SigningKeyRotated,
    /// The operator replaced the key file.
    #[strum(serialize = "key.file_replaced")]
    KeyFileReplaced,
    /// The operator replaced a key file that was lost.
    #[strum(serialize = "key.file_reset")]
    KeyFileReset,
}

/// One event, or all events of a noun: `sign_in` stands for `sign_in.password` and `sign_in.code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvents(String);

impl AuditEvents {
    /// Reads the name of an event, or its noun.
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = AuditEvent::VARIANTS.iter().any(|event| {
            let name = event.into_str();
            name == text || name.split_once('.').is_some_and(|(noun, _)| noun == text)
        });
        is_known.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every text that [`AuditEvents::parse`] accepts: for each noun, the noun itself and then its events in the order of [`AuditEvent`].
    pub fn by_noun() -> BTreeMap<&'static str, Vec<&'static str>> {
        let mut by_noun = BTreeMap::new();
        for name in AuditEvent::VARIANTS.iter().map(|event| event.into_str()) {
            let (noun, _) = name.split_once('.').unwrap_or((name, ""));
            let names = by_noun.entry(noun).or_insert_with(|| vec![noun]);
            if name != noun {
                names.push(name);
            }
        }
        by_noun
    }
}
