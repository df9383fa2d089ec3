//! How often one may refresh: by the session of an authentic cookie, and by address for everything else.

use std::time::Duration;

use arkloop::crypto::read_key_file;
use arkloop::domain::Paging;
use arkloop::service::UserRef;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;

use crate::support::device::{Device, with_cookies};
use crate::support::{Answer, PASSWORD, TestApp};

async fn limited() -> TestApp {
    TestApp::builder().open().limit("refresh", "5/1m").start().await
}

/// A cookie of the right form, of a session that never existed.
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

/// Uses up the refreshes of the address, with every kind of garbage.
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
    // Each session has its own limit, which recovers with time.
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
async fn of_several_sessions_one_with_a_request_left_is_enough() {
    let app = limited().await;
    let mut used_up = app.register("alice").await.cookie();
    for _ in 0..5 {
        used_up = app.refresh(&used_up).await.cookie();
    }
    assert_eq!(limit_of(&app.refresh(&used_up).await), "session");
    let fresh = app.login("alice", PASSWORD).await.cookie();
    for _ in 0..5 {
        let both = with_cookies(app.post("/v1/auth/refresh"), &[&used_up, &fresh]);
        let answer = both.send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let both = with_cookies(app.post("/v1/auth/refresh"), &[&used_up, &fresh]);
    assert_eq!(limit_of(&both.send().await), "session");
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
async fn a_planted_cookie_of_an_ended_session_counts_for_the_address_and_spoils_nothing() {
    let app = limited().await;
    let [mallory, alice] = [app.register("mallory").await, app.register("alice").await];
    let out = app.post("/v1/auth/logout").bearer(&mallory.access_token());
    assert_eq!(out.send().await.status, 200);
    for left_over in (0..5).rev() {
        let answer = app.refresh(&mallory.cookie()).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(
            left(&answer),
            Some(format!("\"refresh\";r={left_over};t=12").as_str())
        );
    }
    assert_eq!(limit_of(&app.refresh(&mallory.cookie()).await), "address");
    let request = app
        .post("/v1/auth/refresh")
        .cookie(&mallory.cookie())
        .cookie(&alice.cookie());
    let answer = request.send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(left(&answer), Some("\"refresh\";r=4;t=12"));
}

#[tokio::test]
async fn a_stolen_cookie_spends_no_refresh_of_its_owner() {
    let app = TestApp::builder()
        .open()
        .limit("refresh", "5/1m")
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await;
    let (owner, thief) = (
        Device::new("192.0.2.1", "Browser/1.0"),
        Device::new("198.51.100.9", "Copier/1.0"),
    );
    let own = thief.register(&app, "mallory").await.cookie();
    // Reused, replaced a moment ago and current: beside the thief's own cookie, each stolen one counts for the thief's address.
    let first = owner.register(&app, "alice").await.cookie();
    let second = owner.refresh(&app, &[&first]).await.cookie();
    let mut current = owner.refresh(&app, &[&second]).await.cookie();
    for stolen in [&first, &second, &current] {
        for turn in 0..7 {
            let answer = thief.refresh(&app, &[stolen, &own]).await;
            if turn < 5 {
                assert_eq!(answer.brief(), "401 auth.invalid_token");
            } else {
                assert_eq!(limit_of(&answer), "address");
            }
        }
        app.advance(Duration::from_mins(2));
    }
    // Alone, a token that was replaced a moment ago is refused from elsewhere, and ends nothing.
    let stolen = current.clone();
    current = owner.refresh(&app, &[&current]).await.cookie();
    for turn in 0..7 {
        let answer = thief.refresh(&app, &[&stolen]).await;
        assert_eq!(answer.status, if turn < 5 { 401 } else { 429 });
    }
    for turn in (0..4).rev() {
        let answer = owner.refresh(&app, &[&current]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            left(&answer).map(|left| left.contains(&format!("r={turn};"))),
            Some(true)
        );
        current = answer.cookie();
    }
}

#[tokio::test]
async fn a_reused_cookie_ends_its_session_however_used_up_the_address_is() {
    let app = limited().await;
    let first = app.register("alice").await.cookie();
    let second = app.refresh(&first).await.cookie();
    let third = app.refresh(&second).await.cookie();
    app.advance(Duration::from_mins(1));
    flood(&app, &third).await;
    assert_eq!(app.refresh(&first).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.ended_because(&third).await.as_deref(), Some("refresh_reused"));
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
    let sessions = app
        .service()
        .list_sessions_by_age(UserRef::parse("alice"), Paging::default())
        .await;
    let session = sessions.expect("they are listed").rows.remove(0);
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
