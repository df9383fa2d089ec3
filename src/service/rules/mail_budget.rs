//! How many mails one mailbox may be sent.

use super::{Rules, Unit};
use crate::domain::{
    AddressDigest, AuditReason, CodeFailures, Email, FailureKind, Letter, MailBudget, MailPurpose, Timestamp,
    User,
};
use crate::service::error::{Error, Refused};
use crate::store::Reader;

/// The kind of a wrong code at an address; `user` is the account that has the address.
pub(crate) fn kind_of(user: Option<&User>) -> FailureKind {
    user.map_or(FailureKind::OfUnknownName, |_| FailureKind::OfAccount)
}

impl Rules {
    /// The budget of a mailbox after one more mail.
    ///
    /// # Errors
    /// [`Error::CodeRateLimited`]; for a code [`Error::CodeLocked`] too.
    pub(crate) fn budget_after(
        &self,
        reader: &Reader<'_>,
        email: &Email,
        purpose: MailPurpose,
        now: Timestamp,
    ) -> Result<MailBudget, Refused> {
        let mut is_braked = false;
        if purpose == MailPurpose::SignIn {
            failures_unless_locked(reader, self.keys.address_digest(email), now)?;
            is_braked = self.is_braked(reader, now)?;
        }
        let budget = reader.find_mail_budget(self.keys.mailbox_digest(email), purpose)?;
        budget.spend(purpose, is_braked, now).map_err(|retry_after| {
            let reason = match budget.spend(purpose, false, now) {
                Ok(_) => AuditReason::CodesBraked,
                Err(_) => AuditReason::TooManyMails,
            };
            Error::CodeRateLimited { retry_after }.because(reason)
        })
    }
}

impl Unit<'_> {
    /// Takes one mail out of the budget of its mailbox. Reading and writing the budget is atomic because the one writer runs one change after the other.
    ///
    /// # Errors
    /// Those of [`Rules::budget_after`].
    pub(crate) fn spend_mail_budget(
        &self,
        email: &Email,
        purpose: MailPurpose,
        kind: FailureKind,
    ) -> Result<(), Refused> {
        let budget = self.rules.budget_after(self, email, purpose, self.now)?;
        let mailbox = self.rules.keys.mailbox_digest(email);
        Ok(self.put_mail_budget(mailbox, purpose, kind, &budget, self.now)?)
    }

    /// Takes one mail to an account out of the budget of its mailbox. Returns `false` if the budget is used up, and the mail is then not to be sent.
    pub(crate) fn is_mail_left(&self, user: &User, purpose: MailPurpose) -> Result<bool, Error> {
        let spent = self.spend_mail_budget(&user.email, purpose, FailureKind::OfAccount);
        match spent.map_err(Error::from) {
            Ok(()) => Ok(true),
            Err(Error::CodeRateLimited { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a notice is mailed to the address of an account.
    ///
    /// An unverified address may be another person's, and the person who registered it could cause notices all day, so these mails have a budget. The owner of a
    /// verified address is always told, because accounts with other tags of the same mailbox could use up the budget.
    pub(crate) fn is_notice_mailed(&self, user: &User) -> Result<bool, Error> {
        Ok(user.email_verified_at.is_some() || self.is_mail_left(user, MailPurpose::Notice)?)
    }

    /// Mails a notice to the address of an account, if notices are mailed there.
    pub(crate) fn mail_notice(&self, letter: &Letter, user: &User) -> Result<(), Error> {
        if self.is_notice_mailed(user)? {
            self.queue_mail(letter, user)?;
        }
        Ok(())
    }
}

/// Returns the wrong codes at an address; refuses while they lock it, so that no code is compared.
///
/// # Errors
/// [`Error::CodeLocked`].
pub(super) fn failures_unless_locked(
    reader: &Reader<'_>,
    address: AddressDigest,
    now: Timestamp,
) -> Result<CodeFailures, Error> {
    let failures = reader.find_code_failures(address)?;
    match failures.lock_end(now) {
        Some(until) => Err(Error::CodeLocked {
            retry_after: until.since(now),
        }),
        None => Ok(failures),
    }
}
