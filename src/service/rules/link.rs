//! Creating and using links that are mailed or handed over.

use super::Unit;
use crate::crypto::link_digest;
use crate::domain::{
    AuditReason, Email, Letter, LinkOccasion, LinkPurpose, LinkToken, Timestamp, User, UserId,
};
use crate::service::error::{Error, Refused};
use crate::store::{EmailChangeRow, EmailUndoRow, LinkRow, StoreError};

/// A link with which the owner of an account sets a password. Using it does not prove the address. No `Debug`, because it is a secret that is shown once.
#[derive(Clone)]
pub struct PasswordLink {
    pub url: String,
    pub expires_at: Timestamp,
    /// The address that a mail with the link is queued for; `None` if there is no such mail.
    pub mailed_to: Option<Email>,
}

/// Why a link does not work at `now`; `None` if it does. Where two requests use one link at the same time, [`Unit::use_link`] decides.
pub(crate) fn why_unusable(link: &LinkRow, now: Timestamp) -> Option<AuditReason> {
    if link.used_at.is_some() {
        Some(AuditReason::UsedLink)
    } else {
        (link.expires_at <= now).then_some(AuditReason::ExpiredLink)
    }
}

/// The refusal of a link about an address that has no row.
pub(crate) fn unknown_link() -> Refused {
    Error::EmailTokenInvalid.because(AuditReason::UnknownLink)
}

/// The row of a link that is created at `now`; `user_id` is `None` for an address without an account.
pub(crate) fn link_row(
    token: &LinkToken,
    purpose: LinkPurpose,
    user_id: Option<UserId>,
    email: &Email,
    now: Timestamp,
) -> LinkRow {
    LinkRow {
        digest: link_digest(token),
        purpose,
        user_id,
        email_key: email.key(),
        created_at: now,
        expires_at: now + purpose.ttl(),
        used_at: None,
    }
}

/// The row of a change to `email` whose link is created at `now`.
pub(crate) fn change_row(
    token: &LinkToken,
    user_id: UserId,
    email: &Email,
    now: Timestamp,
) -> EmailChangeRow {
    EmailChangeRow {
        user_id,
        digest: link_digest(token),
        email: email.clone(),
        created_at: now,
        expires_at: now + LinkPurpose::ChangeEmail.ttl(),
    }
}

impl Unit<'_> {
    /// Uses a link. One conditional UPDATE decides, so that a link is used only once.
    ///
    /// # Errors
    /// `refusal` if the link was used or has expired.
    pub(crate) fn use_link(&self, link: &LinkRow, refusal: Error) -> Result<(), Refused> {
        if self.tx.use_link(link.digest, self.now)? {
            return Ok(());
        }
        Err(refusal.because(why_unusable(link, self.now).unwrap_or(AuditReason::UsedLink)))
    }

    /// Creates a link for a user, which replaces the earlier link with the same purpose; returns its URL.
    pub(crate) fn new_link(&self, purpose: LinkPurpose, user: &User) -> Result<String, StoreError> {
        let token = LinkToken::from_random(self.rules.system.random());
        let row = link_row(&token, purpose, Some(user.id), &user.email, self.now);
        self.replace_link(&row)?;
        Ok(self.rules.links.of_token(purpose, &token))
    }

    /// Creates an undo, with which `user` gets back the address that it leaves now and has had since `email_since`; returns the URL of the undo.
    pub(crate) fn new_undo(&self, user: &User, email_since: Timestamp) -> Result<String, StoreError> {
        let purpose = LinkPurpose::UndoChange;
        let token = LinkToken::from_random(self.rules.system.random());
        self.insert_email_undo(&EmailUndoRow {
            digest: link_digest(&token),
            user_id: user.id,
            email: user.email.clone(),
            email_since,
            created_at: self.now,
            expires_at: self.now + purpose.ttl(),
        })?;
        Ok(self.rules.links.of_token(purpose, &token))
    }

    /// Queues the mail with a new link to verify the address.
    pub(crate) fn mail_verification(&self, user: &User) -> Result<(), StoreError> {
        let letter = Letter::VerifyEmail {
            username: user.username.to_string(),
            link: self.new_link(LinkPurpose::VerifyEmail, user)?,
        };
        self.queue_mail(&letter, user)
    }

    /// Creates a link to set a password, which replaces the earlier one. Queues a mail with the link unless `no_mail` is set or mail is off.
    pub(crate) fn new_password_link(
        &self,
        user: &User,
        occasion: LinkOccasion,
        no_mail: bool,
    ) -> Result<PasswordLink, StoreError> {
        let purpose = LinkPurpose::SetPassword;
        let url = self.new_link(purpose, user)?;
        let is_mailed = !no_mail && !self.rules.is_off();
        if is_mailed {
            let letter = Letter::SetPassword {
                username: user.username.to_string(),
                link: url.clone(),
                occasion,
            };
            self.queue_mail(&letter, user)?;
        }
        Ok(PasswordLink {
            url,
            expires_at: self.now + purpose.ttl(),
            mailed_to: is_mailed.then(|| user.email.clone()),
        })
    }
}
