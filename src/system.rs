//! The only module that reads the clock and draws randomness.
//!
//! Other code receives a [`System`], so tests can move the time and repeat every random byte.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::{Builder, Uuid};

use crate::domain::{Timestamp, TraceId, redacted};

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

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

/// A clock for tests, which stands still until it is moved.
#[derive(Debug)]
pub struct MovableClock(Mutex<Timestamp>);

impl MovableClock {
    pub const fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = *now + by;
    }

    pub fn turn_back(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = *now - by;
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

/// Where random bytes come from.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system (`getrandom`). The generator of AWS-LC is not used: it seeds itself from the jitter of the processor, which would cost each command
    /// 20 ms.
    Machine,
    /// A sequence that is the same in each run, for tests only.
    Seeded(Arc<Mutex<SeededBytes>>),
}

impl Entropy {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(SeededBytes { seed, counter: 0 })))
    }
}

/// SHA-256 of a seed and a counter: repeatable and evenly spread, but not for production.
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

/// A clock and a source of randomness.
#[derive(Clone)]
pub struct System {
    clock: Arc<dyn Clock>,
    entropy: Entropy,
}

impl System {
    /// The clock and the randomness of the machine.
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(MachineClock),
            entropy: Entropy::Machine,
        }
    }

    pub fn new(clock: Arc<dyn Clock>, entropy: Entropy) -> Self {
        Self { clock, entropy }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `N` random bytes, fit for keys.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.entropy {
            Entropy::Machine => fill_from_kernel(&mut bytes),
            Entropy::Seeded(seeded) => seeded.lock().fill(&mut bytes),
        }
        bytes
    }

    /// A new id of any kind: a UUID v7.
    pub fn new_id<I: From<Uuid>>(&self) -> I {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.random())
            .into_uuid()
            .into()
    }

    pub fn new_trace_id(&self) -> TraceId {
        TraceId::from_bytes(self.random())
    }

    /// A key that marks two tries of one request to another server as the same. It is a UUID v4, which reveals no time.
    pub fn new_idempotency_key(&self) -> String {
        Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }
}

/// Draws the random part of a private file name: 128 bits in hexadecimal.
///
/// It ignores the seed of tests, because two processes with the same seed must not draw the same name.
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

redacted!(System);
