//! Verifying an address: mailing the link, following it, and rejecting an account that another person created.

use super::error::Refused;
use super::rules::{Caller, why_unusable};
use super::{Error, Service};
use crate::crypto::link_digest;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, FailureKind, Letter, LinkDigest, LinkPurpose, LinkToken,
    MailPurpose, RemovalOccasion, User, Username,
};
use crate::store::{LinkRow, Reader};

/// The account of a verification link, for the page that asks its visitor to confirm.
#[derive(Clone, Debug)]
pub struct PendingVerification {
    pub username: Username,
    /// Whether the address is verified already.
    pub is_verified: bool,
}

impl Service {
    /// Mails the caller a link to verify their address.
    ///
    /// # Errors
    /// [`Error::EmailAlreadyVerified`], [`Error::MailUnavailable`], [`Error::CodeRateLimited`].
    pub async fn send_verification(&self, caller: &Caller) -> Result<(), Error> {
        if caller.user.email_verified_at.is_some() {
            return Err(Error::EmailAlreadyVerified);
        }
        self.rules.refuse_without_mail()?;
        let caller = caller.clone();
        let record = caller.record(AuditEvent::VerificationSent);
        self.change_audited(record, move |unit, _| {
            let (_, user) = unit.find_alive(&caller)?;
            unit.spend_mail_budget(&user.email, MailPurpose::Verify, FailureKind::OfAccount)?;
            Ok(unit.mail_verification(&user)?)
        })
        .await
    }

    /// The account that a verification link is about. Does not use the link.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub async fn find_verification(&self, token: Option<LinkToken>) -> Result<PendingVerification, Error> {
        let (digest, now) = (token.as_ref().map(link_digest), self.system.now());
        let found = self.store.read(move |reader| find(reader, digest));
        let (link, user) = found.await?;
        let is_verified = user.email_verified_at.is_some();
        match why_unusable(&link, now) {
            Some(AuditReason::UsedLink) if is_verified => {}
            Some(_) => return Err(Error::EmailTokenInvalid),
            None => {}
        }
        Ok(PendingVerification {
            username: user.username,
            is_verified,
        })
    }

    /// Marks the address as verified. A used link gets the same answer while the account still has the address, because a second click is no mistake.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub async fn confirm_email(&self, token: Option<LinkToken>, client: &Client) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailVerified, client);
        let digest = token.as_ref().map(link_digest);
        self.change_audited(record, move |unit, record| {
            let (link, user) = find(unit, digest)?;
            record.subject = Some((&user).into());
            if link.used_at.is_some() && user.email_verified_at.is_some() {
                return Ok(());
            }
            unit.use_link(&link, Error::EmailTokenInvalid)?;
            Ok(unit.set_email_verified(user.id, unit.now)?)
        })
        .await
    }

    /// Removes an account that another person created with the address, and tells the owner of the address that it is gone. A link that was mailed for a change
    /// of the address only cancels that change.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`], also if the address was verified meanwhile.
    pub async fn reject_email(&self, token: Option<LinkToken>, client: &Client) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailRejected, client);
        let digest = token.as_ref().map(link_digest);
        self.change_audited(record, move |unit, record| {
            if let Some(user) = unit.cancel_change(digest)? {
                record.event = AuditEvent::EmailChangeCancelled;
                record.subject = Some((&user).into());
                return Ok(());
            }
            let (link, user) = find(unit, digest)?;
            record.subject = Some((&user).into());
            if user.email_verified_at.is_some() {
                return Err(Error::EmailTokenInvalid.because(AuditReason::AlreadyVerified));
            }
            unit.use_link(&link, Error::EmailTokenInvalid)?;
            unit.delete_user(user.id)?;
            let letter = Letter::AccountRemoved {
                username: user.username.to_string(),
                occasion: RemovalOccasion::Rejected,
            };
            Ok(unit.queue_mail(&letter, &user)?)
        })
        .await
    }
}

/// The verification link with this digest, used or not, and its account.
fn find(reader: &Reader<'_>, digest: Option<LinkDigest>) -> Result<(LinkRow, User), Refused> {
    let found = digest.map(|digest| reader.find_link(digest)).transpose()?;
    let found = found
        .flatten()
        .filter(|(link, _)| link.purpose == LinkPurpose::VerifyEmail);
    found.ok_or_else(|| Error::EmailTokenInvalid.because(AuditReason::UnknownLink))
}
