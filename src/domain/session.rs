//! Sessions: how they live, move on and end.

use std::fmt;
use std::time::Duration;

use super::{Client, RefreshRules, Rotation, SessionId, Timestamp, UserId};

/// How somebody proved who they are when a session began; the `amr` of its access tokens (RFC 8176 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(const_into_str)]
pub enum SignInMethod {
    /// By password.
    #[strum(serialize = "pwd")]
    Password,
    /// By a code that was mailed.
    #[strum(serialize = "otp")]
    OneTimeCode,
}

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum SessionEnd {
    /// Its owner signed out.
    SignedOut,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// A new sign-in from the same browser took its place.
    Replaced,
    /// The account had too many; it was the least recently refreshed.
    #[strum(serialize = "too_many_sessions")]
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

/// How long sessions live, how they move on, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct SessionRules {
    /// Without a refresh for so long, a session ends.
    pub idle: Duration,
    /// So long after it began, a session ends however often it was refreshed.
    pub absolute: Duration,
    /// Which old refresh tokens are answered.
    pub refresh: RefreshRules,
    /// How many sessions an account may have at once.
    pub max_sessions: u32,
}

impl SessionRules {
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
    /// What its refresh tokens are bound to.
    pub nonce: SessionNonce,
    /// Which refresh token is the current one, and which came before.
    pub rotation: Rotation,
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
    /// From where it began.
    pub client: Client,
}

impl Session {
    /// Whether it is alive at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// The same with as much of the last use as its owner is shown, who asks from the session `asking`: the present hour for that session, the day of the
    /// last refresh for the others, and never a time before it began. Known to the second, it would tell a thief when an old refresh token is answered.
    #[must_use]
    pub fn as_shown_to(self, asking: SessionId, now: Timestamp) -> Self {
        const HOUR: Duration = Duration::from_hours(1);
        let last_used_at = if self.id == asking {
            now.start_of(HOUR)
        } else {
            self.last_used_at.start_of(HOUR * 24)
        };
        Self {
            last_used_at: last_used_at.max(self.created_at),
            ..self
        }
    }
}
