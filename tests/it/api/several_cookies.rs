//! Several refresh cookies in one request: which one counts, and what a planted one can do. (A browser sends cookies with longer paths first, and otherwise
//! the older ones first; an attacker who can plant a cookie chooses its position.)

use std::time::Duration;

use serde_json::json;

use crate::support::device::with_cookies;
use crate::support::{Answer, PASSWORD, Request, TestApp, registration};

async fn refresh(app: &TestApp, cookies: &[&str]) -> Answer {
    with_cookies(app.post("/v1/auth/refresh"), cookies).send().await
}

/// The refresh cookie of a new account, whose session was ended.
async fn ended(app: &TestApp, login: &str) -> String {
    let answer = app.register(login).await;
    let out = app.post("/v1/auth/logout").bearer(&answer.access_token());
    assert_eq!(out.send().await.status, 200);
    answer.cookie()
}

/// Both cookies in each order: `planted` before `live`, after it, and on both sides.
fn orders<'a>(planted: &'a str, live: &'a str) -> [Vec<&'a str>; 3] {
    [
        vec![planted, live],
        vec![live, planted],
        vec![planted, live, planted],
    ]
}

/// `cookie` with another MAC.
fn forged(cookie: &str) -> String {
    let last = if cookie.ends_with("AAAA") { "BBBB" } else { "AAAA" };
    format!("{}{last}", &cookie[..cookie.len() - 4])
}

#[tokio::test]
async fn a_planted_cookie_of_no_living_session_disturbs_no_refresh() {
    let app = TestApp::open().await;
    let gone = app.register("gone").await.cookie();
    let user = arkloop::service::UserRef::parse("gone");
    app.service().delete_user(user).await.expect("it is there");
    let suspended = app.register("suspended").await.cookie();
    let user = arkloop::service::UserRef::parse("suspended");
    app.service().suspend(user).await.expect("it is there");
    let ended = ended(&app, "ended").await;
    let mut live = app.register("alice").await.cookie();
    let mut generation = 0;
    for planted in [&ended, &suspended, &gone, &forged(&live), "junk", "", "\"\""] {
        for order in orders(planted, &live.clone()) {
            let answer = refresh(&app, &order).await;
            assert_eq!(answer.status, 200, "{planted}: {answer:?}");
            assert_eq!(app.me(&answer.access_token()).await.json()["username"], "alice");
            live = answer.cookie();
            generation += 1;
            assert_eq!(app.generation_of(&live).await, generation);
            app.advance(Duration::from_mins(1));
        }
    }
}

#[tokio::test]
async fn an_older_cookie_of_the_same_session_ends_nothing_beside_the_newer_one() {
    let app = TestApp::open().await;
    let old = app.register("alice").await.cookie();
    let mut live = refresh(&app, &[&old]).await.cookie();
    for place in 0..3 {
        app.advance(Duration::from_mins(1));
        let answer = refresh(&app, &orders(&old, &live)[place]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        live = answer.cookie();
    }
    assert_eq!(app.generation_of(&live).await, 4);
}

#[tokio::test]
async fn a_stale_cookie_of_another_living_session_of_the_account_ends_nothing_beside_a_live_one() {
    let app = TestApp::open().await;
    let mut live = app.register("alice").await.cookie();
    let stale = app.login("alice", PASSWORD).await.cookie();
    let newer = refresh(&app, &[&stale]).await.cookie();
    let newest = refresh(&app, &[&newer]).await.cookie();
    for place in 0..3 {
        app.advance(Duration::from_mins(1));
        let answer = refresh(&app, &orders(&stale, &live)[place]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        live = answer.cookie();
    }
    assert_eq!(app.ended_because(&newest).await, None);
    assert_eq!(refresh(&app, &[&newest]).await.status, 200);
    // Alone, the stale cookie is reuse and ends its session.
    assert_eq!(refresh(&app, &[&stale]).await.status, 401);
    assert_eq!(
        app.ended_because(&newest).await.as_deref(),
        Some("refresh_reused")
    );
}

/// Cookies that a thief stole from living sessions: one that is reused, one that was replaced a moment ago, and a current one. Each comes with the cookie
/// that its owner has now.
async fn stolen(app: &TestApp, name: &str) -> Vec<(String, String)> {
    let mut stolen = Vec::new();
    for meaning in ["reused", "repeated", "current"] {
        let first = app.register(&format!("{name}-{meaning}")).await.cookie();
        let owners = match meaning {
            "reused" => {
                let second = refresh(app, &[&first]).await.cookie();
                let third = refresh(app, &[&second]).await.cookie();
                app.advance(Duration::from_mins(1));
                third
            }
            "repeated" => refresh(app, &[&first]).await.cookie(),
            _ => first.clone(),
        };
        stolen.push((first, owners));
    }
    stolen
}

#[tokio::test]
async fn a_refresh_beside_an_own_cookie_tells_a_thief_nothing_about_a_stolen_one() {
    let app = TestApp::open().await;
    let first = app.register("mallory").await.cookie();
    let own = refresh(&app, &[&refresh(&app, &[&first]).await.cookie()])
        .await
        .cookie();
    let stolen = stolen(&app, "owner").await;
    let before = app.rows().await;
    for (cookie, _) in &stolen {
        // This also holds beside a stale cookie of the thief's own, and beside both.
        for order in [
            vec![cookie.as_str(), &own],
            vec![&own, cookie],
            vec![&first, cookie],
            vec![cookie, &first, &own],
        ] {
            let answer = refresh(&app, &order).await;
            assert_eq!(answer.brief(), "401 auth.invalid_token");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    assert_eq!(app.rows().await, before);
    for (_, owners) in &stolen {
        assert_eq!(refresh(&app, &[owners]).await.status, 200);
    }
    assert_eq!(refresh(&app, &[&own]).await.status, 200);
}

#[tokio::test]
async fn signing_in_beside_an_own_cookie_tells_a_thief_nothing_about_a_stolen_one() {
    let app = TestApp::open().await;
    app.register("visitor").await;
    for entry in 0..2 {
        let stolen = stolen(&app, &format!("owner-{entry}")).await;
        for (number, (cookie, owners)) in stolen.iter().enumerate() {
            let own = app.register(&format!("thief-{entry}-{number}")).await.cookie();
            let request = entries(&app, &format!("new-{entry}-{number}"))
                .into_iter()
                .nth(entry);
            let request = request.expect("there are two");
            let answer = with_cookies(request, &[cookie, &own]).send().await;
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            for session in [&own, owners] {
                assert_eq!(app.ended_because(session).await, None);
            }
        }
    }
}

#[tokio::test]
async fn a_changed_password_tells_a_thief_nothing_about_a_stolen_cookie() {
    let app = TestApp::open().await;
    for (number, (cookie, _)) in stolen(&app, "owner").await.iter().enumerate() {
        let thief = app.register(&format!("thief-{number}")).await;
        let body = json!({"current_password": PASSWORD, "new_password": "another fine passphrase"});
        let request = app.post("/v1/auth/password/change").json(&body);
        let request = with_cookies(request.bearer(&thief.access_token()), &[cookie]);
        let answer = request.send().await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn however_many_cookies_are_planted_the_living_one_is_found() {
    let app = TestApp::open().await;
    let mut live = app.register("alice").await.cookie();
    let junk = forged(&live);
    for place in [0, 50, 100] {
        let mut cookies = vec![junk.as_str(); 100];
        cookies.insert(place, &live);
        let answer = refresh(&app, &cookies).await;
        assert_eq!(answer.status, 200, "{place}");
        live = answer.cookie();
    }
}

#[tokio::test]
async fn the_first_of_two_living_sessions_of_one_account_is_served() {
    let app = TestApp::open().await;
    let [first, second] = [app.register("alice").await, app.login("alice", PASSWORD).await];
    let answer = refresh(&app, &[&second.cookie(), &first.cookie()]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.generation_of(&second.cookie()).await, 1);
    assert_eq!(app.generation_of(&first.cookie()).await, 0);
}

#[tokio::test]
async fn living_sessions_of_two_accounts_at_once_are_refused_and_untouched() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await.cookie();
    let bob = app.register("bob").await.cookie();
    let junk = forged(&alice);
    let before = app.rows().await;
    for cookies in [
        vec![&alice, &bob],
        vec![&bob, &alice],
        vec![&junk, &bob, &junk, &alice],
    ] {
        let cookies: Vec<&str> = cookies.into_iter().map(String::as_str).collect();
        let answer = refresh(&app, &cookies).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(app.rows().await, before);
    for cookie in [alice, bob] {
        assert_eq!(refresh(&app, &[&cookie]).await.status, 200);
    }
}

#[tokio::test]
async fn what_no_cookie_can_be_served_for_is_told_by_the_first() {
    let app = TestApp::open().await;
    let suspended = app.register("suspended").await.cookie();
    let user = arkloop::service::UserRef::parse("suspended");
    app.service().suspend(user).await.expect("it is there");
    let ended = ended(&app, "ended").await;
    assert_eq!(
        refresh(&app, &[&suspended, &ended]).await.brief(),
        "403 auth.user_suspended"
    );
    assert_eq!(
        refresh(&app, &[&ended, &suspended]).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        refresh(&app, &["junk", &suspended]).await.brief(),
        "403 auth.user_suspended"
    );
}

/// Signs in as `login`, or registers if there is no such account.
fn entries(app: &TestApp, login: &str) -> [Request; 2] {
    let body = json!({"login": "visitor", "password": PASSWORD});
    [
        app.post("/v1/auth/login").json(&body),
        app.post("/v1/auth/register").json(&registration(login)),
    ]
}

#[tokio::test]
async fn signing_in_replaces_the_living_session_whatever_was_planted_beside_its_cookie() {
    let app = TestApp::open().await;
    app.register("visitor").await;
    let old = app.register("ended").await;
    let out = app.post("/v1/auth/logout").bearer(&old.access_token());
    assert_eq!(out.send().await.status, 200);
    let mut number = 0;
    for planted in [old.cookie(), "junk".to_owned()] {
        for place in 0..3 {
            for entry in 0..2 {
                number += 1;
                let live = app.register(&format!("live-{number}")).await;
                let request = entries(&app, &format!("new-{number}")).into_iter().nth(entry);
                let request = request.expect("there are two");
                let cookies = &orders(&planted, &live.cookie())[place]
                    .iter()
                    .map(|c| (*c).to_owned())
                    .collect::<Vec<_>>();
                let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
                let answer = with_cookies(request, &cookies).send().await;
                assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                assert_eq!(
                    app.ended_because(&live.cookie()).await.as_deref(),
                    Some("replaced")
                );
            }
        }
    }
}

#[tokio::test]
async fn signing_in_beside_living_sessions_of_two_accounts_ends_neither() {
    let app = TestApp::open().await;
    app.register("visitor").await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    for request in entries(&app, "carol") {
        let answer = with_cookies(request, &[&bob.cookie(), &alice.cookie()])
            .send()
            .await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    for session in [alice, bob] {
        assert_eq!(refresh(&app, &[&session.cookie()]).await.status, 200);
    }
}

#[tokio::test]
async fn signing_in_with_a_stale_cookie_ends_no_session() {
    let app = TestApp::open().await;
    app.register("visitor").await;
    let stale = app.register("alice").await.cookie();
    let live = refresh(&app, &[&refresh(&app, &[&stale]).await.cookie()])
        .await
        .cookie();
    app.advance(Duration::from_mins(1));
    for request in entries(&app, "carol") {
        let answer = with_cookies(request, &[&stale]).send().await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
    assert_eq!(refresh(&app, &[&live]).await.status, 200);
}

#[tokio::test]
async fn signing_out_ends_the_own_session_whatever_was_planted_beside_its_cookie() {
    let app = TestApp::open().await;
    let bob = app.register("bob").await.cookie();
    let own_ended = ended(&app, "alice").await;
    for planted in [&bob, &own_ended, "junk"] {
        for place in 0..3 {
            let caller = app.login("alice", PASSWORD).await;
            let other = app.login("alice", PASSWORD).await.cookie();
            let request = app.post("/v1/auth/logout").bearer(&caller.access_token());
            let answer = with_cookies(request, &orders(planted, &other)[place])
                .send()
                .await;
            assert_eq!(answer.status, 200);
            for session in [&caller.cookie(), &other] {
                assert_eq!(app.ended_because(session).await.as_deref(), Some("signed_out"));
            }
        }
    }
    assert_eq!(refresh(&app, &[&bob]).await.status, 200);
}
