//! The caller of a request, and the caller's own sessions: listing and ending them.

use std::cmp::Reverse;

use super::rules::Caller;
use super::{Error, Service};
use crate::crypto::AccessTokenError;
use crate::domain::{AuditEvent, Client, Session, SessionEnd, SessionId, UserStatus};

impl Service {
    /// Identifies the caller. Checks the token, and asks the database every time whether the key that signed the token still exists, the session is alive
    /// and the user is active.
    ///
    /// # Errors
    /// [`Error::TokenExpired`], [`Error::InvalidToken`], [`Error::UserSuspended`] (checked before the session, because a suspension ends it).
    pub async fn authenticate(&self, access_token: &str, client: Client) -> Result<Caller, Error> {
        let now = self.system.now();
        let mut keyring = self.keyring.present();
        let mut verified = keyring.verify(access_token, now);
        if verified == Err(AccessTokenError::UnknownKey)
            && let Some(reloaded) = self.keyring_of_other_servers().await?
        {
            keyring = reloaded;
            verified = keyring.verify(access_token, now);
        }
        let (claims, kid) = verified.map_err(|error| match error {
            AccessTokenError::Expired => Error::TokenExpired,
            AccessTokenError::Invalid | AccessTokenError::UnknownKey => Error::InvalidToken,
        })?;
        let (session_id, kid) = (claims.session_id, kid.to_owned());
        let user_id = claims.user_id;
        let found = self
            .store
            .read(move |reader| reader.find_user_and_liveness(user_id, session_id, &kid, now));
        match found.await? {
            Some((user, _)) if user.status == UserStatus::Suspended => Err(Error::UserSuspended),
            Some((user, true)) => Ok(Caller {
                user,
                session_id,
                client,
            }),
            _ => Err(Error::InvalidToken),
        }
    }

    /// The caller's live sessions as [`Session::as_shown_to`] shows them; the session that was used last comes first.
    pub async fn list_own_sessions(&self, caller: &Caller) -> Result<Vec<Session>, Error> {
        let (user_id, now) = (caller.user.id, self.system.now());
        let sessions = self
            .store
            .read(move |reader| reader.list_live_sessions(user_id, now));
        let shown = sessions.await?.into_iter();
        let mut shown: Vec<Session> = shown
            .map(|session| session.as_shown_to(caller.session_id, now))
            .collect();
        // Sorted by the times that are shown, because an order by the exact times would reveal more.
        shown.sort_by_key(|session| Reverse((session.last_used_at.as_seconds(), session.id)));
        Ok(shown)
    }

    /// Ends one of the caller's sessions, which may be the present one. An expired session is ended too, because the clock may be wrong.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] also for a session of another account.
    pub async fn end_own_session(&self, caller: &Caller, id: SessionId) -> Result<(), Error> {
        let caller = caller.clone();
        let record = caller.record(AuditEvent::SessionEnded).of_session(id);
        self.change_audited(record, move |unit, _| {
            unit.find_alive(&caller)?;
            let is_own = unit
                .find_session(id)?
                .is_some_and(|session| session.user_id == caller.user.id);
            if is_own && unit.end_session(id, SessionEnd::EndedByOwner, unit.now)? {
                return Ok(());
            }
            Err(Error::SessionNotFound.into())
        })
        .await
    }

    /// Ends every session of the caller but the present one.
    pub async fn end_other_sessions(&self, caller: &Caller) -> Result<(), Error> {
        let caller = caller.clone();
        let record = caller.record(AuditEvent::SessionEnded);
        self.change_audited(record, move |unit, record| {
            unit.find_alive(&caller)?;
            let (kept, end) = (Some(caller.session_id), SessionEnd::EndedByOwner);
            let ended = unit.end_sessions_of(caller.user.id, kept, end, unit.now)?;
            record.detail = Some(format!("{ended} others"));
            Ok(())
        })
        .await
    }
}
