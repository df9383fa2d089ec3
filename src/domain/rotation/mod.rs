//! How the refresh token of a session is replaced, and what an old one means. Pure: no clock, no database, no MAC.
//!
//! Only tokens whose MAC was verified are judged here, and only of a session that is alive.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{Client, Timestamp};

/// How many rotations of a session are remembered: so many generations back a refresh token is still answered within the grace. Eight covers the tabs
/// of a browser that wake up together; more would only help a thief.
pub const MAX_REMEMBERED_ROTATIONS: usize = 8;

/// How often the refresh token of a session has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of a new session.
    pub const FIRST: Self = Self(0);

    /// The generation that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which old refresh tokens are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRules {
    /// So long after it was replaced, a refresh token is answered with the current one: 0 to 60 s.
    pub grace: Duration,
    /// So long after the last move, the newest token that was ever presented moves the session on once more, because the answer with its successor
    /// was lost. Zero turns this off, and so does a grace of zero.
    pub lost_answer: Duration,
}

/// The address and the user agent of a refresh. Senders are compared by their networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The address as a whole; `None` if it is not known.
    pub address: Option<IpAddr>,
    /// What the client called itself; `None` if it did not.
    pub user_agent: Option<String>,
}

impl Sender {
    /// The /24 of an IPv4 address (also of one that is mapped into IPv6), the /48 of an IPv6 address: what one site or one provider's pool has. It is
    /// wider than what limits count, because a client that moves inside of it is no sign of a thief.
    pub fn network_of(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0 << 8).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !0 << 80).into(),
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
        fn words(agent: Option<&str>) -> Option<impl Iterator<Item = char>> {
            agent.map(|agent| agent.chars().filter(|c| !c.is_ascii_digit()))
        }
        match (
            words(self.user_agent.as_deref()),
            words(other.user_agent.as_deref()),
        ) {
            (Some(one), Some(another)) => one.eq(another),
            (None, None) => true,
            _ => false,
        }
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
    /// Which refresh token is the current one.
    pub generation: Generation,
    /// The newest generation that was ever presented; `None` while none was. What lies between it and the current one was sent, but perhaps never
    /// received.
    pub presented: Option<Generation>,
    /// When the current token was made.
    pub moved_at: Timestamp,
    /// Who asked for it.
    pub moved_by: Sender,
    /// The generations that were presented last and the newest time at which each was replaced, newest first. A generation that was skipped is not
    /// in it. At most [`MAX_REMEMBERED_ROTATIONS`].
    pub replaced: Vec<(Generation, Timestamp)>,
}

/// What an authentic refresh token of a living session means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the current one: the session moves on.
    Rotate,
    /// It was replaced a moment ago: the current one is the answer.
    Repeat,
    /// The same, but from another network or by another user agent than the last move: answered and audited.
    RepeatNearby,
    /// The same, but from another network and by another user agent than the last move: refused and audited; the session lives.
    RepeatElsewhere,
    /// It is the newest one ever presented, so the answer to it was lost: the session moves on once more.
    LostAnswer,
    /// It was sent in an answer that seemed lost and has arrived after all: the current one is the answer.
    LateAnswer,
    /// Somebody has a copy (RFC 9700 §4.14.2): the session ends.
    Reused,
    /// This database never issued it, so an older copy of the database was restored: the session ends.
    Ahead,
}

impl RefreshVerdict {
    /// Whether the current token of the session is the answer, after what [`Rotation::after`] says.
    pub const fn is_served(self) -> bool {
        matches!(
            self,
            Self::Rotate | Self::Repeat | Self::RepeatNearby | Self::LostAnswer | Self::LateAnswer
        )
    }
}

impl Rotation {
    /// The state of a session that begins.
    pub const fn first(now: Timestamp, moved_by: Sender) -> Self {
        Self {
            generation: Generation::FIRST,
            presented: None,
            moved_at: now,
            moved_by,
            replaced: Vec::new(),
        }
    }

    /// What an authentic refresh token of the generation `token` from `sender` means at `now`.
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

    /// A move in the future is young: the clock was set back, which is no fault of the client.
    fn is_lost_answer(&self, sender: &Sender, now: Timestamp, rules: &RefreshRules) -> bool {
        !rules.grace.is_zero()
            && now.since(self.moved_at) < rules.lost_answer
            && sender.has_product_of(&self.moved_by)
    }

    /// The state after `verdict` on a token of the generation `token`; `None` if it stays as it is.
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
