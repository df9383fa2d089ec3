//! The refresh cookies of a request: which sessions they belong to, and what they mean for these.
//!
//! A browser may send several cookies of one name: for other paths, from before a restart, or planted by a page on a neighbouring host. For each session,
//! only the highest authentic generation counts. If one cookie can be served, the others have no effect. So a forged cookie, a cookie of an ended session and
//! an older cookie of the same account change nothing beside a live one, in any order.
//!
//! If the cookies belong to live sessions of two accounts, none is served. Otherwise a thief could send a stolen cookie beside a cookie of another account,
//! and learn without any consequence whether the owner has refreshed.

use super::Rules;
use crate::crypto::PresentedRefreshToken;
use crate::domain::{
    AuditReason, Client, RefreshVerdict, Session, SessionId, Timestamp, User, UserId, UserStatus,
};
use crate::store::{Reader, StoreError};

/// The refresh cookies that have the form of a token.
pub(crate) fn parse_cookies(cookies: &[String]) -> Vec<PresentedRefreshToken> {
    cookies
        .iter()
        .filter_map(|text| PresentedRefreshToken::parse(text))
        .collect()
}

/// A session for which the request brought an authentic cookie.
pub(crate) struct PresentedSession {
    pub(crate) session: Session,
    pub(crate) user: User,
    /// The authentic token of the highest generation.
    pub(crate) token: PresentedRefreshToken,
    /// What the token means if the session is alive.
    pub(crate) verdict: RefreshVerdict,
    /// Whether the session is alive and its account active. The token may still be worthless.
    pub(crate) is_alive: bool,
}

impl PresentedSession {
    pub(crate) fn is_suspended(&self) -> bool {
        self.user.status == UserStatus::Suspended
    }

    pub(crate) fn is_servable(&self) -> bool {
        self.is_alive && self.verdict.is_served()
    }

    /// Whether the token ends its session, provided that no token of the request can be served.
    pub(crate) fn is_fatal(&self) -> bool {
        self.is_alive && matches!(self.verdict, RefreshVerdict::Reused | RefreshVerdict::Ahead)
    }

    /// Whether signing in or out ends the session. An expired session is ended too, because it must not come back to life when a wrong clock is set right.
    pub(crate) fn is_endable(&self) -> bool {
        !self.is_suspended() && self.session.ended.is_none() && self.verdict.is_served()
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.user.id
    }
}

impl Rules {
    /// The sessions of the authentic tokens, in the order of the tokens; the inner `Err` says why no token is authentic. Each session is read once, and the
    /// MACs of its tokens are verified against that row.
    pub(crate) fn find_presented(
        &self,
        reader: &Reader<'_>,
        tokens: &[PresentedRefreshToken],
        client: &Client,
        now: Timestamp,
    ) -> Result<Result<Vec<PresentedSession>, AuditReason>, StoreError> {
        let mut read: Vec<(SessionId, Option<(Session, User)>)> = Vec::new();
        let mut highest: Vec<PresentedRefreshToken> = Vec::new();
        for token in tokens {
            let id = token.session_id;
            let known = read.iter().position(|(read_id, _)| *read_id == id);
            let place = known.unwrap_or(read.len());
            if known.is_none() {
                read.push((id, reader.find_session_with_user(id)?));
            }
            let found = read[place].1.as_ref();
            if !found.is_some_and(|(session, _)| self.refresh_tokens.is_authentic(token, session)) {
                continue;
            }
            match highest.iter_mut().find(|other| other.session_id == id) {
                Some(other) if other.generation < token.generation => *other = *token,
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
        let refresh = &self.settings.sessions.refresh;
        let presented = highest.into_iter().filter_map(|token| {
            let (_, found) = read.iter_mut().find(|(id, _)| *id == token.session_id)?;
            let (session, user) = found.take()?;
            Some(PresentedSession {
                verdict: session.rotation.judge(token.generation, client, now, refresh),
                is_alive: user.status != UserStatus::Suspended && session.is_alive(now),
                session,
                user,
                token,
            })
        });
        Ok(Ok(presented.collect()))
    }
}

/// Live sessions of two accounts, if there are any. Serving one of them could sign the browser in to the account of a person who planted the cookie.
pub(crate) fn two_accounts(presented: &[PresentedSession]) -> Option<[&PresentedSession; 2]> {
    let mut live = presented.iter().filter(|presented| presented.is_alive);
    let first = live.next()?;
    let other = live.find(|other| other.user_id() != first.user_id())?;
    Some([first, other])
}
