//! The machine of one test: its clock stands still until the test moves it, and its random bytes are the same in each run.
//!
//! The unit tests in `src` include this file too.

use std::sync::Arc;
use std::time::Duration;

use arkloop::domain::Timestamp;
use arkloop::system::{Machine, System};
use aws_lc_rs::digest;
use parking_lot::Mutex;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct MovableClock(Mutex<Timestamp>);

impl MovableClock {
    pub const fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    pub fn now(&self) -> Timestamp {
        *self.0.lock()
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

/// Random bytes that are SHA-256 of a seed and a counter: repeatable and evenly distributed.
struct SeededBytes {
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

/// A movable clock with seeded bytes.
struct SeededMachine {
    clock: Arc<MovableClock>,
    bytes: Mutex<SeededBytes>,
}

impl Machine for SeededMachine {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.bytes.lock().fill(bytes);
    }
}

/// A system with this clock, whose random bytes are derived from `seed`.
pub fn seeded_system(clock: &Arc<MovableClock>, seed: u64) -> System {
    System::new(Arc::new(SeededMachine {
        clock: Arc::clone(clock),
        bytes: Mutex::new(SeededBytes { seed, counter: 0 }),
    }))
}
