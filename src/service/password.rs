//! Changing a password, and setting one anew through a link.

use std::sync::Arc;
use std::time::Duration;

use super::error::Refused;
use super::one_time_code::{AskedMail, Asker, find_unchanged, is_mail_left, kind_of};
use super::presented::PresentedTokens;
use super::rules::mail::link_row;
use super::session::Caller;
use super::sign_in::RefreshCookie;
use super::{Error, Service};
use crate::crypto::{Compared, Verification, link_digest};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, Email, FailureKey, FieldError, FieldErrors,
    Guessed, Letter, LinkDigest, LinkPurpose, LinkToken, MailPurpose, Password, PasswordGuess, PasswordHash,
    SessionEnd, Timestamp, User, UserStatus,
};
use crate::store::{LinkRow, Reader};

/// How long after a sign-in an account without a password may set one (the session proves a mailbox; an old one may be somebody else's by now).
pub const RECENT_SIGN_IN: Duration = Duration::from_mins(10);

impl Service {
    /// Changes the caller's password, ends their other sessions, and makes every refresh token of the present one worthless that was minted so far. Gives
    /// the new cookie, if one is to be set; `presented` are the refresh cookies that came along.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `current_password` if it is missing or wrong (a wrong one is counted as in [`Service::login`]), [`Error::RateLimited`] as
    /// there, [`Error::ReauthenticationRequired`] for an account without a password more than ten minutes after signing in.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: Option<PasswordGuess>,
        new: Password,
        presented: &[String],
    ) -> Result<Option<RefreshCookie>, Error> {
        let user_id = caller.user.id;
        let record = caller.record(AuditEvent::PasswordChanged);
        let key = self.failures.key(Guessed::Account(user_id), &caller.client);
        let stored = match self.prove_presence(caller, current, key).await {
            Ok(stored) => stored,
            Err(refused) if refused.reason() == Some(AuditReason::WrongPassword) => {
                return self.refuse_guess(record, refused, key).await;
            }
            Err(refused) => return self.refuse(record, refused).await,
        };
        let hash = self.hasher.hash(new).await?;
        let (post, gate) = (Arc::clone(&self.rules), self.gate());
        let (caller, presented) = (caller.clone(), PresentedTokens::parse(presented));
        let open = self.write_audited_and_mail(record, move |tx, _| {
            let now = post.system.now();
            let found = caller.find_alive(tx, now)?;
            if stored.is_some() {
                gate.failures.refuse_waiting(tx, key)?;
            }
            let user = found.user.clone();
            // Somebody else may have changed it while this one was hashed.
            let current = tx.find_credentials(&AccountName::Username(user.username.clone()))?;
            let current = current.and_then(|current| current.password_hash);
            if current.as_ref().map(PasswordHash::as_str) != stored.as_ref().map(PasswordHash::as_str) {
                return Err(incorrect().because(AuditReason::PasswordJustChanged));
            }
            tx.set_password_hash(user.id, &hash)?;
            tx.end_sessions_of(user.id, Some(caller.session_id), SessionEnd::PasswordChanged, now)?;
            let open = gate.renew_tokens(tx, found, &presented, &caller.client)?;
            tx.delete_password_links(user.id)?;
            tx.delete_code_of(user.id)?;
            gate.failures.forgive(tx, &user)?;
            // An address that was never verified may be another person's, and whoever registered it may change the password all day. The owner of a verified
            // one is always told: a budget could be used up by accounts with other tags of the same mailbox.
            let is_proven = user.email_verified_at.is_some();
            let mailbox = post.keys.mailbox_digest(&user.email);
            let is_told = is_proven || is_mail_left(tx, mailbox, MailPurpose::Notice, now)?;
            if !post.is_off() && is_told {
                post.queue(tx, &changed(&user), &user, now)?;
            }
            Ok(open)
        });
        let open = open.await?;
        Ok(open.map(|open| self.refresh_cookie(&open)))
    }

    /// Checks that the caller is there in person; gives the hash they have now.
    async fn prove_presence(
        &self,
        caller: &Caller,
        current: Option<PasswordGuess>,
        key: FailureKey,
    ) -> Result<Option<PasswordHash>, Refused> {
        let (name, id) = (
            AccountName::Username(caller.user.username.clone()),
            caller.session_id,
        );
        let (credentials, session) = self
            .store
            .read(move |reader| Ok::<_, Error>((reader.find_credentials(&name)?, reader.find_session(id)?)))
            .await?;
        let Some(stored) = credentials.and_then(|credentials| credentials.password_hash) else {
            let began_at = session.map(|session| session.created_at);
            return match began_at {
                // One that began in the future did so while the clock was wrong, and may be old.
                Some(began_at) if is_recent(began_at, self.system.now()) => Ok(None),
                _ => Err(Error::ReauthenticationRequired.into()),
            };
        };
        let Some(current) = current else {
            let missing = FieldErrors::one("current_password", FieldError::Missing);
            return Err(Error::Invalid(missing).into());
        };
        let failures = self.failures.clone();
        let waited = self
            .store
            .read(move |reader| failures.refuse_waiting(reader, key));
        let waited = waited.await.map_err(|refused| {
            let record = caller.record(AuditEvent::PasswordChanged);
            self.note_waiting(&record, &caller.client, refused)
        });
        waited?;
        let verified = self.hasher.verify(current, Compared::With(stored.clone())).await;
        match verified.map_err(Error::from)? {
            Verification::Wrong => Err(incorrect().because(AuditReason::WrongPassword)),
            Verification::Right | Verification::RightButOutdated(_) => Ok(Some(stored)),
        }
    }

    /// Mails a link to set a password anew, if the address has an account; see [`Service::send_code`] for what is alike.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`], [`Error::CodeRateLimited`], the refusals of the captcha.
    pub async fn send_reset(
        &self,
        email: Email,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<(), Error> {
        self.rules.refuse_without_mail()?;
        let asked = AskedMail::plain(self.rules.keys.mailbox_digest(&email), MailPurpose::Reset);
        let visitor = Asker {
            email: &email,
            captcha_token,
            client,
        };
        let (found, record) = self.admit_asker(AuditEvent::ResetSent, &visitor, asked).await?;
        let now = self.system.now();
        let token = LinkToken::from_random(self.system.random());
        let link = self.rules.links.of_token(LinkPurpose::ResetPassword, &token);
        let letter = |username: &str| Letter::ResetPassword {
            username: username.to_owned(),
            link: link.clone(),
        };
        let mail = match &found {
            Some(user) => self.rules.mail_to(&letter(user.username.as_str()), user, now),
            None => self.rules.decoy(&letter("somebody"), &email, now),
        };
        self.write_audited_and_mail(record, move |tx, _| {
            asked.spend(tx, kind_of(found.as_ref()), now)?;
            let user_id = find_unchanged(tx, &email, found.as_ref())?;
            tx.replace_link(&link_row(
                &token,
                LinkPurpose::ResetPassword,
                user_id,
                &email,
                now,
            ))?;
            let is_sent = user_id.is_some();
            Ok(tx.insert_mail(&if is_sent { mail } else { mail.into_decoy() })?)
        })
        .await
    }

    /// Sets a password through a link, and ends every session. A link that was mailed proves the address too. For a suspended account none works, also none
    /// that was mailed since.
    ///
    /// `parse` reads the new password once the account is known, which it must not be the name of.
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
        let now = self.system.now();
        let digest = token.as_ref().map(link_digest);
        let found = self.store.read(move |reader| find(reader, digest)).await;
        let (user, link) = match found {
            Ok(found) => found,
            Err(refused) => return self.refuse(record, refused).await,
        };
        let record = record.about(&user);
        if user.status == UserStatus::Suspended {
            let refused = Error::ResetTokenInvalid.because(AuditReason::Suspended);
            return self.refuse(record, refused).await;
        }
        if link.used_at.is_some() || link.expires_at <= now {
            let refused = Error::ResetTokenInvalid.because(link.why_unusable());
            return self.refuse(record, refused).await;
        }
        let hash = self.hasher.hash(parse(&user)?).await?;
        let (post, auditor, client) = (
            Arc::clone(&self.rules),
            Arc::clone(&self.rules.auditor),
            client.clone(),
        );
        let failures = self.failures.clone();
        self.write_audited_and_mail(record, move |tx, _| {
            let now = post.system.now();
            // A suspension or another address, which may have come meanwhile, has removed the link.
            let (user, link) = find(tx, digest)?;
            if !tx.use_link(link.digest, now)? {
                return Err(Error::ResetTokenInvalid.because(AuditReason::UsedLink));
            }
            let (end, letter) = told_after(&user, link.purpose);
            tx.set_password_hash(user.id, &hash)?;
            tx.end_sessions_of(user.id, None, end, now)?;
            if link.purpose == LinkPurpose::ResetPassword {
                tx.set_email_verified(user.id, now)?;
            }
            if end == SessionEnd::TakenBack {
                let record = AuditRecord::by_client(AuditEvent::AccountTakenBack, &client);
                auditor.write(tx, &record.about(&user))?;
            }
            tx.delete_password_links(user.id)?;
            tx.delete_code_of(user.id)?;
            failures.forgive(tx, &user)?;
            Ok(post.queue(tx, &letter, &user, now)?)
        })
        .await
    }
}

/// The password link with this digest, used or not, and its account, which must still have the address.
fn find(reader: &Reader<'_>, digest: Option<LinkDigest>) -> Result<(User, LinkRow), Refused> {
    let unknown = || Error::ResetTokenInvalid.because(AuditReason::UnknownLink);
    let link = reader
        .find_link(digest.ok_or_else(unknown)?)?
        .filter(|link| link.purpose != LinkPurpose::VerifyEmail)
        .ok_or_else(unknown)?;
    let user = link.user_id.map(|id| reader.find_user(id)).transpose()?.flatten();
    let user = user.filter(|user| user.email.key() == link.email_key);
    user.map(|user| (user, link)).ok_or_else(unknown)
}

fn is_recent(began_at: Timestamp, now: Timestamp) -> bool {
    now.since(began_at) < RECENT_SIGN_IN && began_at.since(now) < RECENT_SIGN_IN
}

fn incorrect() -> Error {
    Error::Invalid(FieldErrors::one("current_password", FieldError::Incorrect))
}

/// Why the sessions of `user`, as they were before, end when a link sets their password, and how they are told.
///
/// If the link is what proves the address, whoever had set the old password may have been somebody else.
fn told_after(user: &User, purpose: LinkPurpose) -> (SessionEnd, Letter) {
    let is_first_proof = purpose == LinkPurpose::ResetPassword && user.email_verified_at.is_none();
    if !is_first_proof || !user.has_password {
        return (SessionEnd::PasswordChanged, changed(user));
    }
    let letter = Letter::AccountTakenBack {
        username: user.username.as_str().to_owned(),
        link: None,
    };
    (SessionEnd::TakenBack, letter)
}

fn changed(user: &User) -> Letter {
    Letter::PasswordChanged {
        username: user.username.as_str().to_owned(),
    }
}
