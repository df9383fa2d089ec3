//! Registration: who may register, and the one transaction that creates the account.

use std::sync::Arc;

use super::rules::{ModeSource, PresentedInvite, Unit, parse_cookies};
use super::tokens::SignedIn;
use super::{Error, Service};
use crate::domain::{
    AuditEvent, AuditRecord, Client, Email, Locale, MailPurpose, Password, RegistrationMode, SignInMethod,
    User, Username,
};
use crate::store::NewUserRow;

/// The warning if an account was created although its invite cannot be used.
const INVITE_IGNORED: &str =
    "The invite code cannot be used and was ignored; registration is open, so no invite was needed.";

/// The warning if no verification mail is queued, because mail is off.
const NO_MAIL: &str = "No verification mail can be sent, because this server sends no mail.";

/// The warning if no verification mail is queued, because the budget of the mailbox is used up.
const TOO_MANY_MAILS: &str =
    "No verification mail was sent, because this mailbox was sent too many of them; ask for one later.";

/// A request for an account. No `Debug`, because it would print the captcha token, which can be used once.
pub struct Registration {
    pub username: Username,
    pub email: Email,
    pub password: Password,
    pub invite: PresentedInvite,
    /// The language of its mails; `None` if the client named none.
    pub locale: Option<Locale>,
    pub captcha_token: Option<String>,
}

/// An account that was created.
#[derive(Debug)]
pub struct Registered {
    /// Its first session.
    pub signed_in: SignedIn,
    /// What its owner should know, in whole sentences.
    pub warning: Option<String>,
}

impl Service {
    /// Creates an account and its first session.
    ///
    /// Mode and invite are checked before the password is hashed, because that check is cheap. The transaction checks both again and decides. A refusal
    /// never spends an invite.
    ///
    /// # Errors
    /// The refusals of the captcha, [`Error::RegistrationDisabled`], [`Error::InviteCodeRequired`], [`Error::InviteCodeInvalid`],
    /// [`Error::LoginExists`], [`Error::EmailExists`], [`Error::Unavailable`].
    pub async fn register(
        &self,
        registration: Registration,
        client: Client,
        cookies: &[String],
    ) -> Result<Registered, Error> {
        let Registration { invite, password, .. } = registration;
        self.check_captcha(registration.captcha_token.as_deref(), &client)
            .await?;
        let record = AuditRecord::by_client(AuditEvent::Register, &client);
        let record = record.under(self.rules.email_digest(&registration.email));
        let (username, email) = (registration.username, registration.email);
        let (rules, presented, now) = (Arc::clone(&self.rules), invite.clone(), self.system.now());
        let names = (username.clone(), email.clone());
        let check = self
            .store
            .read(move |reader| rules.check_invite(reader, &presented, (&names.0, &names.1), now));
        if let Err(refused) = check.await {
            return self.refuse(record, refused).await;
        }
        let password_hash = self.hasher.hash(password).await?;
        let locale = registration.locale.unwrap_or_else(|| self.default_locale());
        let cookies = parse_cookies(cookies);
        let write = self.change_audited(record, move |unit, record| {
            let invite_id = unit.spend_invite(&invite, (&username, &email))?;
            let is_ignored = invite_id.is_none() && invite != PresentedInvite::Absent;
            let user = unit.open_account(&NewUserRow {
                id: unit.rules.system.new_id(),
                username: username.clone(),
                email: email.clone(),
                email_verified_at: None,
                password_hash: Some(password_hash.clone()),
                locale: locale.clone(),
                invite_id,
                created_at: unit.now,
            })?;
            record.subject = Some((&user).into());
            let no_mail = mail_first_verification(unit, &user)?;
            let open = unit.begin_session(&user, SignInMethod::Password, &cookies)?;
            record.session_id = Some(open.session.id);
            Ok((open, [is_ignored.then_some(INVITE_IGNORED), no_mail]))
        });
        let (open, warnings) = write.await?;
        let warnings: Vec<&str> = warnings.into_iter().flatten().collect();
        Ok(Registered {
            signed_in: self.mint_tokens(&open).await?,
            warning: (!warnings.is_empty()).then(|| warnings.join(" ")),
        })
    }

    /// The registration mode in force, and where it comes from.
    pub async fn registration_mode(&self) -> Result<(RegistrationMode, ModeSource), Error> {
        let rules = Arc::clone(&self.rules);
        let found = self.store.read(move |reader| rules.registration_mode(reader));
        Ok(found.await?)
    }
}

/// Queues the first verification mail, which takes from the same budget as those that a client asks for. Returns a warning if no mail is queued.
fn mail_first_verification(unit: &Unit<'_>, user: &User) -> Result<Option<&'static str>, Error> {
    if unit.rules.is_off() {
        return Ok(Some(NO_MAIL));
    }
    if !unit.is_mail_left(user, MailPurpose::Verify)? {
        return Ok(Some(TOO_MANY_MAILS));
    }
    unit.mail_verification(user)?;
    Ok(None)
}
