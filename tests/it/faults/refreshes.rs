//! Simultaneous requests move a session on only once, and an old token that comes back ends the session.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::{Answer, TestApp};

const TABS: usize = 50;

pub(super) async fn refresh_at_once(app: &TestApp, cookie: &str) -> Vec<Answer> {
    let mut tabs = JoinSet::new();
    for _ in 0..TABS {
        tabs.spawn(app.post("/v1/auth/refresh").cookie(cookie).send());
    }
    tabs.join_all().await
}

/// The one cookie that all answers set.
pub(super) fn common_cookie(answers: &[Answer]) -> String {
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let cookies: BTreeSet<String> = answers.iter().map(Answer::cookie).collect();
    assert_eq!(cookies.len(), 1);
    cookies.into_iter().next().expect("there is one")
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tabs_at_once_move_the_session_on_once() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    let cookie = common_cookie(&refresh_at_once(&app, &first.cookie()).await);
    assert_ne!(cookie, first.cookie());
    assert_eq!(app.generation_of(&cookie).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_moved_on_three_times_meanwhile_still_answers_the_old_token() {
    let app = TestApp::open().await;
    let first = app.register("alice").await.cookie();
    let mut newest = first.clone();
    for _ in 0..3 {
        app.advance(Duration::from_secs(9));
        newest = app.refresh(&newest).await.cookie();
    }
    // 27 s after the session began and 18 s after the first token was replaced.
    assert_eq!(common_cookie(&refresh_at_once(&app, &first).await), newest);
    assert_eq!(app.generation_of(&newest).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_survives_a_restart() {
    let mut app = TestApp::open().await;
    let first = app.register("alice").await.cookie();
    let second = app.refresh(&first).await.cookie();
    app.advance(Duration::from_secs(29));
    app.restart().await;
    assert_eq!(common_cookie(&refresh_at_once(&app, &first).await), second);
}

#[tokio::test]
async fn a_replay_after_the_grace_ends_the_session_for_good() {
    let mut app = TestApp::open().await;
    let registered = app.register("alice").await;
    let first = registered.cookie();
    let second = app.refresh(&first).await.cookie();
    let third = app.refresh(&second).await;
    app.advance(Duration::from_secs(30));
    assert_eq!(app.refresh(&first).await.brief(), "401 auth.invalid_token");
    app.restart().await;
    assert_eq!(
        app.refresh(&third.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.me(&third.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(app.ended_because(&first).await.as_deref(), Some("refresh_reused"));
}

#[tokio::test]
async fn a_token_nine_generations_old_is_a_replay_even_within_the_grace() {
    let app = TestApp::open().await;
    let mut cookies = vec![app.register("alice").await.cookie()];
    for _ in 0..9 {
        let next = app.refresh(cookies.last().expect("there is one")).await.cookie();
        cookies.push(next);
    }
    assert_eq!(app.refresh(&cookies[1]).await.cookie(), cookies[9]);
    assert_eq!(app.refresh(&cookies[0]).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&cookies[9]).await.brief(), "401 auth.invalid_token");
}

#[tokio::test]
async fn without_grace_the_second_tab_ends_the_session() {
    let app = TestApp::builder()
        .open()
        .set("TOKENS__REFRESH_GRACE", "0s")
        .start()
        .await;
    let first = app.register("alice").await.cookie();
    let second = app.refresh(&first).await.cookie();
    assert_eq!(app.refresh(&first).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&second).await.brief(), "401 auth.invalid_token");
}

#[tokio::test]
async fn a_token_that_was_never_authentic_changes_nothing() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let before = app.rows().await;
    for at in 0..cookie.len() {
        let mut forged = cookie.clone();
        let other = if &cookie[at..=at] == "A" { "B" } else { "A" };
        forged.replace_range(at..=at, other);
        let answer = app.refresh(&forged).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token", "changed at {at}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    for text in ["x", &cookie[..70], &format!("{cookie}A")] {
        assert_eq!(app.refresh(text).await.brief(), "401 auth.invalid_token");
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(app.refresh(&cookie).await.status, 200);
}

#[tokio::test]
async fn a_generation_above_the_stored_one_ends_the_session() {
    let mut app = TestApp::open().await;
    let first = app.register("alice").await.cookie();
    app.stop().await;
    app.change("CREATE TABLE older AS SELECT * FROM sessions");
    app.start_again().await;
    let third = app.refresh(&app.refresh(&first).await.cookie()).await.cookie();
    app.stop().await;
    app.change("DELETE FROM sessions; INSERT INTO sessions SELECT * FROM older; DROP TABLE older");
    app.start_again().await;
    assert_eq!(app.refresh(&third).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.ended_because(&third).await.as_deref(), Some("refresh_ahead"));
    assert_eq!(app.refresh(&first).await.brief(), "401 auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_beside_a_logout_never_outlive_it() {
    let app = TestApp::open().await;
    for round in 0..5 {
        let registered = app.register(&format!("user-{round}")).await;
        let (cookie, token) = (registered.cookie(), registered.access_token());
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            tasks.spawn(app.post("/v1/auth/refresh").cookie(&cookie).send());
        }
        tasks.spawn(app.post("/v1/auth/logout").bearer(&token).send());
        let answers = tasks.join_all().await;
        assert!(
            answers.iter().all(|answer| matches!(answer.status, 200 | 401)),
            "{answers:?}"
        );
        for answer in answers.iter().filter(|answer| {
            answer
                .header("set-cookie")
                .is_some_and(|c| !c.contains("Max-Age=0"))
        }) {
            assert_eq!(app.refresh(&answer.cookie()).await.status, 401);
            assert_eq!(app.me(&answer.access_token()).await.status, 401);
        }
    }
}
