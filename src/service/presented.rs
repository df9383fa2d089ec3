//! The refresh cookies of a request: which sessions they are of, and what they mean there.
//!
//! A browser may send several of one name: of other paths, from before a restart, or planted by a page of a neighbouring host. Of each session only the
//! highest authentic generation counts, and only cookies that could be served have an effect beside one that is. So a made-up cookie, one of an ended
//! session and an older one of the same account beside a live one change nothing, whatever the order.
//!
//! Living sessions of two accounts are never told apart by what their cookies mean: whoever sends a stolen cookie beside his own would learn, without
//! any consequence, whether its owner has refreshed.

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
    /// The sessions that the request may count for.
    countable: Vec<SessionId>,
    /// Those of other sessions, which nobody has looked for yet.
    unmarked: PresentedTokens,
}

impl RefreshCookies {
    /// The sessions that the request may count for, each once; if there is none, it counts for its address.
    pub fn sessions(&self) -> &[SessionId] {
        &self.countable
    }

    /// Every authentic one; if there is none, why.
    pub(super) async fn authentic(
        self,
        service: &Service,
        client: &Client,
    ) -> Result<Result<PresentedTokens, AuditReason>, Error> {
        let Self {
            mut marked,
            reason,
            unmarked,
            ..
        } = self;
        let mut reason = Err(reason);
        if !unmarked.0.is_empty() {
            match service.find_authentic(unmarked, client).await? {
                Looked::Authentic(others, _) => marked.0.extend(others.0),
                Looked::None(because) => reason = Err(because),
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
    pub async fn look_at_cookies(
        &self,
        presented: &[String],
        client: &Client,
    ) -> Result<RefreshCookies, Error> {
        let tokens = PresentedTokens::parse(presented).0.into_iter();
        let (marked, unmarked) =
            tokens.partition(|token| self.rules.refresh_tokens.is_marked(token.session_id()));
        let (marked, unmarked) = (PresentedTokens(marked), PresentedTokens(unmarked));
        let is_whole = unmarked.0.is_empty();
        let (marked, reason, countable) = match self.find_authentic(marked, client).await? {
            Looked::Authentic(tokens, candidates) => {
                let countable = countable(&candidates, is_whole);
                (tokens, AuditReason::ForgedToken, countable)
            }
            Looked::None(reason) => (PresentedTokens(Vec::new()), reason, Vec::new()),
        };
        Ok(RefreshCookies {
            is_missing: presented.is_empty(),
            marked,
            reason,
            countable,
            unmarked,
        })
    }

    /// A question before the transaction, so that made-up cookies cause no write and make none longer; it decides nothing but what is counted.
    async fn find_authentic(&self, tokens: PresentedTokens, client: &Client) -> Result<Looked, Error> {
        if tokens.0.is_empty() {
            return Ok(Looked::None(AuditReason::ForgedToken));
        }
        let (minted, sender) = (self.rules.refresh_tokens.clone(), Sender::from(client));
        let (now, rules) = (self.system.now(), self.rules.settings.sessions.refresh);
        self.store
            .read(move |reader| Ok(tokens.look(reader, &minted, &sender, now, &rules)?))
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
        self.rules.auditor.note(&record, client);
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
    /// Whether its session lives, whatever the cookie itself is worth.
    pub(super) fn is_living(&self) -> bool {
        matches!(self.meaning, Meaning::Live(_))
    }

    pub(super) fn is_servable(&self) -> bool {
        matches!(self.meaning, Meaning::Live(verdict) if verdict.is_served())
    }

    /// Whether it ends its living session by coming, if none of its account can be served.
    fn is_fatal(&self) -> bool {
        matches!(
            self.meaning,
            Meaning::Live(RefreshVerdict::Reused | RefreshVerdict::Ahead)
        )
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

/// What was found out about refresh cookies.
pub(super) enum Looked {
    /// The authentic ones, and their sessions.
    Authentic(PresentedTokens, Vec<Candidate>),
    /// Why none is authentic.
    None(AuditReason),
}

/// Which of several cookies counts.
pub(super) enum Choice {
    /// The first that can be served; its place among the candidates.
    Serve(usize),
    /// Living sessions of two accounts, the places of one of each: to serve one would be fixation by whoever planted it.
    TwoAccounts([usize; 2]),
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

    /// Only the authentic ones, their sessions in the order in which they came, and what each means; if there are none, why. The MAC is verified on the
    /// rows of this transaction.
    pub(super) fn look(
        &self,
        reader: &Reader<'_>,
        minted: &RefreshTokens,
        sender: &Sender,
        now: Timestamp,
        rules: &RefreshRules,
    ) -> Result<Looked, StoreError> {
        let mut read: Vec<(SessionId, Option<SessionWithUser>)> = Vec::new();
        let mut highest: Vec<(usize, Generation)> = Vec::new();
        let mut authentic = Vec::new();
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
            authentic.push(*token);
        }
        if authentic.is_empty() {
            let is_unknown = read.iter().any(|(_, found)| found.is_none());
            return Ok(Looked::None(if is_unknown {
                AuditReason::UnknownSession
            } else {
                AuditReason::ForgedToken
            }));
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
        let candidates = candidates.collect();
        Ok(Looked::Authentic(Self(authentic), candidates))
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

/// The places of living sessions of two accounts, if there are any.
pub(super) fn two_accounts(candidates: &[Candidate]) -> Option<[usize; 2]> {
    let mut living = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.is_living());
    let (place, first) = living.next()?;
    let (other, _) = living.find(|(_, other)| other.user_id() != first.user_id())?;
    Some([place, other])
}

/// Which of the candidates counts.
pub(super) fn choose(candidates: &[Candidate]) -> Choice {
    match two_accounts(candidates) {
        Some(places) => Choice::TwoAccounts(places),
        None => candidates
            .iter()
            .position(Candidate::is_servable)
            .map_or(Choice::None, Choice::Serve),
    }
}

/// The sessions that a refresh may count for: those that can be served now. A stolen cookie that never is must not spend the refreshes of its session,
/// so it counts for the address; but one that ends its session by coming counts for that, as no address that others have used up may put it off.
/// `is_whole` says that these are all cookies of the request.
fn countable(candidates: &[Candidate], is_whole: bool) -> Vec<SessionId> {
    if two_accounts(candidates).is_some() {
        return Vec::new();
    }
    let ids = |counts: fn(&Candidate) -> bool| -> Vec<SessionId> {
        let counted = candidates.iter().filter(|candidate| counts(candidate));
        counted.map(|candidate| candidate.found.session.id).collect()
    };
    let servable = ids(Candidate::is_servable);
    if servable.is_empty() && is_whole {
        ids(Candidate::is_fatal)
    } else {
        servable
    }
}
