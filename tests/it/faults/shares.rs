//! Who can pause the passwords of an account: no single network can, and a pause does not apply where its owner was signed in lately.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, PASSWORD, TestApp, registration};

const WRONG: &str = "a noisy harbour";
/// A network without a session of the owner.
const ELSEWHERE: &str = "192.0.2.1";
/// Where the owner is at home, in other notations too.
const HOME: &str = "203.0.113.5";
const HOME_6: &str = "2001:db8:5:1::5";

/// A server behind a proxy on this machine. The limits of addresses are not what these tests are about.
async fn start() -> TestApp {
    let builder = TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("RATE_LIMIT__ENABLED", "true");
    builder.start().await
}

/// Registers `login` from `address`.
async fn register_from(app: &TestApp, address: &str, login: &str) -> Answer {
    let request = app.post("/v1/auth/register").header("x-forwarded-for", address);
    let answer = request.json(&registration(login)).send().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// The status, and for a 429 how long to wait.
fn brief(answer: &Answer) -> String {
    match answer.header("retry-after") {
        Some(seconds) => format!("{} {seconds}", answer.status),
        None => answer.status.to_string(),
    }
}

async fn try_from(app: &TestApp, address: &str, name: &str, password: &str) -> String {
    brief(&app.login_from(address, name, password).await)
}

/// Has a hundred strangers guess once each, after which `name` takes no password from strangers.
async fn pause(app: &TestApp, name: &str) {
    for number in 0..100 {
        let told = try_from(app, &format!("10.1.0.{number}"), name, WRONG).await;
        assert_eq!(told, "401", "{name} {number}");
    }
    assert_eq!(try_from(app, ELSEWHERE, name, WRONG).await, "429 900", "{name}");
}

/// How many wrong passwords the common count of all networks has, over all names.
fn counted_for_everybody(app: &TestApp) -> i64 {
    app.count("SELECT coalesce(sum(length), 0) FROM password_failures WHERE network = x''")
}

#[tokio::test]
async fn a_thousand_wrong_passwords_from_one_address_pause_nobody_else() {
    let app = start().await;
    register_from(&app, HOME, "alice").await;
    for (name, in_the_end) in [("alice", "200"), ("nobody", "401")] {
        let mut compared = 0;
        while compared < 1000 {
            let spelling = ["198.51.100.7", "::ffff:198.51.100.7"][compared % 2];
            match app.login_from(spelling, name, WRONG).await.status {
                401 => compared += 1,
                429 => app.advance(Duration::from_mins(1)),
                other => panic!("{other}"),
            }
        }
        assert_eq!(
            try_from(&app, ELSEWHERE, name, PASSWORD).await,
            in_the_end,
            "{name}"
        );
    }
    assert!(counted_for_everybody(&app) <= 11);
}

#[tokio::test]
async fn a_thousand_wrong_passwords_from_one_ipv6_site_pause_nobody_else() {
    let app = start().await;
    register_from(&app, HOME, "alice").await;
    for (name, in_the_end) in [("alice", "200"), ("nobody", "401")] {
        let mut told = Vec::new();
        for network in 0..1000 {
            let address = format!("2001:db8:7:{network:x}::{network:x}");
            told.push(try_from(&app, &address, name, WRONG).await);
        }
        // Its networks together have as many guesses as an account allows, and no more.
        assert!(told[..100].iter().all(|told| told == "401"), "{told:?}");
        assert!(told[100..].iter().all(|told| told == "429 900"), "{told:?}");
        assert_eq!(
            try_from(&app, "2001:db8:8::1", name, PASSWORD).await,
            in_the_end,
            "{name}"
        );
        assert_eq!(
            try_from(&app, ELSEWHERE, name, PASSWORD).await,
            in_the_end,
            "{name}"
        );
    }
}

#[tokio::test]
async fn nine_networks_pause_nothing_and_ten_do_again_and_again() {
    let app = start().await;
    register_from(&app, HOME, "alice").await;
    for name in ["alice", "nobody"] {
        for round in 1..=3 {
            for network in 0..10 {
                let address = [
                    format!("198.51.100.{network}"),
                    format!("2001:db8:{network:x}::1"),
                ];
                let mut compared = 0;
                while compared < 20 {
                    let told = app.login_from(&address[network % 2], name, WRONG).await;
                    match (told.status, network == 9 && compared == 10) {
                        (401, false) => compared += 1,
                        (429, true) => break,
                        (429, false) => app.advance(Duration::from_mins(1)),
                        (status, _) => panic!("{status} {network} {compared}"),
                    }
                }
            }
            let told = try_from(&app, ELSEWHERE, name, PASSWORD).await;
            assert!(told.starts_with("429 "), "{name} {round}: {told}");
            app.advance(Duration::from_mins(15));
        }
    }
}

#[tokio::test]
async fn the_owner_signs_in_from_where_a_session_was_during_a_pause() {
    for (home, places) in [
        (
            HOME,
            [
                (HOME, "200"),
                ("::ffff:203.0.113.5", "200"),
                ("203.0.113.6", "429 900"),
            ],
        ),
        (
            HOME_6,
            [
                (HOME_6, "200"),
                ("2001:db8:5:ffff::1", "200"),
                ("2001:db8:6:1::5", "429 900"),
            ],
        ),
    ] {
        let app = start().await;
        let alice = register_from(&app, home, "alice").await;
        let other = app.login_from("198.51.100.200", "alice", PASSWORD).await;
        assert_eq!(other.status, 200);
        // An ended session counts as well as a living one.
        app.post("/v1/auth/logout")
            .bearer(&alice.access_token())
            .send()
            .await;
        for (place, expected) in places {
            pause(&app, "alice").await;
            // A wrong password from there neither ends nor prolongs the pause of the others.
            let wrong = if expected == "200" { "401" } else { expected };
            assert_eq!(try_from(&app, place, "alice", WRONG).await, wrong, "{place}");
            assert_eq!(try_from(&app, ELSEWHERE, "alice", PASSWORD).await, "429 900");
            assert_eq!(
                try_from(&app, place, "alice", PASSWORD).await,
                expected,
                "{place}"
            );
            app.advance(Duration::from_mins(15));
            assert_eq!(try_from(&app, "198.51.100.200", "alice", PASSWORD).await, "200");
        }
        // After thirty days the place is as strange as any other.
        app.advance(Duration::from_hours(24 * 31));
        pause(&app, "alice").await;
        assert_eq!(try_from(&app, home, "alice", PASSWORD).await, "429 900");
    }
}

#[tokio::test]
async fn the_present_password_is_asked_for_alike() {
    let app = start().await;
    let alice = register_from(&app, HOME, "alice").await;
    pause(&app, "alice").await;
    let change = |address: &str, current: &str| {
        let body = json!({"current_password": current, "new_password": "another quiet harbour"});
        let request = app.post("/v1/auth/password/change").bearer(&alice.access_token());
        request.header("x-forwarded-for", address).json(&body).send()
    };
    assert_eq!(brief(&change(ELSEWHERE, PASSWORD).await), "429 900");
    assert_eq!(change(HOME, WRONG).await.status, 422);
    assert_eq!(change(HOME, PASSWORD).await.status, 204);
}

#[tokio::test]
async fn whoever_shares_the_network_of_the_owner_waits_for_its_own_guesses_only() {
    let app = start().await;
    register_from(&app, HOME_6, "alice").await;
    // A neighbour in the same site spends the guesses of the site.
    for network in 0..100 {
        let address = format!("2001:db8:5:{:x}::1", 0x100 + network);
        assert_eq!(try_from(&app, &address, "alice", WRONG).await, "401", "{network}");
    }
    assert_eq!(
        try_from(&app, "2001:db8:5:200::1", "alice", WRONG).await,
        "429 900"
    );
    assert_eq!(try_from(&app, HOME_6, "alice", WRONG).await, "401");
    assert_eq!(
        try_from(&app, "2001:db8:5:200::1", "alice", WRONG).await,
        "429 900"
    );
    // A guesser in the same network has the delays of that network.
    for _ in 0..4 {
        assert_eq!(try_from(&app, HOME_6, "alice", WRONG).await, "401");
    }
    assert_eq!(
        try_from(&app, "2001:db8:5:1::6", "alice", PASSWORD).await,
        "429 1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_from_one_network_adds_no_more_than_its_share() {
    let app = start().await;
    app.register("alice").await;
    let mut guessing = JoinSet::new();
    for number in 0..200 {
        let address = format!("2001:db8:7:{number:x}::1");
        let request = app.post("/v1/auth/login").header("x-forwarded-for", &address);
        guessing.spawn(request.json(&json!({"login": "alice", "password": WRONG})).send());
    }
    let answers = guessing.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 100);
    assert_eq!(counted_for_everybody(&app), 10);
}

#[tokio::test]
async fn where_a_session_was_refreshed_last_is_known_as_well() {
    let app = start().await;
    for (number, place) in ["192.0.2.77", "2001:db8:77:1::1"].iter().enumerate() {
        let name = format!("owner-{number}");
        let cookie = register_from(&app, HOME, &name).await.cookie();
        let refresh = app.post("/v1/auth/refresh").header("x-forwarded-for", place);
        assert_eq!(refresh.cookie(&cookie).send().await.status, 200);
        pause(&app, &name).await;
        assert_eq!(try_from(&app, place, &name, PASSWORD).await, "200", "{place}");
    }
}
