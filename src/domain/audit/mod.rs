//! The audit log: what happened, who did it, and why it was refused.
//!
//! The reasons are finer than what a client is told: the log says whether the name or the password was wrong, the answer never does.

mod words;

pub use words::{AuditEvent, AuditReason};

use strum::VariantArray;

use super::{Client, SessionId, Timestamp, User, UserId, is_unprintable};

/// How much of the name of whoever called `sudo` is kept: longer than any login name that Linux allows (32).
const MAX_SUDO_USER_CHARS: usize = 64;

/// One event, or all whose names begin alike: `sign_in` is `sign_in.password` and `sign_in.code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvents(String);

impl AuditEvents {
    /// Reads the name of an event, or the part of one before the dot.
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = AuditEvent::VARIANTS.iter().any(|event| {
            let name = event.into_str();
            name == text || name.split_once('.').is_some_and(|(kind, _)| kind == text)
        });
        is_known.then(|| Self(text.to_owned()))
    }

    /// The name or the part of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything that [`AuditEvents::parse`] reads, in the order in which events are documented.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<&str> = Vec::new();
        for name in AuditEvent::VARIANTS.iter().map(|event| event.into_str()) {
            let kind = name.split_once('.').map(|(kind, _)| kind);
            for name in kind.into_iter().chain([name]) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused(AuditReason),
}

impl AuditOutcome {
    /// Why it was refused; `None` if it was not.
    pub const fn reason(self) -> Option<AuditReason> {
        match self {
            Self::Done => None,
            Self::Refused(reason) => Some(reason),
        }
    }
}

/// Whoever runs the program on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The user id of the process.
    pub uid: u32,
    /// Who called `sudo`, if the environment says so (which whoever runs a command may set as they like).
    pub sudo_user: Option<String>,
    /// The command, such as `invite create`; never its arguments.
    pub command: String,
}

impl Operator {
    /// The operator of a process; the name from the environment is cut and cleaned.
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

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody over HTTP.
    Client(Client),
    /// Somebody on the machine.
    Operator(Operator),
}

/// The digest of a name under the key file. A name that is no account's is kept in this form only, because people type passwords there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameDigest(pub [u8; 32]);

/// An account as the log remembers it, also when it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditSubject {
    /// Its id.
    pub user_id: UserId,
    /// The username that it had.
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

/// Something that happened, before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// What happened.
    pub event: AuditEvent,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Who did it.
    pub actor: Actor,
    /// To which account; `None` if there is none.
    pub subject: Option<AuditSubject>,
    /// Under which name or address, where that leads to the account later, or to none.
    pub name: Option<NameDigest>,
    /// To which session.
    pub session_id: Option<SessionId>,
    /// The rest in a few words, never a secret.
    pub detail: Option<String>,
}

impl AuditRecord {
    /// `event`, done by somebody over HTTP.
    pub fn by_client(event: AuditEvent, client: &Client) -> Self {
        Self::by(event, Actor::Client(client.clone()))
    }

    /// `event`, done by somebody on the machine.
    pub fn by_operator(event: AuditEvent, operator: &Operator) -> Self {
        Self::by(event, Actor::Operator(operator.clone()))
    }

    /// `event`, done by `actor`.
    pub fn by(event: AuditEvent, actor: Actor) -> Self {
        Self {
            event,
            outcome: AuditOutcome::Done,
            actor,
            subject: None,
            name: None,
            session_id: None,
            detail: None,
        }
    }

    /// The same about an account.
    #[must_use]
    pub fn about(mut self, subject: impl Into<AuditSubject>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same under a name, if it can be one.
    #[must_use]
    pub fn under(mut self, name: Option<NameDigest>) -> Self {
        self.name = name;
        self
    }

    /// The same about a session.
    #[must_use]
    pub fn of_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// The same with a few words more.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same, refused.
    #[must_use]
    pub fn refused(mut self, reason: AuditReason) -> Self {
        self.outcome = AuditOutcome::Refused(reason);
        self
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later lines have greater ones. `None` for a count in place, which goes on changing.
    pub id: Option<i64>,
    /// When it happened; the first time if it stands for several.
    pub at: Timestamp,
    /// When the last of what it counts happened; only of a count in place.
    pub last_at: Option<Timestamp>,
    /// What happened.
    pub record: AuditRecord,
    /// How often.
    pub times: u64,
}
