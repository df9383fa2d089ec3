//! Refresh tokens in a simulated world of cookie jars: how often an honest owner is signed out, and how soon a copied cookie is found out.
//!
//! The world knows who is honest and who has a copy, and judges by that, never by what the session says of itself. `ARKLOOP_REFRESHES=1000000` sets how
//! many refreshes each line of the tables tries, and prints them; `docs/security.md` has the figures of a million.

mod history;
mod under_test;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use history::{ByHistory, FirstRelease};
use under_test::UnderTest;
use world::{
    Dice, HOUR, Habits, Holder, Latency, MINUTE, Moment, Place, SECOND, Said, Session, Token, World,
};

use crate::support::TestApp;

const GRACE: Moment = 30 * SECOND;
const LOST_ANSWER: Moment = 24 * HOUR;
const DAY: Moment = 24 * HOUR;

const AT_HOME: Place = Place {
    address: "192.0.2.1",
    agent: "Browser/140.0",
};
/// Networks between which a telephone moves.
const ON_THE_ROAD: &[&str] = &["192.0.2.1", "198.51.100.7", "203.0.113.9"];
/// Where a thief may be, from the owner's own machine to another network with another browser.
const THIEVES: [Place; 5] = [
    AT_HOME,
    Place {
        address: "192.0.2.1",
        agent: "Other/1.0",
    },
    Place {
        address: "233.252.0.1",
        agent: "Browser/140.0",
    },
    Place {
        address: "233.252.0.1",
        agent: "Browser/141.0",
    },
    Place {
        address: "233.252.0.1",
        agent: "Other/1.0",
    },
];

/// How many refreshes a line of a table tries, and whether a person asked for the figures.
fn refreshes() -> (u64, bool) {
    let asked = std::env::var("ARKLOOP_REFRESHES").ok();
    let number = asked
        .as_ref()
        .map(|text| text.parse().expect("ARKLOOP_REFRESHES is a number"));
    (number.unwrap_or(50_000), asked.is_some())
}

fn habits(burst: u32, lost: u64, latency: Latency) -> Habits {
    Habits {
        period: 15 * MINUTE,
        burst,
        apart: 2 * SECOND,
        latency,
        lost,
        moves_network: 50,
    }
}

/// One tab on a telephone: 5 % of the answers are lost, and an answer takes a second.
fn telephone() -> Habits {
    habits(1, 50, Latency::Even(SECOND / 2))
}

/// [`telephone`] on a network that never changes.
fn at_one_place() -> Habits {
    Habits {
        moves_network: 0,
        ..telephone()
    }
}

/// Three tabs, reloaded in bursts of four: 2 % of the answers are lost, and an answer takes half a second.
fn three_tabs() -> Habits {
    habits(4, 20, Latency::Even(SECOND / 4))
}

/// Ten tabs, reloaded in bursts of four: 5 % of the answers are lost, and an answer takes two seconds.
fn ten_tabs() -> Habits {
    habits(4, 50, Latency::Even(SECOND))
}

/// How often an owner without a thief is signed out in `refreshes` refreshes.
fn sign_outs_alone<S: Session>(habits: Habits, refreshes: u64, begin: impl Fn() -> S) -> u64 {
    let mut dice = Dice::new(1);
    let (mut tried, mut signed_out) = (0, 0);
    while tried < refreshes {
        let mut session = begin();
        let mut world = World::new(dice.next());
        world.join(Holder::new(habits, AT_HOME, ON_THE_ROAD, 0));
        for _ in 0..1000 {
            tried += 1;
            if world.step(&mut session) == Said::Over {
                signed_out += 1;
                break;
            }
        }
    }
    signed_out
}

#[test]
fn an_owner_alone_is_hardly_ever_signed_out_whatever_the_network_loses() {
    let (tried, asked) = refreshes();
    // The most sign-outs that are accepted in a million refreshes: with even latencies, and when answers overtake each other more often.
    let lines = [
        ("one tab", telephone(), 0, 0),
        ("three tabs", three_tabs(), 10, 100),
        ("ten tabs", ten_tabs(), 390, 1000),
    ];
    for (name, even, most, most_with_tail) in lines {
        let Latency::Even(mean) = even.latency else {
            unreachable!("the tables are written with even latencies")
        };
        let long_tail = Habits {
            latency: Latency::LongTail(mean),
            ..even
        };
        for (habits, most) in [(even, most), (long_tail, most_with_tail)] {
            let now = sign_outs_alone(habits, tried, UnderTest::begin);
            let before = sign_outs_alone(habits, tried, || FirstRelease::new(GRACE));
            if asked {
                eprintln!(
                    "{name}, {:?}: {now} of {tried}, by the rule of 0.1 {before}",
                    habits.latency
                );
            }
            // Few refreshes are a small sample, so one sign-out more than the share is accepted.
            let allowed = most * tried / 1_000_000 + u64::from(most > 0 && tried < 1_000_000);
            assert!(now <= allowed, "{name}: {now} of {tried}");
            assert!(before > 10 * (now + 1), "the world is too kind: {name}: {before}");
        }
    }
}

#[test]
fn a_clock_that_jumps_up_to_half_a_day_signs_no_single_tab_out() {
    let (tried, _) = refreshes();
    let mut dice = Dice::new(2);
    for _ in 0..tried / 200 {
        let mut session = UnderTest::begin();
        let mut world = World::new(dice.next());
        world.join(Holder::new(telephone(), AT_HOME, ON_THE_ROAD, 0));
        for refresh in 0..200 {
            if world.dice.happens(100) {
                world.clock_offset = world.dice.between(-6 * HOUR, 6 * HOUR);
            }
            assert_ne!(world.step(&mut session), Said::Over, "refresh {refresh}");
        }
    }
}

/// Lets a thief copy the owner's jar at a random moment, and both go on. Returns how many bursts the slower of the two had until the session was over.
fn bursts_until_found_out(owner: Habits, thief: Habits, place: Place, dice: &mut Dice) -> Option<u64> {
    let mut session = UnderTest::begin();
    let mut world = World::new(dice.next());
    world.join(Holder::new(owner, AT_HOME, ON_THE_ROAD, 0));
    for _ in 0..dice.between(0, 20) {
        if world.step(&mut session) == Said::Over {
            return None;
        }
    }
    let before = world.holders[0].bursts;
    let copy = world.holders[0].jar;
    world.join(Holder::new(thief, place, &[], copy));
    for _ in 0..10_000 {
        if world.step(&mut session) == Said::Over {
            let [owner, thief] = [&world.holders[0], &world.holders[1]];
            return Some((owner.bursts - before).min(thief.bursts));
        }
    }
    panic!("ten thousand refreshes of two holders went on at {place:?}");
}

#[test]
fn of_two_holders_who_both_go_on_both_are_out_within_a_few_refreshes() {
    let (tried, asked) = refreshes();
    let thief = at_one_place();
    let paces = [
        ("as often", thief),
        (
            "every minute",
            Habits {
                period: MINUTE,
                ..thief
            },
        ),
        (
            "every few hours",
            Habits {
                period: 4 * HOUR,
                ..thief
            },
        ),
    ];
    let mut dice = Dice::new(3);
    for (owner_name, owner) in [("one tab", telephone()), ("three tabs", three_tabs())] {
        for (pace, thief) in paces {
            for place in THIEVES {
                let mut found: BTreeMap<u64, u64> = BTreeMap::new();
                for _ in 0..tried / 100 {
                    if let Some(bursts) = bursts_until_found_out(owner, thief, place, &mut dice) {
                        *found.entry(bursts).or_default() += 1;
                    }
                }
                if asked {
                    eprintln!("owner with {owner_name}, thief {pace} at {place:?}: {found:?}");
                }
                let late: u64 = found.range(4..).map(|(_, number)| number).sum();
                let all: u64 = found.values().sum();
                assert!(late * 100 <= all, "{place:?}, {pace}: {found:?}");
                assert!(
                    found.keys().all(|bursts| *bursts <= 10),
                    "{place:?}, {pace}: {found:?}"
                );
            }
        }
    }
}

/// A thief who knows when the owner refreshes and replays the token that was just replaced, from another network with another agent.
#[test]
fn a_copy_replayed_in_time_from_elsewhere_gets_nothing_and_harms_nobody() {
    let (tried, _) = refreshes();
    let elsewhere = THIEVES[4];
    let owner = Habits {
        lost: 0,
        ..telephone()
    };
    let mut dice = Dice::new(4);
    for _ in 0..tried / 100 {
        let mut session = UnderTest::begin();
        let mut world = World::new(dice.next());
        world.join(Holder::new(owner, AT_HOME, &[AT_HOME.address], 0));
        for _ in 0..20 {
            let request = world.next_request();
            let said = session.present(request.token, request.at, request.from);
            assert!(matches!(said, Said::Cookie(_)), "{said:?}");
            world.answer(&request, said);
            let replayed_at = request.at + dice.between(0, GRACE);
            assert_eq!(
                session.present(request.token, replayed_at, elsewhere),
                Said::Refused
            );
        }
    }
}

/// Compares the verdict with the rule over the whole history: any token at any time from anywhere, also with clocks that jump for weeks.
#[test]
fn the_verdict_is_what_the_history_says() {
    let (tried, _) = refreshes();
    let mut dice = Dice::new(5);
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let graces = [0, SECOND, GRACE, MINUTE];
    let lost_answers = [0, MINUTE, LOST_ANSWER];
    let mut left = tried;
    while left > 0 {
        let (grace, lost_answer) = (dice.one_of(&graces), dice.one_of(&lost_answers));
        let mut session = UnderTest::with(grace, lost_answer);
        let mut history = ByHistory::new(grace, lost_answer);
        let (mut now, mut newest): (Moment, Token) = (0, 0);
        for step in 0..40 {
            left = left.saturating_sub(1);
            let spans = [1, SECOND, grace.max(1), 3 * grace.max(1), HOUR, 2 * DAY];
            let span = dice.one_of(&spans);
            now += dice.between(0, span);
            if dice.happens(30) {
                now -= dice.between(0, 2 * span);
            }
            let back = dice.one_of(&[0, 0, 0, 0, 1, 1, 2, 3, 8, 9, 12]);
            let token = match dice.next() % 200 {
                0 => newest + 1,
                _ => newest.saturating_sub(back),
            };
            let from = dice.one_of(&THIEVES);
            let (said, expected) = (
                session.present(token, now, from),
                history.present(token, now, from),
            );
            assert_eq!(
                said, expected,
                "step {step}: {token} at {now} from {from:?}, grace {grace}, lost {lost_answer}, {session:?}"
            );
            match said {
                Said::Cookie(token) if token > newest => newest = token,
                Said::Over => {
                    *seen.entry("over").or_default() += 1;
                    break;
                }
                Said::Cookie(_) => *seen.entry("repeat").or_default() += 1,
                Said::Refused => *seen.entry("refused").or_default() += 1,
            }
        }
    }
    assert!(
        ["over", "repeat", "refused"].iter().all(|kind| seen[kind] > 100),
        "{seen:?}"
    );
}

/// Runs the same world with the real server: cookies over HTTP, its clock, and a restart now and then.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_in_the_world_as_the_history_says() {
    let mut app = TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await;
    let mut dice = Dice::new(6);
    for round in 0..12 {
        let mut history = ByHistory::new(GRACE, LOST_ANSWER);
        let mut world = World::new(dice.next());
        let owner = if round % 2 == 0 { ten_tabs() } else { telephone() };
        world.join(Holder::new(owner, AT_HOME, ON_THE_ROAD, 0));
        let mut cookies = HashMap::from([(0, app.register(&format!("owner-{round}")).await.cookie())]);
        let mut clock = 0;
        for step in 0..60 {
            if step == 30 {
                let copy = world.holders[0].jar;
                let thief = dice.one_of(&THIEVES);
                world.join(Holder::new(at_one_place(), thief, &[], copy));
                app.restart().await;
            }
            let request = world.next_request();
            app.advance(Duration::from_millis(
                u64::try_from(request.at - clock).expect("time goes on"),
            ));
            clock = request.at;
            let said = history.present(request.token, request.at, request.from);
            let answer = app
                .post("/v1/auth/refresh")
                .cookie(&cookies[&request.token])
                .header("x-forwarded-for", request.from.address)
                .header("user-agent", request.from.agent)
                .send()
                .await;
            match said {
                Said::Cookie(token) => {
                    assert_eq!(answer.status, 200, "round {round}, step {step}: {request:?}");
                    let cookie = cookies.entry(token).or_insert_with(|| answer.cookie());
                    assert_eq!(*cookie, answer.cookie(), "round {round}, step {step}");
                }
                Said::Refused | Said::Over => {
                    assert_eq!(
                        answer.brief(),
                        "401 auth.invalid_token",
                        "round {round}, step {step}: {request:?}"
                    );
                    assert_eq!(answer.header("set-cookie"), None);
                }
            }
            world.answer(&request, said);
            if said == Said::Over {
                break;
            }
        }
    }
}
