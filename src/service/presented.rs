//! The refresh cookies of a request: which sessions they are of, and what they mean there.
//!
//! A browser may send several of one name: of other paths, from before a restart, or planted by a page of a neighbouring host. Of each session only the
//! highest authentic generation counts, and only cookies that could be served have an effect beside one that is. So a stale, ended or made-up cookie
//! beside a live one changes nothing, whatever the order.

use super::{Error, Service};
use crate::crypto::{PresentedRefreshToken, RefreshTokens};
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Generation, RefreshRules, RefreshVerdict, Sender,
    SessionId, Timestamp, UserId, UserStatus,
};
use crate::store::{Reader, SessionWithUser, StoreError};

/// The refresh cookies that have the form of a token.
pub(super) struct PresentedTokens(Vec<PresentedRefreshToken>);

/// The refresh cookies of a request, after a first look that decides for whom it is counted.
pub struct RefreshCookies {
    /// Whether none came.
    pub(super) is_missing: bool,
    /// The authentic ones of sessions whose ids have the mark of this server.
    marked: PresentedTokens,
    /// Why there is none of these.
    reason: AuditReason,
    /// Those of other sessions, which nobody has looked for yet.
    unmarked: PresentedTokens,
}

impl RefreshCookies {
    /// The sessions that authentic cookies are of, each once.
    pub fn sessions(&self) -> Vec<SessionId> {
        let mut sessions: Vec<SessionId> = Vec::new();
        for token in &self.marked.0 {
            if !sessions.contains(&token.session_id()) {
                sessions.push(token.session_id());
            }
        }
        sessions
    }

    /// Every authentic one; if there is none, why.
    pub(super) async fn authentic(
        self,
        service: &Service,
    ) -> Result<Result<PresentedTokens, AuditReason>, Error> {
        let Self {
            mut marked,
            reason,
            unmarked,
            ..
        } = self;
        let mut reason = Err(reason);
        if !unmarked.0.is_empty() {
            match service.find_authentic(unmarked).await? {
                Ok(others) => marked.0.extend(others.0),
                Err(because) => reason = Err(because),
            }
        }
        Ok(if marked.0.is_empty() { reason } else { Ok(marked) })
    }
}

impl Service {
    /// Looks which of the refresh cookies are authentic, as far as that can be asked before the request is counted: strangers, who know no session id
    /// with the mark of this server, cause no question to the database.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn look_at_cookies(&self, presented: &[String]) -> Result<RefreshCookies, Error> {
        let tokens = PresentedTokens::parse(presented).0.into_iter();
        let (marked, unmarked) = tokens.partition(|token| self.refresh_tokens.is_marked(token.session_id()));
        let (marked, unmarked) = (PresentedTokens(marked), PresentedTokens(unmarked));
        let (marked, reason) = match self.find_authentic(marked).await? {
            Ok(authentic) => (authentic, AuditReason::ForgedToken),
            Err(reason) => (PresentedTokens(Vec::new()), reason),
        };
        Ok(RefreshCookies {
            is_missing: presented.is_empty(),
            marked,
            reason,
            unmarked,
        })
    }

    async fn find_authentic(
        &self,
        tokens: PresentedTokens,
    ) -> Result<Result<PresentedTokens, AuditReason>, Error> {
        if tokens.0.is_empty() {
            return Ok(Err(AuditReason::ForgedToken));
        }
        let minted = self.refresh_tokens.clone();
        self.store
            .read(move |reader| tokens.only_authentic(reader, &minted))
            .await
    }

    /// Counts a refresh that was refused because its session had refreshed too often.
    pub async fn note_refresh_throttled(&self, id: SessionId, client: &Client) -> Result<(), Error> {
        let found = self
            .store
            .read(move |reader| reader.find_session_with_user(id).map_err(Error::from));
        let record = AuditRecord::by_client(AuditEvent::Throttled, client).refused(AuditReason::SessionLimit);
        let record = match found.await? {
            Some(found) => record.about(&found.user),
            None => record,
        };
        self.auditor.note(&record, client);
        Ok(())
    }
}

/// What an authentic refresh cookie means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Its account is suspended, which also ended its session.
    Suspended,
    /// Its session was ended.
    Ended,
    /// The term of its session is over, or the clock is set wrong.
    Expired(RefreshVerdict),
    /// Its session is alive.
    Live(RefreshVerdict),
}

/// A session of which an authentic cookie came, and the highest generation of those.
pub(super) struct Candidate {
    pub(super) found: SessionWithUser,
    pub(super) token: Generation,
    pub(super) meaning: Meaning,
}

impl Candidate {
    pub(super) fn is_servable(&self) -> bool {
        matches!(self.meaning, Meaning::Live(verdict) if verdict.is_served())
    }

    /// Whether signing in or out ends its session: it could be served if its term were not over. What is ended on purpose must not live again when the
    /// clock is set right.
    pub(super) fn is_endable(&self) -> bool {
        matches!(self.meaning, Meaning::Live(verdict) | Meaning::Expired(verdict) if verdict.is_served())
    }

    pub(super) fn user_id(&self) -> UserId {
        self.found.user.id
    }
}

/// Which of several cookies counts.
pub(super) enum Choice {
    /// The first that can be served; its place among the candidates.
    Serve(usize),
    /// Living sessions of two accounts: to serve one would be fixation by whoever planted it.
    TwoAccounts,
    /// None can be served.
    None,
}

impl PresentedTokens {
    pub(super) fn parse(presented: &[String]) -> Self {
        let tokens = presented
            .iter()
            .filter_map(|text| PresentedRefreshToken::parse(text));
        Self(tokens.collect())
    }

    /// Only the authentic ones; if there are none, why. A question before the transaction, so that made-up cookies cause no write and make none longer;
    /// it decides nothing.
    pub(super) fn only_authentic(
        self,
        reader: &Reader<'_>,
        minted: &RefreshTokens,
    ) -> Result<Result<Self, AuditReason>, Error> {
        let mut reason = AuditReason::ForgedToken;
        let mut authentic = Vec::new();
        for token in self.0 {
            match reader.find_session(token.session_id())? {
                Some(session) if minted.is_authentic(&token, &session) => authentic.push(token),
                Some(_) => {}
                None => reason = AuditReason::UnknownSession,
            }
        }
        Ok(if authentic.is_empty() {
            Err(reason)
        } else {
            Ok(Self(authentic))
        })
    }

    /// The sessions of the authentic ones, in the order in which they came, and what each means. The MAC is verified on the rows of this transaction.
    pub(super) fn candidates(
        &self,
        reader: &Reader<'_>,
        minted: &RefreshTokens,
        sender: &Sender,
        now: Timestamp,
        rules: &RefreshRules,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut read: Vec<(SessionId, Option<SessionWithUser>)> = Vec::new();
        let mut highest: Vec<(usize, Generation)> = Vec::new();
        for token in &self.0 {
            let known = read.iter().position(|(id, _)| *id == token.session_id());
            let place = known.unwrap_or(read.len());
            if known.is_none() {
                read.push((
                    token.session_id(),
                    reader.find_session_with_user(token.session_id())?,
                ));
            }
            let is_authentic = read[place]
                .1
                .as_ref()
                .is_some_and(|found| minted.is_authentic(token, &found.session));
            if !is_authentic {
                continue;
            }
            match highest.iter_mut().find(|(of, _)| *of == place) {
                Some((_, generation)) => *generation = token.generation().max(*generation),
                None => highest.push((place, token.generation())),
            }
        }
        let candidates = highest.into_iter().filter_map(|(place, token)| {
            let found = read[place].1.take()?;
            let meaning = meaning(&found, token, sender, now, rules);
            Some(Candidate {
                found,
                token,
                meaning,
            })
        });
        Ok(candidates.collect())
    }
}

fn meaning(
    found: &SessionWithUser,
    token: Generation,
    sender: &Sender,
    now: Timestamp,
    rules: &RefreshRules,
) -> Meaning {
    if found.user.status == UserStatus::Suspended {
        return Meaning::Suspended;
    }
    if found.session.ended.is_some() {
        return Meaning::Ended;
    }
    let verdict = found.session.rotation.judge(token, sender, now, rules);
    if found.session.is_alive(now) {
        Meaning::Live(verdict)
    } else {
        Meaning::Expired(verdict)
    }
}

/// Which of the candidates counts.
pub(super) fn choose(candidates: &[Candidate]) -> Choice {
    let mut servable = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.is_servable());
    let Some((place, first)) = servable.next() else {
        return Choice::None;
    };
    if servable.any(|(_, other)| other.user_id() != first.user_id()) {
        return Choice::TwoAccounts;
    }
    Choice::Serve(place)
}
