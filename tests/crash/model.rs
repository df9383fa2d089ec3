//! What the harness knows: what was acknowledged and must hold, what was refused and must not have happened, and what is in doubt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is known of a fact about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    /// The request or command was lost: either holds, until it is looked at.
    Doubt,
}

pub struct Account {
    pub name: String,
    pub invite: String,
    pub exists: Truth,
    /// The passwords that may hold: more than one while a change is in doubt, the oldest first.
    pub passwords: Vec<String>,
    pub suspended: Truth,
    pub sessions: Vec<Session>,
    /// The other live sessions when a change of the password was lost: all of them ended with it, or none.
    pub lost_change: Vec<String>,
    /// How many sessions may exist that the harness has no token of, because the answer was lost.
    pub unknown_sessions: usize,
    pub code: Code,
    /// Something was done with it since it was last compared.
    pub is_touched: bool,
}

/// The one-time code of an account: one is asked for, because a mailbox gets few in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    Unasked,
    /// The mail is in doubt.
    Lost,
    /// It was acknowledged, so its mail has to arrive.
    Mailed,
    /// It was accepted, so it must not be accepted again.
    Used(String),
}

pub struct Session {
    pub id: String,
    pub access: String,
    pub access_at: Instant,
    /// The refresh tokens that were acknowledged, the newest last.
    pub cookies: Vec<String>,
    pub moved_at: Instant,
    /// A refresh is in doubt, so that the newest cookie may have been replaced.
    pub is_refresh_lost: bool,
    pub alive: Truth,
}

pub struct Invite {
    pub max_uses: usize,
    /// Registrations that were acknowledged.
    pub admitted: usize,
    pub in_doubt: usize,
    pub in_flight: usize,
    pub revoked: Truth,
}

impl Invite {
    /// How many uses may have been taken by now.
    pub const fn possible_uses(&self) -> usize {
        self.admitted + self.in_doubt + self.in_flight
    }
}

impl Account {
    pub fn email(&self) -> String {
        format!("{}@example.org", self.name)
    }

    pub fn password(&self) -> &str {
        self.passwords.last().map_or("", String::as_str)
    }

    /// Ends every session but one, as a command or a new password does: surely (`Truth::No`), or in doubt.
    pub fn end_sessions(&mut self, alive: Truth, but: Option<usize>) {
        for (number, session) in self.sessions.iter_mut().enumerate() {
            if Some(number) != but && session.alive != Truth::No {
                session.alive = alive;
            }
        }
        if alive == Truth::No {
            self.unknown_sessions = 0;
        }
    }

    pub fn live_sessions(&self) -> usize {
        let live = self.sessions.iter().filter(|session| session.alive != Truth::No);
        live.count() + self.unknown_sessions
    }

    /// Whether nothing about it is in doubt, except single sessions.
    pub fn is_settled(&self) -> bool {
        self.exists == Truth::Yes && self.suspended != Truth::Doubt && self.passwords.len() == 1
    }

    /// Forgets sessions that ended long ago, so that a long run stays fast.
    pub fn forget_old_sessions(&mut self) {
        while self.sessions.len() > 12 {
            let Some(ended) = self
                .sessions
                .iter()
                .position(|session| session.alive == Truth::No)
            else {
                return;
            };
            self.sessions.remove(ended);
        }
    }
}

/// What all threads share.
#[derive(Default)]
pub struct Shared {
    pub invites: Mutex<BTreeMap<String, Invite>>,
    /// The notes of invites whose creation is in doubt, with their number of uses.
    pub lost_invites: Mutex<BTreeMap<String, usize>>,
    /// The trace ids of acknowledged effects that have a row in the audit log, and what they did.
    pub traces: Mutex<Vec<(String, String)>>,
    /// The notes and names of acknowledged commands that have a row in the audit log: how many for each account and event.
    pub commands: Mutex<BTreeMap<(String, &'static str), usize>>,
    violations: Mutex<Vec<String>>,
    pub counts: Counts,
}

/// What a run did; the figures of its report.
#[derive(Default)]
pub struct Counts {
    pub kills: AtomicU64,
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    pub in_doubt: AtomicU64,
    pub unavailable: AtomicU64,
    pub compared: AtomicU64,
}

pub fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Reports that the server broke the model.
    pub fn violation(&self, text: impl Into<String>) {
        lock(&self.violations).push(text.into());
    }

    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    pub fn is_broken(&self) -> bool {
        !lock(&self.violations).is_empty()
    }
}
