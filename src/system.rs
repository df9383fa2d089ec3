//! The only module that reads the clock and draws randomness.
//!
//! Other code receives a [`System`], so tests can move the time and repeat every random byte.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::domain::{Timestamp, TraceId, redacted};

/// A clock and a source of random bytes.
pub trait Machine: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Fills `bytes` with randomness that is fit for keys.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine on which this process runs.
pub struct ThisMachine;

impl Machine for ThisMachine {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Reads from the kernel. The generator of AWS-LC is not used: it seeds itself from the jitter of the processor, which would cost each command 20 ms.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that draws randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

/// The clock and the source of randomness that other modules use.
#[derive(Clone)]
pub struct System(Arc<dyn Machine>);

impl System {
    /// The clock and the randomness of this machine.
    pub fn machine() -> Self {
        Self::new(Arc::new(ThisMachine))
    }

    pub fn new(machine: Arc<dyn Machine>) -> Self {
        Self(machine)
    }

    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// `N` random bytes, fit for keys.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
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
        TraceId(self.random())
    }

    /// A key that tells another server that two attempts are the same request. It is a UUID v4, which reveals no time.
    pub fn new_idempotency_key(&self) -> String {
        Builder::from_random_bytes(self.random()).into_uuid().to_string()
    }
}

/// Draws the random part of a private file name: 128 bits in hexadecimal.
///
/// It ignores the seed of tests, because two processes with the same seed must not draw the same name.
pub fn draw_private_name() -> String {
    format!("{:032x}", u128::from_be_bytes(System::machine().random()))
}

redacted!(System);

#[cfg(test)]
#[path = "../tests/it/support/machine.rs"]
pub mod testing;
