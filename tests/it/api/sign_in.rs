//! Signing in by password, and asking whether an account exists.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, TestApp, registration};

async fn check(app: &TestApp, login: &str) -> Answer {
    app.post("/v1/auth/check")
        .json(&json!({ "login": login }))
        .send()
        .await
}

#[tokio::test]
async fn the_right_password_signs_in() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let answer = app.login("alice", PASSWORD).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT

    {
      "access_token": "[jwt]",
      "token_type": "bearer"
    }
    "#);
    assert_eq!(app.me(&answer.access_token()).await.json()["username"], "alice");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_answered_alike() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let wrong = app.login("alice", "a quiet harbor").await;
    assert_snapshot!(wrong.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.invalid_credentials",
      "message": "The login or the password is wrong.",
      "trace_id": "[trace id]"
    }
    "#);
    for name in ["nobody", "nobody@example.org", "alice@example.com"] {
        let unknown = app.login(name, PASSWORD).await;
        assert_eq!(unknown.shown_with_headers(), wrong.shown_with_headers(), "{name}");
        assert_eq!(unknown.body.len(), wrong.body.len());
    }
}

#[tokio::test]
async fn an_account_is_found_by_name_and_address_in_every_case() {
    let app = TestApp::open().await;
    let mut body = registration("Alice.W");
    body["email"] = json!("Jo.Doe@Bücher.example");
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
    for name in [
        "Alice.W",
        "alice.w",
        "ALICE.W",
        "  alice.w ",
        "jo.doe@bücher.example",
        "JO.DOE@BÜCHER.EXAMPLE",
        "jo.doe@xn--bcher-kva.example",
    ] {
        assert_eq!(app.login(name, PASSWORD).await.status, 200, "{name}");
        assert_eq!(check(&app, name).await.json(), json!({"exists": true}), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_an_unknown_account() {
    let app = TestApp::open().await;
    for name in [
        "a",
        "no such name",
        "ünïcode",
        "a@b@c",
        "@",
        "nul\u{0}",
        "a\r\nb",
        "' OR 1=1 --",
        "\u{202e}ecila",
        &"x".repeat(254),
    ] {
        assert_eq!(
            app.login(name, PASSWORD).await.brief(),
            "401 auth.invalid_credentials",
            "{name:?}"
        );
        let answer = check(&app, name).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"exists": false})),
            "{name:?}"
        );
    }
    for (name, code) in [
        (&*"x".repeat(255), "too_long"),
        ("", "missing"),
        ("  ", "missing"),
    ] {
        for answer in [app.login(name, PASSWORD).await, check(&app, name).await] {
            assert_eq!(answer.brief(), "422 validation.error", "{name:?}");
            assert_eq!(answer.json()["details"]["fields"]["login"]["code"], code);
        }
    }
}

#[tokio::test]
async fn a_suspension_shows_only_after_the_right_password() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let alice = UserRef::parse("alice");
    app.service().suspend(alice).await.expect("the user exists");
    assert_snapshot!(app.login("alice", PASSWORD).await.shown_with_headers(), @r#"
    403

    {
      "code": "auth.user_suspended",
      "message": "This account is suspended.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(
        app.login("alice", "a wrong password").await.brief(),
        "401 auth.invalid_credentials"
    );
    assert_eq!(check(&app, "alice").await.json(), json!({"exists": true}));
}

#[tokio::test]
async fn anybody_may_ask_whether_an_account_exists() {
    let app = TestApp::open().await;
    app.register("alice").await;
    assert_snapshot!(check(&app, "alice").await.shown_with_headers(), @r#"
    200

    {
      "exists": true
    }
    "#);
    assert_snapshot!(check(&app, "nobody@example.org").await.shown(), @r#"
    200
    {
      "exists": false
    }
    "#);
    assert_snapshot!(app.post("/v1/auth/check").json(&json!({})).send().await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "login": {
            "code": "missing",
            "message": "This field is required."
          }
        }
      }
    }
    "#);
}

#[tokio::test]
async fn the_operator_may_turn_that_question_off() {
    let app = TestApp::builder()
        .set("REGISTRATION__IDENTITY_CHECK", "false")
        .start()
        .await;
    assert_snapshot!(check(&app, "alice").await.shown_with_headers(), @r#"
    404

    {
      "code": "http.not_found",
      "message": "There is nothing here.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(
        app.get("/v1/auth/check").send().await.brief(),
        "404 http.not_found"
    );
}

#[tokio::test]
async fn a_sign_in_replaces_the_session_of_its_cookie() {
    let app = TestApp::open().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    let sign_in = async |cookie: &str, login: &str, password: &str| {
        app.post("/v1/auth/login")
            .cookie(cookie)
            .json(&json!({"login": login, "password": password}))
            .send()
            .await
    };
    // A failed sign-in replaces nothing.
    let failed = sign_in(&alice.cookie(), "alice", "a wrong password").await;
    assert_eq!((failed.status, failed.header("set-cookie")), (401, None));
    assert_eq!(app.ended_because(&alice.cookie()).await, None);

    let again = sign_in(&alice.cookie(), "alice", PASSWORD).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        app.ended_because(&alice.cookie()).await.as_deref(),
        Some("replaced")
    );
    assert_eq!(
        app.me(&alice.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    // The session of another account is replaced too, also if a refresh has replaced its cookie meanwhile.
    assert_eq!(app.refresh(&bob.cookie()).await.status, 200);
    assert_eq!(sign_in(&bob.cookie(), "alice", PASSWORD).await.status, 200);
    assert_eq!(
        app.ended_because(&bob.cookie()).await.as_deref(),
        Some("replaced")
    );
    assert_eq!(app.me(&again.access_token()).await.status, 200);
}

#[tokio::test]
async fn the_twenty_first_session_ends_the_least_recently_refreshed() {
    let app = TestApp::open().await;
    let mut cookies = vec![app.register("alice").await.cookie()];
    for _ in 1..20 {
        app.advance(Duration::from_mins(1));
        cookies.push(app.login("alice", PASSWORD).await.cookie());
    }
    app.advance(Duration::from_mins(1));
    let first = app.refresh(&cookies[0]).await.cookie();
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    assert_eq!(app.ended_because(&first).await, None);
    assert_eq!(
        app.ended_because(&cookies[1]).await.as_deref(),
        Some("too_many_sessions")
    );
    for cookie in &cookies[2..] {
        assert_eq!(app.ended_because(cookie).await, None);
    }
    assert_eq!(app.refresh(&cookies[1]).await.brief(), "401 auth.invalid_token");
}

#[tokio::test]
async fn how_many_sessions_there_may_be_follows_the_configuration() {
    let app = TestApp::builder()
        .open()
        .set("TOKENS__MAX_SESSIONS", "2")
        .start()
        .await;
    let first = app.register("alice").await.cookie();
    let mut others = Vec::new();
    for _ in 0..2 {
        app.advance(Duration::from_mins(1));
        others.push(app.login("alice", PASSWORD).await.cookie());
    }
    assert_eq!(
        app.ended_because(&first).await.as_deref(),
        Some("too_many_sessions")
    );
    for cookie in &others {
        assert_eq!(app.refresh(cookie).await.status, 200);
    }
}

#[tokio::test]
async fn sessions_that_are_over_do_not_count_towards_the_twenty() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    for _ in 0..25 {
        let answer = app.login("alice", PASSWORD).await;
        let logout = app.post("/v1/auth/logout").bearer(&answer.access_token());
        assert_eq!(logout.send().await.status, 200);
    }
    assert_eq!(app.refresh(&first.cookie()).await.status, 200);
}

#[tokio::test]
async fn a_deleted_account_is_unknown() {
    let app = TestApp::open().await;
    let answer = app.register("alice").await;
    app.service()
        .delete_user(UserRef::parse("alice"))
        .await
        .expect("the user exists");
    assert_eq!(
        app.login("alice", PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
    assert_eq!(
        app.me(&answer.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(check(&app, "alice").await.json(), json!({"exists": false}));
}

#[tokio::test]
async fn the_login_of_an_account_says_nothing_of_its_type() {
    let app = TestApp::open().await;
    for login in [json!(7), json!(true), json!(["alice"]), json!({"$ne": ""})] {
        let body = json!({"login": login, "password": PASSWORD});
        let answer = app.post("/v1/auth/login").json(&body).send().await;
        assert_eq!(answer.brief(), "422 validation.error");
        assert_eq!(
            answer.json()["details"]["fields"]["login"]["code"],
            Value::from("wrong_type")
        );
    }
}
