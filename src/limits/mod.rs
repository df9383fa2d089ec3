//! Rate limits, counted in memory.
//!
//! Each class of requests has a bucket for each subject, which is an address, a session or an account. A bucket holds as many
//! requests as the rate of its class, and fills up evenly. The `governor` crate computes this (GCRA) with the time of
//! [`System`]; `buckets` limits how many buckets there are, and decides which are dropped.
//!
//! The counts are lost when the server stops. Counts that must survive a restart are kept by the service in the database:
//! wrong passwords, attempts at a code, and mails to an address.

mod buckets;
mod stopwatch;
mod subject;

use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use strum::VariantArray;

use crate::domain::{LimitClass, LimitClassTable, Rate, Rates};
use crate::system::System;
use buckets::Buckets;
use stopwatch::Stopwatch;
pub use subject::Subject;

type Limiter = RateLimiter<Subject, Buckets, Stopwatch, StateInformationMiddleware>;

/// Every bucket of a server.
pub struct Limits {
    stopwatch: Stopwatch,
    limiters: LimitClassTable<Limiter>,
}

impl Limits {
    pub fn new(rates: &Rates, system: System) -> Self {
        let stopwatch = Stopwatch::start(system);
        let limiter = |_, rate: &Rate| Limiter::new(quota(*rate), Buckets::default(), stopwatch.clone());
        Self {
            limiters: rates.transform(limiter),
            stopwatch,
        }
    }

    /// Takes one request out of a bucket, and returns the number that is left; `Err` is the time until the bucket holds a request again. A refusal takes
    /// nothing, so repeated requests do not lengthen the wait.
    pub fn check(&self, class: LimitClass, subject: Subject) -> Result<u32, Duration> {
        let outcome = self.limiters[class].check_key(&subject);
        outcome
            .map(|state| state.remaining_burst_capacity())
            .map_err(|refused| refused.wait_time_from(self.stopwatch.now()))
    }

    /// Drops the buckets that are full again, because a full bucket has the same effect as none. Memory is bounded even
    /// without this, but this returns memory and forgets old addresses.
    pub fn sweep(&self) {
        for class in LimitClass::VARIANTS {
            let limiter = &self.limiters[*class];
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn quota(rate: Rate) -> Quota {
    Quota::with_period(rate.interval())
        .expect("a rate has an interval of at least a microsecond")
        .allow_burst(rate.requests())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::*;
    use crate::domain::Timestamp;
    use crate::system::testing::{MovableClock, seeded_system};

    fn limits() -> (Arc<MovableClock>, Limits) {
        let clock = Arc::new(MovableClock::new(Timestamp::from_millis(1_767_225_600_000)));
        let limits = Limits::new(
            &Rates::from_closure(LimitClass::default_rate),
            seeded_system(&clock, 1),
        );
        (clock, limits)
    }

    fn address(text: &str) -> Subject {
        Subject::of_address(Some(text.parse().expect("it is an address")))
    }

    /// Empties a bucket, and returns how many requests it held.
    fn drain(limits: &Limits, subject: Subject) -> u32 {
        let mut taken = 0;
        while limits.check(LimitClass::Login, subject).is_ok() {
            taken += 1;
        }
        taken
    }

    /// The number of all buckets.
    fn buckets(limits: &Limits) -> usize {
        LimitClass::VARIANTS
            .iter()
            .map(|class| limits.limiters[*class].len())
            .sum()
    }

    #[test]
    fn a_bucket_holds_its_rate_and_fills_up_evenly() {
        let (clock, limits) = limits();
        let alice = address("198.51.100.1");
        assert_eq!(limits.check(LimitClass::Login, alice), Ok(59));
        assert_eq!(drain(&limits, alice), 59);
        let retry_after = Duration::from_secs(1);
        for _ in 0..3 {
            assert_eq!(limits.check(LimitClass::Login, alice), Err(retry_after));
        }
        clock.advance(retry_after);
        assert_eq!(drain(&limits, alice), 1);
        clock.advance(Duration::from_mins(1));
        assert_eq!(drain(&limits, alice), 60);
        // Other classes and other addresses have buckets of their own.
        assert_eq!(limits.check(LimitClass::Refresh, alice), Ok(299));
        assert_eq!(limits.check(LimitClass::Login, address("198.51.100.2")), Ok(59));
    }

    #[test]
    fn an_address_has_one_bucket_however_it_is_written() {
        for (one, other) in [
            ("198.51.100.1", "::ffff:198.51.100.1"),
            ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(address(one), address(other));
        }
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("::1"), address("0.0.0.0"));
        assert_ne!(address("::1"), Subject::of_address(None));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (clock, limits) = limits();
        let alice = address("198.51.100.1");
        assert_eq!(drain(&limits, alice), 60);
        clock.turn_back(Duration::from_hours(24));
        assert_eq!(drain(&limits, alice), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(drain(&limits, alice), 1);
    }

    #[test]
    fn what_is_full_again_is_swept_and_nothing_else() {
        let (clock, limits) = limits();
        drain(&limits, address("198.51.100.1"));
        limits
            .check(LimitClass::Login, address("198.51.100.2"))
            .expect("it is full");
        clock.advance(Duration::from_secs(10));
        limits.sweep();
        assert_eq!(buckets(&limits), 1);
        assert_eq!(drain(&limits, address("198.51.100.1")), 10);
        clock.advance(Duration::from_secs(62));
        limits.sweep();
        assert_eq!(buckets(&limits), 0);
    }

    #[test]
    fn a_million_addresses_leave_memory_bounded_and_the_greedy_one_refused() {
        let (_, limits) = limits();
        let greedy = address("2001:db8::1");
        drain(&limits, greedy);
        for number in 0..1_000_000_u32 {
            let stranger = Subject::of_address(Some(IpAddr::from(number.to_be_bytes())));
            limits.check(LimitClass::Login, stranger).expect("it is new");
        }
        let buckets = buckets(&limits);
        assert!(buckets <= Buckets::CAPACITY, "{buckets}");
        assert!(buckets > Buckets::CAPACITY / 2, "{buckets}");
        assert_eq!(drain(&limits, greedy), 0);
    }
}
