//! Signing out.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp};

async fn logout(app: &TestApp, answer: &Answer, cookies: &[&str]) -> Answer {
    let mut request = app.post("/v1/auth/logout").bearer(&answer.access_token());
    for cookie in cookies {
        request = request.cookie(cookie);
    }
    request.send().await
}

#[tokio::test]
async fn signing_out_ends_the_session_and_clears_the_cookie() {
    let app = TestApp::open().await;
    let answer = app.register("alice").await;
    let out = logout(&app, &answer, &[&answer.cookie()]).await;
    assert_snapshot!(out.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT

    {
      "ok": true
    }
    "#);
    assert_eq!(
        app.me(&answer.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.refresh(&answer.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.ended_because(&answer.cookie()).await.as_deref(),
        Some("signed_out")
    );
    assert_snapshot!(logout(&app, &answer, &[]).await.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer error="invalid_token"

    {
      "code": "auth.invalid_token",
      "message": "The token is not valid, or its session has ended.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn signing_out_also_ends_the_own_session_of_the_cookie() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    let second = app.login("alice", PASSWORD).await;
    let third = app.login("alice", PASSWORD).await;
    assert_eq!(logout(&app, &first, &[&second.cookie()]).await.status, 200);
    for ended in [&first, &second] {
        assert_eq!(
            app.ended_because(&ended.cookie()).await.as_deref(),
            Some("signed_out")
        );
    }
    assert_eq!(app.me(&third.access_token()).await.status, 200);
}

#[tokio::test]
async fn signing_out_leaves_the_sessions_of_others_alone() {
    let app = TestApp::open().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    let out = logout(&app, &alice, &[&bob.cookie()]).await;
    assert_eq!(out.status, 200);
    assert_eq!(
        app.me(&alice.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(app.me(&bob.access_token()).await.status, 200);
    assert_eq!(app.refresh(&bob.cookie()).await.status, 200);
}

#[tokio::test]
async fn signing_out_needs_a_token_that_has_not_expired() {
    let app = TestApp::open().await;
    let answer = app.register("alice").await;
    app.advance(Duration::from_mins(15));
    let out = logout(&app, &answer, &[&answer.cookie()]).await;
    assert_eq!(out.brief(), "401 auth.token_expired");
    assert_eq!(out.header("set-cookie"), None);
    // The client refreshes first, then signs out.
    let fresh = app.refresh(&answer.cookie()).await;
    assert_eq!(logout(&app, &fresh, &[]).await.status, 200);
    assert_eq!(
        app.refresh(&fresh.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}

#[tokio::test]
async fn signing_out_takes_any_body() {
    let app = TestApp::open().await;
    let answer = app.register("alice").await;
    let out = app
        .post("/v1/auth/logout")
        .bearer(&answer.access_token())
        .text("text/plain", "{\"not\": json")
        .send()
        .await;
    assert_eq!(out.json(), json!({"ok": true}));
}
