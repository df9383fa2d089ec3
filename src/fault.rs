//! Repeated work that fails: the pauses between tries grow, and the log reports each fault once.
//!
//! A loop without pauses keeps a processor busy. A loop that logs each failure fills the disk, and a full disk may be the cause of the failure.

use std::fmt::Display;
use std::iter;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The first pause, which each further failure doubles, and the longest pause. The longest is short enough for an operator who has just freed space on the
/// disk.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// The shortest time from the end of a fault to the next log line, so that a fault that comes and goes is not logged each time.
const LOG_AT_MOST_EVERY: Duration = Duration::from_mins(1);
/// The most causes of one fault that are logged, because each failure may have a different cause.
const MAX_CAUSES: usize = 4;

/// The state of repeated work that may fail.
pub struct Fault {
    /// The name of the fault in log lines.
    what: &'static str,
    shortest: Duration,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of failures since the last logged fault ended.
    failures: u64,
    /// The number of failures without a success between them; failures during a pause do not count.
    in_a_row: u32,
    paused_until: Option<Instant>,
    /// The logged causes of the current fault.
    logged: Vec<String>,
    ended_at: Option<Instant>,
}

impl Fault {
    /// A fault with pauses from a second to a minute.
    pub fn new(what: &'static str) -> Self {
        Self::with_pauses(what, PAUSES.0, PAUSES.1)
    }

    pub fn with_pauses(what: &'static str, shortest: Duration, longest: Duration) -> Self {
        Self {
            what,
            shortest,
            longest,
            state: Mutex::default(),
        }
    }

    /// Notes a failure, and returns how long to wait.
    pub fn failed(&self, cause: &impl Display) -> Duration {
        let (mut state, now) = (self.state.lock(), Instant::now());
        state.failures += 1;
        self.log(&mut state, &cause.to_string(), now);
        // Failures during a pause do not count, because several may come at once.
        if state.paused_until.is_none_or(|until| until <= now) {
            let pause = self.shortest.saturating_mul(1_u32 << state.in_a_row.min(16));
            state.in_a_row = state.in_a_row.saturating_add(1);
            state.paused_until = Some(now + pause.min(self.longest));
        }
        left_until(state.paused_until, now)
    }

    /// Notes a success.
    pub fn ended(&self) {
        let mut state = self.state.lock();
        (state.in_a_row, state.paused_until) = (0, None);
        if !state.logged.is_empty() {
            tracing::warn!(failures = state.failures, "over: {}", self.what);
            state.logged.clear();
            state.failures = 0;
            state.ended_at = Some(Instant::now());
        }
    }

    /// How long to wait before the next try; zero after a success.
    pub fn pause(&self) -> Duration {
        left_until(self.state.lock().paused_until, Instant::now())
    }

    fn log(&self, state: &mut State, cause: &str, now: Instant) {
        let is_due = match state.ended_at {
            Some(ended_at) if state.logged.is_empty() => now - ended_at >= LOG_AT_MOST_EVERY,
            _ => state.logged.len() < MAX_CAUSES && !state.logged.iter().any(|logged| logged == cause),
        };
        if is_due {
            tracing::warn!("{}: {cause}", self.what);
            state.logged.push(cause.to_owned());
        }
    }
}

/// The text of an error and of its sources, each after a colon.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let chain = iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
            // A failure during the pause does not prolong it.
            assert!(fault.failed(&"no") <= pause);
            fault.state.lock().paused_until = None;
        }
        fault.ended();
        assert_eq!(fault.pause(), Duration::ZERO);
        assert!(fault.failed(&"no") <= Duration::from_secs(1));
    }

    #[test]
    fn a_fault_is_told_once_with_a_few_causes_and_so_is_one_that_comes_and_goes() {
        let fault = Fault::new("it does not work");
        let told = || fault.state.lock().logged.len();
        for number in 0..100 {
            fault.failed(&"no");
            fault.failed(&number);
            assert!(told() <= MAX_CAUSES);
        }
        fault.ended();
        fault.failed(&"no");
        fault.ended();
        fault.failed(&"no");
        assert_eq!((told(), fault.state.lock().failures), (0, 2));
        fault.state.lock().ended_at = Instant::now().checked_sub(LOG_AT_MOST_EVERY);
        fault.failed(&"no");
        assert_eq!((told(), fault.state.lock().failures), (1, 3));
    }
}
