//! The caller's sessions.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Answer, PASSWORD, TestApp};

async fn list(app: &TestApp, caller: &Answer) -> Vec<Value> {
    let answer = app
        .get("/v1/auth/sessions")
        .bearer(&caller.access_token())
        .send()
        .await;
    answer.json()["sessions"]
        .as_array()
        .expect("it is a list")
        .clone()
}

/// The id of the session of `caller`.
async fn own_id(app: &TestApp, caller: &Answer) -> String {
    let sessions = list(app, caller).await;
    let current: Vec<&Value> = sessions
        .iter()
        .filter(|session| session["current"] == true)
        .collect();
    assert_eq!(current.len(), 1, "{sessions:?}");
    current[0]["id"].as_str().expect("an id is a text").to_owned()
}

async fn end(app: &TestApp, caller: &Answer, id: &str) -> Answer {
    app.delete(&format!("/v1/auth/sessions/{id}"))
        .bearer(&caller.access_token())
        .send()
        .await
}

#[tokio::test]
async fn the_living_sessions_are_listed_the_last_used_first() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    app.register("bob").await;
    app.advance(Duration::from_mins(1));
    let second = app
        .post("/v1/auth/login")
        .header("user-agent", "A browser/1.0")
        .json(&serde_json::json!({"login": "alice", "password": PASSWORD}))
        .send()
        .await;
    app.advance(Duration::from_mins(1));
    let over = app.login("alice", PASSWORD).await;
    let out = app.post("/v1/auth/logout").bearer(&over.access_token());
    assert_eq!(out.send().await.status, 200);
    let answer = app
        .get("/v1/auth/sessions")
        .bearer(&second.access_token())
        .send()
        .await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200

    {
      "sessions": [
        {
          "id": "[uuid]",
          "current": true,
          "created_at": "2026-01-01T00:01:00Z",
          "last_used_at": "2026-01-01T00:01:00Z",
          "ip": "127.0.0.1",
          "user_agent": "A browser/1.0"
        },
        {
          "id": "[uuid]",
          "current": false,
          "created_at": "2026-01-01T00:00:00Z",
          "last_used_at": "2026-01-01T00:00:00Z",
          "ip": "127.0.0.1",
          "user_agent": null
        }
      ]
    }
    "#);
    app.advance(Duration::from_hours(25));
    let refreshed = app.refresh(&first.cookie()).await;
    let sessions = list(&app, &refreshed).await;
    assert_eq!(sessions[0]["current"], true);
    assert_eq!(sessions[0]["created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(sessions[0]["last_used_at"], "2026-01-02T01:00:00Z");
}

#[tokio::test]
async fn a_session_that_expired_is_not_listed() {
    let app = TestApp::open().await;
    app.register("alice").await;
    app.advance(Duration::from_hours(14 * 24));
    let second = app.login("alice", PASSWORD).await;
    assert_eq!(list(&app, &second).await.len(), 1);
}

#[tokio::test]
async fn a_long_or_wild_user_agent_is_cut_and_cleaned() {
    let app = TestApp::open().await;
    let agent = format!("a\tb {}", "x".repeat(300));
    let alice = app
        .post("/v1/auth/register")
        .header("user-agent", &agent)
        .json(&crate::support::registration("alice"))
        .send()
        .await;
    let shown = list(&app, &alice).await[0]["user_agent"].clone();
    assert_eq!(shown, format!("ab {}", "x".repeat(197)));
}

#[tokio::test]
async fn one_session_can_be_ended() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    let second = app.login("alice", PASSWORD).await;
    let id = own_id(&app, &second).await;
    let answer = end(&app, &first, &id).await;
    assert_snapshot!(answer.shown_with_headers(), @r"
    204
    ");
    assert_eq!(
        app.me(&second.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.refresh(&second.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.ended_because(&second.cookie()).await.as_deref(),
        Some("ended_by_owner")
    );
    assert_eq!(list(&app, &first).await.len(), 1);
    // The session has ended already.
    assert_snapshot!(end(&app, &first, &id).await.shown_with_headers(), @r#"
    404

    {
      "code": "session.not_found",
      "message": "There is no such session.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn the_present_session_can_be_ended_too() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let id = own_id(&app, &alice).await;
    assert_eq!(end(&app, &alice, &id).await.status, 204);
    assert_eq!(
        app.me(&alice.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
}

#[tokio::test]
async fn the_session_of_somebody_else_is_none() {
    let app = TestApp::open().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    let id = own_id(&app, &bob).await;
    let others = end(&app, &alice, &id).await;
    assert_eq!(others.brief(), "404 session.not_found");
    let unknown = end(&app, &alice, "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17").await;
    assert_eq!(unknown.shown_with_headers(), others.shown_with_headers());
    assert_eq!(app.me(&bob.access_token()).await.status, 200);
}

#[tokio::test]
async fn what_is_no_id_names_no_session() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for id in ["x", "%00", "..", "019abd3a", "'%20OR%201=1"] {
        assert_eq!(
            end(&app, &alice, id).await.brief(),
            "404 session.not_found",
            "{id}"
        );
    }
}

#[tokio::test]
async fn all_other_sessions_can_be_ended() {
    let app = TestApp::open().await;
    let bob = app.register("bob").await;
    let first = app.register("alice").await;
    let second = app.login("alice", PASSWORD).await;
    let third = app.login("alice", PASSWORD).await;
    let answer = app
        .delete("/v1/auth/sessions")
        .bearer(&second.access_token())
        .send()
        .await;
    assert_snapshot!(answer.shown_with_headers(), @r"
    204
    ");
    for ended in [first, third] {
        assert_eq!(
            app.me(&ended.access_token()).await.brief(),
            "401 auth.invalid_token"
        );
        assert_eq!(
            app.ended_because(&ended.cookie()).await.as_deref(),
            Some("ended_by_owner")
        );
    }
    for alive in [&second, &bob] {
        assert_eq!(app.me(&alive.access_token()).await.status, 200);
        assert_eq!(app.refresh(&alive.cookie()).await.status, 200);
    }
}
