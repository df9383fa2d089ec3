//! What a loop does when its work fails: it waits longer and longer, and the log is told once.
//!
//! A loop that tries again at once keeps a processor busy, and one that logs each try fills the disk, which may be what its work fails for.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first pause, and the one that it doubles up to: soon enough for a person who has just made room on the disk.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How soon after a fault was told the next one is told. One that comes and goes would otherwise be told with each try.
const TELL_AT_MOST_EVERY: Duration = Duration::from_mins(1);
/// How many causes of one fault are told. Others may hold what differs from try to try.
const MAX_CAUSES: usize = 4;

/// Whether a piece of work that is repeated fails at present.
pub struct Fault {
    /// What does not work, as the beginning of a log line.
    what: &'static str,
    shortest: Duration,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often it failed since the end of the fault that was told last.
    failures: u64,
    /// How often it failed in a row, not counting what failed during a pause.
    in_a_row: u32,
    paused_until: Option<Instant>,
    /// The causes that were told of the present fault.
    told: Vec<String>,
    ended_at: Option<Instant>,
}

impl Fault {
    /// Of work that is tried again after a second, and at the latest after a minute.
    pub const fn new(what: &'static str) -> Self {
        Self::with_pauses(what, PAUSES.0, PAUSES.1)
    }

    /// Of work that is tried again after other pauses.
    pub const fn with_pauses(what: &'static str, shortest: Duration, longest: Duration) -> Self {
        Self {
            what,
            shortest,
            longest,
            state: Mutex::new(State {
                failures: 0,
                in_a_row: 0,
                paused_until: None,
                told: Vec::new(),
                ended_at: None,
            }),
        }
    }

    /// Notes that the work failed; how long to wait before it is tried again.
    pub fn failed(&self, cause: &impl Display) -> Duration {
        let (mut state, now) = (self.state(), Instant::now());
        state.failures += 1;
        self.tell(&mut state, &cause.to_string(), now);
        // Several tries at once are one failure.
        if state.paused_until.is_none_or(|until| until <= now) {
            let pause = self.shortest.saturating_mul(1_u32 << state.in_a_row.min(16));
            state.in_a_row = state.in_a_row.saturating_add(1);
            state.paused_until = Some(now + pause.min(self.longest));
        }
        left_until(state.paused_until, now)
    }

    /// Notes that the work was done.
    pub fn ended(&self) {
        let mut state = self.state();
        (state.in_a_row, state.paused_until) = (0, None);
        if !state.told.is_empty() {
            tracing::warn!(failures = state.failures, "over: {}", self.what);
            state.told.clear();
            state.failures = 0;
            state.ended_at = Some(Instant::now());
        }
    }

    /// How long the work is not to be tried.
    pub fn pause(&self) -> Duration {
        left_until(self.state().paused_until, Instant::now())
    }

    fn tell(&self, state: &mut State, cause: &str, now: Instant) {
        let is_due = match state.ended_at {
            Some(ended_at) if state.told.is_empty() => now - ended_at >= TELL_AT_MOST_EVERY,
            _ => state.told.len() < MAX_CAUSES && !state.told.iter().any(|told| told == cause),
        };
        if is_due {
            tracing::warn!("{}: {cause}", self.what);
            state.told.push(cause.to_owned());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left_until(until: Option<Instant>, now: Instant) -> Duration {
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_anew_after_a_success() {
        let fault = Fault::new("it does not work");
        assert_eq!(fault.pause(), Duration::ZERO);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = fault.failed(&"no");
            assert!(pause <= Duration::from_secs(seconds), "{pause:?}");
            assert!(
                pause + Duration::from_millis(900) > Duration::from_secs(seconds),
                "{pause:?}"
            );
            // What fails meanwhile prolongs nothing.
            assert!(fault.failed(&"no") <= pause);
            fault.state().paused_until = None;
        }
        fault.ended();
        assert_eq!(fault.pause(), Duration::ZERO);
        assert!(fault.failed(&"no") <= Duration::from_secs(1));
    }

    #[test]
    fn a_fault_is_told_once_with_a_few_causes_and_so_is_one_that_comes_and_goes() {
        let fault = Fault::new("it does not work");
        let told = || fault.state().told.len();
        for number in 0..100 {
            fault.failed(&"no");
            fault.failed(&number);
            assert!(told() <= MAX_CAUSES);
        }
        fault.ended();
        fault.failed(&"no");
        fault.ended();
        fault.failed(&"no");
        assert_eq!((told(), fault.state().failures), (0, 2));
        fault.state().ended_at = Instant::now().checked_sub(TELL_AT_MOST_EVERY);
        fault.failed(&"no");
        assert_eq!((told(), fault.state().failures), (1, 3));
    }
}
