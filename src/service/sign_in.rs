//! Signing in, refreshing, signing out: every path on which tokens are given or taken.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::session::{Caller, find_presented_session};
use super::{Error, Service};
use crate::crypto::{AccessClaims, PresentedRefreshToken, Verification};
use crate::domain::{
    AccountName, Client, Generation, PasswordGuess, RefreshVerdict, Rotations, Session, SessionEnd,
    SignInMethod, Timestamp, User, UserId, UserStatus,
};
use crate::store::{SessionWithUser, Tx};

/// The most sessions that an account may have at once: more than a person has devices, few enough to read through.
const MAX_SESSIONS: u32 = 20;

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

/// A session that was begun or continued, with what its tokens say.
pub(super) struct OpenSession {
    pub(super) session: Session,
    pub(super) is_email_verified: bool,
    /// When the gate let it through.
    pub(super) at: Timestamp,
}

/// Somebody who has proved who they are and gets a session.
pub(super) struct Entrant<'a> {
    pub(super) user: &'a User,
    pub(super) method: SignInMethod,
    pub(super) client: Client,
    /// The values of the refresh cookies that came along.
    pub(super) presented: &'a [String],
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
    /// Unknown account, account without a password and wrong password cost the same work and get the same answer; suspension shows only after the
    /// right password.
    ///
    /// # Errors
    /// The refusals of the captcha, [`Error::InvalidCredentials`], [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn login(
        &self,
        name: AccountName,
        password: PasswordGuess,
        captcha_token: Option<&str>,
        client: Client,
        presented: &[String],
    ) -> Result<SignedIn, Error> {
        self.check_captcha(captcha_token, client.address).await?;
        let credentials = self
            .store
            .read(move |reader| reader.find_credentials(&name).map_err(Error::from))
            .await?;
        let stored = credentials
            .as_ref()
            .and_then(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(password, stored.clone()).await?;
        let (Some(credentials), Some(stored)) = (credentials, stored) else {
            return Err(Error::InvalidCredentials);
        };
        let renewed = match verified {
            Verification::Wrong => return Err(Error::InvalidCredentials),
            Verification::Right => None,
            Verification::RightButOutdated(renewed) => Some(renewed),
        };
        let presented = presented.to_vec();
        let (gate, post) = (self.gate(), Arc::clone(&self.post));
        let open = self.store.write(move |tx| {
            // The account may have changed while the password was hashed.
            let user = tx
                .find_user(credentials.user_id)?
                .ok_or(Error::InvalidCredentials)?;
            let current = tx.find_credentials(&AccountName::Username(user.username.clone()))?;
            let is_current = current
                .and_then(|current| current.password_hash)
                .is_some_and(|hash| hash.as_str() == stored.as_str());
            if !is_current {
                return Err(Error::InvalidCredentials);
            }
            if let Some(renewed) = &renewed {
                tx.renew_password_hash(user.id, &stored, renewed)?;
            }
            let entrant = Entrant {
                user: &user,
                method: SignInMethod::Password,
                client,
                presented: &presented,
            };
            let open = gate.admit(tx, &entrant)?;
            tx.forgive_code_failures(post.keys.address_digest(&user.email))?;
            Ok::<_, Error>(open)
        });
        self.sign_in(&open.await?)
    }

    /// Exchanges a refresh token for the next one and a fresh access token.
    ///
    /// `presented` are the values of every refresh cookie that came; the first authentic one counts. A token that was never authentic changes nothing.
    /// See [`Session::judge`] for what an old one means; a reused one ends the session, which is committed before the refusal.
    ///
    /// # Errors
    /// [`Error::RefreshTokenMissing`], [`Error::InvalidToken`], [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn refresh(&self, presented: &[String], client: Client) -> Result<SignedIn, Error> {
        if presented.is_empty() {
            return Err(Error::RefreshTokenMissing);
        }
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
            if found.is_some_and(|session| self.refresh_tokens.is_authentic(&token, &session)) {
                return self.refresh_authentic(&token, client).await;
            }
        }
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
                return Ok(Refreshed::Suspended);
            }
            let open = gate.continue_session(tx, found, generation, client)?;
            Ok::<_, Error>(open.map_or(Refreshed::Refused, Refreshed::Continued))
        });
        match refreshed.await? {
            Refreshed::Continued(open) => self.sign_in(&open),
            Refreshed::Refused => Err(Error::InvalidToken),
            Refreshed::Suspended => Err(Error::UserSuspended),
        }
    }

    /// Ends the session of the caller, and that of the cookies sent along if it is the caller's own too.
    pub async fn logout(&self, caller: &Caller, presented: &[String]) -> Result<(), Error> {
        let (user_id, session_id) = (caller.user.id, caller.session_id);
        let (presented, gate) = (presented.to_vec(), self.gate());
        self.store
            .write(move |tx| {
                let now = gate.system.now();
                tx.end_session(session_id, SessionEnd::SignedOut, now)?;
                if let Some(other) = find_presented_session(tx, &gate.refresh_tokens, &presented)?
                    && other.user_id == user_id
                {
                    tx.end_session(other.id, SessionEnd::SignedOut, now)?;
                }
                Ok::<_, Error>(())
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
        client_address: Option<IpAddr>,
    ) -> Result<bool, Error> {
        if self.captcha_protects_check() {
            self.check_captcha(captcha_token, client_address).await?;
        }
        self.store
            .read(move |reader| Ok(reader.find_user_id(&name)?.is_some()))
            .await
    }

    /// Mints the tokens of a session.
    pub(super) fn sign_in(&self, open: &OpenSession) -> Result<SignedIn, Error> {
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
                .keyring
                .issue(&claims, &self.system)
                .map_err(Error::internal)?,
            refresh: RefreshCookie {
                value: self.refresh_tokens.current(session),
                max_age,
            },
        })
    }

    /// What the one gate to sessions needs inside a transaction.
    pub(super) fn gate(&self) -> Gate {
        Gate {
            lifetimes: self.settings.lifetimes,
            refresh_tokens: self.refresh_tokens.clone(),
            system: self.system.clone(),
        }
    }
}

/// The one gate through which every session begins and continues, whatever path led to it.
#[derive(Clone)]
pub(super) struct Gate {
    lifetimes: crate::domain::SessionLifetimes,
    pub(super) refresh_tokens: crate::crypto::RefreshTokens,
    pub(super) system: crate::system::System,
}

impl Gate {
    /// Begins a session for somebody who has proved who they are; ends the session whose cookie is being replaced, and the surplus.
    pub(super) fn admit(&self, tx: &Tx<'_>, entrant: &Entrant<'_>) -> Result<OpenSession, Error> {
        if entrant.user.status == UserStatus::Suspended {
            return Err(Error::UserSuspended);
        }
        let now = self.system.now();
        if let Some(replaced) = find_presented_session(tx, &self.refresh_tokens, entrant.presented)? {
            tx.end_session(replaced.id, SessionEnd::Replaced, now)?;
        }
        tx.end_surplus_sessions(entrant.user.id, MAX_SESSIONS - 1, now)?;
        let session = self.new_session(entrant, now);
        tx.insert_session(&session)?;
        tx.set_last_sign_in(entrant.user.id, now)?;
        Ok(OpenSession {
            session,
            is_email_verified: entrant.user.email_verified_at.is_some(),
            at: now,
        })
    }

    fn new_session(&self, entrant: &Entrant<'_>, now: Timestamp) -> Session {
        Session {
            id: self.system.new_session_id(),
            user_id: entrant.user.id,
            generation: Generation::FIRST,
            nonce: self.system.random(),
            rotations: Rotations::default(),
            method: entrant.method,
            created_at: now,
            last_used_at: now,
            expires_at: self.lifetimes.end(now, now),
            ended: None,
            client: entrant.client.clone(),
        }
    }

    /// Does what an authentic refresh token of generation `presented` asks for; `None` is a refusal, with its trace already written.
    fn continue_session(
        &self,
        tx: &Tx<'_>,
        found: SessionWithUser,
        presented: Generation,
        client: Client,
    ) -> Result<Option<OpenSession>, Error> {
        let now = self.system.now();
        let SessionWithUser { session, user } = found;
        let continued = match session.judge(presented, now, self.lifetimes.grace) {
            RefreshVerdict::Repeat => Some(session),
            RefreshVerdict::Rotate => {
                let next = Session {
                    generation: session.generation.next(),
                    rotations: session.rotations.followed_by(now),
                    last_used_at: now,
                    expires_at: self.lifetimes.end(session.created_at, now),
                    client,
                    ..session
                };
                tx.rotate_session(presented, &next)?.then_some(next)
            }
            RefreshVerdict::Reused => {
                tracing::warn!(session = %session.id, user = %user.id, "a replaced refresh token was used again");
                tx.end_session(session.id, SessionEnd::RefreshReused, now)?;
                None
            }
            RefreshVerdict::Ahead => {
                tracing::warn!(session = %session.id, user = %user.id, "a refresh token is newer than its session");
                tx.end_session(session.id, SessionEnd::RefreshAhead, now)?;
                None
            }
            RefreshVerdict::Ended => None,
        };
        let is_email_verified = user.email_verified_at.is_some();
        Ok(continued.map(|session| OpenSession {
            session,
            is_email_verified,
            at: now,
        }))
    }
}
