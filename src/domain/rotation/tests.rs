//! The table of verdicts.

use super::RefreshVerdict::{
    Ahead, LateAnswer, LostAnswer, Repeat, RepeatElsewhere, RepeatNearby, Reused, Rotate,
};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const MOVED: Timestamp = Timestamp::from_millis(1_000_000_000);
const RULES: RefreshRules = RefreshRules {
    grace: Duration::from_secs(30),
    lost_answer: DAY,
};

fn client(address: &str, agent: Option<&str>) -> Client {
    Client {
        address: address.parse().ok(),
        user_agent: agent.map(str::to_owned),
        trace_id: None,
    }
}

fn home() -> Client {
    client("192.0.2.7", Some("Browser/9.1"))
}

/// Generation 5 was presented last, 6 and 7 were lost, 8 is the current one; 4 was replaced 20 s before the last rotation, 3 a minute before.
fn state() -> Rotation {
    Rotation {
        generation: Generation(8),
        presented: Some(Generation(5)),
        moved_at: MOVED,
        moved_by: home(),
        replaced: vec![
            (Generation(5), MOVED),
            (Generation(4), MOVED - SECOND * 20),
            (Generation(3), MOVED - SECOND * 60),
        ],
    }
}

/// The verdicts on the generations 2 to 9.
fn verdicts(client: &Client, now: Timestamp) -> [RefreshVerdict; 8] {
    [2, 3, 4, 5, 6, 7, 8, 9].map(|token| state().judge(Generation(token), client, now, &RULES))
}

#[test]
fn the_table_of_verdicts_holds() {
    let all = |now| verdicts(&home(), now);
    let fresh = [
        Reused, Reused, Repeat, Repeat, LateAnswer, LateAnswer, Rotate, Ahead,
    ];
    assert_eq!(all(MOVED), fresh);
    assert_eq!(all(MOVED + SECOND * 9), fresh);
    let later = [
        Reused, Reused, Reused, Repeat, LateAnswer, LateAnswer, Rotate, Ahead,
    ];
    assert_eq!(all(MOVED + SECOND * 10), later);
    assert_eq!(all(MOVED + SECOND * 29), later);
    let lost = [Reused, Reused, Reused, LostAnswer, Reused, Reused, Rotate, Ahead];
    assert_eq!(all(MOVED + SECOND * 30), lost);
    assert_eq!(all(MOVED + DAY - SECOND), lost);
    let over = [Reused, Reused, Reused, Reused, Reused, Reused, Rotate, Ahead];
    assert_eq!(all(MOVED + DAY), over);
}

#[test]
fn a_clock_that_was_set_back_leaves_the_grace_and_finds_a_lost_answer() {
    let all = |now| verdicts(&home(), now);
    // Each time is compared by itself: generation 3 was replaced a minute earlier.
    let a_little = [
        Reused, Reused, Repeat, Repeat, LateAnswer, LateAnswer, Rotate, Ahead,
    ];
    assert_eq!(all(MOVED - SECOND * 30), a_little);
    let more = [Reused, Repeat, Repeat, LostAnswer, Reused, Reused, Rotate, Ahead];
    assert_eq!(all(MOVED - SECOND * 31), more);
    let much = [Reused, Reused, Reused, LostAnswer, Reused, Reused, Rotate, Ahead];
    assert_eq!(all(MOVED - DAY * 9), much);
}

#[test]
fn one_difference_is_audited_and_two_are_refused() {
    let of = |client: &Client| [4, 5, 6].map(|token| state().judge(Generation(token), client, MOVED, &RULES));
    let other_agent = client("192.0.2.200", Some("Browser/9.2"));
    assert_eq!(of(&other_agent), [RepeatNearby, RepeatNearby, Reused]);
    let other_network = client("192.0.3.7", Some("Browser/9.1"));
    assert_eq!(of(&other_network), [RepeatNearby, RepeatNearby, Reused]);
    for elsewhere in [
        client("192.0.3.7", Some("curl/8.14.1")),
        client("2001:db8::1", None),
        client("unknown", None),
    ] {
        assert_eq!(of(&elsewhere), [RepeatElsewhere, RepeatElsewhere, Reused]);
    }
}

#[test]
fn an_unknown_network_and_an_absent_agent_equal_themselves() {
    let moved_by = Client::default();
    let state = Rotation { moved_by, ..state() };
    let of = |client: &Client| state.judge(Generation(5), client, MOVED, &RULES);
    assert_eq!(of(&Client::default()), Repeat);
    assert_eq!(of(&client("unknown", Some("curl/8.14.1"))), RepeatNearby);
    assert_eq!(of(&home()), RepeatElsewhere);
}

#[test]
fn a_network_is_a_24_or_a_48() {
    for (one, another, is_same) in [
        ("192.0.2.0", "192.0.2.255", true),
        ("192.0.2.0", "192.0.3.0", false),
        ("192.0.2.9", "::ffff:192.0.2.1", true),
        ("2001:db8:1::1", "2001:db8:1:ffff::1", true),
        ("2001:db8:1::1", "2001:db8:2::1", false),
    ] {
        let [one, another] = [one, another].map(|address| client(address, None));
        assert_eq!(
            one.wide_network() == another.wide_network(),
            is_same,
            "{one:?} {another:?}"
        );
    }
}

#[test]
fn a_lost_answer_needs_the_same_agent_but_for_digits_and_no_network() {
    let now = MOVED + SECOND * 40;
    let of = |address: &str, agent: Option<&str>| {
        state().judge(Generation(5), &client(address, agent), now, &RULES)
    };
    assert_eq!(of("203.0.113.1", Some("Browser/10.0")), LostAnswer);
    assert_eq!(of("unknown", Some("Browser/.")), LostAnswer);
    assert_eq!(of("192.0.2.7", Some("Browser/9.1 beta")), Reused);
    assert_eq!(of("192.0.2.7", None), Reused);
}

#[test]
fn lost_answers_are_off_without_their_time_or_without_a_grace() {
    let now = MOVED + SECOND * 40;
    for rules in [
        RefreshRules {
            lost_answer: Duration::ZERO,
            ..RULES
        },
        RefreshRules {
            grace: Duration::ZERO,
            ..RULES
        },
    ] {
        for now in [now, MOVED, MOVED - DAY] {
            let verdict = state().judge(Generation(5), &home(), now, &rules);
            let expected = if rules.grace > Duration::ZERO && now == MOVED {
                Repeat
            } else {
                Reused
            };
            assert_eq!(verdict, expected, "{rules:?} {now}");
        }
    }
}

#[test]
fn every_move_is_noted_and_a_skipped_generation_is_not() {
    let now = MOVED + SECOND * 40;
    let away = client("203.0.113.1", Some("Browser/10.0"));
    let after = |verdict, token| {
        let next = state().after(verdict, Generation(token), &away, now);
        next.map(|next| {
            let replaced: Vec<_> = next
                .replaced
                .iter()
                .map(|(generation, at)| (generation.0, *at))
                .collect();
            (
                next.generation.0,
                next.presented.map(|p| p.0),
                next.moved_at,
                next.moved_by,
                replaced,
            )
        })
    };
    let [four, three] = [(4, MOVED - SECOND * 20), (3, MOVED - SECOND * 60)];
    let moved = vec![(8, now), (5, MOVED), four, three];
    assert_eq!(after(Rotate, 8), Some((9, Some(8), now, away.clone(), moved)));
    let lost = vec![(5, now), four, three];
    assert_eq!(after(LostAnswer, 5), Some((9, Some(5), now, away.clone(), lost)));
    let late = vec![(6, MOVED), (5, MOVED), four, three];
    assert_eq!(after(LateAnswer, 6), Some((8, Some(6), MOVED, home(), late)));
    for verdict in [Repeat, RepeatNearby, RepeatElsewhere, Reused, Ahead] {
        assert_eq!(after(verdict, 5), None);
    }
}

#[test]
fn eight_generations_are_remembered_and_no_more() {
    let mut state = Rotation::first(MOVED, home());
    for generation in 0..9 {
        state = state
            .after(Rotate, Generation(generation), &home(), MOVED)
            .expect("it moves on");
    }
    let of = |token| state.judge(Generation(token), &home(), MOVED, &RULES);
    assert_eq!([of(0), of(1), of(8), of(9)], [Reused, Repeat, Repeat, Rotate]);
}
