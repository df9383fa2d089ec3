//! The caller's own account.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, TestApp};

async fn update(app: &TestApp, caller: &Answer, change: &Value) -> Answer {
    app.patch("/v1/me")
        .bearer(&caller.access_token())
        .json(change)
        .send()
        .await
}

#[tokio::test]
async fn an_account_is_shown_to_its_owner() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    assert_snapshot!(app.me(&alice.access_token()).await.shown_with_headers(), @r#"
    200

    {
      "id": "[uuid]",
      "username": "alice",
      "email": "alice@example.org",
      "email_verified": false,
      "has_password": true,
      "locale": "en",
      "timezone": null,
      "created_at": "2026-01-01T00:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_verified_address_shows() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let name = arkloop::service::UserRef::parse("alice");
    app.service().verify_email(name).await.expect("the user exists");
    assert_eq!(
        app.me(&alice.access_token()).await.json()["email_verified"],
        json!(true)
    );
}

#[tokio::test]
async fn an_owner_changes_name_language_and_time_zone() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let change = json!({"username": " Alice.W ", "locale": "zh-CN", "timezone": "Europe/Berlin"});
    let answer = update(&app, &alice, &change).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200

    {
      "id": "[uuid]",
      "username": "Alice.W",
      "email": "alice@example.org",
      "email_verified": false,
      "has_password": true,
      "locale": "zh-CN",
      "timezone": "Europe/Berlin",
      "created_at": "2026-01-01T00:00:00Z"
    }
    "#);
    assert_eq!(app.me(&alice.access_token()).await.json(), answer.json());
    assert_eq!(app.login("alice.w", PASSWORD).await.status, 200);
    assert_eq!(
        app.login("alice", PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
}

#[tokio::test]
async fn a_taken_name_is_refused_in_every_case_and_the_own_one_is_not() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.register("bob").await;
    let answer = update(&app, &alice, &json!({"username": "BOB", "locale": "zh"})).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    409

    {
      "code": "auth.login_exists",
      "message": "This username is taken.",
      "trace_id": "[trace id]"
    }
    "#);
    // A refused change changes nothing.
    assert_eq!(app.me(&alice.access_token()).await.json()["locale"], "en");
    let answer = update(&app, &alice, &json!({"username": "ALICE"})).await;
    assert_eq!(
        (answer.status, answer.json()["username"].as_str()),
        (200, Some("ALICE"))
    );
}

#[tokio::test]
async fn every_bad_field_of_a_change_is_named() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let change = json!({"username": "a", "timezone": "../etc/passwd", "email": "new@example.org"});
    assert_snapshot!(update(&app, &alice, &change).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "email": {
            "code": "unknown",
            "message": "This operation has no such field."
          },
          "timezone": {
            "code": "invalid",
            "message": "Must be the name of a time zone in the IANA database, such as Europe/Berlin."
          },
          "username": {
            "code": "too_short",
            "message": "Must have at least 2 characters.",
            "min": 2
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn who_is_not_signed_in_learns_nothing_of_the_body() {
    let app = TestApp::open().await;
    let request = app.patch("/v1/me").json(&json!({"username": "a", "nonsense": 1}));
    assert_eq!(request.send().await.brief(), "401 auth.missing_token");
}
