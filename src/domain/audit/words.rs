//! The words of the audit log: what can happen, and why it can be refused. Their names are stable.

/// A closed list of words with stable names.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident => $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// Every one, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the database and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == name)
            }
        }
    };
}

words! {
    /// What happened. A name is `noun.verb`, and `sign_in` alone stands for all that begin with it when the operator asks.
    AuditEvent {
        /// Somebody asked for an account.
        Register => "register",
        /// Somebody signed in by password.
        SignInByPassword => "sign_in.password",
        /// Somebody signed in by a mailed code.
        SignInByCode => "sign_in.code",
        /// Somebody signed out.
        SignOut => "sign_out",
        /// A refresh token came back after its grace, and the session ended.
        RefreshReused => "refresh.reused",
        /// A refresh token came that this database never issued, and the session ended.
        RefreshAhead => "refresh.ahead",
        /// A refresh token came again within its grace, from another network or by another user agent.
        RefreshRepeated => "refresh.repeated",
        /// A refresh was refused, and no session ended by it.
        RefreshRefused => "refresh.refused",
        /// An owner ended sessions from another one.
        SessionEnded => "session.ended",
        /// A code was asked for.
        CodeSent => "code.sent",
        /// A verification mail was asked for.
        VerificationSent => "email.verification_sent",
        /// An address was verified through a link.
        EmailVerified => "email.verified",
        /// The owner of an address said that the account is not theirs, and it was deleted.
        EmailRejected => "email.rejected",
        /// The owner of an address proved it, and whoever had registered it lost the account.
        AccountTakenBack => "account.taken_back",
        /// An owner changed their password.
        PasswordChanged => "password.changed",
        /// A link to set a password was asked for.
        ResetSent => "password.reset_sent",
        /// A password was set through a link.
        PasswordReset => "password.reset",
        /// An owner changed their name, language or time zone.
        ProfileChanged => "profile.changed",
        /// Requests were refused because there were too many.
        Throttled => "throttled",
        /// Captchas were refused.
        CaptchaRefused => "captcha.refused",
        /// The operator made an invite.
        InviteCreated => "invite.created",
        /// The operator took an invite back.
        InviteRevoked => "invite.revoked",
        /// The operator said who may register.
        RegistrationSet => "registration.set",
        /// The operator made an account.
        UserCreated => "user.created",
        /// The operator made a link to set a password.
        UserLinkCreated => "user.link_created",
        /// The operator set a password.
        UserPasswordSet => "user.password_set",
        /// The operator set an address.
        UserEmailSet => "user.email_set",
        /// The operator vouched for an address.
        UserEmailVerified => "user.email_verified",
        /// The operator suspended an account.
        UserSuspended => "user.suspended",
        /// The operator lifted a suspension.
        UserReactivated => "user.reactivated",
        /// The operator deleted an account.
        UserDeleted => "user.deleted",
        /// The operator ended sessions.
        SessionRevoked => "session.revoked",
        /// The operator made a backup.
        BackupMade => "backup.made",
        /// The operator put a backup in the place of the database.
        BackupRestored => "backup.restored",
        /// The operator had waiting mail tried again.
        MailRetried => "mail.retried",
        /// The operator replaced the signing key.
        SigningKeyRotated => "key.rotated",
        /// The operator replaced the key file.
        KeyFileReplaced => "key.file_replaced",
        /// The operator went on without a lost key file.
        KeyFileReset => "key.file_reset",
    }
}

words! {
    /// Why something was refused.
    AuditReason {
        /// No account has this name or address.
        UnknownAccount => "unknown_account",
        /// The account has no password.
        NoPassword => "no_password",
        /// The password is another.
        WrongPassword => "wrong_password",
        /// The password was right, and was changed while it was checked.
        PasswordJustChanged => "password_just_changed",
        /// The account is suspended.
        Suspended => "suspended",
        /// An account without a password may set one only soon after signing in.
        SignInTooOld => "sign_in_too_old",
        /// The present password was not given.
        PasswordMissing => "password_missing",
        /// The new password is one of the account's own names.
        PasswordContainsName => "password_contains_name",
        /// The code is another.
        WrongCode => "wrong_code",
        /// The code is the one before, which a newer one has replaced.
        OlderCode => "older_code",
        /// The code was too old.
        ExpiredCode => "expired_code",
        /// The code had been used.
        UsedCode => "used_code",
        /// The code had been compared as often as it may be.
        AttemptsUsedUp => "attempts_used_up",
        /// No code was asked for, or it was long ago.
        NoCode => "no_code",
        /// Codes of the address are not compared for a while, because too many were wrong.
        CodesLocked => "codes_locked",
        /// Too many mails were asked for.
        TooManyMails => "too_many_mails",
        /// Codes are mailed more slowly, because too many were wrong over all accounts.
        CodesBraked => "codes_braked",
        /// The link is unknown, a newer one has replaced it, or the password was set since.
        UnknownLink => "unknown_link",
        /// The link had been used.
        UsedLink => "used_link",
        /// The link was too old.
        ExpiredLink => "expired_link",
        /// The address was verified meanwhile.
        AlreadyVerified => "already_verified",
        /// Nobody may register.
        RegistrationDisabled => "registration_disabled",
        /// No invite was given.
        InviteMissing => "invite_missing",
        /// There is no such invite.
        UnknownInvite => "unknown_invite",
        /// The invite was too old.
        ExpiredInvite => "expired_invite",
        /// The operator had taken the invite back.
        RevokedInvite => "revoked_invite",
        /// The invite had admitted as many accounts as it may.
        UsedUpInvite => "used_up_invite",
        /// Another account has the username.
        UsernameTaken => "username_taken",
        /// Another account has the address.
        EmailTaken => "email_taken",
        /// There is no such living session.
        NoSuchSession => "no_such_session",
        /// No refresh token was sent.
        RefreshTokenMissing => "refresh_token_missing",
        /// This server did not make the refresh token.
        ForgedToken => "forged_token",
        /// The session of the refresh token is not there, or not there any more.
        UnknownSession => "unknown_session",
        /// The refresh token had been replaced a moment ago, from another network and by another user agent.
        FromElsewhere => "from_elsewhere",
        /// Refresh tokens of living sessions of two accounts came at once.
        TwoAccounts => "two_accounts",
        /// The session had been ended.
        SessionEnded => "session_ended",
        /// The session had ended because nobody used it.
        SessionUnused => "session_unused",
        /// The session had reached the longest age.
        SessionTooOld => "session_too_old",
        /// Too many requests came from the address.
        AddressLimit => "address_limit",
        /// Too many requests came from the session.
        SessionLimit => "session_limit",
        /// The username of the account was changed too often, or tried to be.
        RenameLimit => "rename_limit",
        /// Too many wrong passwords were tried on the account from one address.
        AccountLimit => "account_limit",
        /// So many wrong passwords were tried on the account, from everywhere or from one IPv6 site, that it takes none from there for a while.
        AccountPause => "account_pause",
        /// The captcha was not solved.
        CaptchaInvalid => "captcha_invalid",
        /// Whether the captcha was solved could not be found out.
        CaptchaUnavailable => "captcha_unavailable",
    }
}
