//! Mails: which there are and what each needs to be written. How they read is the templates' matter, not this file's.

use std::fmt;

/// One mail to one person, before it has a language.
#[derive(Clone, PartialEq, Eq)]
pub enum Letter {
    /// Asks the owner of an address to confirm that an account belongs to them.
    VerifyEmail {
        /// The account that claims the address.
        username: String,
        /// The page that asks for a click; works for [`LinkPurpose::ttl`](super::LinkPurpose::ttl), as every link.
        link: String,
    },
    /// Carries a code to sign in with.
    SignInCode {
        /// The digits; they work for [`CODE_TTL`](super::CODE_TTL).
        code: String,
    },
    /// Carries a link to choose a new password, which was asked for.
    ResetPassword {
        /// The account.
        username: String,
        /// The page that takes the new password.
        link: String,
    },
    /// Carries a link to choose a password, which the operator made.
    SetPassword {
        /// The account.
        username: String,
        /// The page that takes the password.
        link: String,
        /// Why the operator made it.
        occasion: LinkOccasion,
    },
    /// Tells that the password is another now.
    PasswordChanged {
        /// The account.
        username: String,
    },
    /// Tells the owner of an address that an account which somebody else registered with it is theirs now.
    AccountTakenBack {
        /// The account.
        username: String,
        /// The page that takes a password. `None` if they have just chosen one.
        link: Option<String>,
    },
    /// Tells the owner of an address that the account which claimed it is gone, as they asked.
    AccountRemoved {
        /// The account.
        username: String,
    },
    /// Carries a code to register with.
    Invite {
        /// The code as a person types it.
        code: String,
        /// The page to register on; `None` while there is none.
        link: Option<String>,
    },
    /// Shows the operator that mails arrive.
    Test,
}

/// Why an operator makes a link to set a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOccasion {
    /// The account was just made.
    NewAccount,
    /// Its owner needs another link.
    NewLink,
}

impl Letter {
    /// Which mail it is.
    pub const fn kind(&self) -> MailKind {
        match self {
            Self::VerifyEmail { .. } => MailKind::VerifyEmail,
            Self::SignInCode { .. } => MailKind::SignInCode,
            Self::ResetPassword { .. } => MailKind::ResetPassword,
            Self::SetPassword { .. } => MailKind::SetPassword,
            Self::PasswordChanged { .. } => MailKind::PasswordChanged,
            Self::AccountTakenBack { .. } => MailKind::AccountTakenBack,
            Self::AccountRemoved { .. } => MailKind::AccountRemoved,
            Self::Invite { .. } => MailKind::Invite,
            Self::Test => MailKind::Test,
        }
    }

    /// Whether it carries a link or a code of the account that it is about, so that it is of no use once these are void.
    pub const fn opens_account(&self) -> bool {
        match self {
            Self::VerifyEmail { .. }
            | Self::SignInCode { .. }
            | Self::ResetPassword { .. }
            | Self::SetPassword { .. }
            | Self::AccountTakenBack { link: Some(_), .. } => true,
            Self::AccountTakenBack { link: None, .. }
            | Self::PasswordChanged { .. }
            | Self::AccountRemoved { .. }
            | Self::Invite { .. }
            | Self::Test => false,
        }
    }
}

/// The kind alone: whoever has the code or the link can use it.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

/// Which mail it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// See [`Letter::VerifyEmail`].
    VerifyEmail,
    /// See [`Letter::SignInCode`].
    SignInCode,
    /// See [`Letter::ResetPassword`].
    ResetPassword,
    /// See [`Letter::SetPassword`].
    SetPassword,
    /// See [`Letter::PasswordChanged`].
    PasswordChanged,
    /// See [`Letter::AccountTakenBack`].
    AccountTakenBack,
    /// See [`Letter::AccountRemoved`].
    AccountRemoved,
    /// See [`Letter::Invite`].
    Invite,
    /// See [`Letter::Test`].
    Test,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::VerifyEmail,
        Self::SignInCode,
        Self::ResetPassword,
        Self::SetPassword,
        Self::PasswordChanged,
        Self::AccountTakenBack,
        Self::AccountRemoved,
        Self::Invite,
        Self::Test,
    ];

    /// The name in the database, in logs, on the command line and of the templates' directory.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::SignInCode => "sign_in_code",
            Self::ResetPassword => "reset_password",
            Self::SetPassword => "set_password",
            Self::PasswordChanged => "password_changed",
            Self::AccountTakenBack => "account_taken_back",
            Self::AccountRemoved => "account_removed",
            Self::Invite => "invite",
            Self::Test => "test",
        }
    }

    /// Whether somebody waits for it who cannot go on without it, for minutes only: it goes before other mail.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::SignInCode)
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_not_printed() {
        let letter = Letter::Invite {
            code: "secret".to_owned(),
            link: Some("secret".to_owned()),
        };
        assert_eq!(format!("{letter:?}"), "Letter(invite)");
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::from_name("newsletter"), None);
    }
}
