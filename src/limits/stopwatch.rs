//! The clock by which buckets fill up.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;
use parking_lot::Mutex;

use crate::domain::{Rate, Timestamp};
use crate::system::System;

/// Counts elapsed time, and never runs backwards. Otherwise, after the machine's clock was set back, buckets would not fill
/// up until that clock has caught up.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    system: System,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
struct Reading {
    /// The last reading of the clock.
    clock: Timestamp,
    elapsed: Duration,
}

impl Stopwatch {
    pub(super) fn start(system: System) -> Self {
        let reading = Reading {
            clock: system.now(),
            elapsed: Duration::ZERO,
        };
        Self {
            system,
            reading: Arc::new(Mutex::new(reading)),
        }
    }
}

impl Clock for Stopwatch {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let mut reading = self.reading.lock();
        // Read under the lock, so that the readings of two threads do not overtake each other.
        let clock = self.system.now();
        // Every bucket is full after the longest window. The bound prevents an overflow if the clock jumps centuries ahead.
        let passed = clock.since(reading.clock).min(Rate::LONGEST);
        reading.elapsed += passed;
        reading.clock = clock;
        reading.elapsed.into()
    }
}
