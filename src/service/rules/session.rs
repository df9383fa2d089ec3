//! Sessions: every session begins, continues and ends here.

use super::Unit;
use super::refresh_cookies::{PresentedSession, two_accounts};
use crate::crypto::PresentedRefreshToken;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Generation, RefreshVerdict, Rotation, Session, SessionEnd,
    SessionId, SessionNonce, SignInMethod, Timestamp, User, UserId, UserStatus,
};
use crate::service::error::Error;
use crate::store::{StoreError, Tx};

/// The sender of a valid access token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: User,
    pub session_id: SessionId,
    pub client: Client,
}

impl Caller {
    /// A record of `event`, caused by the caller and about their own account.
    pub(crate) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by_client(event, &self.client).about(&self.user)
    }
}

/// A session that was begun or continued, and the facts that its tokens state.
pub(crate) struct OpenSession {
    pub(crate) session: Session,
    pub(crate) is_email_verified: bool,
    /// The time of the change that opened it.
    pub(crate) at: Timestamp,
}

/// The outcome of a refresh inside its transaction. A refusal is not an `Err` there, so that its consequences are committed.
pub(crate) enum Refreshed {
    Continued(Box<OpenSession>),
    Refused(Error),
    /// No token is authentic any more.
    Forged,
}

/// Moves a session from one state to another, if it still is in the first.
type Move = fn(&Tx<'_>, &Session, &Session) -> Result<bool, StoreError>;

impl Unit<'_> {
    /// The caller's session and account as they are now. Since the token was checked, the session may have ended or the account may have been suspended.
    ///
    /// # Errors
    /// [`Error::UserSuspended`], [`Error::InvalidToken`].
    pub(crate) fn find_alive(&self, caller: &Caller) -> Result<(Session, User), Error> {
        match self.find_session_with_user(caller.session_id)? {
            Some((_, user)) if user.status == UserStatus::Suspended => Err(Error::UserSuspended),
            Some((session, user)) if session.is_alive(self.now) && user.id == caller.user.id => {
                Ok((session, user))
            }
            _ => Err(Error::InvalidToken),
        }
    }

    /// Begins a session for a user who proved who they are. Ends the sessions whose cookies are replaced and the account's surplus sessions, and forgets
    /// wrong guesses.
    ///
    /// # Errors
    /// [`Error::UserSuspended`].
    pub(crate) fn begin_session(
        &self,
        user: &User,
        method: SignInMethod,
        cookies: &[PresentedRefreshToken],
    ) -> Result<OpenSession, Error> {
        if user.status == UserStatus::Suspended {
            return Err(Error::UserSuspended);
        }
        let presented = self.find_presented(cookies)?;
        if two_accounts(&presented).is_none() {
            self.end_presented(&presented, SessionEnd::Replaced)?;
        }
        let (now, rules) = (self.now, self.rules.settings.sessions);
        self.make_room_for_session(user.id, rules.max_sessions - 1, now)?;
        let session = Session {
            id: self.rules.refresh_tokens.mark(self.rules.system.new_id()),
            user_id: user.id,
            nonce: SessionNonce(self.rules.system.random()),
            rotation: Rotation::first(now, self.actor.client().clone()),
            method,
            created_at: now,
            last_used_at: now,
            expires_at: rules.end(now, now),
            ended: None,
            client: self.actor.client().clone(),
        };
        self.insert_session(&session)?;
        self.set_last_sign_in(user.id, now)?;
        self.forgive_guesses(user)?;
        Ok(self.open(session, user))
    }

    /// Ends the sessions of `user_id` whose cookies came with the request and could be served.
    pub(crate) fn sign_out_presented(
        &self,
        cookies: &[PresentedRefreshToken],
        user_id: UserId,
    ) -> Result<(), Error> {
        let mut presented = self.find_presented(cookies)?;
        presented.retain(|presented| presented.user_id() == user_id);
        self.end_presented(&presented, SessionEnd::SignedOut)
    }

    /// Whether the response may replace or clear the refresh cookie of the client. If the request had a cookie of another account's live session and none of
    /// this account, that one would be lost.
    pub(crate) fn may_replace_cookie(
        &self,
        cookies: &[PresentedRefreshToken],
        user_id: UserId,
    ) -> Result<bool, Error> {
        let presented = self.find_presented(cookies)?;
        let is_own = presented.iter().any(|presented| presented.user_id() == user_id);
        Ok(is_own || !presented.iter().any(|presented| presented.is_alive))
    }

    /// Invalidates every earlier refresh token of a session. Returns the session if its new cookie is to be set, as [`Unit::may_replace_cookie`] says.
    pub(crate) fn renew_tokens(
        &self,
        session: Session,
        user: &User,
        cookies: &[PresentedRefreshToken],
    ) -> Result<Option<OpenSession>, Error> {
        let may_replace_cookie = self.may_replace_cookie(cookies, user.id)?;
        let nonce = SessionNonce(self.rules.system.random());
        if !self.renew_session_nonce(session.id, nonce)? {
            return Err(Error::InvalidToken);
        }
        let open = self.open(Session { nonce, ..session }, user);
        Ok(may_replace_cookie.then_some(open))
    }

    /// Continues the first session whose token can be served. If there is none, each authentic token is audited, and may end its session.
    pub(crate) fn refresh(&self, cookies: &[PresentedRefreshToken]) -> Result<Refreshed, Error> {
        let mut presented = self.find_presented(cookies)?;
        if let Some(both) = two_accounts(&presented) {
            for presented in both {
                self.audit_refresh(presented, AuditReason::TwoAccounts)?;
            }
            return Ok(Refreshed::Refused(Error::InvalidToken));
        }
        if let Some(place) = presented.iter().position(PresentedSession::is_servable) {
            return self.continue_session(presented.swap_remove(place), |tx, from, to| {
                tx.move_session(from, to)
            });
        }
        for presented in &presented {
            self.punish(presented)?;
        }
        Ok(match presented.first() {
            None => Refreshed::Forged,
            Some(first) if first.is_suspended() => Refreshed::Refused(Error::UserSuspended),
            Some(_) => Refreshed::Refused(Error::InvalidToken),
        })
    }

    /// As [`Unit::refresh`], if this changes nothing but the row of one session. Otherwise returns `None` and has changed nothing: a refresh that must be
    /// refused, or leaves a row in the audit log, or comes second when two servers refresh one session.
    pub(crate) fn refresh_alone(
        &self,
        cookies: &[PresentedRefreshToken],
    ) -> Result<Option<Refreshed>, Error> {
        let mut presented = self.find_presented(cookies)?;
        let place = presented.iter().position(PresentedSession::is_servable);
        let Some(place) = place.filter(|_| two_accounts(&presented).is_none()) else {
            return Ok(None);
        };
        let presented = presented.swap_remove(place);
        if presented.verdict == RefreshVerdict::RepeatNearby {
            return Ok(None);
        }
        let refreshed =
            self.continue_session(presented, |tx, from, to| tx.move_session_beside_others(from, to))?;
        Ok(matches!(refreshed, Refreshed::Continued(_)).then_some(refreshed))
    }

    /// Continues a session, and rotates it if the verdict on its token requires that. The conditional UPDATE of `move_session` decides between two
    /// simultaneous refreshes with one token.
    fn continue_session(&self, presented: PresentedSession, move_session: Move) -> Result<Refreshed, Error> {
        let (verdict, token) = (presented.verdict, presented.token.generation);
        let (session, user) = (presented.session, presented.user);
        if verdict == RefreshVerdict::RepeatNearby {
            self.audit_repeated(&self.repeated(&user, &session))?;
        }
        let Some(rotation) = session
            .rotation
            .after(verdict, token, self.actor.client(), self.now)
        else {
            return Ok(Refreshed::Continued(Box::new(self.open(session, &user))));
        };
        let is_used = rotation.generation > session.rotation.generation;
        let last_used_at = if is_used { self.now } else { session.last_used_at };
        let rules = self.rules.settings.sessions;
        let next = Session {
            rotation,
            last_used_at,
            expires_at: rules.end(session.created_at, last_used_at),
            ..session.clone()
        };
        Ok(if move_session(self, &session, &next)? {
            Refreshed::Continued(Box::new(self.open(next, &user)))
        } else {
            Refreshed::Refused(Error::InvalidToken)
        })
    }

    /// Acts on an authentic token that cannot be served: if it was reused or is ahead of its live session, the session ends.
    fn punish(&self, presented: &PresentedSession) -> Result<(), Error> {
        let (session, user) = (&presented.session, &presented.user);
        if presented.is_suspended() {
            return self.audit_refresh(presented, AuditReason::Suspended);
        }
        if !presented.is_alive {
            return self.audit_refresh(presented, self.why_over(session));
        }
        let (event, end, detail) = match presented.verdict {
            RefreshVerdict::Reused => {
                tracing::warn!(session = %session.id, user = %user.id, "a replaced refresh token was used again");
                let fate = fate_of_successor(&session.rotation, presented.token.generation);
                (AuditEvent::RefreshReused, SessionEnd::RefreshReused, Some(fate))
            }
            RefreshVerdict::Ahead => {
                tracing::warn!(session = %session.id, user = %user.id, "a refresh token is newer than its session");
                (AuditEvent::RefreshAhead, SessionEnd::RefreshAhead, None)
            }
            _ => {
                let record = self.repeated(user, session);
                return Ok(self.audit_repeated(&record.refused(AuditReason::FromElsewhere))?);
            }
        };
        self.end_session(session.id, end, self.now)?;
        let mut record = self.record(event).about(user).of_session(session.id);
        record.detail = detail.map(str::to_owned);
        Ok(self.audit(&record)?)
    }

    /// The sessions of the authentic cookies, each with the verdict on its cookie.
    fn find_presented(&self, cookies: &[PresentedRefreshToken]) -> Result<Vec<PresentedSession>, Error> {
        let found = self
            .rules
            .find_presented(self, cookies, self.actor.client(), self.now)?;
        Ok(found.unwrap_or_default())
    }

    fn end_presented(&self, presented: &[PresentedSession], because: SessionEnd) -> Result<(), Error> {
        for presented in presented.iter().filter(|presented| presented.is_endable()) {
            self.end_session(presented.session.id, because, self.now)?;
        }
        Ok(())
    }

    fn open(&self, session: Session, user: &User) -> OpenSession {
        OpenSession {
            session,
            is_email_verified: user.email_verified_at.is_some(),
            at: self.now,
        }
    }

    /// Records that an authentic refresh token was refused, and why. No session ends.
    fn audit_refresh(&self, presented: &PresentedSession, reason: AuditReason) -> Result<(), Error> {
        let record = self.record(AuditEvent::RefreshRefused).about(&presented.user);
        let record = record.of_session(presented.session.id).refused(reason);
        Ok(self.audit(&record)?)
    }

    /// The record of a refresh token that is used again within the grace period, from another network or user agent than the refresh that replaced it.
    fn repeated(&self, user: &User, session: &Session) -> AuditRecord {
        let record = self.record(AuditEvent::RefreshRepeated);
        record.about(user).of_session(session.id)
    }

    /// Why a session is over.
    fn why_over(&self, session: &Session) -> AuditReason {
        let rules = self.rules.settings.sessions;
        match session.ended {
            Some((_, end)) if end != SessionEnd::Expired => AuditReason::SessionEnded,
            _ if session.expires_at < session.created_at + rules.absolute => AuditReason::SessionUnused,
            _ => AuditReason::SessionTooOld,
        }
    }
}

/// Says whether the token that replaced a reused one was ever presented. If it was not, the answer with it may only have been lost.
fn fate_of_successor(rotation: &Rotation, token: Generation) -> &'static str {
    if rotation.presented > Some(token) {
        "its successor was used"
    } else {
        "its successor was never used"
    }
}
