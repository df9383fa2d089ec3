//! Links with which the owner of an account sets a password, made by the operator.

use std::sync::Arc;

use super::rules::Rules;
use super::user::{UserRef, UserSummary};
use super::{Error, Service};
use crate::domain::{
    AuditEvent, Email, Letter, LinkOccasion, LinkPurpose, MailKind, Timestamp, User, UserStatus,
};
use crate::store::Tx;

/// Whether a link that the operator is shown is mailed to the account's owner too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkMail {
    /// It is, if mail is sent at all.
    Wanted,
    /// The operator hands it over.
    Unwanted,
}

/// A link with which the owner of an account sets a password. It proves no address. No `Debug`: it is a secret, and shown once.
#[derive(Clone)]
pub struct PasswordLink {
    /// The link.
    pub url: String,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// The address that a mail with it is queued for; `None` if there is no such mail.
    pub mailed_to: Option<Email>,
}

impl Service {
    /// Makes another link with which the owner of an account sets a password. The one before does not work any more, and a mail in which it waits is
    /// dropped. What the account has now, password and sessions, stays until the link is used.
    ///
    /// # Errors
    /// [`Error::UserSuspended`]: no link works for such an account.
    pub async fn create_password_link(
        &self,
        user: UserRef,
        link_mail: LinkMail,
    ) -> Result<(UserSummary, PasswordLink), Error> {
        let (post, auditor) = (Arc::clone(&self.rules), Arc::clone(&self.rules.auditor));
        let record = self.by_operator(AuditEvent::UserLinkCreated);
        self.write_audited_and_mail(record, move |tx, record| {
            let user = user.find(tx)?;
            record.subject = Some((&user).into());
            record.name = auditor.digest_of(&user.email);
            if user.status == UserStatus::Suspended {
                return Err(Error::UserSuspended.into());
            }
            tx.delete_mail_of(user.id, MailKind::SetPassword.into_str())?;
            let link = new_password_link(tx, &post, &user, LinkOccasion::NewLink, link_mail)?;
            Ok((UserSummary::of(tx, user.id, post.system.now())?, link))
        })
        .await
    }
}

/// Makes a link to set a password in the place of the one before, and queues a mail with it if there is to be one.
pub(super) fn new_password_link(
    tx: &Tx<'_>,
    post: &Rules,
    user: &User,
    occasion: LinkOccasion,
    link_mail: LinkMail,
) -> Result<PasswordLink, Error> {
    let (purpose, now) = (LinkPurpose::SetPassword, post.system.now());
    let url = post.new_link(tx, purpose, user, now)?;
    let is_mailed = link_mail == LinkMail::Wanted && !post.is_off();
    if is_mailed {
        let letter = Letter::SetPassword {
            username: user.username.as_str().to_owned(),
            link: url.clone(),
            occasion,
        };
        post.queue(tx, &letter, user, now)?;
    }
    Ok(PasswordLink {
        url,
        expires_at: now + purpose.ttl(),
        mailed_to: is_mailed.then(|| user.email.clone()),
    })
}
