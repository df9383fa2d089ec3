//! The clock and the source of randomness: the only door to both.
//!
//! Everything else receives a [`System`], so that tests can move the time and repeat every random byte.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::Builder;

use crate::domain::{InviteId, MailId, SessionId, Timestamp, TraceId, UserId};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug)]
pub struct MovableClock(Mutex<Timestamp>);

impl MovableClock {
    /// A clock that stands at `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Sets it forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = *now + by;
    }

    /// Sets it back.
    pub fn turn_back(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = *now - by;
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where random bytes come from.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system (`getrandom`). AWS-LC's generator in between would cost every command 20 ms, which it takes to seed itself from the jitter of
    /// the processor.
    Machine,
    /// A sequence that repeats from run to run: for tests only.
    Seeded(Arc<Mutex<SeededBytes>>),
}

impl Entropy {
    /// The repeatable sequence that begins with `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(SeededBytes { seed, counter: 0 })))
    }
}

/// SHA-256 of a seed and a counter: repeatable, evenly spread, and never for production.
pub struct SeededBytes {
    seed: u64,
    counter: u64,
}

impl SeededBytes {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            self.counter += 1;
            let block = digest::digest(
                &digest::SHA256,
                &[self.seed.to_be_bytes(), self.counter.to_be_bytes()].concat(),
            );
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }
}

/// The clock and the entropy that a part of the program works with.
#[derive(Clone)]
pub struct System {
    clock: Arc<dyn Clock>,
    entropy: Entropy,
}

impl System {
    /// The machine's own.
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(MachineClock),
            entropy: Entropy::Machine,
        }
    }

    /// Joins a clock and an entropy.
    pub fn new(clock: Arc<dyn Clock>, entropy: Entropy) -> Self {
        Self { clock, entropy }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `N` random bytes, fit for keys.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.entropy {
            Entropy::Machine => fill_from_kernel(&mut bytes),
            Entropy::Seeded(seeded) => seeded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill(&mut bytes),
        }
        bytes
    }

    /// A new account's id.
    pub fn new_user_id(&self) -> UserId {
        UserId::from_bytes(self.uuid_v7())
    }

    /// A new session's id.
    pub fn new_session_id(&self) -> SessionId {
        SessionId::from_bytes(self.uuid_v7())
    }

    /// A new invite's id.
    pub fn new_invite_id(&self) -> InviteId {
        InviteId::from_bytes(self.uuid_v7())
    }

    /// A new mail's id.
    pub fn new_mail_id(&self) -> MailId {
        MailId::from_bytes(self.uuid_v7())
    }

    /// A new trace id.
    pub fn new_trace_id(&self) -> TraceId {
        TraceId::from_bytes(self.random())
    }

    /// A new key that ties the tries of one question to another server together: a UUID v4 as text, because it says nothing about time.
    pub fn new_idempotency_key(&self) -> String {
        Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }

    fn uuid_v7(&self) -> [u8; 16] {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.random())
            .into_uuid()
            .into_bytes()
    }
}

/// Draws the random part of a private file name: 128 bits in hexadecimal.
///
/// Not a method: no test repeats such a name, and two processes with the same seed must not draw the same one.
pub fn draw_private_name() -> String {
    let mut bytes = [0; 16];
    fill_from_kernel(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that draws randomness"
)]
fn fill_from_kernel(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(error) => panic!("the operating system gives no randomness: {error}"),
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System(…)")
    }
}
