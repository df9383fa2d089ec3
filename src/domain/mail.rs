//! The content of each kind of mail, and a mail in the outbox. The wording is in the templates of `src/mail`.

use std::fmt;
use std::time::Duration;

use super::{CODE_TTL, DomainDigest, LinkPurpose, MailId, Sealed, Timestamp, UserId};

/// Where mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MailTransport {
    Smtp,
    /// Into files, to try things out.
    File,
    Off,
}

/// The content of a mail, without its language and recipient.
#[derive(Clone, PartialEq, Eq, strum::EnumDiscriminants)]
#[strum_discriminants(
    name(MailKind),
    derive(strum::IntoStaticStr, strum::EnumString, strum::VariantArray, strum::Display),
    strum(serialize_all = "snake_case", const_into_str),
    doc = "The kind of a mail. Its name is used in the database, in logs, on the command line, and for the directory of its templates."
)]
pub enum Letter {
    /// Asks the owner of an address to confirm that an account belongs to them.
    VerifyEmail {
        username: String,
        /// The page with a button to confirm; works for [`LinkPurpose::ttl`](super::LinkPurpose::ttl), as every link does.
        link: String,
    },
    /// Carries a code to sign in with, which works for [`CODE_TTL`].
    SignInCode {
        code: String,
    },
    /// Carries a link to choose a new password, at the owner's request.
    ResetPassword {
        username: String,
        link: String,
    },
    /// Carries a link to choose a password, at the operator's request.
    SetPassword {
        username: String,
        link: String,
        occasion: LinkOccasion,
    },
    PasswordChanged {
        username: String,
    },
    /// Tells the owner of an address that they now own an account which someone else registered with it.
    AccountTakenBack {
        username: String,
        /// The page that takes a password; `None` if the owner has just chosen one.
        link: Option<String>,
    },
    /// Tells the owner of an address that the account which claimed it is gone.
    AccountRemoved {
        username: String,
        occasion: RemovalOccasion,
    },
    /// Asks the reader of a new address to confirm it for an account.
    ChangeEmail {
        username: String,
        /// The page that confirms, for which the account's session or password is needed too.
        link: String,
    },
    /// Tells the owner of an account at the present address that another address was asked for.
    ChangeRequested {
        username: String,
        /// The new address, masked.
        address: String,
    },
    /// Tells the owner of an address that another account asked for it.
    AddressWanted {
        /// The recipient's; who asked is not told.
        username: String,
    },
    /// Tells the owner of an account at the former address that the account has another address now.
    EmailChanged {
        username: String,
        /// The new address, masked.
        address: String,
        /// The page that undoes the change; `None` if the former address gets no undo.
        undo: Option<String>,
    },
    /// Tells the owner of an account that it has its former address again, and carries a link to choose a new password.
    ChangeUndone {
        username: String,
        link: String,
    },
    /// Tells the owner of an account that it was deleted at the request of a client that was signed in to it.
    AccountDeleted {
        username: String,
    },
    /// Carries a code to register with.
    Invite {
        /// The code as a person types it.
        code: String,
        /// The page to register on, if there is one.
        link: Option<String>,
    },
    /// Shows the operator that mails arrive.
    Test,
}

/// Why an account was removed that claimed an address without having verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalOccasion {
    /// The owner of the address said that the account is not theirs.
    Rejected,
    /// The owner of the address gave it to another account.
    Moved,
}

/// Why an operator makes a link to set a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOccasion {
    NewAccount,
    /// The account's owner needs another link.
    NewLink,
}

impl Letter {
    pub fn kind(&self) -> MailKind {
        self.into()
    }

    /// How long its link or code works; `None` if it has none, or if that time is not fixed.
    pub const fn lifetime(&self) -> Option<Duration> {
        match self {
            Self::VerifyEmail { .. } => Some(LinkPurpose::VerifyEmail.ttl()),
            Self::SignInCode { .. } => Some(CODE_TTL),
            Self::ResetPassword { .. } | Self::ChangeUndone { .. } => Some(LinkPurpose::ResetPassword.ttl()),
            Self::ChangeEmail { .. } => Some(LinkPurpose::ChangeEmail.ttl()),
            Self::EmailChanged { undo: Some(_), .. } => Some(LinkPurpose::UndoChange.ttl()),
            Self::SetPassword { .. } | Self::AccountTakenBack { link: Some(_), .. } => {
                Some(LinkPurpose::SetPassword.ttl())
            }
            Self::AccountTakenBack { link: None, .. }
            | Self::PasswordChanged { .. }
            | Self::AccountRemoved { .. }
            | Self::AccountDeleted { .. }
            | Self::ChangeRequested { .. }
            | Self::AddressWanted { .. }
            | Self::EmailChanged { undo: None, .. }
            | Self::Invite { .. }
            | Self::Test => None,
        }
    }

    /// Whether it carries a link or a code of an account. Such a mail is dropped when the link or code becomes void.
    pub const fn opens_account(&self) -> bool {
        self.lifetime().is_some()
    }
}

/// Prints only the kind, because the log must not reveal codes and links.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

impl MailKind {
    /// Whether it is sent before other mail, because a person waits for it and its code works only for minutes.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::SignInCode)
    }
}

/// A mail in the outbox.
#[derive(Clone, Debug)]
pub struct QueuedMail {
    pub id: MailId,
    /// The name of its [`MailKind`]; a newer program may have queued a kind that this one does not know.
    pub kind: String,
    /// The account whose link or code it carries, so that both are dropped together; `None` for notices, and for mail that is about no account.
    pub user_id: Option<UserId>,
    /// Recipient, subject and bodies.
    pub sealed: Sealed,
    /// The value of `Message-ID` with its angle brackets; the same on every try.
    pub message_id: String,
    /// When it was queued, which is the value of `Date`.
    pub created_at: Timestamp,
    /// When it is no longer worth sending, because its link or code has expired.
    pub expires_at: Timestamp,
    /// When it is tried next. It is not tried again if this is not before `expires_at`.
    pub next_attempt_at: Timestamp,
    /// The digest of the recipient's domain; `None` for mail that a version before 0.2 queued.
    pub domain: Option<DomainDigest>,
    /// Whether it is sent before other mail.
    pub is_urgent: bool,
    pub attempts: Attempts,
}

/// The results of all attempts to send a mail so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    pub count: u32,
    /// The attempts after which the mail may have arrived.
    pub unanswered: u32,
    /// Whether the recipient was refused for good.
    pub is_refused: bool,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// How the operator can mend that.
    pub last_hint: Option<String>,
}

/// The state of a mail in the outbox, as the operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MailStatus {
    /// It waits for its first attempt or for another one.
    Waiting,
    /// The mail server refused its recipient for good.
    Refused,
    /// The mail server did not confirm it, so it may have arrived.
    Unanswered,
}

impl QueuedMail {
    /// Whether it is a decoy, which is never sent. With decoys, a request for an address without an account costs as much work as for one with an account.
    pub fn is_decoy(&self) -> bool {
        self.expires_at <= self.created_at
    }

    /// Turns it into a decoy, because its account changed before it was queued.
    #[must_use]
    pub fn into_decoy(self) -> Self {
        Self {
            user_id: None,
            expires_at: self.created_at,
            ..self
        }
    }

    pub const fn status(&self) -> MailStatus {
        if self.attempts.is_refused {
            MailStatus::Refused
        } else if self.attempts.unanswered > 0 {
            MailStatus::Unanswered
        } else {
            MailStatus::Waiting
        }
    }

    /// When it is tried next; `None` if it expires first.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        (self.next_attempt_at < self.expires_at).then_some(self.next_attempt_at)
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
}
