//! Guessing at passwords: from one address, from many, by many at once. The owner is never shut out, and a restart forgets nothing.

use std::time::Duration;

use arkloop::domain::{FailureDigest, FailureKey, FailureKind, FailureRun, FailureRuns, Timestamp, UserId};
use arkloop::store::StoreError;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, PASSWORD, TestApp};

const WRONG: &str = "a noisy harbour";
/// Where the owner is at home.
const HOME: &str = "192.0.2.1";
/// The address of a guesser.
const GUESSER: &str = "198.51.100.7";

/// A server behind a proxy on this machine. The limits of addresses are not what these tests are about.
async fn start() -> TestApp {
    let builder = TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("RATE_LIMIT__ENABLED", "true");
    builder.start().await
}

/// `200`, `401`, or `429` with whose limit it was and how long to wait.
fn brief(answer: &Answer) -> String {
    match answer.status {
        429 => {
            assert_eq!(answer.code(), "rate_limit.exceeded");
            let limit = answer.json()["details"]["limit"].clone();
            let wait = answer.header("retry-after").unwrap_or("never");
            format!("429 {} {wait}", limit.as_str().unwrap_or("none"))
        }
        401 => {
            assert_eq!(answer.code(), "auth.invalid_credentials");
            "401".to_owned()
        }
        status => status.to_string(),
    }
}

/// Makes `times` wrong guesses and asserts that each is answered as a wrong password.
async fn guess(app: &TestApp, times: u32, address: &str, name: &str) {
    for number in 0..times {
        let answer = app.login_from(address, name, WRONG).await;
        assert_eq!(brief(&answer), "401", "{name} {number}");
    }
}

/// How often each answer came, as `401 × 5`.
fn tally(mut answers: Vec<String>) -> Vec<String> {
    answers.sort();
    let equal = answers.chunk_by(|one, other| one == other);
    equal
        .map(|some| format!("{} × {}", some[0], some.len()))
        .collect()
}

#[tokio::test]
async fn a_hundred_wrong_passwords_from_one_address_wait_longer_and_longer() {
    let app = start().await;
    app.register("alice").await;
    let mut delays = vec![0; 4];
    delays.extend([1, 2, 4, 8, 16, 32]);
    delays.extend([60; 90]);
    for (name, in_the_end) in [("alice", "200"), ("nobody", "401"), ("no such name", "401")] {
        for (number, delay) in delays.iter().enumerate() {
            assert_eq!(
                brief(&app.login_from(GUESSER, name, WRONG).await),
                "401",
                "{name} {number}"
            );
            if *delay == 0 {
                continue;
            }
            // The right password is not tried either, and a refusal does not prolong the wait.
            let waits = format!("429 account {delay}");
            assert_eq!(
                brief(&app.login_from(GUESSER, name, PASSWORD).await),
                waits,
                "{number}"
            );
            app.advance(Duration::from_millis(delay * 1000 - 1));
            assert_eq!(
                brief(&app.login_from(GUESSER, name, WRONG).await),
                "429 account 1"
            );
            app.advance(Duration::from_millis(1));
        }
        assert_eq!(
            brief(&app.login_from(GUESSER, name, PASSWORD).await),
            in_the_end,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_hundred_wrong_passwords_from_many_addresses_pause_the_account_for_strangers() {
    let app = start().await;
    // She registers from the proxy itself, so that it is the only address that she is known from.
    let mut cookie = app.register("alice").await.cookie();
    for (name, in_the_end) in [("alice", "200"), ("nobody", "401")] {
        let mut answers = Vec::new();
        for number in 0..500 {
            let address = format!("10.1.{}.{}", number / 250, number % 250);
            answers.push(brief(&app.login_from(&address, name, WRONG).await));
        }
        assert_eq!(tally(answers), ["401 × 100", "429 account 900 × 400"], "{name}");
        let from_home = app.login_from(HOME, name, PASSWORD).await;
        assert_eq!(brief(&from_home), "429 account 900");
        cookie = app.refresh(&cookie).await.cookie();
        app.advance(Duration::from_mins(15));
        // Ninety-nine more guesses are free again, each from a new address.
        for number in 0..99 {
            guess(&app, 1, &format!("10.2.0.{number}"), name).await;
        }
        assert_eq!(
            brief(&app.login_from(HOME, name, PASSWORD).await),
            in_the_end,
            "{name}"
        );
    }
}

#[tokio::test]
async fn while_one_address_keeps_guessing_the_owner_signs_in_and_stays_signed_in() {
    let app = start().await;
    let mut cookie = app.register("alice").await.cookie();
    let mut compared = 0;
    for second in 0..600 {
        match brief(&app.login_from(GUESSER, "alice", WRONG).await).as_str() {
            "401" => compared += 1,
            refused => assert!(refused.starts_with("429 account "), "{refused}"),
        }
        if second % 20 == 0 {
            let refreshed = app.refresh(&cookie).await;
            assert_eq!(refreshed.status, 200, "{second}");
            cookie = refreshed.cookie();
        }
        app.advance(Duration::from_secs(1));
    }
    // Five at once, six within 63 seconds, then one a minute.
    assert_eq!(compared, 5 + 6 + 8);
    assert_eq!(brief(&app.login_from(HOME, "alice", PASSWORD).await), "200");
    // The sign-in clears the failures: the guesser has five guesses again before it waits, and no more.
    guess(&app, 5, GUESSER, "alice").await;
    assert_eq!(
        brief(&app.login_from(GUESSER, "alice", WRONG).await),
        "429 account 1"
    );
    assert_eq!(brief(&app.login_from(HOME, "alice", PASSWORD).await), "200");
}

#[tokio::test]
async fn the_count_survives_a_restart_and_does_not_depend_on_spelling() {
    let mut app = start().await;
    app.register("alice").await;
    // An address and a name without an account count as two names, because no account connects them.
    for (spellings, in_the_end) in [
        (
            [
                "alice",
                " ALICE ",
                "alice@example.org",
                "Alice@EXAMPLE.org",
                "aLICE",
            ],
            "200",
        ),
        (["nobody", " NOBODY ", "Nobody", "nobody", "nOBODY"], "401"),
        (["no one@", " NO ONE@", "No one@", "no one@ ", "nO oNE@"], "401"),
    ] {
        for spelling in spellings {
            guess(&app, 1, GUESSER, spelling).await;
            app.restart().await;
        }
        for spelling in spellings {
            let answer = app.login_from(GUESSER, spelling, PASSWORD).await;
            assert_eq!(brief(&answer), "429 account 1", "{spelling}");
        }
        assert_eq!(
            brief(&app.login_from(HOME, spellings[1], PASSWORD).await),
            in_the_end
        );
    }
}

#[tokio::test]
async fn the_addresses_of_one_network_count_as_one() {
    let app = start().await;
    app.register("alice").await;
    for number in 1..=5 {
        guess(&app, 1, &format!("2001:db8:1:2:{number}::{number}"), "alice").await;
        guess(
            &app,
            1,
            ["::ffff:198.51.100.9", "198.51.100.9"][number % 2],
            "nobody",
        )
        .await;
    }
    for (address, name, expected) in [
        ("2001:db8:1:2::", "alice", "429 account 1"),
        ("2001:db8:1:3::1", "alice", "401"),
        ("::ffff:198.51.100.9", "nobody", "429 account 1"),
        ("198.51.100.8", "nobody", "401"),
    ] {
        assert_eq!(
            brief(&app.login_from(address, name, WRONG).await),
            expected,
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_guess_that_has_to_wait_is_not_compared() {
    let app = start().await;
    app.register("alice").await;
    guess(&app, 5, GUESSER, "alice").await;
    // A comparison with this text would fail, because it is not a hash.
    app.change("UPDATE users SET password_hash = 'none'");
    assert_eq!(
        brief(&app.login_from(GUESSER, "alice", PASSWORD).await),
        "429 account 1"
    );
    app.advance(Duration::from_secs(1));
    let compared = app.login_from(GUESSER, "alice", PASSWORD).await;
    assert_eq!(compared.brief(), "500 internal.error");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_guesses_at_once_five_are_told_that_they_are_wrong() {
    let app = start().await;
    for (name, place) in [
        ("alice", None),
        ("bob", Some(7)),
        ("carol", Some(49)),
        ("nobody", None),
    ] {
        if name != "nobody" {
            app.register(name).await;
        }
        let mut guessing = JoinSet::new();
        for number in 0..50 {
            let password = if place == Some(number) { PASSWORD } else { WRONG };
            let request = app.post("/v1/auth/login").header("x-forwarded-for", GUESSER);
            guessing.spawn(request.json(&json!({"login": name, "password": password})).send());
        }
        let answers: Vec<String> = guessing.join_all().await.iter().map(brief).collect();
        let signed_in = answers.iter().filter(|answer| *answer == "200").count();
        let told = tally(answers);
        if signed_in == 0 {
            assert_eq!(told[0], "401 × 5", "{name}: {told:?}");
            assert_eq!(told[1..].join(" "), format!("429 account 1 × {}", 45), "{name}");
        } else {
            // The right password came before the fifth wrong one, and five more guesses were free after it.
            let wrong = told.iter().find_map(|line| line.strip_prefix("401 × "));
            let wrong: u32 = wrong.and_then(|number| number.parse().ok()).unwrap_or(0);
            assert!(place.is_some() && (5..=9).contains(&wrong), "{name}: {told:?}");
        }
    }
    let most = app.count("SELECT max(length) FROM password_failures");
    assert_eq!(most, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn right_passwords_at_once_do_not_make_each_other_wait() {
    let app = start().await;
    app.register("alice").await;
    let mut entering = JoinSet::new();
    for _ in 0..30 {
        let body = json!({"login": "alice", "password": PASSWORD});
        entering.spawn(app.post("/v1/auth/login").json(&body).send());
    }
    let answers = entering.join_all().await.iter().map(brief).collect();
    assert_eq!(tally(answers), ["200 × 30"]);
}

#[tokio::test]
async fn a_day_without_failures_forgets_them() {
    let app = start().await;
    app.register("alice").await;
    for name in ["alice", "nobody"] {
        guess(&app, 5, GUESSER, name).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM password_failures"), 4);
    app.advance(Duration::from_secs(24 * 3600 - 1));
    app.service().sweep().await.expect("it sweeps");
    assert_eq!(app.count("SELECT count(*) FROM password_failures"), 4);
    guess(&app, 1, GUESSER, "alice").await;
    assert_eq!(
        brief(&app.login_from(GUESSER, "alice", WRONG).await),
        "429 account 2"
    );
    app.advance(Duration::from_secs(2));
    // Now the failures of the name `nobody` are a day old, and those of alice are not.
    guess(&app, 5, GUESSER, "nobody").await;
    app.advance(Duration::from_secs(24 * 3600 + 1));
    app.service().sweep().await.expect("it sweeps");
    assert_eq!(app.count("SELECT count(*) FROM password_failures"), 0);
    guess(&app, 5, GUESSER, "alice").await;
}

#[tokio::test]
async fn the_operator_may_set_the_limits() {
    let builder = TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("RATE_LIMIT__WRONG_PASSWORDS_PER_ADDRESS", "2/3s")
        .set("RATE_LIMIT__WRONG_PASSWORDS_PER_ACCOUNT", "4/1h");
    let app = builder.start().await;
    app.register("alice").await;
    guess(&app, 2, GUESSER, "alice").await;
    for (wait, then) in [(1, "429 account 2"), (2, "429 account 3")] {
        app.advance(Duration::from_secs(wait));
        guess(&app, 1, GUESSER, "alice").await;
        assert_eq!(brief(&app.login_from(GUESSER, "alice", PASSWORD).await), then);
    }
    // One failure of each address counts for the account, so the pause takes four addresses.
    for number in 1..=3 {
        guess(&app, 1, &format!("198.51.100.1{number}"), "alice").await;
    }
    assert_eq!(
        brief(&app.login_from(HOME, "alice", PASSWORD).await),
        "429 account 3600"
    );
}

#[tokio::test]
async fn the_operator_may_turn_the_limits_off() {
    let app = TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "false")
        .start()
        .await;
    app.register("alice").await;
    guess(&app, 20, GUESSER, "alice").await;
    assert_eq!(app.count("SELECT count(*) FROM password_failures"), 0);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
}

/// Counts a failure for the `number`th name, as [`FailureKind`] says.
async fn fail(app: &TestApp, kind: FailureKind, number: u128, at: i64) {
    let guessed = FailureDigest(number.to_be_bytes());
    let key = FailureKey {
        kind,
        guessed,
        network: guessed,
        site: guessed,
        user_id: UserId::from_bytes(guessed.0),
        address: None,
    };
    let run = Some(FailureRun {
        length: 1,
        last_failed_at: Timestamp::from_millis(at),
        stretch: Timestamp::from_millis(at),
        added: 1,
    });
    let runs = FailureRuns {
        from_here: run,
        from_site: run,
        from_everywhere: run,
    };
    let store = app.service().store();
    let put: Result<(), StoreError> = store.write(move |tx| tx.put_failures(key, runs, 40)).await;
    put.expect("it is written");
}

#[tokio::test]
async fn of_many_names_only_those_that_failed_last_are_remembered() {
    let app = start().await;
    let count = |condition: &str| {
        app.count(&format!(
            "SELECT count(*) FROM password_failures WHERE {condition}"
        ))
    };
    for number in 1..=20 {
        fail(&app, FailureKind::OfAccount, number, 0).await;
    }
    for number in 101..=400 {
        fail(&app, FailureKind::OfUnknownName, number, 0).await;
        // A name with repeated guesses is not pushed out by names with one guess.
        if number % 7 == 0 {
            fail(&app, FailureKind::OfUnknownName, 100, 0).await;
        }
        assert!(count("is_account = 0") <= 40);
    }
    // Names without an account push no account out.
    assert_eq!(count("is_account = 1"), 40);
    assert_eq!(count(&format!("guessed = x'{:032x}'", 100)), 2);
    assert_eq!(count(&format!("guessed = x'{:032x}'", 400)), 2);
    assert_eq!(count(&format!("guessed = x'{:032x}'", 101)), 0);
}
