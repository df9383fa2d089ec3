//! Signing in by password, and signing out.

use std::sync::Arc;

use super::rules::{Caller, parse_cookies};
use super::tokens::SignedIn;
use super::{Error, Service};
use crate::crypto::{Compared, Verification};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, FailureKey, Guessed, PasswordGuess,
    SessionEnd, SignInMethod,
};
use crate::store::Credentials;

impl Service {
    /// Signs in by password.
    ///
    /// An unknown account, an account without a password and a wrong password cost the same work, are counted alike and get the same answer. A suspension
    /// shows only after the right password.
    ///
    /// # Errors
    /// [`Error::RateLimited`] while wrong passwords make the next guess wait, the refusals of the captcha, [`Error::InvalidCredentials`],
    /// [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn login(
        &self,
        name: AccountName,
        password: PasswordGuess,
        captcha_token: Option<&str>,
        client: Client,
        cookies: &[String],
    ) -> Result<SignedIn, Error> {
        let (credentials, key, costs, record) = self.find_guessed(name, &client).await?;
        self.check_captcha(captcha_token, &client).await?;
        let stored = credentials.as_ref().and_then(|known| known.password_hash.clone());
        // The digest of the account or name chooses the cost, so that all names of an account without a password cost the same.
        let instead = self.hasher.shares(&costs).cost_of(key.guessed.0);
        let compared = stored
            .clone()
            .map_or(Compared::WithNothing(instead), Compared::With);
        let verified = self.hasher.verify(password, compared).await?;
        let (user_id, stored) = match (credentials, stored, &verified) {
            (Some(known), Some(stored), Verification::Right | Verification::RightButOutdated(_)) => {
                (known.user_id, stored)
            }
            (credentials, stored, _) => {
                let reason = match (credentials, stored) {
                    (None, _) => AuditReason::UnknownAccount,
                    (Some(_), None) => AuditReason::NoPassword,
                    (Some(_), Some(_)) => AuditReason::WrongPassword,
                };
                let refused = Error::InvalidCredentials.because(reason);
                return self.refuse_guess(record, refused, key).await;
            }
        };
        let cookies = parse_cookies(cookies);
        let open = self.change_audited(record, move |unit, record| {
            unit.rules.refuse_waiting(unit, key, unit.now)?;
            let changed = || Error::InvalidCredentials.because(AuditReason::PasswordJustChanged);
            let user = unit
                .find_user_with_password(user_id, &stored)?
                .ok_or_else(changed)?;
            if let Verification::RightButOutdated(renewed) = &verified {
                unit.renew_password_hash(user.id, &stored, renewed)?;
            }
            record.subject = Some((&user).into());
            let open = unit.begin_session(&user, SignInMethod::Password, &cookies)?;
            record.session_id = Some(open.session.id);
            Ok(open)
        });
        self.mint_tokens(&open.await?).await
    }

    /// The credentials of the guessed name, the key under which the guess is counted, how many accounts have each hash cost, and the record of the sign-in.
    async fn find_guessed(
        &self,
        name: AccountName,
        client: &Client,
    ) -> Result<(Option<Credentials>, FailureKey, Vec<(String, u32)>, AuditRecord), Error> {
        let (rules, address, now) = (Arc::clone(&self.rules), client.address, self.system.now());
        let digest = rules.keys.name_digest(&name);
        let found = self.store.read(move |reader| {
            let (credentials, name) = (reader.find_credentials(&name)?, name.key());
            let guessed = match &credentials {
                Some(credentials) => Guessed::Account(credentials.user_id),
                None => Guessed::UnknownName(&name),
            };
            let key = rules.keys.failure_key(guessed, address);
            let may_guess = rules.refuse_waiting(reader, key, now);
            let costs = reader.list_password_costs()?;
            Ok::<_, Error>((credentials, key, may_guess, costs))
        });
        let (credentials, key, may_guess, costs) = found.await?;
        let record = AuditRecord::by_client(AuditEvent::SignInByPassword, client);
        let record = match &credentials {
            Some(known) => record.about(known),
            None => record.under(digest),
        };
        may_guess.map_err(|refused| self.note_waiting(&record, refused))?;
        Ok((credentials, key, costs, record))
    }

    /// Ends the session of the caller, and the caller's other sessions whose cookies came with the request.
    pub async fn logout(&self, caller: &Caller, cookies: &[String]) -> Result<(), Error> {
        let (caller, cookies) = (caller.clone(), parse_cookies(cookies));
        let record = caller.record(AuditEvent::SignOut).of_session(caller.session_id);
        self.change_audited(record, move |unit, _| {
            unit.find_alive(&caller)?;
            unit.sign_out_presented(&cookies, caller.user.id)?;
            unit.end_session(caller.session_id, SessionEnd::SignedOut, unit.now)?;
            Ok(())
        })
        .await
    }
}
