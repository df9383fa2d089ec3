//! The time that buckets fill up by.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;

use crate::domain::{Rate, Timestamp};
use crate::system::System;

/// Counts how much time has passed. It only runs forward: when the clock of the machine is set back, buckets would
/// otherwise wait until it has caught up, and everybody with them.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    system: System,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
struct Reading {
    /// What the clock said last.
    clock: Timestamp,
    elapsed: Duration,
}

impl Stopwatch {
    /// Counts from now on.
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
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: the readings of two threads must not overtake each other.
        let clock = self.system.now();
        // After the longest window every bucket is full; a clock that jumps centuries ahead must not overflow.
        let passed = clock.since(reading.clock).min(Rate::LONGEST);
        reading.elapsed += passed;
        reading.clock = clock;
        reading.elapsed.into()
    }
}
