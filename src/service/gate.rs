//! The one gate through which every session begins and continues, whatever path led to it.

use std::sync::Arc;

use super::audit::Auditor;
use super::password_failures::PasswordFailures;
use super::session::find_presented_session;
use super::{Error, Service};
use crate::crypto::RefreshTokens;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Generation, RefreshVerdict, Rotations, Session, SessionEnd,
    SessionLifetimes, SessionNonce, SignInMethod, Timestamp, User, UserStatus,
};
use crate::store::{SessionWithUser, Tx};
use crate::system::System;

/// The most sessions that an account may have at once: more than a person has devices, few enough to read through.
pub(super) const MAX_SESSIONS: u32 = 20;

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

impl Service {
    /// What the one gate to sessions needs inside a transaction.
    pub(super) fn gate(&self) -> Gate {
        Gate {
            lifetimes: self.settings.lifetimes,
            refresh_tokens: self.refresh_tokens.clone(),
            failures: self.failures.clone(),
            system: self.system.clone(),
            auditor: Arc::clone(&self.auditor),
        }
    }
}

/// The one gate through which every session begins and continues, whatever path led to it.
#[derive(Clone)]
pub(super) struct Gate {
    lifetimes: SessionLifetimes,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) failures: PasswordFailures,
    pub(super) system: System,
    auditor: Arc<Auditor>,
}

impl Gate {
    /// Begins a session for somebody who has proved who they are; ends the session whose cookie is being replaced, and the surplus; forgets what was
    /// guessed wrong. `record`, which the caller writes, becomes one about them and their session.
    ///
    /// # Errors
    /// [`Error::UserSuspended`].
    pub(super) fn admit(
        &self,
        tx: &Tx<'_>,
        entrant: &Entrant<'_>,
        record: &mut AuditRecord,
    ) -> Result<OpenSession, Error> {
        record.subject = Some(entrant.user.into());
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
        record.session_id = Some(session.id);
        tx.set_last_sign_in(entrant.user.id, now)?;
        self.failures.forgive(tx, entrant.user)?;
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
            nonce: SessionNonce(self.system.random()),
            rotations: Rotations::default(),
            method: entrant.method,
            created_at: now,
            last_used_at: now,
            expires_at: self.lifetimes.end(now, now),
            ended: None,
            client: entrant.client.clone(),
        }
    }

    /// Writes that an authentic refresh token was refused because the account is suspended.
    pub(super) fn refuse_suspended(
        &self,
        tx: &Tx<'_>,
        found: &SessionWithUser,
        client: &Client,
    ) -> Result<(), Error> {
        let record = refused_refresh(&found.user, &found.session, AuditReason::Suspended, client);
        Ok(self.auditor.write(tx, &record)?)
    }

    /// Why a session that is over is so.
    fn why_over(&self, session: &Session) -> AuditReason {
        match session.ended {
            Some((_, end)) if end != SessionEnd::Expired => AuditReason::SessionEnded,
            _ if session.expires_at < session.created_at + self.lifetimes.absolute => {
                AuditReason::SessionUnused
            }
            _ => AuditReason::SessionTooOld,
        }
    }

    /// Does what an authentic refresh token of generation `presented` asks for; `None` is a refusal, with its trace already written.
    pub(super) fn continue_session(
        &self,
        tx: &Tx<'_>,
        found: SessionWithUser,
        presented: Generation,
        client: &Client,
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
                    client: client.clone(),
                    ..session
                };
                tx.rotate_session(presented, &next)?.then_some(next)
            }
            RefreshVerdict::Reused => {
                tracing::warn!(session = %session.id, user = %user.id, "a replaced refresh token was used again");
                tx.end_session(session.id, SessionEnd::RefreshReused, now)?;
                let record = AuditRecord::by_client(AuditEvent::RefreshReused, client);
                let record = record.about(&user).of_session(session.id);
                self.auditor
                    .write(tx, &record.saying(fate_of_successor(&session, presented)))?;
                None
            }
            RefreshVerdict::Ahead => {
                tracing::warn!(session = %session.id, user = %user.id, "a refresh token is newer than its session");
                tx.end_session(session.id, SessionEnd::RefreshAhead, now)?;
                let record = AuditRecord::by_client(AuditEvent::RefreshAhead, client);
                let record = record.about(&user).of_session(session.id);
                self.auditor.write(tx, &record)?;
                None
            }
            RefreshVerdict::Ended => {
                let record = refused_refresh(&user, &session, self.why_over(&session), client);
                self.auditor.write(tx, &record)?;
                None
            }
        };
        let is_email_verified = user.email_verified_at.is_some();
        Ok(continued.map(|session| OpenSession {
            session,
            is_email_verified,
            at: now,
        }))
    }
}

/// That an authentic refresh token was refused, and why; no session ended by it.
fn refused_refresh(user: &User, session: &Session, reason: AuditReason, client: &Client) -> AuditRecord {
    let record = AuditRecord::by_client(AuditEvent::RefreshRefused, client);
    record.about(user).of_session(session.id).refused(reason)
}

/// Whether the token that replaced a reused one was ever seen. If it never was, the answer with it may merely have been lost on its way.
fn fate_of_successor(session: &Session, presented: Generation) -> &'static str {
    if session.generation > presented.next() {
        "its successor was used"
    } else {
        "its successor was never used"
    }
}
