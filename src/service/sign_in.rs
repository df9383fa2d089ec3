//! Signing in, refreshing, signing out: every path on which tokens are given or taken.

use std::time::Duration;

use secrecy::SecretString;

use super::audit::Refused;
use super::gate::{Entrant, OpenSession};
use super::session::{Caller, find_presented_session};
use super::{Error, Service};
use crate::crypto::{AccessClaims, PresentedRefreshToken, Verification};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, FailureKey, Guessed, PasswordGuess,
    PasswordHash, SessionEnd, SignInMethod, UserId, UserStatus,
};
use crate::store::Credentials;

/// A refresh token as a cookie.
#[derive(Debug)]
pub struct RefreshCookie {
    /// Its value.
    pub value: SecretString,
    /// The time to the end of the session, in whole seconds.
    pub max_age: Duration,
}

/// What somebody gets who has signed in or refreshed.
#[derive(Debug)]
pub struct SignedIn {
    /// Who it is.
    pub user_id: UserId,
    /// A fresh access token.
    pub access_token: SecretString,
    /// The refresh token.
    pub refresh: RefreshCookie,
}

/// What came of a refresh inside its transaction. Everything is `Ok` there, so that a revocation is committed before it is answered.
enum Refreshed {
    Continued(OpenSession),
    Refused,
    Suspended,
}

impl Service {
    /// Signs in by password.
    ///
    /// Unknown account, account without a password and wrong password cost the same work, are counted alike and get the same answer; suspension shows
    /// only after the right password.
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
        presented: &[String],
    ) -> Result<SignedIn, Error> {
        let (credentials, key, record) = self.find_guessed(name, &client).await?;
        self.check_captcha(captcha_token, &client).await?;
        let stored = credentials
            .as_ref()
            .and_then(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(password, stored).await?;
        let proof = match prove(credentials, verified) {
            Ok(proof) => proof,
            Err(refused) => return self.refuse_guess(record, refused, key).await,
        };
        let (gate, presented) = (self.gate(), presented.to_vec());
        let open = self.write_audited(record, move |tx, record| {
            gate.failures.refuse_waiting(tx, key)?;
            // The account may have changed while the password was hashed.
            let changed = || Error::InvalidCredentials.because(AuditReason::PasswordJustChanged);
            let user = tx.find_user(proof.user_id)?.ok_or_else(changed)?;
            let current = tx.find_credentials(&AccountName::Username(user.username.clone()))?;
            let is_current = current
                .and_then(|current| current.password_hash)
                .is_some_and(|hash| hash.as_str() == proof.stored.as_str());
            if !is_current {
                return Err(changed());
            }
            if let Some(renewed) = &proof.renewed {
                tx.renew_password_hash(user.id, &proof.stored, renewed)?;
            }
            let entrant = Entrant {
                user: &user,
                method: SignInMethod::Password,
                client,
                presented: &presented,
            };
            Ok(gate.admit(tx, &entrant, record)?)
        });
        self.sign_in(&open.await?).await
    }

    /// What is stored under the name that somebody guesses a password for, what the guess is counted under, and its record.
    async fn find_guessed(
        &self,
        name: AccountName,
        client: &Client,
    ) -> Result<(Option<Credentials>, FailureKey, AuditRecord), Error> {
        let (failures, visitor) = (self.failures.clone(), client.clone());
        let digest = self.auditor.keys.name_digest(&name);
        let found = self.store.read(move |reader| {
            let (credentials, name) = (reader.find_credentials(&name)?, name.key());
            let guessed = match &credentials {
                Some(credentials) => Guessed::Account(credentials.user_id),
                None => Guessed::Nobody(&name),
            };
            let key = failures.key(guessed, &visitor);
            let may_guess = failures.refuse_waiting(reader, key);
            Ok::<_, Error>((credentials, key, may_guess))
        });
        let (credentials, key, may_guess) = found.await?;
        let record = AuditRecord::by_client(AuditEvent::SignInByPassword, client);
        let record = match &credentials {
            Some(known) => record.about(known),
            None => record.under(digest),
        };
        may_guess.map_err(|refused| self.note_waiting(&record, client, refused))?;
        Ok((credentials, key, record))
    }

    /// Exchanges a refresh token for the next one and a fresh access token.
    ///
    /// `presented` are the values of every refresh cookie that came; the first authentic one counts. A token that was never authentic changes nothing.
    /// See [`Session::judge`](crate::domain::Session::judge) for what an old one means; a reused one ends the session, which is committed before the refusal.
    ///
    /// # Errors
    /// [`Error::RefreshTokenMissing`], [`Error::InvalidToken`], [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn refresh(&self, presented: &[String], client: Client) -> Result<SignedIn, Error> {
        if presented.is_empty() {
            self.note_refused(
                AuditEvent::RefreshRefused,
                AuditReason::RefreshTokenMissing,
                &client,
            );
            return Err(Error::RefreshTokenMissing);
        }
        let mut reason = AuditReason::ForgedToken;
        let tokens: Vec<PresentedRefreshToken> = presented
            .iter()
            .filter_map(|text| PresentedRefreshToken::parse(text))
            .collect();
        for token in tokens {
            let id = token.session_id();
            let found = self
                .store
                .read(move |reader| reader.find_session(id).map_err(Error::from))
                .await?;
            match found {
                Some(session) if self.refresh_tokens.is_authentic(&token, &session) => {
                    return self.refresh_authentic(&token, client).await;
                }
                Some(_) => {}
                None => reason = AuditReason::UnknownSession,
            }
        }
        self.note_refused(AuditEvent::RefreshRefused, reason, &client);
        Err(Error::InvalidToken)
    }

    async fn refresh_authentic(
        &self,
        token: &PresentedRefreshToken,
        client: Client,
    ) -> Result<SignedIn, Error> {
        let (id, generation, gate) = (token.session_id(), token.generation(), self.gate());
        let refreshed = self.store.write(move |tx| {
            let Some(found) = tx.find_session_with_user(id)? else {
                return Ok(Refreshed::Refused);
            };
            if found.user.status == UserStatus::Suspended {
                gate.refuse_suspended(tx, &found, &client)?;
                return Ok(Refreshed::Suspended);
            }
            let open = gate.continue_session(tx, found, generation, &client)?;
            Ok::<_, Error>(open.map_or(Refreshed::Refused, Refreshed::Continued))
        });
        match refreshed.await? {
            Refreshed::Continued(open) => self.sign_in(&open).await,
            Refreshed::Refused => Err(Error::InvalidToken),
            Refreshed::Suspended => Err(Error::UserSuspended),
        }
    }

    /// Ends the session of the caller, and that of the cookies sent along if it is the caller's own too.
    pub async fn logout(&self, caller: &Caller, presented: &[String]) -> Result<(), Error> {
        let (user_id, session_id) = (caller.user.id, caller.session_id);
        let (presented, gate) = (presented.to_vec(), self.gate());
        let record = caller.record(AuditEvent::SignOut).of_session(session_id);
        self.write_audited(record, move |tx, _| {
            let now = gate.system.now();
            tx.end_session(session_id, SessionEnd::SignedOut, now)?;
            if let Some(other) = find_presented_session(tx, &gate.refresh_tokens, &presented)?
                && other.user_id == user_id
            {
                tx.end_session(other.id, SessionEnd::SignedOut, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Whether there is an account with this name.
    ///
    /// # Errors
    /// The refusals of the captcha, where the operator asks for one here too.
    pub async fn account_exists(
        &self,
        name: AccountName,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<bool, Error> {
        if self.captcha_protects_check() {
            self.check_captcha(captcha_token, client).await?;
        }
        self.store
            .read(move |reader| Ok(reader.find_user_id(&name)?.is_some()))
            .await
    }

    /// Mints the tokens of a session.
    pub(super) async fn sign_in(&self, open: &OpenSession) -> Result<SignedIn, Error> {
        let session = &open.session;
        let claims = AccessClaims {
            user_id: session.user_id,
            session_id: session.id,
            authenticated_at: session.created_at,
            method: session.method,
            is_email_verified: open.is_email_verified,
        };
        let max_age = Duration::from_secs(session.expires_at.since(open.at).as_secs());
        Ok(SignedIn {
            user_id: session.user_id,
            access_token: self
                .keyring()
                .await?
                .issue(&claims, &self.system)
                .map_err(Error::internal)?,
            refresh: RefreshCookie {
                value: self.refresh_tokens.current(session),
                max_age,
            },
        })
    }
}

/// A right password, and what must still be so when it is acted upon.
struct Proof {
    user_id: UserId,
    /// The hash that it was right for.
    stored: PasswordHash,
    /// The hash that takes its place, if its cost is outdated.
    renewed: Option<PasswordHash>,
}

/// Says whether a password was right, or why not.
fn prove(credentials: Option<Credentials>, verified: Verification) -> Result<Proof, Refused> {
    let refused = |reason| Error::InvalidCredentials.because(reason);
    let credentials = credentials.ok_or_else(|| refused(AuditReason::UnknownAccount))?;
    let stored = credentials
        .password_hash
        .ok_or_else(|| refused(AuditReason::NoPassword))?;
    let renewed = match verified {
        Verification::Wrong => return Err(refused(AuditReason::WrongPassword)),
        Verification::Right => None,
        Verification::RightButOutdated(renewed) => Some(renewed),
    };
    Ok(Proof {
        user_id: credentials.user_id,
        stored,
        renewed,
    })
}
