//! Sessions: how they live, move on and end.

use std::fmt;
use std::time::Duration;

use super::{Client, SessionId, Timestamp, UserId};

/// How many rotations of a session are remembered: so many generations back a refresh token is still answered within the grace. Eight covers the tabs
/// of a browser that wake up together; more would only help whoever replays.
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

/// When the last rotations happened, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotations(Vec<Timestamp>);

impl Rotations {
    /// The rotations at these moments, newest first; what is beyond the remembered number is dropped.
    pub fn new(mut newest_first: Vec<Timestamp>) -> Self {
        newest_first.truncate(MAX_REMEMBERED_ROTATIONS);
        Self(newest_first)
    }

    /// The same with one more at `now`.
    #[must_use]
    pub fn followed_by(&self, now: Timestamp) -> Self {
        Self::new(std::iter::once(now).chain(self.0.iter().copied()).collect())
    }

    /// The moments, newest first.
    pub fn newest_first(&self) -> &[Timestamp] {
        &self.0
    }
}

/// How somebody proved who they are when a session began; the `amr` of its access tokens (RFC 8176 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInMethod {
    /// By password.
    Password,
    /// By a code that was mailed.
    OneTimeCode,
}

impl SignInMethod {
    /// The name in the database and in access tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::OneTimeCode => "otp",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Password, Self::OneTimeCode]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// Its owner signed out.
    SignedOut,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// A new sign-in from the same browser took its place.
    Replaced,
    /// The account had too many; it was the least recently refreshed.
    TooMany,
    /// Nobody refreshed it in time, or it reached its absolute age, and the account has too many such sessions to keep them as they are.
    Expired,
    /// An old refresh token came back after the grace: somebody has a copy (RFC 9700 §4.14.2).
    RefreshReused,
    /// A refresh token of a generation that this database never issued came: an older copy of it was restored.
    RefreshAhead,
    /// The operator ended it.
    Revoked,
    /// The operator suspended the account.
    Suspended,
    /// The password was set anew.
    PasswordChanged,
    /// The address was set anew by the operator.
    EmailChanged,
    /// The owner of the address proved it, and whoever had registered it without owning it lost the account.
    TakenBack,
    /// A backup was restored, and with it sessions that may have ended since.
    Restored,
    /// The key file was replaced, which authenticated its refresh tokens.
    KeyReplaced,
}

impl SessionEnd {
    const ALL: [Self; 14] = [
        Self::SignedOut,
        Self::EndedByOwner,
        Self::Replaced,
        Self::TooMany,
        Self::Expired,
        Self::RefreshReused,
        Self::RefreshAhead,
        Self::Revoked,
        Self::Suspended,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::TakenBack,
        Self::Restored,
        Self::KeyReplaced,
    ];

    /// The name in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::EndedByOwner => "ended_by_owner",
            Self::Replaced => "replaced",
            Self::TooMany => "too_many_sessions",
            Self::Expired => "expired",
            Self::RefreshReused => "refresh_reused",
            Self::RefreshAhead => "refresh_ahead",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::TakenBack => "taken_back",
            Self::Restored => "restored",
            Self::KeyReplaced => "key_replaced",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == name)
    }
}

/// How long sessions live, and how long a replaced refresh token is still answered.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetimes {
    /// Without a refresh for so long, a session ends.
    pub idle: Duration,
    /// So long after it began, a session ends however often it was refreshed.
    pub absolute: Duration,
    /// So long after it was replaced, a refresh token is still answered: 0 to 60 s.
    pub grace: Duration,
}

impl SessionLifetimes {
    /// When a session that began at `created_at` ends if it is last used at `last_used_at`.
    pub fn end(&self, created_at: Timestamp, last_used_at: Timestamp) -> Timestamp {
        (last_used_at + self.idle).min(created_at + self.absolute)
    }
}

/// 16 random bytes that go into the MAC of a session's refresh tokens, so that the key alone mints none. `Debug` does not print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionNonce(pub [u8; 16]);

impl fmt::Debug for SessionNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionNonce(…)")
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// Which refresh token is the current one.
    pub generation: Generation,
    /// What its refresh tokens are bound to.
    pub nonce: SessionNonce,
    /// When its last refresh tokens were replaced.
    pub rotations: Rotations,
    /// How it began.
    pub method: SignInMethod,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed, or began.
    pub last_used_at: Timestamp,
    /// When it ends if it is not refreshed before.
    pub expires_at: Timestamp,
    /// When and why it ended before its time.
    pub ended: Option<(Timestamp, SessionEnd)>,
    /// From where it was last refreshed, or began.
    pub client: Client,
}

/// What a refresh token of a certain generation means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the current one: the session moves on.
    Rotate,
    /// It was replaced a moment ago: the current one is the answer.
    Repeat,
    /// It was replaced too long ago: somebody has a copy.
    Reused,
    /// It is of a generation that this database never issued.
    Ahead,
    /// The session has ended.
    Ended,
}

impl Session {
    /// Whether it is alive at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// What an authentic refresh token of the generation `presented` means at `now`.
    pub fn judge(&self, presented: Generation, now: Timestamp, grace: Duration) -> RefreshVerdict {
        if !self.is_alive(now) {
            return RefreshVerdict::Ended;
        }
        if presented > self.generation {
            return RefreshVerdict::Ahead;
        }
        let steps_back = (self.generation.0 - presented.0) as usize;
        if steps_back == 0 {
            return RefreshVerdict::Rotate;
        }
        match self.rotations.newest_first().get(steps_back - 1) {
            Some(rotated_at) if now.since(*rotated_at) < grace => RefreshVerdict::Repeat,
            _ => RefreshVerdict::Reused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const GRACE: Duration = Duration::from_secs(30);

    fn session(rotated_seconds_ago: &[u64]) -> (Session, Timestamp) {
        let now = Timestamp::from_millis(1_000_000_000);
        let rotations = rotated_seconds_ago
            .iter()
            .map(|s| now - SECOND * u32::try_from(*s).expect("it is small"))
            .collect();
        let session = Session {
            id: SessionId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            generation: Generation(20),
            nonce: SessionNonce([3; 16]),
            rotations: Rotations::new(rotations),
            method: SignInMethod::Password,
            created_at: now,
            last_used_at: now,
            expires_at: now + SECOND,
            ended: None,
            client: Client::default(),
        };
        (session, now)
    }

    #[test]
    fn the_grace_counts_from_the_rotation_of_the_presented_token() {
        use RefreshVerdict::{Ahead, Repeat, Reused, Rotate};
        let (session, now) = session(&[1, 29, 30]);
        let verdicts =
            [20, 19, 18, 17, 16, 21].map(|generation| session.judge(Generation(generation), now, GRACE));
        assert_eq!(verdicts, [Rotate, Repeat, Repeat, Reused, Reused, Ahead]);
    }

    #[test]
    fn eight_generations_are_remembered_and_no_more() {
        let (session, now) = session(&[1; 9]);
        assert_eq!(session.judge(Generation(12), now, GRACE), RefreshVerdict::Repeat);
        assert_eq!(session.judge(Generation(11), now, GRACE), RefreshVerdict::Reused);
    }

    #[test]
    fn without_grace_every_old_token_is_reuse() {
        let (session, now) = session(&[0]);
        assert_eq!(
            session.judge(Generation(19), now, Duration::ZERO),
            RefreshVerdict::Reused
        );
    }

    #[test]
    fn a_session_that_ended_judges_nothing() {
        let (mut session, now) = session(&[1]);
        assert_eq!(
            session.judge(Generation(20), now + SECOND, GRACE),
            RefreshVerdict::Ended
        );
        session.ended = Some((now, SessionEnd::SignedOut));
        assert_eq!(session.judge(Generation(20), now, GRACE), RefreshVerdict::Ended);
    }
}
