//! How the refresh token of a session is replaced, and what an old token means.
//!
//! The caller has verified the MAC of the token and that the session is alive. The token then is one of these:
//!
//! | token | within the grace | later |
//! |---|---|---|
//! | the current one | the session rotates | the session rotates |
//! | the newest one ever presented: its successor may be lost | the answer is the current token | lost answer: the session rotates and skips a generation |
//! | between these two: a lost answer that arrived after all | from the same network and user agent, the answer is the current token | reuse |
//! | older | the answer is the current token | reuse |
//! | newer: an older copy of the database was restored | the session ends | the session ends |
//!
//! A newest or older token that comes within the grace from another network and another user agent is refused, and the session lives. A lost answer counts as
//! reuse after the time `lost_answer`, or if the user agents differ in more than digits. Reuse ends the session. All of this state is in the database, so a
//! restart changes nothing.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Client, Timestamp};

/// How many replaced refresh tokens of a session are remembered, and so how many old ones are answered within the grace. Eight covers the
/// tabs of a browser that wake up together; more would only help an attacker.
pub const MAX_REMEMBERED_ROTATIONS: usize = 8;

/// How often the refresh token of a session has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    pub const FIRST: Self = Self(0);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which old refresh tokens are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRules {
    /// How long after its replacement a refresh token is answered with the current one: 0 to 60 s.
    pub grace: Duration,
    /// How long after the last rotation the newest token that was ever presented rotates once more, because the answer with its successor was lost. Zero
    /// turns this off, and so does a grace of zero.
    pub lost_answer: Duration,
}

/// The state of the refresh tokens of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The generation of the current refresh token.
    pub generation: Generation,
    /// The newest generation that was ever presented. Later generations were sent, but perhaps never received.
    pub presented: Option<Generation>,
    /// When the session last rotated.
    pub moved_at: Timestamp,
    /// The client of the last rotation. Clients are compared by their networks and user agents.
    pub moved_by: Client,
    /// The last presented generations, each with the newest time at which it was replaced, newest first; at most [`MAX_REMEMBERED_ROTATIONS`]. A generation
    /// that was never presented is not in it.
    pub replaced: Vec<(Generation, Timestamp)>,
}

/// What an authentic refresh token of a live session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the current token: the session rotates.
    Rotate,
    /// It was replaced within the grace: the answer is the current token.
    Repeat,
    /// As `Repeat`, but from another network or user agent than the last rotation: answered and audited.
    RepeatNearby,
    /// As `Repeat`, but from another network and another user agent: refused and audited; the session lives.
    RepeatElsewhere,
    /// It is the newest token ever presented, so the answer to it was lost: the session rotates once more.
    LostAnswer,
    /// It was sent in an answer that seemed lost but has arrived: the answer is the current token.
    LateAnswer,
    /// The token was copied (RFC 9700 §4.14.2): the session ends.
    Reused,
    /// This database never issued it, so an older copy of the database was restored: the session ends.
    Ahead,
}

impl RefreshVerdict {
    /// Whether the answer is the session's current token, after [`Rotation::after`].
    pub const fn is_served(self) -> bool {
        matches!(
            self,
            Self::Rotate | Self::Repeat | Self::RepeatNearby | Self::LostAnswer | Self::LateAnswer
        )
    }
}

impl Rotation {
    pub const fn first(now: Timestamp, moved_by: Client) -> Self {
        Self {
            generation: Generation::FIRST,
            presented: None,
            moved_at: now,
            moved_by,
            replaced: Vec::new(),
        }
    }

    /// Judges a refresh token of the generation `token` from `client`.
    pub fn judge(
        &self,
        token: Generation,
        client: &Client,
        now: Timestamp,
        rules: &RefreshRules,
    ) -> RefreshVerdict {
        if token > self.generation {
            return RefreshVerdict::Ahead;
        }
        if token == self.generation {
            return RefreshVerdict::Rotate;
        }
        let is_fresh = is_within(rules.grace, self.moved_at, now);
        if self.presented == Some(token) {
            return if is_fresh {
                self.repeat(client)
            } else if self.is_lost_answer(client, now, rules) {
                RefreshVerdict::LostAnswer
            } else {
                RefreshVerdict::Reused
            };
        }
        if self.presented < Some(token) {
            return if is_fresh
                && client.shares_network_with(&self.moved_by)
                && client.shares_user_agent_with(&self.moved_by)
            {
                RefreshVerdict::LateAnswer
            } else {
                RefreshVerdict::Reused
            };
        }
        let entry = self.replaced.iter().find(|(left, _)| *left == token);
        match entry {
            Some((_, replaced_at)) if is_within(rules.grace, *replaced_at, now) => self.repeat(client),
            _ => RefreshVerdict::Reused,
        }
    }

    fn repeat(&self, client: &Client) -> RefreshVerdict {
        match (
            client.shares_network_with(&self.moved_by),
            client.shares_user_agent_with(&self.moved_by),
        ) {
            (true, true) => RefreshVerdict::Repeat,
            (false, false) => RefreshVerdict::RepeatElsewhere,
            _ => RefreshVerdict::RepeatNearby,
        }
    }

    /// If the last rotation is in the future, the clock was set back. The rotation then counts as recent, because that is not the client's fault.
    fn is_lost_answer(&self, client: &Client, now: Timestamp, rules: &RefreshRules) -> bool {
        !rules.grace.is_zero()
            && now.since(self.moved_at) < rules.lost_answer
            && client.shares_product_with(&self.moved_by)
    }

    /// The state after `verdict` on a token of the generation `token`; `None` if it does not change.
    pub fn after(
        &self,
        verdict: RefreshVerdict,
        token: Generation,
        client: &Client,
        now: Timestamp,
    ) -> Option<Self> {
        match verdict {
            // After a lost answer, `token` is the generation that was presented last, so its entry exists and only gets a new time.
            RefreshVerdict::Rotate | RefreshVerdict::LostAnswer => Some(Self {
                generation: self.generation.next(),
                presented: Some(token),
                moved_at: now,
                moved_by: client.clone(),
                replaced: self.with_replaced(token, now),
            }),
            RefreshVerdict::LateAnswer => Some(Self {
                presented: Some(token),
                replaced: self.with_replaced(token, self.moved_at),
                ..self.clone()
            }),
            RefreshVerdict::Repeat
            | RefreshVerdict::RepeatNearby
            | RefreshVerdict::RepeatElsewhere
            | RefreshVerdict::Reused
            | RefreshVerdict::Ahead => None,
        }
    }

    fn with_replaced(&self, token: Generation, at: Timestamp) -> Vec<(Generation, Timestamp)> {
        let others = self.replaced.iter().filter(|(left, _)| *left != token);
        std::iter::once((token, at))
            .chain(others.copied())
            .take(MAX_REMEMBERED_ROTATIONS)
            .collect()
    }
}

/// Whether `now` is less than `grace` after `then`, or at most `grace` before it.
fn is_within(grace: Duration, then: Timestamp, now: Timestamp) -> bool {
    now.since(then) < grace && then.since(now) <= grace
}
