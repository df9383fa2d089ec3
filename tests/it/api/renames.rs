//! How often an account may change its username, since each try tells whether a name is taken.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, PASSWORD, TestApp};

async fn limited() -> TestApp {
    TestApp::builder().open().limited().start().await
}

async fn change(app: &TestApp, token: &str, change: &Value) -> Answer {
    app.patch("/v1/me").bearer(token).json(change).send().await
}

async fn rename(app: &TestApp, token: &str, name: &str) -> String {
    change(app, token, &json!({ "username": name })).await.brief()
}

#[tokio::test]
async fn five_names_an_hour_can_be_tried_whatever_the_session() {
    let app = limited().await;
    app.register("bob").await;
    let sessions = [
        app.register("alice").await.access_token(),
        app.login("alice", PASSWORD).await.access_token(),
        app.login("alice@example.org", PASSWORD).await.access_token(),
    ];
    let mut told = Vec::new();
    // Taken or free, in another case, from one session or another, beside another field or not: each is a try.
    for (turn, name) in ["bob", "BOB", "alice.w", "Alice.W", "bob"].iter().enumerate() {
        let locale = ["en", "zh"][turn % 2];
        let body = json!({"username": name, "locale": locale});
        told.push(change(&app, &sessions[turn % 3], &body).await.brief());
    }
    assert_eq!(
        told,
        [
            "409 auth.login_exists",
            "409 auth.login_exists",
            "200 -",
            "200 -",
            "409 auth.login_exists"
        ]
    );
    let refused = change(&app, &sessions[0], &json!({"username": "free"})).await;
    assert_eq!(refused.header("retry-after"), Some("720"));
    assert_snapshot!(refused.shown(), @r#"
    429
    {
      "code": "rate_limit.exceeded",
      "message": "Too many requests: try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "account"
      }
    }
    "#);
    for (token, name) in sessions.iter().zip(["bob", "free", "alice"]) {
        assert_eq!(
            rename(&app, token, name).await,
            "429 rate_limit.exceeded",
            "{name}"
        );
    }
    // Refused tries do not count, and an hour later five are free again.
    app.advance(Duration::from_hours(1));
    let fresh = app.login("alice.w", PASSWORD).await.access_token();
    for turn in 0..6 {
        let expected = if turn < 5 {
            "409 auth.login_exists"
        } else {
            "429 rate_limit.exceeded"
        };
        assert_eq!(rename(&app, &fresh, "bob").await, expected, "{turn}");
    }
    // Another account has five tries of its own.
    let bob = app.login("bob", PASSWORD).await.access_token();
    assert_eq!(rename(&app, &bob, "robert").await, "200 -");
}

#[tokio::test]
async fn what_changes_no_name_is_no_try() {
    let app = limited().await;
    let token = app.register("Alice").await.access_token();
    for _ in 0..10 {
        for body in [
            json!({"username": "Alice", "locale": "zh"}),
            json!({"username": " Alice "}),
            json!({"username": "", "timezone": "UTC"}),
            json!({"username": null}),
            json!({"locale": "en"}),
            json!({}),
        ] {
            let answer = change(&app, &token, &body).await;
            assert_eq!(
                (answer.status, &answer.json()["username"]),
                (200, &json!("Alice")),
                "{body}"
            );
        }
        // The refusal of an invalid name tells nothing about any account, so it is not counted.
        assert_eq!(rename(&app, &token, "no name").await, "422 validation.error");
    }
    for turn in 0..6 {
        let expected = if turn < 5 {
            "200 -"
        } else {
            "429 rate_limit.exceeded"
        };
        let spelling = ["ALICE", "alice"][turn % 2];
        assert_eq!(rename(&app, &token, spelling).await, expected, "{turn}");
    }
    let answer = change(&app, &token, &json!({"locale": "zh"})).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_names_at_once_five_are_compared() {
    let app = Arc::new(limited().await);
    app.register("bob").await;
    let token = app.register("alice").await.access_token();
    let mut trying = JoinSet::new();
    for _ in 0..100 {
        let request = app
            .patch("/v1/me")
            .bearer(&token)
            .json(&json!({"username": "bob"}));
        trying.spawn(async move { request.send().await.status });
    }
    let statuses = trying.join_all().await;
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((count(409), count(429)), (5, 95));
}

#[tokio::test]
async fn the_operator_may_set_the_limit_or_turn_it_off() {
    let app = TestApp::builder().open().limit("rename", "1/1d").start().await;
    let token = app.register("alice").await.access_token();
    assert_eq!(rename(&app, &token, "bob").await, "200 -");
    assert_eq!(rename(&app, &token, "carol").await, "429 rate_limit.exceeded");
    let app = TestApp::builder()
        .open()
        .limited()
        .set("RATE_LIMIT__ENABLED", "false");
    let app = app.start().await;
    let token = app.register("alice").await.access_token();
    for number in 0..20 {
        assert_eq!(rename(&app, &token, &format!("name-{number}")).await, "200 -");
    }
}

#[tokio::test]
async fn the_operator_is_told_of_names_that_were_tried_too_often() {
    let app = TestApp::builder().open().limit("rename", "1/1h").machine_clock();
    let app = app.start().await;
    let token = app.register("alice").await.access_token();
    rename(&app, &token, "bob").await;
    rename(&app, &token, "carol").await;
    app.service().flush_audit().await.expect("it is written");
    let told = app.workspace().json(&["explain", "bob"]);
    let told = told["timeline"].as_array().expect("it is a list").iter();
    let told: Vec<&str> = told.filter_map(|line| line["text"].as_str()).collect();
    assert_snapshot!(told.join("\n"), @"
    Registered and signed in; from 127.0.0.1.
    Name, language or time zone was changed; username bob; from 127.0.0.1.
    Requests were refused: the username had been changed too often; changes that are refused because the name is taken count too; from 127.0.0.1.
    ");
}
