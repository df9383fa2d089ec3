//! The refresh cookies of a request: which sessions they are of, and what they mean there.
//!
//! A browser may send several of one name: of other paths, from before a restart, or planted by a page of a neighbouring host. Of each session only the
//! highest authentic generation counts, and beside a cookie that can be served the others have no effect. So a made-up cookie, one of an ended session
//! and an older one of the same account change nothing beside a live one, in whatever order they come.
//!
//! Living sessions of two accounts are never told apart by what their cookies mean: a thief who sends a stolen cookie beside his own would learn, without
//! any consequence, whether its owner has refreshed.

use super::Rules;
use crate::crypto::PresentedRefreshToken;
use crate::domain::{AuditReason, Client, RefreshVerdict, Sender, SessionId, Timestamp, UserId, UserStatus};
use crate::store::{Reader, SessionWithUser, StoreError};

/// The refresh cookies that have the form of a token.
pub(crate) fn parse_cookies(cookies: &[String]) -> Vec<PresentedRefreshToken> {
    cookies
        .iter()
        .filter_map(|text| PresentedRefreshToken::parse(text))
        .collect()
}

/// A session of which an authentic cookie came.
pub(crate) struct PresentedSession {
    pub(crate) found: SessionWithUser,
    /// The authentic token of the highest generation.
    pub(crate) token: PresentedRefreshToken,
    /// What the token means if the session is alive.
    pub(crate) verdict: RefreshVerdict,
    /// Whether the session lives, whatever the token is worth, and its account is active.
    pub(crate) is_alive: bool,
}

impl PresentedSession {
    pub(crate) fn is_suspended(&self) -> bool {
        self.found.user.status == UserStatus::Suspended
    }

    pub(crate) fn is_servable(&self) -> bool {
        self.is_alive && self.verdict.is_served()
    }

    /// Whether the token ends its living session, if none of its account can be served.
    pub(crate) fn is_fatal(&self) -> bool {
        self.is_alive && matches!(self.verdict, RefreshVerdict::Reused | RefreshVerdict::Ahead)
    }

    /// Whether signing in or out ends the session: it could be served if its term were not over. A session that was ended on purpose must not live again
    /// when a wrong clock is set right.
    pub(crate) fn is_endable(&self) -> bool {
        !self.is_suspended() && self.found.session.ended.is_none() && self.verdict.is_served()
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.found.user.id
    }
}

impl Rules {
    /// The sessions of the authentic tokens, in the order in which they came; if no token is authentic, why. Each session is read once, and the MACs are
    /// verified on what was read.
    pub(crate) fn find_presented(
        &self,
        reader: &Reader<'_>,
        tokens: &[PresentedRefreshToken],
        client: &Client,
        now: Timestamp,
    ) -> Result<Result<Vec<PresentedSession>, AuditReason>, StoreError> {
        let mut read: Vec<(SessionId, Option<SessionWithUser>)> = Vec::new();
        let mut highest: Vec<PresentedRefreshToken> = Vec::new();
        for token in tokens {
            let id = token.session_id();
            let known = read.iter().position(|(read_id, _)| *read_id == id);
            let place = known.unwrap_or(read.len());
            if known.is_none() {
                read.push((id, reader.find_session_with_user(id)?));
            }
            let found = read[place].1.as_ref();
            if !found.is_some_and(|found| self.refresh_tokens.is_authentic(token, &found.session)) {
                continue;
            }
            match highest.iter_mut().find(|other| other.session_id() == id) {
                Some(other) if other.generation() < token.generation() => *other = *token,
                Some(_) => {}
                None => highest.push(*token),
            }
        }
        if highest.is_empty() {
            let is_unknown = read.iter().any(|(_, found)| found.is_none());
            return Ok(Err(if is_unknown {
                AuditReason::UnknownSession
            } else {
                AuditReason::ForgedToken
            }));
        }
        let (sender, refresh) = (Sender::from(client), &self.settings.sessions.refresh);
        let presented = highest.into_iter().filter_map(|token| {
            let (_, found) = read.iter_mut().find(|(id, _)| *id == token.session_id())?;
            let SessionWithUser { session, user } = found.take()?;
            Some(PresentedSession {
                verdict: session.rotation.judge(token.generation(), &sender, now, refresh),
                is_alive: user.status != UserStatus::Suspended && session.is_alive(now),
                found: SessionWithUser { session, user },
                token,
            })
        });
        Ok(Ok(presented.collect()))
    }
}

/// Living sessions of two accounts, if there are any: to serve one would sign a browser in to the account of the person who planted its cookie.
pub(crate) fn two_accounts(presented: &[PresentedSession]) -> Option<[&PresentedSession; 2]> {
    let mut living = presented.iter().filter(|presented| presented.is_alive);
    let first = living.next()?;
    let other = living.find(|other| other.user_id() != first.user_id())?;
    Some([first, other])
}
