//! One-time codes: mailing one, and signing in with it.

use std::sync::Arc;

use super::asked_mail::AskedMail;
use super::rules::{Unit, parse_cookies};
use super::tokens::SignedIn;
use super::{Error, Service};
use crate::domain::{
    Actor, AuditEvent, AuditReason, Client, CodeMac, Email, FailedCode, Letter, LinkPurpose, MailBudget,
    MailPurpose, OneTimeCode, SignInMethod, UserId,
};

impl Service {
    /// Mails a code to an address, if it has an account.
    ///
    /// # Errors
    /// [`Error::FeatureOff`], [`Error::MailUnavailable`], [`Error::CodeRateLimited`], [`Error::CodeLocked`], the refusals of the captcha; the same for
    /// every address.
    pub async fn send_code(
        &self,
        email: Email,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<(), Error> {
        let digits = self.rules.settings.code_digits.ok_or(Error::FeatureOff)?;
        let asked = AskedMail {
            event: AuditEvent::CodeSent,
            purpose: MailPurpose::SignIn,
            email: &email,
            captcha_token,
            client,
        };
        let address = self.rules.keys.address_digest(&email);
        self.send_asked_mail(asked, |user, now| {
            let code = OneTimeCode::from_random(self.system.random(), digits);
            let mac = match user {
                Some(_) => self.rules.keys.code_mac(address, now, &code),
                None => CodeMac(self.system.random()),
            };
            let code = code.reveal().to_owned();
            let store = move |unit: &Unit<'_>, user_id: Option<UserId>| {
                Ok(unit.replace_code(address, user_id, mac, now)?)
            };
            (Letter::SignInCode { code }, store)
        })
        .await
    }

    /// Signs in with a code that was mailed to `email`, which proves the mailbox: see `Unit::prove_mailbox`.
    ///
    /// # Errors
    /// [`Error::CodeInvalid`] for every fault of the code, [`Error::CodeLocked`], [`Error::UserSuspended`] after a right code,
    /// [`Error::FeatureOff`].
    pub async fn sign_in_by_code(
        &self,
        email: Email,
        code: OneTimeCode,
        client: Client,
        cookies: &[String],
    ) -> Result<SignedIn, Error> {
        self.rules.settings.code_digits.ok_or(Error::FeatureOff)?;
        let cookies = parse_cookies(cookies);
        let open = self.change(Actor::Client(client), move |unit| {
            let record = unit.record(AuditEvent::SignInByCode);
            let mut record = match unit.find_user_by_email(&email)? {
                Some(user) => record.about(&user),
                None => record.under(unit.rules.email_digest(&email)),
            };
            // A refusal is not returned as an `Err` of the transaction, because its counts must be committed.
            let mut user = match unit.compare_code(&email, &code) {
                Ok(user) => user,
                Err(refused) => {
                    // If the address has no account, the log gives that as the reason.
                    let refused = match refused.error {
                        Error::CodeInvalid if record.subject.is_none() => {
                            Error::CodeInvalid.because(AuditReason::UnknownAccount)
                        }
                        _ => refused,
                    };
                    return Ok(Err(unit.audit_refusal(record, refused)?));
                }
            };
            if unit.prove_mailbox(&user)? {
                let link = unit.new_link(LinkPurpose::SetPassword, &user)?;
                unit.mail_taken_back(&user, Some(link))?;
            }
            user.email_verified_at.get_or_insert(unit.now);
            let open = unit.begin_session(&user, SignInMethod::OneTimeCode, &cookies)?;
            record.session_id = Some(open.session.id);
            unit.audit(&record)?;
            Ok(Ok(open))
        });
        let open = open.await?;
        if matches!(open, Err(Error::CodeInvalid)) {
            self.warn_of_spraying().await?;
        }
        self.mint_tokens(&open?).await
    }

    /// Warns once an hour while codes are mailed more slowly because codes of many accounts are being guessed.
    async fn warn_of_spraying(&self) -> Result<(), Error> {
        let Some(threshold) = self.rules.settings.spray_threshold else {
            return Ok(());
        };
        let (rules, now) = (Arc::clone(&self.rules), self.system.now());
        let is_braked = self.store.read(move |reader| rules.is_braked(reader, now));
        if !is_braked.await? {
            return Ok(());
        }
        let (an_hour_ago, _) = FailedCode::hour_around(now);
        let mut warned_at = self.spraying_warned_at.lock();
        if warned_at.is_none_or(|at| at <= an_hour_ago) {
            *warned_at = Some(now);
            let per_hour = MailBudget::PER_HOUR_BRAKED;
            tracing::warn!(
                "one-time codes of many accounts are being guessed: more than {threshold} were wrong within an hour. Until the guessing ends, \
                 {per_hour} in an hour are mailed to each mailbox; see who it is with `arkloop audit --event sign_in.code`"
            );
        }
        Ok(())
    }
}
