//! Signing in, refreshing, signing out: every path on which tokens are given or taken.

use std::time::Duration;

use secrecy::SecretString;

use super::error::Refused;
use super::gate::{Entrant, OpenSession, Refreshed};
use super::presented::{PresentedTokens, RefreshCookies};
use super::session::Caller;
use super::{Error, Service};
use crate::crypto::{AccessClaims, Compared, Verification};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, FailureKey, Guessed, PasswordGuess,
    PasswordHash, SessionEnd, SignInMethod, Timestamp, UserId,
};
use crate::store::Credentials;

/// A refresh token as a cookie.
#[derive(Debug)]
pub struct RefreshCookie {
    /// Its value.
    pub value: SecretString,
    /// The time to the end of the session, in whole seconds.
    pub max_age: Duration,
    /// When the session ends.
    pub expires_at: Timestamp,
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
        let Guess {
            credentials,
            compared,
            key,
            record,
        } = self.find_guessed(name, &client).await?;
        self.check_captcha(captcha_token, &client).await?;
        let verified = self.hasher.verify(password, compared).await?;
        let proof = match prove(credentials, verified) {
            Ok(proof) => proof,
            Err(refused) => return self.refuse_guess(record, refused, key).await,
        };
        let (gate, presented) = (self.gate(), PresentedTokens::parse(presented));
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

    /// What a guess at the password of `name` is about.
    async fn find_guessed(&self, name: AccountName, client: &Client) -> Result<Guess, Error> {
        let (failures, visitor) = (self.failures.clone(), client.clone());
        let digest = self.rules.auditor.keys.name_digest(&name);
        let found = self.store.read(move |reader| {
            let (credentials, name) = (reader.find_credentials(&name)?, name.key());
            let guessed = match &credentials {
                Some(credentials) => Guessed::Account(credentials.user_id),
                None => Guessed::Nobody(&name),
            };
            let key = failures.key(guessed, &visitor);
            let may_guess = failures.refuse_waiting(reader, key);
            let costs = reader.list_password_costs()?;
            Ok::<_, Error>((credentials, key, may_guess, costs))
        });
        let (credentials, key, may_guess, costs) = found.await?;
        let record = AuditRecord::by_client(AuditEvent::SignInByPassword, client);
        let record = match &credentials {
            Some(known) => record.about(known),
            None => record.under(digest),
        };
        may_guess.map_err(|refused| self.note_waiting(&record, client, refused))?;
        // By the digest of the account or name, so that all names of an account without a password cost the same.
        let instead = self.hasher.shares(&costs).cost_of(key.guessed.0);
        let stored = credentials.as_ref().and_then(|known| known.password_hash.clone());
        Ok(Guess {
            compared: stored.map_or(Compared::WithNothing(instead), Compared::With),
            credentials,
            key,
            record,
        })
    }

    /// Exchanges a refresh token for the next one and a fresh access token.
    ///
    /// Of the cookies the first that can be served counts; those of living sessions of two accounts are refused without any consequence. A token that was never authentic changes
    /// nothing. See [`Rotation::judge`](crate::domain::Rotation::judge) for what an old one means; a reused one ends the session, which is committed
    /// before the refusal.
    ///
    /// # Errors
    /// [`Error::RefreshTokenMissing`], [`Error::InvalidToken`], [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn refresh(&self, cookies: RefreshCookies, client: Client) -> Result<SignedIn, Error> {
        let refuse = |reason| self.note_refused(AuditEvent::RefreshRefused, reason, &client);
        if cookies.is_missing {
            refuse(AuditReason::RefreshTokenMissing);
            return Err(Error::RefreshTokenMissing);
        }
        let tokens = match cookies.authentic(self, &client).await? {
            Ok(tokens) => tokens,
            Err(reason) => {
                refuse(reason);
                return Err(Error::InvalidToken);
            }
        };
        let (gate, visitor) = (self.gate(), client.clone());
        let refreshed = self.store.write(move |tx| gate.refresh(tx, &tokens, &visitor));
        match refreshed.await? {
            Refreshed::Continued(open) => self.sign_in(&open).await,
            Refreshed::Refused => Err(Error::InvalidToken),
            Refreshed::Suspended => Err(Error::UserSuspended),
            // A change of credentials came between the two questions.
            Refreshed::Forged => {
                refuse(AuditReason::ForgedToken);
                Err(Error::InvalidToken)
            }
        }
    }

    /// Ends the session of the caller, and those of the cookies sent along that are the caller's own too.
    pub async fn logout(&self, caller: &Caller, presented: &[String]) -> Result<(), Error> {
        let (present, gate) = (caller.clone(), self.gate());
        let presented = PresentedTokens::parse(presented);
        let record = caller.record(AuditEvent::SignOut).of_session(caller.session_id);
        self.write_audited(record, move |tx, _| {
            let now = gate.system.now();
            present.find_alive(tx, now)?;
            gate.end_presented(tx, &presented, &present.client, present.user.id)?;
            tx.end_session(present.session_id, SessionEnd::SignedOut, now)?;
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
        let refresh = self.refresh_cookie(open);
        let claims = AccessClaims {
            user_id: session.user_id,
            session_id: session.id,
            authenticated_at: session.created_at,
            method: session.method,
            is_email_verified: open.is_email_verified,
        };
        Ok(SignedIn {
            user_id: session.user_id,
            access_token: self
                .keyring()
                .await?
                .issue(&claims, &self.system)
                .map_err(Error::internal)?,
            refresh,
        })
    }

    /// The refresh cookie of a session.
    pub(super) fn refresh_cookie(&self, open: &OpenSession) -> RefreshCookie {
        let left = open.session.expires_at.since(open.at);
        RefreshCookie {
            value: self.rules.refresh_tokens.current(&open.session),
            max_age: Duration::from_secs(left.as_secs()),
            expires_at: open.session.expires_at,
        }
    }
}

/// A guess at a password, before it is compared.
struct Guess {
    /// What is stored under the name; `None` if no account has it.
    credentials: Option<Credentials>,
    compared: Compared,
    /// What it is counted under if it is wrong.
    key: FailureKey,
    record: AuditRecord,
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
