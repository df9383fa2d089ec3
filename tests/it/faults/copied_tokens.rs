//! Two holders of one refresh token: a new password cuts the thief off, the list of sessions tells no time to come back,
//! and both are signed out when both go on.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::device::{Device, behind_a_proxy, with_cookies};
use crate::support::{Answer, PASSWORD, TestApp};

const NEW_PASSWORD: &str = "another quiet harbour";
const PAUSE: Duration = Duration::from_secs(31);

fn owner() -> Device {
    Device::new("192.0.2.7", "Browser/9.1")
}

fn thief() -> Device {
    Device::new("198.51.100.66", "curl/8.14.1")
}

async fn list(app: &TestApp, by: &Answer) -> Value {
    let request = app.get("/v1/auth/sessions").bearer(&by.access_token());
    request.send().await.json()
}

async fn change_password(app: &TestApp, by: &Answer, cookies: &[&str]) -> Answer {
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = app.post("/v1/auth/password/change").json(&body);
    let request = request.bearer(&by.access_token());
    owner().send(with_cookies(request, cookies)).await
}

#[tokio::test]
async fn the_list_of_sessions_tells_no_moment_of_a_refresh() {
    let app = behind_a_proxy().await;
    app.advance(Duration::from_mins(10));
    let first = owner().register(&app, "alice").await;
    let other = owner().sign_in(&app, "alice", &[]).await;
    app.advance(Duration::from_mins(10));
    let answer = owner().refresh(&app, &[&first.cookie()]).await;
    let second = owner().refresh(&app, &[&other.cookie()]).await;
    // The thief has a copy of `answer`, and a session of the account besides.
    let before = [list(&app, &answer).await, list(&app, &second).await];
    app.advance(Duration::from_mins(5));
    assert_eq!(owner().refresh(&app, &[&answer.cookie()]).await.status, 200);
    let after = [list(&app, &answer).await, list(&app, &second).await];
    assert_eq!(before, after);
    // The time of the last use is shown by the day for other sessions, and by the hour for the caller's.
    app.advance(Duration::from_hours(25));
    let later = owner().refresh(&app, &[&second.cookie()]).await;
    let shown = list(&app, &later).await;
    let shown: Vec<_> = shown["sessions"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|session| {
            format!(
                "{} {} {}",
                session["current"], session["created_at"], session["last_used_at"]
            )
        })
        .collect();
    assert_snapshot!(shown.join("\n"), @r#"
    true "2026-01-01T00:10:00Z" "2026-01-02T01:00:00Z"
    false "2026-01-01T00:10:00Z" "2026-01-01T00:10:00Z"
    "#);
}

#[tokio::test]
async fn sessions_that_are_shown_alike_are_ordered_by_their_id() {
    let app = behind_a_proxy().await;
    let mut answers = vec![owner().register(&app, "alice").await];
    for _ in 0..3 {
        app.advance(Duration::from_secs(1));
        answers.push(owner().sign_in(&app, "alice", &[]).await);
    }
    app.advance(Duration::from_hours(30));
    let mut orders = Vec::new();
    for place in [2, 0, 3, 1] {
        app.advance(Duration::from_mins(1));
        let answer = owner().refresh(&app, &[&answers[place].cookie()]).await;
        let sessions = list(&app, &answer).await;
        let ids = sessions["sessions"].as_array().expect("it is a list").iter();
        let others = ids.filter(|session| {
            session["current"] == false && session["last_used_at"] == "2026-01-02T00:00:00Z"
        });
        let others: Vec<String> = others.map(|session| session["id"].to_string()).collect();
        orders.push(others);
    }
    for order in orders {
        let mut sorted = order.clone();
        sorted.sort_by(|one, other| other.cmp(one));
        assert_eq!(order, sorted);
    }
}

#[tokio::test]
async fn a_changed_password_cuts_off_every_copy_at_once() {
    let app = behind_a_proxy().await;
    let first = owner().register(&app, "alice").await;
    let current = owner().refresh(&app, &[&first.cookie()]).await;
    let changed = change_password(&app, &current, &[&current.cookie()]).await;
    assert_snapshot!(changed.shown_with_headers(), @"
    204
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT
    ");
    // Even within the grace and from the owner's device, a copy of either token is refused and ends nothing.
    for copy in [&first, &current] {
        let answer = owner().refresh(&app, &[&copy.cookie()]).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(app.ended_because(&current.cookie()).await, None);
    let next = owner().refresh(&app, &[&changed.cookie()]).await;
    assert_eq!(next.status, 200);
    app.advance(PAUSE);
    assert_eq!(thief().refresh(&app, &[&current.cookie()]).await.status, 401);
    assert_eq!(owner().refresh(&app, &[&next.cookie()]).await.status, 200);
}

#[tokio::test]
async fn a_changed_password_sets_the_cookie_unless_it_would_take_that_of_another_account() {
    let app = behind_a_proxy().await;
    let bob = owner().register(&app, "bob").await.cookie();
    let ended = owner().register(&app, "carol").await;
    let out = app.post("/v1/auth/logout").bearer(&ended.access_token());
    assert_eq!(out.send().await.status, 200);
    for (number, cookies) in [
        vec![],
        vec!["own"],
        vec!["junk"],
        vec!["ended"],
        vec!["bob", "own"],
        vec!["own", "bob"],
        vec!["bob"],
        vec!["junk", "bob", "ended"],
    ]
    .into_iter()
    .enumerate()
    {
        let own = owner().register(&app, &format!("user-{number}")).await;
        let ended = ended.cookie();
        let own_cookie = own.cookie();
        let sent: Vec<&str> = cookies
            .iter()
            .map(|name| match *name {
                "own" => own_cookie.as_str(),
                "bob" => bob.as_str(),
                "ended" => ended.as_str(),
                junk => junk,
            })
            .collect();
        let changed = change_password(&app, &own, &sent).await;
        assert_eq!(changed.status, 204, "{cookies:?}");
        let is_bobs_alone = cookies.contains(&"bob") && !cookies.contains(&"own");
        assert_eq!(
            changed.header("set-cookie").is_none(),
            is_bobs_alone,
            "{cookies:?}"
        );
        assert_eq!(owner().refresh(&app, &[&own.cookie()]).await.status, 401);
        if !is_bobs_alone {
            assert_eq!(owner().refresh(&app, &[&changed.cookie()]).await.status, 200);
        }
    }
    assert_eq!(app.generation_of(&bob).await, 0);
    assert_eq!(owner().refresh(&app, &[&bob]).await.status, 200);
}

#[tokio::test]
async fn a_repeat_from_elsewhere_is_refused_and_counted_and_the_session_lives() {
    let app = behind_a_proxy().await;
    let first = owner().register(&app, "alice").await.cookie();
    let second = owner().refresh(&app, &[&first]).await.cookie();
    for _ in 0..3 {
        let answer = thief().refresh(&app, &[&first]).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(answer.header("set-cookie"), None);
    }
    // A repeat from only another address, or from only another agent, is answered and counted.
    for device in [
        owner().moved_to("198.51.100.66"),
        Device::new("192.0.2.99", "Browser/9.2"),
    ] {
        assert_eq!(device.refresh(&app, &[&first]).await.cookie(), second);
    }
    assert_eq!(owner().refresh(&app, &[&first]).await.cookie(), second);
    assert_snapshot!(app.audit().await.join("\n"), @"
    register @alice [session]
    refresh.repeated refused: from_elsewhere @alice [session] ×3
    refresh.repeated @alice [session] ×2
    ");
    // In another hour it gets another row.
    app.advance(Duration::from_hours(1));
    let third = owner().refresh(&app, &[&second]).await.cookie();
    assert_eq!(thief().refresh(&app, &[&second]).await.status, 401);
    let rows = app.audit().await;
    assert_eq!(
        rows.iter().filter(|row| row.contains("refresh.repeated")).count(),
        3,
        "{rows:?}"
    );
    assert_eq!(owner().refresh(&app, &[&third]).await.status, 200);
}

#[tokio::test]
async fn of_two_holders_who_both_go_on_both_are_signed_out() {
    // The thief has the same browser in the same network: the worst case.
    for thief_is_first in [false, true] {
        let app = behind_a_proxy().await;
        let copied = owner().register(&app, "alice").await.cookie();
        let mut cookies = [copied.clone(), copied];
        let mut refusals = 0;
        for round in 0..8 {
            app.advance(Duration::from_mins(15));
            let holder = usize::from((round % 2 == 0) == thief_is_first);
            let answer = owner().refresh(&app, &[&cookies[holder]]).await;
            if answer.status == 200 {
                cookies[holder] = answer.cookie();
            } else {
                refusals += 1;
            }
        }
        assert!(refusals >= 4, "{thief_is_first}: {refusals}");
        for cookie in &cookies {
            assert_eq!(owner().refresh(&app, &[cookie]).await.status, 401);
        }
        assert_eq!(
            app.ended_because(&cookies[0]).await.as_deref(),
            Some("refresh_reused")
        );
    }
}
