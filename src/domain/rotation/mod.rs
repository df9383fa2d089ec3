//! How the refresh token of a session is replaced, and what an old token means.
//!
//! The caller has verified the MAC of the token and that the session is alive. The token then is one of these:
//!
//! | token | within the grace | later |
//! |---|---|---|
//! | the current one | the session rotates | the session rotates |
//! | the newest one ever presented: its successor may never have arrived | the current token is answered | lost answer: the session rotates and skips a generation |
//! | between these two: a lost answer that arrived after all | from the same network and user agent, the current token is answered | reuse |
//! | older | the current token is answered | reuse |
//! | newer: an older copy of the database was restored | the session ends | the session ends |
//!
//! A lost answer is reuse after the time `lost_answer`, or if the user agents differ in more than digits. Reuse ends the session. All of this is kept in the database, so a restart changes nothing.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{Client, Timestamp, site_of};

/// How many rotations of a session are remembered, and so for how many generations back a refresh token is answered within the grace. Eight covers the
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

/// The address and the user agent of a refresh. Senders are compared by their networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// `None` if it is not known.
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl Sender {
    /// The /24 of an IPv4 address (also of one that is mapped into IPv6), the /48 of an IPv6 address: the network of one site or of one provider's pool. It
    /// is wider than the networks that limits count, because a client that moves within it is no sign of theft.
    pub fn network_of(address: IpAddr) -> IpAddr {
        match site_of(address) {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0 << 8).into(),
            site @ IpAddr::V6(_) => site,
        }
    }

    /// How many bits of an address [`Sender::network_of`] keeps.
    pub const fn prefix_of(network: IpAddr) -> u8 {
        match network {
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 48,
        }
    }

    /// The network of the address; see [`Sender::network_of`].
    pub fn network(&self) -> Option<IpAddr> {
        self.address.map(Self::network_of)
    }

    fn has_network_of(&self, other: &Self) -> bool {
        self.network() == other.network()
    }

    fn has_agent_of(&self, other: &Self) -> bool {
        self.user_agent == other.user_agent
    }

    /// Whether the user agents differ in digits at most: an update of a browser changes only those.
    fn has_product_of(&self, other: &Self) -> bool {
        let product = |sender: &Self| {
            let agent = sender.user_agent.as_ref()?;
            Some(agent.replace(|c: char| c.is_ascii_digit(), ""))
        };
        product(self) == product(other)
    }
}

impl From<&Client> for Sender {
    fn from(client: &Client) -> Self {
        Self {
            address: client.address,
            user_agent: client.user_agent.clone(),
        }
    }
}

/// What a session remembers of its refresh tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Of the current refresh token.
    pub generation: Generation,
    /// The newest generation that was ever presented. The generations between it and the current one were sent, but perhaps never received.
    pub presented: Option<Generation>,
    /// When the session last rotated.
    pub moved_at: Timestamp,
    pub moved_by: Sender,
    /// The last presented generations, each with the newest time at which it was replaced, newest first; at most [`MAX_REMEMBERED_ROTATIONS`]. A generation
    /// that was never presented is not in it.
    pub replaced: Vec<(Generation, Timestamp)>,
}

/// What an authentic refresh token of a living session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the current one: the session rotates.
    Rotate,
    /// It was replaced within the grace: the answer is the current token.
    Repeat,
    /// As `Repeat`, but from another network or user agent than the last rotation: answered and audited.
    RepeatNearby,
    /// As `Repeat`, but from another network and another user agent: refused and audited; the session lives.
    RepeatElsewhere,
    /// It is the newest one ever presented, so its answer was lost: the session rotates once more.
    LostAnswer,
    /// It was sent in an answer that seemed lost but arrived: the answer is the current token.
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
    pub const fn first(now: Timestamp, moved_by: Sender) -> Self {
        Self {
            generation: Generation::FIRST,
            presented: None,
            moved_at: now,
            moved_by,
            replaced: Vec::new(),
        }
    }

    /// Judges a refresh token of the generation `token` from `sender`.
    pub fn judge(
        &self,
        token: Generation,
        sender: &Sender,
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
                self.repeat(sender)
            } else if self.is_lost_answer(sender, now, rules) {
                RefreshVerdict::LostAnswer
            } else {
                RefreshVerdict::Reused
            };
        }
        if self.presented < Some(token) {
            return if is_fresh && sender.has_network_of(&self.moved_by) && sender.has_agent_of(&self.moved_by)
            {
                RefreshVerdict::LateAnswer
            } else {
                RefreshVerdict::Reused
            };
        }
        let entry = self.replaced.iter().find(|(left, _)| *left == token);
        match entry {
            Some((_, replaced_at)) if is_within(rules.grace, *replaced_at, now) => self.repeat(sender),
            _ => RefreshVerdict::Reused,
        }
    }

    fn repeat(&self, sender: &Sender) -> RefreshVerdict {
        match (
            sender.has_network_of(&self.moved_by),
            sender.has_agent_of(&self.moved_by),
        ) {
            (true, true) => RefreshVerdict::Repeat,
            (false, false) => RefreshVerdict::RepeatElsewhere,
            _ => RefreshVerdict::RepeatNearby,
        }
    }

    /// A rotation in the future counts as young: the clock was set back, which is no fault of the client.
    fn is_lost_answer(&self, sender: &Sender, now: Timestamp, rules: &RefreshRules) -> bool {
        !rules.grace.is_zero()
            && now.since(self.moved_at) < rules.lost_answer
            && sender.has_product_of(&self.moved_by)
    }

    /// The state after `verdict` on a token of the generation `token`; `None` if it does not change.
    pub fn after(
        &self,
        verdict: RefreshVerdict,
        token: Generation,
        sender: &Sender,
        now: Timestamp,
    ) -> Option<Self> {
        match verdict {
            // After a lost answer `token` is the one that was presented before, so that only the time of its entry is new.
            RefreshVerdict::Rotate | RefreshVerdict::LostAnswer => Some(Self {
                generation: self.generation.next(),
                presented: Some(token),
                moved_at: now,
                moved_by: sender.clone(),
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

/// Whether `now` is less than `grace` after `then`, or `then` no more than that in the future.
fn is_within(grace: Duration, then: Timestamp, now: Timestamp) -> bool {
    now.since(then) < grace && then.since(now) <= grace
}
