//! Changing one's own password.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::mailed::{Mailed, NEW_PASSWORD};
use crate::support::{Answer, PASSWORD, TestApp};

async fn change(app: &TestApp, signed_in: &Answer, body: Value) -> Answer {
    let request = app.post("/v1/auth/password/change").json(&body);
    request.bearer(&signed_in.access_token()).send().await
}

#[tokio::test]
async fn changing_the_password_ends_every_other_session() {
    let mailed = Mailed::start().await;
    let other = mailed.register_verified("alice").await;
    let reset = mailed.reset_token_to("alice").await;
    let current = mailed.app.login("alice", PASSWORD).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let answer = change(&mailed.app, &current, body).await;
    assert_snapshot!(answer.shown_with_headers(), @"
    204
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:01:00 GMT
    ");
    mailed.assert_shut_out("alice", &other).await;
    assert_eq!(
        mailed.app.ended_because(&other.cookie()).await.as_deref(),
        Some("password_changed")
    );
    assert_eq!(mailed.app.me(&current.access_token()).await.status, 200);
    assert_eq!(mailed.app.refresh(&answer.cookie()).await.status, 200);
    assert_eq!(mailed.app.login("alice", NEW_PASSWORD).await.status, 200);
    // A link to set a password that was mailed before is void, and the owner is told.
    assert_eq!(
        mailed.reset(&reset, "a third harbour").await.brief(),
        "422 auth.reset_token_invalid"
    );
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(
        told.message().subject(),
        Some("localhost: Your password was changed")
    );
}

#[tokio::test]
async fn the_current_password_must_be_given_and_right() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let before = app.rows().await;
    let wrong = json!({"current_password": "a wrong password", "new_password": NEW_PASSWORD});
    assert_snapshot!(change(&app, &alice, wrong).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "current_password": {
            "code": "incorrect",
            "message": "This is not the current password."
          }
        }
      }
    }
    "#);
    for absent in [json!(null), json!("")] {
        let body = json!({"current_password": absent, "new_password": NEW_PASSWORD});
        let answer = change(&app, &alice, body).await;
        let field = &answer.json()["details"]["fields"]["current_password"];
        assert_eq!(field["code"], "missing", "{answer:?}");
    }
    let missing = json!({"new_password": NEW_PASSWORD});
    assert_snapshot!(change(&app, &alice, missing).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "current_password": {
            "code": "missing",
            "message": "This field is required."
          }
        }
      }
    }
    "#);
    // The new password follows the rules of a registration.
    for bad in ["short", "password", "alice@example.org"] {
        let body = json!({"current_password": PASSWORD, "new_password": bad});
        let answer = change(&app, &alice, body).await;
        assert_eq!(answer.brief(), "422 validation.error", "{bad}");
        assert!(
            answer.json()["details"]["fields"]["new_password"].is_object(),
            "{answer:?}"
        );
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_sign_in_while_the_clock_was_ahead_is_not_recent() {
    let mailed = Mailed::start().await;
    let body = json!({"new_password": NEW_PASSWORD});
    for (login, ahead, expected) in [
        ("alice", 60, "204 -"),
        ("bob", 61, "403 auth.reauthentication_required"),
    ] {
        mailed.register(login).await;
        let code = mailed.code_to(login).await;
        let signed_in = mailed.sign_in(login, &code).await;
        mailed.app.turn_back(Duration::from_secs(ahead));
        let answer = change(&mailed.app, &signed_in, body.clone()).await;
        assert_eq!(answer.brief(), expected, "{ahead}");
    }
}

#[tokio::test]
async fn an_account_without_a_password_sets_one_soon_after_signing_in() {
    let mailed = Mailed::start().await;
    let body = || json!({"new_password": NEW_PASSWORD});
    for (login, age, expected) in [
        ("alice", 599, "204 -"),
        ("bob", 600, "403 auth.reauthentication_required"),
    ] {
        // The code is the first proof of the address, so the password of the registration is dropped.
        mailed.register(login).await;
        let code = mailed.code_to(login).await;
        let signed_in = mailed.sign_in(login, &code).await;
        let me = mailed.app.me(&signed_in.access_token()).await;
        assert_eq!(me.json()["has_password"], false);
        mailed.app.advance(Duration::from_secs(age));
        let answer = change(&mailed.app, &signed_in, body()).await;
        assert_eq!(answer.brief(), expected, "{age}");
        if answer.status == 403 {
            assert_snapshot!(answer.shown(), @r#"
            403
            {
              "code": "auth.reauthentication_required",
              "message": "Sign in again to do this.",
              "trace_id": "[trace id]"
            }
            "#);
            // A refresh does not count as a sign-in.
            let refreshed = mailed.app.refresh(&signed_in.cookie()).await;
            assert_eq!(change(&mailed.app, &refreshed, body()).await.brief(), expected);
        } else {
            assert_eq!(mailed.app.login(login, NEW_PASSWORD).await.status, 200);
        }
    }
}
