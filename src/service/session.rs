//! Sessions: who calls, which ones there are, ending them.

use std::cmp::Reverse;

use super::user::UserRef;
use super::{Error, Service};
use crate::crypto::AccessTokenError;
use crate::domain::{
    AuditEvent, AuditRecord, Client, Page, Paging, Session, SessionEnd, SessionId, Timestamp, User,
    UserStatus,
};
use crate::store::{SessionWithUser, Tx};

/// How many sessions one write ends when all are ended, so that requests need not wait for the whole.
const CHUNK: u32 = 500;

/// Whoever sent a valid access token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their account.
    pub user: User,
    /// Their session.
    pub session_id: SessionId,
    /// Where they call from.
    pub client: Client,
}

impl Caller {
    /// `event`, done by the caller to their own account.
    pub(super) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by_client(event, &self.client).about(&self.user)
    }

    /// The session and the account of the caller inside the transaction of a change: they may have ended since the token was checked.
    ///
    /// # Errors
    /// [`Error::UserSuspended`], [`Error::InvalidToken`].
    pub(super) fn find_alive(&self, tx: &Tx<'_>, now: Timestamp) -> Result<SessionWithUser, Error> {
        match tx.find_session_with_user(self.session_id)? {
            Some(found) if found.user.status == UserStatus::Suspended => Err(Error::UserSuspended),
            Some(found) if found.session.is_alive(now) && found.user.id == self.user.id => Ok(found),
            _ => Err(Error::InvalidToken),
        }
    }
}

impl Service {
    /// Says who calls: checks the token, and asks the database every time whether the key that signed it is
    /// still there, its session alive and its user active.
    ///
    /// # Errors
    /// [`Error::TokenExpired`], [`Error::InvalidToken`], [`Error::UserSuspended`] (asked before the session, which suspension ends).
    pub async fn authenticate(&self, access_token: &str, client: Client) -> Result<Caller, Error> {
        let now = self.system.now();
        let keyring = self.keyring.present();
        let (claims, kid) = keyring.verify(access_token, now).map_err(|error| match error {
            AccessTokenError::Expired => Error::TokenExpired,
            AccessTokenError::Invalid => Error::InvalidToken,
        })?;
        let (session_id, kid) = (claims.session_id, kid.to_owned());
        let found = self
            .store
            .read(move |reader| {
                reader
                    .find_user_and_liveness(claims.user_id, session_id, &kid, now)
                    .map_err(Error::from)
            })
            .await?;
        match found {
            Some((user, _)) if user.status == UserStatus::Suspended => Err(Error::UserSuspended),
            Some((user, true)) => Ok(Caller {
                user,
                session_id,
                client,
            }),
            _ => Err(Error::InvalidToken),
        }
    }

    /// The caller's living sessions as [`Session::as_shown_to`] shows them, the last used one first.
    pub async fn list_own_sessions(&self, caller: &Caller) -> Result<Vec<Session>, Error> {
        let (user_id, now) = (caller.user.id, self.system.now());
        let sessions = self
            .store
            .read(move |reader| Ok::<_, Error>(reader.list_live_sessions(user_id, now)?));
        let shown = sessions.await?.into_iter();
        let mut shown: Vec<Session> = shown
            .map(|session| session.as_shown_to(caller.session_id, now))
            .collect();
        // By what is shown, and not by what it was made from: the order would tell the rest.
        shown.sort_by_key(|session| Reverse((session.last_used_at.as_seconds(), session.id)));
        Ok(shown)
    }

    /// Ends one of the caller's sessions, which may be the present one. One whose term is over is ended too: that may be for a clock that is set wrong.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] also for a session of somebody else.
    pub async fn end_own_session(&self, caller: &Caller, id: SessionId) -> Result<(), Error> {
        let (caller, system) = (caller.clone(), self.system.clone());
        let record = caller.record(AuditEvent::SessionEnded).of_session(id);
        self.write_audited(record, move |tx, _| {
            let now = system.now();
            caller.find_alive(tx, now)?;
            let is_own = tx
                .find_session(id)?
                .is_some_and(|session| session.user_id == caller.user.id);
            if is_own && tx.end_session(id, SessionEnd::EndedByOwner, now)? {
                return Ok(());
            }
            Err(Error::SessionNotFound.into())
        })
        .await
    }

    /// Ends every session of the caller but the present one.
    pub async fn end_other_sessions(&self, caller: &Caller) -> Result<(), Error> {
        let (caller, system) = (caller.clone(), self.system.clone());
        let record = caller.record(AuditEvent::SessionEnded);
        self.write_audited(record, move |tx, record| {
            let now = system.now();
            let user_id = caller.find_alive(tx, now)?.user.id;
            let ended =
                tx.end_sessions_of(user_id, Some(caller.session_id), SessionEnd::EndedByOwner, now)?;
            record.detail = Some(format!("{ended} others"));
            Ok(())
        })
        .await
    }

    /// A user's sessions, living and ended, the last used one first.
    ///
    /// # Errors
    /// [`Error::UserNotFound`].
    pub async fn list_sessions(&self, user: UserRef) -> Result<Vec<Session>, Error> {
        self.store
            .report(move |reader| Ok(reader.list_sessions(user.find(reader)?.id)?))
            .await
    }

    /// A part of a user's sessions, living and ended, the one begun last first.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::NotInList`] if the session behind which to begin is none of this user's.
    pub async fn list_sessions_by_begin(
        &self,
        user: UserRef,
        paging: Paging<SessionId>,
    ) -> Result<Page<Session>, Error> {
        let page = self.store.report(move |reader| {
            let user = user.find(reader)?;
            let after = match paging.after {
                Some(id) => {
                    let session = reader.find_session(id)?;
                    let session = session.filter(|session| session.user_id == user.id);
                    let session = session.ok_or_else(|| Error::NotInList(id.to_string()))?;
                    Some((session.created_at, id))
                }
                None => None,
            };
            let limit = paging.limit;
            Ok(reader.list_sessions_by_begin(user.id, Paging { after, limit })?)
        });
        page.await
    }

    /// Ends a session, also one whose term is over.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it is not there or was ended before.
    pub async fn revoke_session(&self, id: SessionId) -> Result<(), Error> {
        let system = self.system.clone();
        let record = self.by_operator(AuditEvent::SessionRevoked).of_session(id);
        self.write_audited(record, move |tx, record| {
            let found = tx.find_session_with_user(id)?;
            if !tx.end_session(id, SessionEnd::Revoked, system.now())? {
                return Err(Error::SessionNotFound.into());
            }
            record.subject = found.map(|found| (&found.user).into());
            Ok(())
        })
        .await
    }

    /// Ends every session of a user; says how many were alive.
    ///
    /// # Errors
    /// [`Error::UserNotFound`].
    pub async fn revoke_sessions_of(&self, user: UserRef) -> Result<u64, Error> {
        let system = self.system.clone();
        let record = self.by_operator(AuditEvent::SessionRevoked);
        self.write_audited(record, move |tx, record| {
            let user = user.find(tx)?;
            let ended = tx.end_sessions_of(user.id, None, SessionEnd::Revoked, system.now())?;
            record.subject = Some((&user).into());
            record.detail = Some(format!("{ended} of this account"));
            Ok(ended)
        })
        .await
    }

    /// Ends every session of every account, some at a time; says how many were alive.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        let (mut after, mut total) = (None, 0);
        loop {
            let some = self.change(self.operator(), move |unit| {
                let ended = unit
                    .tx
                    .end_some_sessions(after, CHUNK, SessionEnd::Revoked, unit.now)?;
                // One row for the command, with the first of its transactions.
                if after.is_none() && ended.is_some() {
                    let record = unit.record(AuditEvent::SessionRevoked);
                    unit.audit(&record.saying("all of everybody"))?;
                }
                Ok(ended)
            });
            match some.await? {
                Some((last, ended)) => (after, total) = (Some(last), total + ended),
                None => return Ok(total),
            }
        }
    }
}
