//! Changes of an account's address: who has the new one, moving the account there, and giving it its former address back.

use super::Unit;
use super::link::{change_row, unknown_link};
use crate::domain::{
    AuditEvent, AuditReason, Email, FORMER_ADDRESS_TTL, LeftAddress, Letter, LinkDigest, LinkPurpose,
    LinkToken, RemovalOccasion, SessionEnd, SessionId, User, UserId,
};
use crate::service::error::{Error, Refused};
use crate::store::{EmailChangeRow, EmailUndoRow, StoreError};

/// Who has the address that an account is to move to.
pub(crate) enum AddressHolder {
    NoAccount,
    /// The account itself, in this or another spelling.
    Mover,
    /// Another account claims the address, and never verified it.
    Claimant(User),
    /// Another account, which verified it.
    Owner(User),
    /// Another account may take the address back: see [`EmailUndoRow`].
    Former,
}

impl Unit<'_> {
    /// Who has `email`, for the account `mover`. Reads the same rows for each answer.
    pub(crate) fn holder_of(&self, email: &Email, mover: UserId) -> Result<AddressHolder, StoreError> {
        let holder = self.find_user_by_email(email)?;
        let reserved = self.find_reservation(email, Some(mover), self.now)?;
        Ok(match holder {
            Some(user) if user.id == mover => AddressHolder::Mover,
            Some(user) if user.email_verified_at.is_some() => AddressHolder::Owner(user),
            _ if reserved.is_some() => AddressHolder::Former,
            Some(user) => AddressHolder::Claimant(user),
            None => AddressHolder::NoAccount,
        })
    }

    /// Creates the link that moves an account to `email`, which replaces the earlier one and the mail that waits with it; returns its URL.
    pub(crate) fn new_change(&self, user: &User, email: &Email) -> Result<String, StoreError> {
        let token = LinkToken::from_random(self.rules.system.random());
        self.delete_email_change_of(user.id)?;
        self.put_email_change(&change_row(&token, user.id, email, self.now))?;
        Ok(self.rules.links.of_token(LinkPurpose::ChangeEmail, &token))
    }

    /// Uses the link of a change.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub(crate) fn use_change(&self, digest: Option<LinkDigest>) -> Result<EmailChangeRow, Refused> {
        let digest = digest.ok_or_else(unknown_link)?;
        if let Some(change) = self.use_email_change(digest, self.now)? {
            return Ok(change);
        }
        Err(match self.find_email_change(digest)? {
            Some(_) => Error::EmailTokenInvalid.because(AuditReason::ExpiredLink),
            None => unknown_link(),
        })
    }

    /// Moves an account to an address where its owner receives mail; returns the account as it is then. Ends every session but `kept`, removes an account that
    /// only claimed the address, and tells the former address, with an undo if it may have one. Wrong guesses stay counted, because this is no sign-in.
    ///
    /// # Errors
    /// [`Error::EmailExists`] if another account verified the address or may take it back.
    pub(crate) fn move_address(
        &self,
        user: &User,
        email: &Email,
        kept: Option<SessionId>,
    ) -> Result<User, Refused> {
        match self.holder_of(email, user.id)? {
            AddressHolder::Owner(_) | AddressHolder::Former => return Err(Error::EmailExists.into()),
            AddressHolder::Claimant(claimant) => self.displace(&claimant)?,
            AddressHolder::Mover | AddressHolder::NoAccount => {}
        }
        // Read before the address that is left is remembered, because the two may differ only in case.
        let was_held = self.was_held_lately(user.id, email, self.now - FORMER_ADDRESS_TTL)?;
        let left = LeftAddress {
            is_verified: user.email_verified_at.is_some(),
            since: self.find_email_since(user.id)?,
            has_same_key: user.email.key() == email.key(),
        };
        let since = self.leave_address(user, email)?;
        if !self.set_email(user.id, email, Some(self.now), since)? {
            return Err(Error::EmailExists.into());
        }
        self.end_sessions_of(user.id, kept, SessionEnd::EmailChanged, self.now)?;
        // Without mail the undo would reach no one, and only block the address.
        let has_undo = left.gets_undo(was_held, self.now) && !self.rules.is_off();
        let undo = has_undo.then(|| self.new_undo(user, left.since)).transpose()?;
        self.tell_of_change(user, email, undo)?;
        Ok(self.find_account(user.id)?)
    }

    /// Gives an account back the address of `undo`, at which its owner receives mail. Voids everything that came after the change: links, codes, other
    /// undos, every session and the password. Mails a link to set a new password.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`] if another account has the address, which the reservation prevents.
    pub(crate) fn take_address_back(&self, user: &User, undo: &EmailUndoRow) -> Result<(), Refused> {
        self.delete_email_undos_of(user.id)?;
        // An address in between may be a thief's. If it counted as held before, the next theft to the same address would send the owner no undo.
        self.delete_former_addresses_from(user.id, undo.created_at)?;
        if !self.set_email(user.id, &undo.email, Some(self.now), undo.email_since)? {
            return Err(Error::EmailTokenInvalid.because(AuditReason::EmailTaken));
        }
        self.set_password_hash(user.id, None)?;
        self.end_sessions_of(user.id, None, SessionEnd::ChangeUndone, self.now)?;
        let owner = self.find_account(user.id)?;
        self.forgive_guesses(&owner)?;
        let letter = Letter::ChangeUndone {
            username: owner.username.to_string(),
            link: self.new_link(LinkPurpose::ResetPassword, &owner)?,
        };
        self.queue_mail(&letter, &owner)?;
        // A reader of the former mailbox may have done this against the owner's will.
        if user.email.key() != owner.email.key() {
            self.tell_of_change(user, &owner.email, None)?;
        }
        Ok(())
    }

    /// Cancels the change of this link, which changes nothing else; returns its account, and `None` if there is no such change.
    pub(crate) fn cancel_change(&self, digest: Option<LinkDigest>) -> Result<Option<User>, Error> {
        let Some(digest) = digest else { return Ok(None) };
        let cancelled = self.use_email_change(digest, self.now)?;
        cancelled
            .map(|change| self.find_account(change.user_id))
            .transpose()
    }

    /// Tells the owner of an account, at the address that `user` still has, that another one was asked for.
    pub(crate) fn tell_of_request(&self, user: &User, email: &Email) -> Result<(), Error> {
        let letter = Letter::ChangeRequested {
            username: user.username.to_string(),
            address: email.masked(),
        };
        self.mail_notice(&letter, user)
    }

    /// Tells the owner of an account, at the address that `user` still has, that the account has the address `email` now.
    fn tell_of_change(&self, user: &User, email: &Email, undo: Option<String>) -> Result<(), Error> {
        let letter = Letter::EmailChanged {
            username: user.username.to_string(),
            address: email.masked(),
            undo,
        };
        self.mail_notice(&letter, user)
    }

    /// Removes an account whose unverified address the owner of the mailbox gives to another account.
    fn displace(&self, claimant: &User) -> Result<(), Error> {
        self.delete_user(claimant.id)?;
        self.audit(&self.record(AuditEvent::AccountDisplaced).about(claimant))?;
        let letter = Letter::AccountRemoved {
            username: claimant.username.to_string(),
            occasion: RemovalOccasion::Moved,
        };
        Ok(self.queue_mail(&letter, claimant)?)
    }

    fn find_account(&self, id: UserId) -> Result<User, Error> {
        let found = self.find_user(id)?;
        found.ok_or_else(|| Error::internal("an account is gone within one transaction"))
    }
}
