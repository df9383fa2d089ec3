//! How long a count of whole tables is reported before the tables are counted again.

use std::time::{Duration, Instant};

/// Accounts and sessions are counted for each report while that takes less time.
const ALWAYS_COUNTED: Duration = Duration::from_millis(20);
/// Otherwise a count is reported for so many times the time that it took, so that counting takes at most a hundredth of the time of one core.
const PAUSE_PER_COUNT: u32 = 100;

/// How many accounts and live sessions there were.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Counted {
    pub(super) at: Instant,
    pub(super) took: Duration,
    pub(super) users: u64,
    pub(super) live_sessions: u64,
}

impl Counted {
    /// Whether this count is reported instead of a new one.
    pub(super) fn is_reported_again(&self, now: Instant) -> bool {
        self.took >= ALWAYS_COUNTED && now.duration_since(self.at) < self.took * PAUSE_PER_COUNT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_takes_long_is_reported_for_a_hundred_times_as_long() {
        let at = Instant::now();
        let is_reported_again = |took, after| {
            let counted = Counted {
                at,
                took: Duration::from_millis(took),
                users: 0,
                live_sessions: 0,
            };
            counted.is_reported_again(at + Duration::from_millis(after))
        };
        assert!(!is_reported_again(19, 0));
        assert!(is_reported_again(20, 1_999));
        assert!(!is_reported_again(20, 2_000));
        assert!(is_reported_again(1_000, 99_999));
    }
}
