//! Seeded decisions: the same seed makes the same plan of a run. The interleaving of processes is not part of the plan.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A generator of the kind `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator whose numbers do not depend on how many this one has made since.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, without `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("a usize has at most 64 bits");
        usize::try_from(self.next() % end).expect("it is below a usize")
    }

    /// Whether something happens that happens in so many of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// A duration below `end`.
    pub fn duration(&mut self, end: Duration) -> Duration {
        let nanos = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.next() % nanos.max(1))
    }
}

/// The seed in `ARKLOOP_CRASH_SEED`, or another one in each run.
pub fn seed() -> u64 {
    std::env::var("ARKLOOP_CRASH_SEED").ok().map_or_else(
        || RandomState::new().build_hasher().finish() % 1_000_000_000,
        |seed| seed.parse().expect("ARKLOOP_CRASH_SEED is a number"),
    )
}

/// How long a run takes: the seconds in `ARKLOOP_CRASH_SECONDS`, or `short`.
pub fn length(short: Duration) -> Duration {
    std::env::var("ARKLOOP_CRASH_SECONDS")
        .ok()
        .map_or(short, |seconds| {
            Duration::from_secs(seconds.parse().expect("ARKLOOP_CRASH_SECONDS is a number"))
        })
}
