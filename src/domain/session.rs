//! Sessions: how they begin, and when and why they end.

use std::time::Duration;

use super::newtype::redacted;
use super::{Client, RefreshRules, Rotation, SessionId, Timestamp, UserId};

/// How a session began. The names are those in the `amr` of its access tokens (RFC 8176 §2) and in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(const_into_str)]
pub enum SignInMethod {
    #[strum(serialize = "pwd")]
    Password,
    #[strum(serialize = "otp")]
    OneTimeCode,
}

/// Why a session ended before it expired. The names are those in the database and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum SessionEnd {
    SignedOut,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// A new sign-in from the same browser took its place.
    Replaced,
    /// The account had too many sessions, and this one was the least recently refreshed.
    #[strum(serialize = "too_many_sessions")]
    TooMany,
    /// It expired. This is recorded only when the account has too many sessions.
    Expired,
    /// An old refresh token was used after the grace, so there is a copy of it (RFC 9700 §4.14.2).
    RefreshReused,
    /// This database never issued the refresh token, so an older copy of the database was restored.
    RefreshAhead,
    /// The operator ended it.
    Revoked,
    /// The operator suspended the account.
    Suspended,
    PasswordChanged,
    /// The address was changed.
    EmailChanged,
    /// The owner of the former address undid a change of the address.
    ChangeUndone,
    /// The owner of the address verified it, and took over the account from the person who had registered it.
    TakenBack,
    /// A backup was restored; the session may have ended after the backup was made.
    Restored,
    /// The key file that authenticated its refresh tokens was replaced.
    KeyReplaced,
}

/// How long sessions live, which old refresh tokens are answered, and how many sessions an account may have.
#[derive(Clone, Copy, Debug)]
pub struct SessionRules {
    /// A session that is not refreshed for this long ends.
    pub idle: Duration,
    /// The longest life of a session, however often it is refreshed.
    pub absolute: Duration,
    pub refresh: RefreshRules,
    /// The most living sessions of an account.
    pub max_sessions: u32,
}

impl SessionRules {
    /// When a session that began at `created_at` ends if it is last used at `last_used_at`.
    pub fn end(&self, created_at: Timestamp, last_used_at: Timestamp) -> Timestamp {
        (last_used_at + self.idle).min(created_at + self.absolute)
    }
}

/// 16 random bytes in the MAC of a session's refresh tokens, so that the key alone does not suffice to mint one. `Debug` does not print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionNonce(pub [u8; 16]);

redacted!(SessionNonce);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub nonce: SessionNonce,
    pub rotation: Rotation,
    pub method: SignInMethod,
    pub created_at: Timestamp,
    /// The time of the last refresh, or of the beginning if there was no refresh.
    pub last_used_at: Timestamp,
    /// When the session ends if it is not refreshed again.
    pub expires_at: Timestamp,
    pub ended: Option<(Timestamp, SessionEnd)>,
    /// The client that signed in.
    pub client: Client,
}

impl Session {
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// The session as its owner sees it from the session `asking`. The last use is coarse: the current hour for `asking`, the day of the last refresh for
    /// other sessions, and never before the session began. The exact time would tell an attacker when an old refresh token is answered.
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
