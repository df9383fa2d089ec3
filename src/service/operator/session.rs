//! Sessions of any account: listing and revoking them.

use crate::domain::{Actor, AuditEvent, Page, Paging, Session, SessionEnd, SessionId};
use crate::service::{Error, Service, UserRef};

/// How many sessions one write examines when all sessions are ended, so that no request has to wait until all are done.
const CHUNK: u32 = 500;

impl Service {
    /// A page of a user's sessions, live and ended; the session that began last comes first.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::NotInList`] if `paging.after` is not a session of this user.
    pub async fn list_sessions_by_age(
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
            Ok(reader.list_sessions_by_age(user.id, Paging { after, limit })?)
        });
        page.await
    }

    /// Ends a session, even if it has expired.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it does not exist or has already been ended.
    pub async fn revoke_session(&self, id: SessionId) -> Result<(), Error> {
        let record = self.by_operator(AuditEvent::SessionRevoked).of_session(id);
        self.change_audited(record, move |unit, record| {
            let found = unit.find_session_with_user(id)?;
            if !unit.end_session(id, SessionEnd::Revoked, unit.now)? {
                return Err(Error::SessionNotFound.into());
            }
            record.subject = found.map(|(_, user)| (&user).into());
            Ok(())
        })
        .await
    }

    /// Ends every session of a user; returns how many were alive.
    ///
    /// # Errors
    /// [`Error::UserNotFound`].
    pub async fn revoke_sessions_of(&self, user: UserRef) -> Result<u64, Error> {
        let record = self.by_operator(AuditEvent::SessionRevoked);
        self.change_audited(record, move |unit, record| {
            let user = user.find(unit)?;
            let ended = unit.end_sessions_of(user.id, None, SessionEnd::Revoked, unit.now)?;
            record.subject = Some((&user).into());
            record.detail = Some(format!("{ended} of this account"));
            Ok(ended)
        })
        .await
    }

    /// Ends every session of every account, one chunk at a time; returns how many were alive.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        let (mut after, mut total) = (None, 0);
        loop {
            let some = self.change(Actor::Operator(self.operator.clone()), move |unit| {
                let ended = unit.end_some_sessions(after, CHUNK, SessionEnd::Revoked, unit.now)?;
                // The command writes one row, in its first transaction.
                if after.is_none() && ended.is_some() {
                    let record = unit.record(AuditEvent::SessionRevoked);
                    unit.audit(&record.saying("all of every account"))?;
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
