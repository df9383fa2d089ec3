//! Proving an address: mailing the link, following it, and saying "this was not me".

use std::sync::Arc;

use super::error::Refused;
use super::one_time_code::AskedMail;
use super::rules::Rules;
use super::session::Caller;
use super::{Error, Service};
use crate::crypto::link_digest;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, FailureKind, Letter, LinkPurpose, LinkToken, MailPurpose,
    Timestamp, User, Username,
};
use crate::store::{LinkRow, Reader, Tx};

/// What a verification link is about, for the page that asks for a click.
#[derive(Clone, Debug)]
pub struct PendingVerification {
    /// The account's name.
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
        let (post, caller) = (Arc::clone(&self.rules), caller.clone());
        let record = caller.record(AuditEvent::VerificationSent);
        self.write_audited_and_mail(record, move |tx, _| {
            let now = post.system.now();
            let user = caller.find_alive(tx, now)?.user;
            let mailbox = post.keys.mailbox_digest(&user.email);
            AskedMail::plain(mailbox, MailPurpose::Verify).spend(tx, FailureKind::OfAccount, now)?;
            Ok(queue_verification(tx, &post, &user, now)?)
        })
        .await
    }

    /// What a verification link is about; uses nothing up.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub async fn find_verification(&self, token: Option<LinkToken>) -> Result<PendingVerification, Error> {
        let now = self.system.now();
        self.store
            .read(move |reader| {
                let (link, user) = find(reader, token.as_ref()).map_err(Error::from)?;
                let is_verified = user.email_verified_at.is_some();
                let is_usable = if link.used_at.is_some() {
                    is_verified
                } else {
                    now < link.expires_at
                };
                if !is_usable {
                    return Err(Error::EmailTokenInvalid);
                }
                Ok(PendingVerification {
                    username: user.username,
                    is_verified,
                })
            })
            .await
    }

    /// Notes that the owner of the address confirmed the account. A link that was used is answered alike while the address it proved is still the
    /// account's: whoever clicks twice has done nothing wrong.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`].
    pub async fn confirm_email(&self, token: Option<LinkToken>, client: &Client) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailVerified, client);
        let system = self.system.clone();
        self.write_audited(record, move |tx, record| {
            let (link, user) = find(tx, token.as_ref())?;
            record.subject = Some((&user).into());
            if link.used_at.is_some() && user.email_verified_at.is_some() {
                return Ok(());
            }
            let now = system.now();
            if !tx.use_link(link.digest, now)? {
                return Err(Error::EmailTokenInvalid.because(link.why_unusable()));
            }
            Ok(tx.set_email_verified(user.id, now)?)
        })
        .await
    }

    /// Removes the account that somebody made with an address that is not theirs, and tells the owner of the address that it is gone.
    ///
    /// # Errors
    /// [`Error::EmailTokenInvalid`], also if the address was verified meanwhile.
    pub async fn reject_email(&self, token: Option<LinkToken>, client: &Client) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::EmailRejected, client);
        let post = Arc::clone(&self.rules);
        self.write_audited_and_mail(record, move |tx, record| {
            let (now, (link, user)) = (post.system.now(), find(tx, token.as_ref())?);
            record.subject = Some((&user).into());
            if user.email_verified_at.is_some() {
                return Err(Error::EmailTokenInvalid.because(AuditReason::AlreadyVerified));
            }
            if !tx.use_link(link.digest, now)? {
                return Err(Error::EmailTokenInvalid.because(link.why_unusable()));
            }
            tx.delete_user(user.id)?;
            let letter = Letter::AccountRemoved {
                username: user.username.as_str().to_owned(),
            };
            Ok(post.queue(tx, &letter, &user, now)?)
        })
        .await
    }
}

/// The verification link with this secret, used or not, and the account it is of, which must still have the address.
fn find(reader: &Reader<'_>, token: Option<&LinkToken>) -> Result<(LinkRow, User), Refused> {
    let unknown = || Error::EmailTokenInvalid.because(AuditReason::UnknownLink);
    let link = reader
        .find_link(link_digest(token.ok_or_else(unknown)?))?
        .filter(|link| link.purpose == LinkPurpose::VerifyEmail);
    let link = link.ok_or_else(unknown)?;
    let user = link.user_id.map(|id| reader.find_user(id)).transpose()?.flatten();
    let user = user.filter(|user| user.email.key() == link.email_key);
    user.map(|user| (link, user)).ok_or_else(unknown)
}

/// Queues the mail with a new verification link.
pub(super) fn queue_verification(
    tx: &Tx<'_>,
    post: &Rules,
    user: &User,
    now: Timestamp,
) -> Result<(), Error> {
    let link = post.new_link(tx, LinkPurpose::VerifyEmail, user, now)?;
    let letter = Letter::VerifyEmail {
        username: user.username.as_str().to_owned(),
        link,
    };
    post.queue(tx, &letter, user, now)
}
