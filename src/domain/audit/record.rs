//! The entries of the audit log.

use super::event::AuditEvent;
use super::reason::AuditReason;
use crate::domain::{Client, SessionId, Timestamp, User, UserId, is_unprintable};

/// How much of a login name is kept: more than Linux allows (32).
const MAX_SUDO_USER_CHARS: usize = 64;

/// The operator: a process on the machine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Operator {
    /// The user of the process.
    pub uid: u32,
    /// The user who called `sudo`, from the environment, which any process can set.
    pub sudo_user: Option<String>,
    /// The command, such as `invite create`; never its arguments.
    pub command: String,
}

impl Operator {
    /// Cuts `sudo_user`, and removes unprintable characters from it.
    pub fn new(uid: u32, sudo_user: Option<&str>, command: impl Into<String>) -> Self {
        let sudo_user = sudo_user.map(|name| {
            name.chars()
                .filter(|c| !is_unprintable(*c))
                .take(MAX_SUDO_USER_CHARS)
                .collect::<String>()
        });
        Self {
            uid,
            sudo_user: sudo_user.filter(|name| !name.trim().is_empty()),
            command: command.into(),
        }
    }
}

/// Who caused an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Client(Client),
    Operator(Operator),
}

impl Actor {
    /// The client that asked; for the operator, [`Client::LOCAL`].
    pub const fn client(&self) -> &Client {
        match self {
            Self::Client(client) => client,
            Self::Operator(_) => &Client::LOCAL,
        }
    }
}

/// The keyed digest of a name. A name without an account is kept only in this form, because people type passwords into the field of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameDigest(pub [u8; 32]);

/// An account as the log keeps it, even after the account is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditSubject {
    pub user_id: UserId,
    pub username: String,
}

impl From<&User> for AuditSubject {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.id,
            username: user.username.as_str().to_owned(),
        }
    }
}

/// An event and its outcome, without the time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AuditRecord {
    pub event: AuditEvent,
    /// Why the event was refused; `None` if it was not.
    pub refused: Option<AuditReason>,
    pub actor: Actor,
    /// The account that the event concerns.
    pub subject: Option<AuditSubject>,
    /// The digest of the given name or address, if it is not one of the `subject`.
    pub name: Option<NameDigest>,
    pub session_id: Option<SessionId>,
    /// A short detail, never a secret.
    pub detail: Option<String>,
}

impl AuditRecord {
    pub fn by_client(event: AuditEvent, client: &Client) -> Self {
        Self::by(event, Actor::Client(client.clone()))
    }

    pub fn by_operator(event: AuditEvent, operator: &Operator) -> Self {
        Self::by(event, Actor::Operator(operator.clone()))
    }

    /// `event`, done by `actor`.
    pub fn by(event: AuditEvent, actor: Actor) -> Self {
        Self {
            event,
            refused: None,
            actor,
            subject: None,
            name: None,
            session_id: None,
            detail: None,
        }
    }

    pub fn about(mut self, subject: impl Into<AuditSubject>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn under(mut self, name: Option<NameDigest>) -> Self {
        self.name = name;
        self
    }

    pub fn of_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The outcome as one word.
    pub fn result(&self) -> &'static str {
        self.refused.map_or("done", |_| "refused")
    }

    pub fn refused(mut self, reason: AuditReason) -> Self {
        self.refused = Some(reason);
        self
    }
}

/// An entry of the audit log: an event, or a count of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Later entries have greater ids. `None` for a count, which keeps changing.
    pub id: Option<i64>,
    /// The time of the event, or of the first one if the entry counts several.
    pub at: Timestamp,
    /// The time of the last event; `None` if the entry is not a count.
    pub last_at: Option<Timestamp>,
    pub record: AuditRecord,
    pub times: u64,
}
