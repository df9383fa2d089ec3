//! Accounts: opening one, replacing its password, proving its mailbox.

use super::Unit;
use crate::domain::{
    AccountName, AuditEvent, Email, Letter, PasswordHash, SessionEnd, SessionId, Timestamp, User,
};
use crate::service::error::Error;
use crate::store::{NewUserRow, StoreError};

impl Unit<'_> {
    /// Opens an account and returns it as it is stored. The statement that adds it decides whether its names are free.
    ///
    /// # Errors
    /// [`Error::LoginExists`], also if both names are taken; [`Error::EmailExists`], also if an undo reserves the address.
    pub(crate) fn open_account(&self, account: &NewUserRow) -> Result<User, Error> {
        if !self.insert_user(account)? {
            let name = AccountName::Username(account.username.clone());
            let is_username_taken = self.find_user_id(&name)?.is_some();
            return Err(if is_username_taken {
                Error::LoginExists
            } else {
                Error::EmailExists
            });
        }
        self.find_user(account.id)?
            .ok_or_else(|| Error::internal("a user that was just added is not there"))
    }

    /// Whether `hash` is still the password hash of the account, which may have changed while a password was hashed. The answer holds until the end of this
    /// change, because one writer runs all changes in turn.
    pub(crate) fn has_password_hash(
        &self,
        user: &User,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, StoreError> {
        let name = AccountName::Username(user.username.clone());
        let current = self.find_credentials(&name)?;
        let current = current.and_then(|current| current.password_hash);
        Ok(current.as_ref().map(PasswordHash::as_str) == hash.map(PasswordHash::as_str))
    }

    /// Replaces the password of an account. Every session except `kept` ends, the one-time code, a pending change of the address and the links that set a
    /// password stop working, the queued mails with them are deleted, and wrong guesses are forgotten.
    pub(crate) fn replace_password(
        &self,
        user: &User,
        hash: &PasswordHash,
        kept: Option<SessionId>,
    ) -> Result<(), Error> {
        self.set_password_hash(user.id, Some(hash))?;
        self.end_sessions_of(user.id, kept, SessionEnd::PasswordChanged, self.now)?;
        self.delete_password_links(user.id)?;
        self.delete_email_change_of(user.id)?;
        self.delete_code_of(user.id)?;
        self.forgive_guesses(user)
    }

    /// Mails the account's owner that the password has changed.
    pub(crate) fn mail_password_changed(&self, user: &User) -> Result<(), StoreError> {
        let username = user.username.to_string();
        self.queue_mail(&Letter::PasswordChanged { username }, user)
    }

    /// Remembers the address that a user leaves for `email`, if it is verified and another one. Returns since when the account has `email`.
    pub(crate) fn leave_address(&self, user: &User, email: &Email) -> Result<Timestamp, StoreError> {
        if user.email.key() == email.key() {
            return self.find_email_since(user.id);
        }
        if user.email_verified_at.is_some() {
            self.put_former_address(user.id, &user.email, self.now)?;
        }
        Ok(self.now)
    }

    /// Records that the caller receives mail at the address of the account. Returns whether this took the account from another person.
    ///
    /// A password that was set before the first proof may be that of a person who registered another person's address: it is removed, and every session
    /// ends. A link that the operator handed over and a pending change of the address stop working too: their holders may not be the owner of the mailbox.
    pub(crate) fn prove_mailbox(&self, user: &User) -> Result<bool, Error> {
        if user.email_verified_at.is_some() {
            return Ok(false);
        }
        self.set_email_verified(user.id, self.now)?;
        self.delete_password_links(user.id)?;
        self.delete_email_change_of(user.id)?;
        if !user.has_password {
            return Ok(false);
        }
        self.set_password_hash(user.id, None)?;
        self.end_sessions_of(user.id, None, SessionEnd::TakenBack, self.now)?;
        self.audit(&self.record(AuditEvent::AccountTakenBack).about(user))?;
        Ok(true)
    }

    /// Tells the owner of the mailbox that the account is theirs now; `link` sets a password, and is `None` if one is already set.
    pub(crate) fn mail_taken_back(&self, user: &User, link: Option<String>) -> Result<(), StoreError> {
        let username = user.username.to_string();
        self.queue_mail(&Letter::AccountTakenBack { username, link }, user)
    }
}
