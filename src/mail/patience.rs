//! How long a mail server may take, and how long it has taken so far.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Stage;

/// How long a mail server may take.
#[derive(Clone, Copy, Debug)]
pub struct SmtpTimeouts {
    /// For TCP to one address of the server.
    pub connection: Duration,
    /// For its greeting and its answer to EHLO.
    pub greeting: Duration,
    /// For its answer to each command but DATA, and for beginning TLS.
    pub command: Duration,
    /// For its answer to DATA.
    pub data: Duration,
    /// For reading the mail.
    pub content: Duration,
    /// For its answer to the whole mail.
    pub end: Duration,
    /// From when on a server that has not answered is slow: it then holds up no other mail.
    pub slow: Duration,
}

impl SmtpTimeouts {
    /// Of the running server: RFC 5321 §4.5.3.2. Mail servers look for spam and viruses before they answer to a mail; who gives up before that sends it
    /// again and again. A TCP connection is no matter of that section: a host that lets it wait is down.
    pub const SERVER: Self = Self {
        connection: Duration::from_secs(30),
        greeting: Duration::from_mins(5),
        command: Duration::from_mins(5),
        data: Duration::from_mins(2),
        content: Duration::from_mins(3),
        end: Duration::from_mins(10),
        slow: Duration::from_secs(10),
    };

    /// Of a command, before which a person sits.
    pub const COMMAND: Self = Self {
        connection: Duration::from_secs(10),
        greeting: Duration::from_secs(30),
        command: Duration::from_secs(30),
        data: Duration::from_secs(30),
        content: Duration::from_secs(30),
        end: Duration::from_mins(1),
        ..Self::SERVER
    };
}

/// How far the delivery of a mail has come, for others to see while it goes on.
#[derive(Debug)]
pub struct Progress(Mutex<(Stage, Instant)>);

impl Progress {
    /// Of a delivery that begins now.
    pub fn new() -> Self {
        Self(Mutex::new((Stage::Connect, Instant::now())))
    }

    /// Which stage it is at, and for how long.
    pub fn at(&self) -> (Stage, Duration) {
        let (stage, since) = *self.state();
        (stage, since.elapsed())
    }

    pub(super) fn reach(&self, stage: Stage) {
        *self.state() = (stage, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, (Stage, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
