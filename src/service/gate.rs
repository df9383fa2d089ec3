//! The one gate through which every session begins and continues, whatever path led to it.

use std::sync::Arc;

use super::password_failures::PasswordFailures;
use super::presented::{Candidate, Choice, Looked, Meaning, PresentedTokens, choose, two_accounts};
use super::rules::audit::Auditor;
use super::{Error, Service};
use crate::crypto::RefreshTokens;
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Generation, RefreshVerdict, Rotation, Sender, Session,
    SessionEnd, SessionNonce, SessionRules, SignInMethod, Timestamp, User, UserId, UserStatus,
};
use crate::store::{SessionWithUser, Tx};
use crate::system::System;

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
    /// The refresh cookies that came along.
    pub(super) presented: &'a PresentedTokens,
}

impl Service {
    /// What the one gate to sessions needs inside a transaction.
    pub(super) fn gate(&self) -> Gate {
        Gate {
            rules: self.rules.settings.sessions,
            refresh_tokens: self.rules.refresh_tokens.clone(),
            failures: self.failures.clone(),
            system: self.system.clone(),
            auditor: Arc::clone(&self.rules.auditor),
        }
    }
}

/// The one gate through which every session begins and continues, whatever path led to it.
#[derive(Clone)]
pub(super) struct Gate {
    rules: SessionRules,
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
        let candidates = self.candidates(tx, entrant.presented, &entrant.client, now)?;
        if two_accounts(&candidates).is_none() {
            end_sessions(tx, &candidates, SessionEnd::Replaced, now)?;
        }
        tx.end_surplus_sessions(entrant.user.id, self.rules.max_sessions - 1, now)?;
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
            id: self.refresh_tokens.mark(self.system.new_session_id()),
            user_id: entrant.user.id,
            nonce: SessionNonce(self.system.random()),
            rotation: Rotation::first(now, Sender::from(&entrant.client)),
            method: entrant.method,
            created_at: now,
            last_used_at: now,
            expires_at: self.rules.end(now, now),
            ended: None,
            client: entrant.client.clone(),
        }
    }

    /// The sessions of the authentic ones among refresh cookies, and what each of these means now.
    fn candidates(
        &self,
        tx: &Tx<'_>,
        tokens: &PresentedTokens,
        client: &Client,
        now: Timestamp,
    ) -> Result<Vec<Candidate>, Error> {
        let sender = Sender::from(client);
        let looked = tokens.look(tx, &self.refresh_tokens, &sender, now, &self.rules.refresh)?;
        Ok(match looked {
            Looked::Authentic(_, candidates) => candidates,
            Looked::None(_) => Vec::new(),
        })
    }

    /// Ends the sessions of the refresh cookies that could be served, if they are of `user_id`.
    pub(super) fn end_presented(
        &self,
        tx: &Tx<'_>,
        presented: &PresentedTokens,
        client: &Client,
        user_id: UserId,
    ) -> Result<(), Error> {
        let now = self.system.now();
        let mut candidates = self.candidates(tx, presented, client, now)?;
        candidates.retain(|candidate| candidate.user_id() == user_id);
        end_sessions(tx, &candidates, SessionEnd::SignedOut, now)
    }

    /// Makes every refresh token of a session worthless that was minted so far. Gives the session if its new cookie is to be set: always, unless none of
    /// the cookies that came along is of the account and one is of a living session of another account, whose cookie would be lost.
    pub(super) fn renew_tokens(
        &self,
        tx: &Tx<'_>,
        found: SessionWithUser,
        presented: &PresentedTokens,
        client: &Client,
    ) -> Result<Option<OpenSession>, Error> {
        let now = self.system.now();
        let candidates = self.candidates(tx, presented, client, now)?;
        let is_own = |candidate: &Candidate| candidate.user_id() == found.user.id;
        let is_of_another = !candidates.iter().any(is_own) && candidates.iter().any(Candidate::is_living);
        let nonce = SessionNonce(self.system.random());
        if !tx.renew_session_nonce(found.session.id, nonce)? {
            return Err(Error::InvalidToken);
        }
        let open = OpenSession {
            session: Session {
                nonce,
                ..found.session
            },
            is_email_verified: found.user.email_verified_at.is_some(),
            at: now,
        };
        Ok((!is_of_another).then_some(open))
    }

    /// Serves the first of some refresh cookies that can be served. Otherwise each that is authentic has its consequence, which is durable only when the
    /// transaction is: so a refusal is `Ok` here.
    pub(super) fn refresh(
        &self,
        tx: &Tx<'_>,
        presented: &PresentedTokens,
        client: &Client,
    ) -> Result<Refreshed, Error> {
        let now = self.system.now();
        let mut candidates = self.candidates(tx, presented, client, now)?;
        match choose(&candidates) {
            Choice::Serve(place) => self.serve(tx, candidates.swap_remove(place), client, now),
            Choice::TwoAccounts(places) => {
                for place in places {
                    let found = &candidates[place].found;
                    self.refuse(tx, found, AuditReason::TwoAccounts, client)?;
                }
                Ok(Refreshed::Refused)
            }
            Choice::None => {
                for candidate in &candidates {
                    self.punish(tx, candidate, client, now)?;
                }
                Ok(match candidates.first().map(|candidate| candidate.meaning) {
                    None => Refreshed::Forged,
                    Some(Meaning::Suspended) => Refreshed::Suspended,
                    Some(_) => Refreshed::Refused,
                })
            }
        }
    }

    /// Does what a cookie that can be served asks for.
    fn serve(
        &self,
        tx: &Tx<'_>,
        candidate: Candidate,
        client: &Client,
        now: Timestamp,
    ) -> Result<Refreshed, Error> {
        let Candidate {
            found,
            token,
            meaning,
        } = candidate;
        let Meaning::Live(verdict) = meaning else {
            return Ok(Refreshed::Refused);
        };
        let SessionWithUser { session, user } = found;
        if verdict == RefreshVerdict::RepeatNearby {
            let record = repeated(&user, &session, client);
            self.auditor.write_repeated(tx, &record, now)?;
        }
        let next = session.rotation.after(verdict, token, &Sender::from(client), now);
        let session = match next {
            None => session,
            Some(rotation) => {
                let is_used = rotation.generation > session.rotation.generation;
                let last_used_at = if is_used { now } else { session.last_used_at };
                let next = Session {
                    rotation,
                    last_used_at,
                    expires_at: self.rules.end(session.created_at, last_used_at),
                    ..session.clone()
                };
                if !tx.move_session(&session, &next)? {
                    return Ok(Refreshed::Refused);
                }
                next
            }
        };
        Ok(Refreshed::Continued(Box::new(OpenSession {
            session,
            is_email_verified: user.email_verified_at.is_some(),
            at: now,
        })))
    }

    /// Does what follows from an authentic cookie that cannot be served.
    fn punish(
        &self,
        tx: &Tx<'_>,
        candidate: &Candidate,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), Error> {
        let SessionWithUser { session, user } = &candidate.found;
        let end = |event, because| -> Result<AuditRecord, Error> {
            tx.end_session(session.id, because, now)?;
            Ok(AuditRecord::by_client(event, client)
                .about(user)
                .of_session(session.id))
        };
        match candidate.meaning {
            Meaning::Suspended => self.refuse(tx, &candidate.found, AuditReason::Suspended, client),
            Meaning::Ended | Meaning::Expired(_) => {
                self.refuse(tx, &candidate.found, self.why_over(session), client)
            }
            Meaning::Live(RefreshVerdict::Reused) => {
                tracing::warn!(session = %session.id, user = %user.id, "a replaced refresh token was used again");
                let record = end(AuditEvent::RefreshReused, SessionEnd::RefreshReused)?;
                let fate = fate_of_successor(&session.rotation, candidate.token);
                Ok(self.auditor.write(tx, &record.saying(fate))?)
            }
            Meaning::Live(RefreshVerdict::Ahead) => {
                tracing::warn!(session = %session.id, user = %user.id, "a refresh token is newer than its session");
                let record = end(AuditEvent::RefreshAhead, SessionEnd::RefreshAhead)?;
                Ok(self.auditor.write(tx, &record)?)
            }
            Meaning::Live(_) => {
                let record = repeated(user, session, client).refused(AuditReason::FromElsewhere);
                Ok(self.auditor.write_repeated(tx, &record, now)?)
            }
        }
    }

    /// Writes that an authentic refresh token was refused, and why; no session ended by it.
    fn refuse(
        &self,
        tx: &Tx<'_>,
        found: &SessionWithUser,
        reason: AuditReason,
        client: &Client,
    ) -> Result<(), Error> {
        let record = AuditRecord::by_client(AuditEvent::RefreshRefused, client).about(&found.user);
        let record = record.of_session(found.session.id).refused(reason);
        Ok(self.auditor.write(tx, &record)?)
    }

    /// Why a session that is over is so.
    fn why_over(&self, session: &Session) -> AuditReason {
        match session.ended {
            Some((_, end)) if end != SessionEnd::Expired => AuditReason::SessionEnded,
            _ if session.expires_at < session.created_at + self.rules.absolute => AuditReason::SessionUnused,
            _ => AuditReason::SessionTooOld,
        }
    }
}

/// What came of a refresh inside its transaction. Everything is `Ok` there, so that a revocation is committed before it is answered.
pub(super) enum Refreshed {
    Continued(Box<OpenSession>),
    Refused,
    Suspended,
    /// No cookie is authentic.
    Forged,
}

fn end_sessions(
    tx: &Tx<'_>,
    candidates: &[Candidate],
    because: SessionEnd,
    now: Timestamp,
) -> Result<(), Error> {
    for candidate in candidates.iter().filter(|candidate| candidate.is_endable()) {
        tx.end_session(candidate.found.session.id, because, now)?;
    }
    Ok(())
}

/// That a refresh token came again within the grace, from another network or by another user agent than the refresh that replaced it.
fn repeated(user: &User, session: &Session, client: &Client) -> AuditRecord {
    let record = AuditRecord::by_client(AuditEvent::RefreshRepeated, client);
    record.about(user).of_session(session.id)
}

/// Whether a token that came after a reused one was ever seen. If none was, the answer with it may merely have been lost on its way.
fn fate_of_successor(rotation: &Rotation, token: Generation) -> &'static str {
    if rotation.presented > Some(token) {
        "its successor was used"
    } else {
        "its successor was never used"
    }
}
