//! Changing a password, and setting a new one through a link.

use super::asked_mail::AskedMail;
use super::error::Refused;
use super::rules::{Caller, Unit, link_row, parse_cookies, why_unusable};
use super::tokens::RefreshCookie;
use super::{Error, Service};
use crate::crypto::link_digest;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Email, Letter, LinkDigest, LinkPurpose, LinkToken,
    MailPurpose, Password, PasswordGuess, Timestamp, User, UserId, UserStatus, Username,
};
use crate::store::{LinkRow, Reader};

impl Service {
    /// Changes the caller's password, ends their other sessions, and invalidates every earlier refresh token of the present session. Returns the new
    /// cookie, if one is to be set; `cookies` are the refresh cookies of the request.
    ///
    /// # Errors
    /// Those of [`Service::prove_presence`].
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: Option<PasswordGuess>,
        new: Password,
        cookies: &[String],
    ) -> Result<Option<RefreshCookie>, Error> {
        let event = AuditEvent::PasswordChanged;
        let presence = self.prove_presence(caller, current, event).await?;
        let hash = self.hasher.hash(new).await?;
        let (caller, cookies) = (caller.clone(), parse_cookies(cookies));
        let open = self.change_audited(caller.record(event), move |unit, _| {
            let (session, user) = unit.find_alive(&caller)?;
            presence.still_holds(unit, &user)?;
            unit.replace_password(&user, &hash, Some(caller.session_id))?;
            let open = unit.renew_tokens(session, &user, &cookies)?;
            if unit.is_notice_mailed(&user)? {
                unit.mail_password_changed(&user)?;
            }
            Ok(open)
        });
        let open = open.await?;
        Ok(open.map(|open| self.refresh_cookie(&open)))
    }

    /// Mails a link to set a new password, if the address has an account.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`], [`Error::CodeRateLimited`], the refusals of the captcha. They do not depend on whether the address has an account.
    pub async fn send_reset(
        &self,
        email: Email,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<(), Error> {
        let asked = AskedMail {
            event: AuditEvent::ResetSent,
            purpose: MailPurpose::Reset,
            email: &email,
            captcha_token,
            client,
        };
        self.send_asked_mail(asked, |user, now| {
            let token = LinkToken::from_random(self.system.random());
            let username = user.map_or("somebody", |user| user.username.as_str());
            let letter = Letter::ResetPassword {
                username: username.to_owned(),
                link: self.rules.links.of_token(LinkPurpose::ResetPassword, &token),
            };
            let email = email.clone();
            let store = move |unit: &Unit<'_>, user_id: Option<UserId>| {
                let row = link_row(&token, LinkPurpose::ResetPassword, user_id, &email, now);
                Ok(unit.replace_link(&row)?)
            };
            (letter, store)
        })
        .await
    }

    /// The name of the account that a link to set a password is about. Does not use the link.
    ///
    /// # Errors
    /// [`Error::ResetTokenInvalid`].
    pub async fn find_reset(&self, token: Option<LinkToken>) -> Result<Username, Error> {
        let (digest, now) = (token.as_ref().map(link_digest), self.system.now());
        let found = self.store.read(move |reader| find(reader, digest));
        let (link, user) = found.await?;
        match why_refused(&link, &user, now) {
            Some(_) => Err(Error::ResetTokenInvalid),
            None => Ok(user.username),
        }
    }

    /// Sets a password through a link and ends every session. A link that was requested by mail ([`LinkPurpose::ResetPassword`]) also proves the address.
    /// No link works for a suspended account, not even one that was mailed after the suspension.
    ///
    /// `parse` reads the new password once the account is known, because the password must differ from the names of the account.
    ///
    /// # Errors
    /// [`Error::ResetTokenInvalid`], [`Error::Invalid`].
    pub async fn confirm_reset(
        &self,
        token: Option<LinkToken>,
        client: &Client,
        parse: impl FnOnce(&User) -> Result<Password, Error>,
    ) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::PasswordReset, client);
        let (digest, now) = (token.as_ref().map(link_digest), self.system.now());
        let found = self.store.read(move |reader| find(reader, digest)).await;
        let (link, user) = match found {
            Ok(found) => found,
            Err(refused) => return self.refuse(record, refused).await,
        };
        let record = record.about(&user);
        if let Some(reason) = why_refused(&link, &user, now) {
            return self
                .refuse(record, Error::ResetTokenInvalid.because(reason))
                .await;
        }
        let hash = self.hasher.hash(parse(&user)?).await?;
        self.change_audited(record, move |unit, _| {
            // The link is looked up again, because a suspension or a change of the address may have removed it meanwhile.
            let (link, user) = find(unit, digest)?;
            unit.use_link(&link, Error::ResetTokenInvalid)?;
            let is_taken_back = link.purpose == LinkPurpose::ResetPassword && unit.prove_mailbox(&user)?;
            unit.replace_password(&user, &hash, None)?;
            Ok(if is_taken_back {
                unit.mail_taken_back(&user, None)
            } else {
                unit.mail_password_changed(&user)
            }?)
        })
        .await
    }
}

/// Finds the link with this digest, used or not, and its account. A link that verifies an address is refused.
fn find(reader: &Reader<'_>, digest: Option<LinkDigest>) -> Result<(LinkRow, User), Refused> {
    let found = digest.map(|digest| reader.find_link(digest)).transpose()?;
    let found = found
        .flatten()
        .filter(|(link, _)| link.purpose != LinkPurpose::VerifyEmail);
    found.ok_or_else(|| Error::ResetTokenInvalid.because(AuditReason::UnknownLink))
}

/// Why a link of this account does not set a password; `None` if it does.
fn why_refused(link: &LinkRow, user: &User, now: Timestamp) -> Option<AuditReason> {
    match user.status {
        UserStatus::Suspended => Some(AuditReason::Suspended),
        UserStatus::Active => why_unusable(link, now),
    }
}
