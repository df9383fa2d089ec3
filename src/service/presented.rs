//! The refresh cookies of a request: which sessions they are of, and what they mean there.
//!
//! A browser may send several of one name: of other paths, from before a restart, or planted by a page of a neighbouring host. Of each session only the
//! highest authentic generation counts, and only cookies that could be served have an effect beside one that is. So a stale, ended or made-up cookie
//! beside a live one changes nothing, whatever the order.

use super::Error;
use crate::crypto::{PresentedRefreshToken, RefreshTokens};
use crate::domain::{
    AuditReason, Generation, RefreshRules, RefreshVerdict, Sender, SessionId, Timestamp, UserId, UserStatus,
};
use crate::store::{Reader, SessionWithUser, StoreError};

/// The refresh cookies that have the form of a token.
pub(super) struct PresentedTokens(Vec<PresentedRefreshToken>);

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
