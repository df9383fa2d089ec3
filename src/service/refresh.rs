//! Exchanging a refresh token for the next one.

use super::rules::{PresentedSession, Refreshed, parse_cookies, two_accounts};
use super::tokens::SignedIn;
use super::{Error, Service};
use crate::crypto::PresentedRefreshToken;
use crate::domain::{Actor, AuditEvent, AuditReason, AuditRecord, Client, SessionId};

/// The refresh cookies of a request, as [`Service::look_at_cookies`] found them.
pub struct RefreshCookies {
    /// The authentic tokens of sessions whose ids have the mark of this server.
    marked: Vec<PresentedRefreshToken>,
    /// Why the refresh is refused if no token is authentic.
    reason: AuditReason,
    /// The sessions against whose limits the request may count.
    countable: Vec<SessionId>,
    /// The tokens of sessions whose ids do not have the mark. They are not looked up yet.
    unmarked: Vec<PresentedRefreshToken>,
}

impl RefreshCookies {
    /// The sessions against whose limits the request may count, each once. If there is none, the request counts against the limit of its address.
    pub fn sessions(&self) -> &[SessionId] {
        &self.countable
    }
}

impl Service {
    /// Finds out which of the refresh cookies are authentic, before the request is counted. A stranger knows no session id with the mark of this server and
    /// so causes no query.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn look_at_cookies(
        &self,
        cookies: &[String],
        client: &Client,
    ) -> Result<RefreshCookies, Error> {
        let tokens = parse_cookies(cookies).into_iter();
        let (marked, unmarked): (Vec<_>, Vec<_>) =
            tokens.partition(|token| self.rules.refresh_tokens.is_marked(token.session_id));
        let (presented, reason) = match self.find_presented(marked, client).await? {
            Ok(presented) => (presented, AuditReason::ForgedToken),
            Err(_) if cookies.is_empty() => (Vec::new(), AuditReason::RefreshTokenMissing),
            Err(reason) => (Vec::new(), reason),
        };
        Ok(RefreshCookies {
            countable: countable(&presented, unmarked.is_empty()),
            marked: tokens_of(&presented),
            reason,
            unmarked,
        })
    }

    /// Exchanges a refresh token for the next one and a fresh access token.
    ///
    /// The first cookie that can be served is served. If there are cookies of live sessions of two accounts, the request is refused without any
    /// consequence. A token that was never authentic changes nothing. See [`Rotation::judge`](crate::domain::Rotation::judge) for what an old token means.
    /// A reused token ends its session, and this is committed before the refusal.
    ///
    /// # Errors
    /// [`Error::RefreshTokenMissing`], [`Error::InvalidToken`], [`Error::UserSuspended`], [`Error::Unavailable`].
    pub async fn refresh(&self, cookies: RefreshCookies, client: Client) -> Result<SignedIn, Error> {
        let refuse = |reason| self.note_refused(AuditEvent::RefreshRefused, reason, &client);
        let (mut tokens, mut reason) = (cookies.marked, cookies.reason);
        if !cookies.unmarked.is_empty() {
            match self.find_presented(cookies.unmarked, &client).await? {
                Ok(others) => tokens.extend(tokens_of(&others)),
                Err(because) => reason = because,
            }
        }
        if tokens.is_empty() {
            refuse(reason);
            return Err(match reason {
                AuditReason::RefreshTokenMissing => Error::RefreshTokenMissing,
                _ => Error::InvalidToken,
            });
        }
        match self.move_on(tokens, &client).await? {
            Refreshed::Continued(open) => self.mint_tokens(&open).await,
            Refreshed::Refused(error) => Err(error),
            // The password was changed after the tokens were found to be authentic.
            Refreshed::Forged => {
                refuse(AuditReason::ForgedToken);
                Err(Error::InvalidToken)
            }
        }
    }

    /// Refreshes by one of the authentic `tokens`, of which there is at least one. Nearly always one session only moves on, beside which other sessions may.
    async fn move_on(&self, tokens: Vec<PresentedRefreshToken>, client: &Client) -> Result<Refreshed, Error> {
        let actor = Actor::Client(client.clone());
        let first = tokens[0].session_id;
        let own = tokens.clone();
        let moved = self.change_session(first, actor.clone(), move |unit| unit.refresh_alone(&own));
        match moved.await? {
            Some(refreshed) => Ok(refreshed),
            None => self.change(actor, move |unit| unit.refresh(&tokens)).await,
        }
    }

    /// The sessions of the authentic tokens; the inner `Err` says why there is none. This query runs before the transaction, so that made-up cookies
    /// neither cause a write nor make a write longer.
    async fn find_presented(
        &self,
        tokens: Vec<PresentedRefreshToken>,
        client: &Client,
    ) -> Result<Result<Vec<PresentedSession>, AuditReason>, Error> {
        if tokens.is_empty() {
            return Ok(Err(AuditReason::ForgedToken));
        }
        let (rules, client, now) = (self.rules.clone(), client.clone(), self.system.now());
        let presented = self
            .store
            .read(move |reader| rules.find_presented(reader, &tokens, &client, now));
        Ok(presented.await?)
    }

    /// Counts a refresh that was refused because its session had refreshed too often.
    pub async fn note_refresh_throttled(&self, id: SessionId, client: &Client) -> Result<(), Error> {
        let found = self.store.read(move |reader| reader.find_session_with_user(id));
        let record = AuditRecord::by_client(AuditEvent::Throttled, client);
        let mut record = record.refused(AuditReason::SessionLimit);
        record.subject = found.await?.map(|(_, user)| (&user).into());
        self.rules.note(&record);
        Ok(())
    }
}

fn tokens_of(presented: &[PresentedSession]) -> Vec<PresentedRefreshToken> {
    presented.iter().map(|presented| presented.token).collect()
}

/// The sessions against whose limits a refresh may count: those that can be served now. A stolen token that cannot be served must not use up the refreshes
/// of its session, so it counts against the limit of the address. A token that ends its session counts against the limit of the session, because an address
/// whose limit is used up must not delay the end. `is_whole` says whether `presented` covers all tokens of the request.
fn countable(presented: &[PresentedSession], is_whole: bool) -> Vec<SessionId> {
    if two_accounts(presented).is_some() {
        return Vec::new();
    }
    let ids = |counts: fn(&PresentedSession) -> bool| -> Vec<SessionId> {
        let counted = presented.iter().filter(|presented| counts(presented));
        counted.map(|presented| presented.session.id).collect()
    };
    let servable = ids(PresentedSession::is_servable);
    if servable.is_empty() && is_whole {
        ids(PresentedSession::is_fatal)
    } else {
        servable
    }
}
