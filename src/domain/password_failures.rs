//! Wrong passwords in a row, and how long the next one has to wait for them.

use std::time::Duration;

use super::{Rate, Timestamp, UserId};

/// The first delay after too many failures from one network: too short to annoy whoever mistyped, and doubled by each further failure.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// A run that nothing was added to for so long says nothing about the next guess.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);
/// The most rows of runs for accounts, and as many again for names without one, so that strangers cannot fill the disk: some 9 MB each. A failure
/// takes two at most, and costs whoever causes it a password hash; on a small machine 50 000 of those take longer than any delay lasts.
pub const MAX_FAILURE_ROWS: u32 = 100_000;

/// Whose password somebody guesses at.
#[derive(Clone, Copy, Debug)]
pub enum Guessed<'a> {
    /// That of this account, under whichever of its names.
    Account(UserId),
    /// That of this name, in the form in which names are unique; no account has it.
    Nobody(&'a str),
}

/// The keyed digest of whose password was guessed, or from where. (16 bytes: two of them are never equal by chance, and nothing is proved by one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureDigest(pub [u8; 16]);

/// Whether an account stands behind what wrong passwords are counted under. Strangers make up names without end; what they guess must not push the
/// counts of accounts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is one.
    OfAccount,
    /// There is none.
    OfNobody,
}

impl FailureKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OfAccount, Self::OfNobody];
}

/// What wrong passwords are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureKey {
    /// Whether there is an account.
    pub kind: FailureKind,
    /// Whose password was guessed at.
    pub guessed: FailureDigest,
    /// From where.
    pub network: FailureDigest,
}

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRun {
    /// How many.
    pub length: u32,
    /// When the last one was tried.
    pub last_failed_at: Timestamp,
}

impl FailureRun {
    /// Before which moment the last failure of a run lies that is forgotten at `now`.
    pub fn forgotten_before(now: Timestamp) -> Timestamp {
        now - FORGOTTEN_AFTER
    }

    fn is_forgotten(self, now: Timestamp) -> bool {
        now.since(self.last_failed_at) >= FORGOTTEN_AFTER
    }

    /// What is left of a delay that began with the last failure. A clock that was set back may have left that failure in the future; it delays nobody
    /// then, for it would until the clock has caught up.
    fn rest_of(self, delay: Duration, now: Timestamp) -> Option<Duration> {
        let until = self.last_failed_at + delay;
        (now < until && self.last_failed_at <= now + delay).then(|| until.since(now).min(delay))
    }
}

/// The runs of wrong passwords that one guess meets and, if it is wrong, adds to; `None` where there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureRuns {
    /// For the account from this network.
    pub from_here: Option<FailureRun>,
    /// For the account from everywhere.
    pub from_everywhere: Option<FailureRun>,
}

impl FailureRuns {
    /// How long the next guess has to wait; `None` if it may be made.
    pub fn wait(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let delay = |run: FailureRun| run.rest_of(limits.delay_from_one_network(run.length), now);
        let from_here = self.from_here.filter(|run| !run.is_forgotten(now));
        from_here.and_then(delay).max(self.pause(limits, now))
    }

    /// How long the account takes no password from anybody; `None` if it does.
    pub fn pause(self, limits: FailureLimits, now: Timestamp) -> Option<Duration> {
        let pause = |run: FailureRun| run.rest_of(limits.pause_of_account(run.length), now);
        let from_everywhere = self.from_everywhere.filter(|run| !run.is_forgotten(now));
        from_everywhere.and_then(pause)
    }

    /// The runs after one more wrong password.
    #[must_use]
    pub fn with_failure(self, now: Timestamp) -> Self {
        let longer = |run: Option<FailureRun>| {
            let length = run
                .filter(|run| !run.is_forgotten(now))
                .map_or(0, |run| run.length);
            Some(FailureRun {
                length: length.saturating_add(1),
                last_failed_at: now,
            })
        };
        Self {
            from_here: longer(self.from_here),
            from_everywhere: longer(self.from_everywhere),
        }
    }
}

/// After how many wrong passwords in a row the next guess at an account waits, and for how long (OWASP Authentication Cheat Sheet, "Account Lockout";
/// NIST SP 800-63B-4 §3.2.2 asks for no more than 100 in a row).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// So many from one network are free. After that each makes the next one wait: 1 s, then twice as long each time, up to the duration.
    pub from_one_network: Rate,
    /// After so many from everywhere, and again after as many more, the account takes no password for the duration, from nobody: it ends guessing by many
    /// addresses together, each of which stays below its own limit.
    pub of_account: Rate,
}

impl Default for FailureLimits {
    /// 5 from one network, then up to a minute; 100 from everywhere, then a quarter of an hour. A thousand addresses together get through 9 600 guesses
    /// a day, of which a password that is not in the list of common ones need fear nothing.
    fn default() -> Self {
        Self {
            from_one_network: Rate::per_minutes(5, 1),
            of_account: Rate::per_minutes(100, 15),
        }
    }
}

impl FailureLimits {
    fn delay_from_one_network(self, length: u32) -> Duration {
        let Some(doublings) = length.checked_sub(self.from_one_network.requests().get()) else {
            return Duration::ZERO;
        };
        let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
        doubled.min(self.from_one_network.per())
    }

    fn pause_of_account(self, length: u32) -> Duration {
        if length > 0 && length.is_multiple_of(self.of_account.requests().get()) {
            self.of_account.per()
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);
    const LIMITS: fn() -> FailureLimits = FailureLimits::default;

    #[test]
    fn the_limits_can_be_set() {
        let rate = |number, seconds| Rate::new(number, Duration::from_secs(seconds)).expect("it is one");
        let limits = FailureLimits {
            from_one_network: rate(1, 3),
            of_account: rate(5, 7),
        };
        let waits: Vec<u64> = (0..8)
            .map(|failures| after(failures, START).wait(limits, START))
            .map(|wait| wait.map_or(0, |wait| wait.as_secs()))
            .collect();
        assert_eq!(waits, [0, 1, 2, 3, 3, 7, 3, 3]);
    }

    fn after(failures: u32, now: Timestamp) -> FailureRuns {
        (0..failures).fold(FailureRuns::default(), |runs, _| runs.with_failure(now))
    }

    #[test]
    fn five_from_one_network_are_free_and_each_further_one_doubles_the_delay_up_to_a_minute() {
        let waits: Vec<u64> = (0..14)
            .map(|failures| after(failures, START).wait(LIMITS(), START))
            .map(|wait| wait.map_or(0, |wait| wait.as_secs()))
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_hundredth_pauses_the_account_for_everybody_and_so_does_the_two_hundredth() {
        for (failures, pause) in [(99, None), (100, Some(900)), (101, None), (200, Some(900))] {
            let elsewhere = FailureRuns {
                from_here: None,
                ..after(failures, START)
            };
            let wait = elsewhere.wait(LIMITS(), START);
            assert_eq!(wait, pause.map(Duration::from_secs), "{failures}");
        }
    }

    #[test]
    fn a_delay_ends_on_time_and_a_day_forgets() {
        let runs = after(7, START);
        let wait = |millis| runs.wait(LIMITS(), START + Duration::from_millis(millis));
        assert_eq!(wait(1_500), Some(Duration::from_millis(2_500)));
        assert_eq!(wait(3_999), Some(Duration::from_millis(1)));
        assert_eq!(wait(4_000), None);
        let (almost, day) = (Duration::from_secs(24 * 3600 - 1), Duration::from_hours(24));
        let length = |runs: FailureRuns| runs.from_here.map(|run| run.length);
        assert_eq!(length(runs.with_failure(START + almost)), Some(8));
        assert_eq!(length(runs.with_failure(START + day)), Some(1));
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out() {
        let runs = after(20, START);
        assert_eq!(
            runs.wait(LIMITS(), START - Duration::from_secs(1)),
            Some(Duration::from_mins(1))
        );
        assert_eq!(runs.wait(LIMITS(), START - Duration::from_mins(2)), None);
    }
}
