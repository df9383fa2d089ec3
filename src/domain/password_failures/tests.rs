//! How runs grow, and which delays and pauses they cause.

use super::*;

const START: Timestamp = Timestamp::from_millis(1_000_000_000);
const LIMITS: fn() -> FailureLimits = FailureLimits::default;

/// A guess from an IPv4 address, or from one of the networks of an IPv6 site.
fn key(has_wide_site: bool) -> FailureKey {
    FailureKey {
        kind: FailureKind::OfAccount,
        guessed: FailureDigest([0; 16]),
        network: FailureDigest([1; 16]),
        site: FailureDigest([1 + u8::from(has_wide_site); 16]),
        user_id: UserId::from_bytes([0; 16]),
        address: None,
    }
}

/// The runs after a number of failures from one IPv4 address.
fn after(failures: u32, limits: FailureLimits, now: Timestamp) -> FailureRuns {
    (0..failures).fold(FailureRuns::default(), |runs, _| {
        runs.with_failure(key(false), limits, now)
    })
}

/// The runs after one failure each from a number of addresses.
fn after_many(addresses: u32, limits: FailureLimits, now: Timestamp) -> FailureRuns {
    (0..addresses).fold(FailureRuns::default(), |runs, _| {
        let elsewhere = FailureRuns {
            from_here: None,
            from_site: None,
            ..runs
        };
        elsewhere.with_failure(key(false), limits, now)
    })
}

fn seconds(wait: Option<Duration>) -> u64 {
    wait.map_or(0, |wait| wait.as_secs())
}

fn rate(number: u32, seconds: u64) -> Rate {
    Rate::new(number, Duration::from_secs(seconds)).expect("it is a rate")
}

#[test]
fn the_limits_can_be_set() {
    let limits = FailureLimits {
        from_one_network: rate(1, 3),
        of_account: rate(5, 7),
    };
    let delay = |failures| seconds(after(failures, limits, START).delay(limits, START));
    assert_eq!((0..6).map(delay).collect::<Vec<_>>(), [0, 1, 2, 3, 3, 3]);
    let pause = |addresses| seconds(after_many(addresses, limits, START).pause(limits, START));
    assert_eq!((0..7).map(pause).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 7, 7]);
}

#[test]
fn five_from_one_network_are_free_and_each_further_one_doubles_the_delay_up_to_a_minute() {
    let delay = |failures| seconds(after(failures, LIMITS(), START).delay(LIMITS(), START));
    let delays: Vec<u64> = (0..14).map(delay).collect();
    assert_eq!(delays, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn one_site_adds_a_tenth_and_never_pauses_the_account() {
    for has_wide_site in [false, true] {
        let guess = |runs: FailureRuns, _| runs.with_failure(key(has_wide_site), LIMITS(), START);
        let runs = (0..1000).fold(FailureRuns::default(), guess);
        assert_eq!(runs.from_everywhere.map(|run| run.length), Some(10));
        assert_eq!(runs.pause(LIMITS(), START), None);
        // A wide site is paused alone at its hundredth failure; failures during that pause are not counted.
        let alone = seconds(runs.pause_of_site(key(has_wide_site), LIMITS(), START));
        assert_eq!(alone, if has_wide_site { 900 } else { 0 });
    }
    let one_each = |number| FailureLimits {
        of_account: rate(number, 1),
        ..LIMITS()
    };
    let shares = [1, 9, 10, 19, 20, 1_000_000].map(|number| one_each(number).share());
    assert_eq!(shares, [1, 1, 1, 1, 2, 100_000]);
}

#[test]
fn a_hundred_of_many_pause_the_account_and_a_hundred_more_pause_it_again() {
    let runs = after_many(99, LIMITS(), START);
    assert_eq!(runs.pause(LIMITS(), START), None);
    let runs = after_many(300, LIMITS(), START);
    assert_eq!(
        runs.from_everywhere.map(|run| run.length),
        Some(100),
        "nothing is counted during a pause"
    );
    assert_eq!(seconds(runs.pause(LIMITS(), START)), 900);
    let later = START + Duration::from_mins(15);
    assert_eq!(runs.pause(LIMITS(), later), None);
    // In a new stretch, ten failures of each site count again.
    let mut runs = runs;
    for site in 0..10 {
        runs.from_site = Some(FailureRun {
            length: 50,
            last_failed_at: START,
            stretch: START,
            added: 10,
        });
        for _ in 0..20 {
            assert_eq!(runs.pause(LIMITS(), later).is_some(), site == 10, "{site}");
            runs = runs.with_failure(key(false), LIMITS(), later);
            if runs.pause(LIMITS(), later).is_some() {
                break;
            }
        }
    }
    assert_eq!(runs.from_everywhere.map(|run| run.length), Some(200));
    assert_eq!(seconds(runs.pause(LIMITS(), later)), 900);
}

#[test]
fn an_address_is_known_by_the_sessions_of_its_network_or_its_site() {
    let known = ["198.51.100.7", "2001:db8:1:2::7"].map(|text| text.parse().ok());
    for (address, expected) in [
        (Some("198.51.100.7"), Acquaintance::Network),
        (Some("::ffff:198.51.100.7"), Acquaintance::Network),
        (Some("198.51.100.8"), Acquaintance::None),
        (Some("2001:db8:1:2:3::"), Acquaintance::Network),
        (Some("2001:db8:1:3::"), Acquaintance::Site),
        (Some("2001:db8:2:2::7"), Acquaintance::None),
        (None, Acquaintance::None),
    ] {
        let address = address.map(|text| text.parse().expect("it is an address"));
        assert_eq!(Acquaintance::of(address, &known), expected, "{address:?}");
    }
    assert_eq!(Acquaintance::of(None, &[None]), Acquaintance::Network);
}

#[test]
fn a_delay_ends_on_time_and_a_day_forgets() {
    let runs = after(7, LIMITS(), START);
    let wait = |millis| runs.delay(LIMITS(), START + Duration::from_millis(millis));
    assert_eq!(wait(1_500), Some(Duration::from_millis(2_500)));
    assert_eq!(wait(3_999), Some(Duration::from_millis(1)));
    assert_eq!(wait(4_000), None);
    let (almost, day) = (Duration::from_secs(24 * 3600 - 1), Duration::from_hours(24));
    let length = |later: Duration| {
        let runs = runs.with_failure(key(false), LIMITS(), START + later);
        runs.from_here.map(|run| run.length)
    };
    assert_eq!(length(almost), Some(8));
    assert_eq!(length(day), Some(1));
}

#[test]
fn a_clock_that_was_set_back_shuts_nobody_out() {
    let runs = after(20, LIMITS(), START);
    assert_eq!(
        runs.delay(LIMITS(), START - Duration::from_secs(1)),
        Some(Duration::from_mins(1))
    );
    assert_eq!(runs.delay(LIMITS(), START - Duration::from_mins(2)), None);
}
