//! How often one may refresh: by the session of an authentic cookie, and by address for everything else.

use std::time::Duration;

use arkloop::crypto::read_key_file;
use arkloop::service::UserRef;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;

use crate::support::{Answer, PASSWORD, TestApp};

async fn limited() -> TestApp {
    TestApp::builder().open().limit("refresh", "5/1m").start().await
}

/// A cookie of the right form, of a session that was never there.
fn made_up(number: u8) -> String {
    let mut bytes = [number; 53];
    bytes[0] = 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A cookie of this session with another MAC.
fn forged(cookie: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(cookie).expect("it is base64url");
    bytes[40] ^= 1;
    URL_SAFE_NO_PAD.encode(bytes)
}

fn limit_of(answer: &Answer) -> String {
    assert_eq!(answer.brief(), "429 rate_limit.exceeded");
    let limit = answer.json()["details"]["limit"].as_str().map(str::to_owned);
    limit.unwrap_or_else(|| panic!("no limit: {answer:?}"))
}

fn left(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit")
}

/// Uses the refreshes of the address up, with every kind of garbage.
async fn flood(app: &TestApp, someones: &str) {
    let kinds = ["junk".to_owned(), made_up(7), forged(someones), String::new()];
    for turn in 0..12 {
        let answer = app.refresh(&kinds[turn % kinds.len()]).await;
        assert!([401, 429].contains(&answer.status), "{answer:?}");
    }
    let bare = app.post("/v1/auth/refresh").send().await;
    assert_eq!(limit_of(&bare), "address");
}

#[tokio::test]
async fn garbage_cookies_stop_nobody_behind_the_same_address() {
    let app = limited().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    flood(&app, &alice.cookie()).await;
    let mut cookie = alice.cookie();
    for turn in (0..5).rev() {
        let answer = app.refresh(&cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(left(&answer), Some(format!("\"refresh\";r={turn};t=12").as_str()));
        cookie = answer.cookie();
    }
    let refused = app.refresh(&cookie).await;
    assert_eq!(limit_of(&refused), "session");
    assert_eq!(refused.header("retry-after"), Some("12"));
    // Each session has its own, and each fills up again.
    assert_eq!(app.refresh(&bob.cookie()).await.status, 200);
    let again = app.login("alice", PASSWORD).await;
    assert_eq!(app.refresh(&again.cookie()).await.status, 200);
    app.advance(Duration::from_secs(12));
    assert_eq!(app.refresh(&cookie).await.status, 200);
    let rows = app.audit().await;
    let throttled = rows
        .iter()
        .any(|row| row.starts_with("throttled refused: session_limit @alice"));
    assert!(throttled, "{rows:#?}");
}

#[tokio::test]
async fn an_authentic_cookie_among_garbage_counts_for_its_session() {
    let app = limited().await;
    let alice = app.register("alice").await;
    flood(&app, &alice.cookie()).await;
    let cookie = alice.cookie();
    let line = format!(
        "arkloop_refresh_token=junk; arkloop_refresh_token={}; arkloop_refresh_token={}; arkloop_refresh_token={cookie}",
        made_up(9),
        forged(&cookie)
    );
    let answer = app.post("/v1/auth/refresh").header("cookie", &line).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(left(&answer), Some("\"refresh\";r=4;t=12"));
}

#[tokio::test]
async fn a_planted_cookie_of_a_session_that_is_used_up_spoils_nothing() {
    let app = limited().await;
    let [mallory, alice] = [app.register("mallory").await, app.register("alice").await];
    let out = app.post("/v1/auth/logout").bearer(&mallory.access_token());
    assert_eq!(out.send().await.status, 200);
    // An ended session counts for itself too, and spends nothing of the address.
    for _ in 0..5 {
        let answer = app.refresh(&mallory.cookie()).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
    }
    assert_eq!(limit_of(&app.refresh(&mallory.cookie()).await), "session");
    let request = app
        .post("/v1/auth/refresh")
        .cookie(&mallory.cookie())
        .cookie(&alice.cookie());
    let answer = request.send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let bare = app.post("/v1/auth/refresh").send().await;
    assert_eq!(left(&bare), Some("\"refresh\";r=4;t=12"));
}

#[tokio::test]
async fn made_up_cookies_of_an_address_that_is_used_up_ask_the_database_nothing() {
    let app = limited().await;
    let alice = app.register("alice").await;
    flood(&app, &alice.cookie()).await;
    let before = app.store_probe().instructions();
    for number in 0..100 {
        assert_eq!(limit_of(&app.refresh(&made_up(number)).await), "address");
    }
    assert_eq!(app.store_probe().instructions(), before);
}

#[tokio::test]
async fn a_session_from_before_marks_goes_on_and_counts_for_the_address() {
    let app = limited().await;
    let alice = app.register("alice").await;
    // The ids of sessions were all random then.
    app.change("UPDATE sessions SET id = randomblob(16)");
    let sessions = app.service().list_sessions(UserRef::parse("alice")).await;
    let session = sessions.expect("they are listed").remove(0);
    let keys = read_key_file(&app.data_dir().join("arkloop.key")).expect("it is read");
    let cookie = keys.refresh_tokens().current(&session).expose_secret().to_owned();
    assert_eq!(
        app.refresh(&alice.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    let answer = app.refresh(&cookie).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(left(&answer), Some("\"refresh\";r=3;t=12"));
}
