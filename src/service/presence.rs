//! The proof that the caller is the account's owner, and not only the holder of an access token: the password, or a recent sign-in.

use std::sync::Arc;
use std::time::Duration;

use super::error::Refused;
use super::rules::{Caller, Unit};
use super::{Error, Service};
use crate::crypto::{Compared, Verification};
use crate::domain::{
    AccountName, AuditEvent, AuditReason, FailureKey, FieldError, FieldErrors, Guessed, PasswordGuess,
    PasswordHash, Timestamp, User,
};

/// How long after a sign-in an account without a password may be changed. The sign-in proved that the caller receives the account's mail, but an old session
/// may be in other hands by now.
pub const RECENT_SIGN_IN: Duration = Duration::from_mins(10);
/// How far in the future such a sign-in may have been. Clocks that are adjusted jump by less.
const LEEWAY: Duration = Duration::from_mins(1);

/// The caller gave the password of the account or, if it has none, signed in recently.
pub struct Presence {
    /// The hash that the password was compared with; `None` if the account had no password.
    stored: Option<PasswordHash>,
    /// The key under which wrong passwords of this caller are counted.
    key: FailureKey,
}

impl Presence {
    /// Checks inside the change that the caller still need not wait after wrong passwords, and that the password is still the one that was compared.
    ///
    /// # Errors
    /// As [`Service::prove_presence`].
    pub(super) fn still_holds(&self, unit: &Unit<'_>, user: &User) -> Result<(), Refused> {
        if self.stored.is_some() {
            unit.rules.refuse_waiting(unit, self.key, unit.now)?;
        }
        if !unit.has_password_hash(user, self.stored.as_ref())? {
            return Err(incorrect().because(AuditReason::PasswordJustChanged));
        }
        Ok(())
    }
}

impl Service {
    /// Checks that the caller knows the password or, if the account has none, signed in recently. A refusal is audited as one of `event`.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `current_password` if it is missing or wrong (a wrong one is counted as in [`Service::login`]), [`Error::RateLimited`] as
    /// there, [`Error::ReauthenticationRequired`] for an account without a password more than ten minutes after signing in.
    pub async fn prove_presence(
        &self,
        caller: &Caller,
        current: Option<PasswordGuess>,
        event: AuditEvent,
    ) -> Result<Presence, Error> {
        let record = caller.record(event);
        let guessed = Guessed::Account(caller.user.id);
        let key = self.rules.keys.failure_key(guessed, caller.client.address);
        match self.compare_presence(caller, current, key).await {
            Ok(stored) => Ok(Presence { stored, key }),
            Err(refused) if refused.reason == Some(AuditReason::WrongPassword) => {
                self.refuse_guess(record, refused, key).await
            }
            Err(refused) => self.refuse(record, refused).await,
        }
    }

    /// Returns the password hash that the caller's password fits; `None` if the account has no password and the sign-in is recent.
    async fn compare_presence(
        &self,
        caller: &Caller,
        current: Option<PasswordGuess>,
        key: FailureKey,
    ) -> Result<Option<PasswordHash>, Refused> {
        let name = AccountName::Username(caller.user.username.clone());
        let (id, now, rules) = (caller.session_id, self.system.now(), Arc::clone(&self.rules));
        let found = self.store.read(move |reader| {
            let credentials = reader.find_credentials(&name)?;
            let may_guess = rules.refuse_waiting(reader, key, now);
            Ok::<_, Error>((credentials, reader.find_session(id)?, may_guess))
        });
        let (credentials, session, may_guess) = found.await?;
        let Some(stored) = credentials.and_then(|credentials| credentials.password_hash) else {
            return match session.map(|session| session.created_at) {
                // A session that began in the future began while the clock was wrong, and may be old.
                Some(began_at) if is_recent(began_at, now) => Ok(None),
                _ => Err(Error::ReauthenticationRequired.into()),
            };
        };
        let Some(current) = current else {
            let missing = FieldErrors::one("current_password", FieldError::Missing);
            return Err(Error::Invalid(missing).into());
        };
        may_guess.map_err(|refused| {
            let record = caller.record(AuditEvent::Throttled);
            self.note_waiting(&record, refused)
        })?;
        let verified = self.hasher.verify(current, Compared::With(stored.clone())).await;
        match verified.map_err(Error::from)? {
            Verification::Wrong => Err(incorrect().because(AuditReason::WrongPassword)),
            Verification::Right | Verification::RightButOutdated(_) => Ok(Some(stored)),
        }
    }
}

fn is_recent(began_at: Timestamp, now: Timestamp) -> bool {
    now.since(began_at) < RECENT_SIGN_IN && began_at.since(now) <= LEEWAY
}

/// The refusal of a wrong current password.
pub(super) fn incorrect() -> Error {
    Error::Invalid(FieldErrors::one("current_password", FieldError::Incorrect))
}
