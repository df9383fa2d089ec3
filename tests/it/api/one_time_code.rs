//! Signing in with a mailed code.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{Mailed, PAUSE, address, other_than};
use crate::support::{Answer, PASSWORD, TestApp};

const INVALID: &str = "422 auth.otp_invalid";

#[tokio::test]
async fn the_code_in_the_mail_signs_in() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let sent = mailed.send_code("alice").await;
    assert_snapshot!(sent.shown_with_headers(), @r"
    204
    ");
    let code = mailed.smtp.mail_to("alice@example.org").await.code();
    assert!(
        code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()),
        "{code}"
    );
    let answer = mailed.sign_in("alice", &code).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:01:00 GMT

    {
      "access_token": "[jwt]",
      "token_type": "bearer"
    }
    "#);
    let me = mailed.app.me(&answer.access_token()).await.json();
    assert_eq!(
        (&me["username"], &me["has_password"]),
        (&json!("alice"), &json!(true))
    );
    assert_eq!(mailed.app.refresh(&answer.cookie()).await.status, 200);
    // The address was verified before, so the password stays.
    assert_eq!(mailed.app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_code_may_come_with_spaces_and_under_its_other_name_but_not_under_both() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let path = "/v1/auth/email/otp/verify";
    let code = mailed.code_to("alice").await;
    let both = json!({"email": "alice@example.org", "otp": code, "code": code});
    assert_snapshot!(mailed.post(path, both).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "code": {
            "code": "duplicate",
            "message": "This field stands in the body more than once."
          }
        }
      }
    }
    "#);
    let neither = mailed.post(path, json!({"email": "alice@example.org"})).await;
    assert_eq!(
        neither.json()["details"]["fields"]["otp"]["code"],
        "missing",
        "{neither:?}"
    );
    let spaced = format!(" {} {} ", &code[..3], &code[3..]);
    let answer = mailed
        .post(path, json!({"email": " Alice@Example.org ", "code": spaced}))
        .await;
    assert_eq!(answer.brief(), "200 -");
}

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_known_one() {
    let mailed = Mailed::start().await;
    mailed.register("alice").await;
    let plain = |answer: &Answer| answer.shown_with_headers();
    let (known, unknown) = (mailed.send_code("alice").await, mailed.send_code("nobody").await);
    assert_eq!(plain(&known), plain(&unknown));
    let code = mailed.smtp.mail_to("alice@example.org").await.code();
    // The same holds for requests that come too early.
    let (known, unknown) = (mailed.send_code("alice").await, mailed.send_code("nobody").await);
    assert_eq!(plain(&known), plain(&unknown));
    assert_snapshot!(known.shown_with_headers(), @r#"
    429
    retry-after: 60

    {
      "code": "auth.otp_rate_limited",
      "message": "Too many mails for this address: try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "address"
      }
    }
    "#);
    let wrong = other_than(&code);
    let (known, unknown) = (
        mailed.sign_in("alice", wrong).await,
        mailed.sign_in("nobody", wrong).await,
    );
    assert_eq!(plain(&known), plain(&unknown));
    assert_snapshot!(known.shown(), @r#"
    422
    {
      "code": "auth.otp_invalid",
      "message": "The code is wrong or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
    // No code was ever asked for at this address.
    assert_eq!(plain(&mailed.sign_in("stranger", wrong).await), plain(&known));
    // Nothing was mailed to other addresses, and no account was created.
    let received = mailed.smtp.received();
    assert!(
        received
            .iter()
            .all(|mail| mail.recipients == ["alice@example.org"])
    );
    let check = mailed
        .post("/v1/auth/check", json!({"login": "nobody@example.org"}))
        .await;
    assert_eq!(check.json()["exists"], false);
}

#[tokio::test]
async fn only_the_newest_code_works_and_once_only() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let first = mailed.code_to("alice").await;
    mailed.app.advance(PAUSE);
    let second = mailed.code_to("alice").await;
    assert_ne!(first, second);
    assert_eq!(mailed.sign_in("alice", &first).await.brief(), INVALID);
    assert_eq!(mailed.sign_in("alice", &second).await.brief(), "200 -");
    assert_eq!(mailed.sign_in("alice", &second).await.brief(), INVALID);
}

#[tokio::test]
async fn a_code_works_for_ten_minutes() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    for (age, expected) in [(599, "200 -"), (600, INVALID)] {
        let code = mailed.code_to("alice").await;
        mailed.app.advance(Duration::from_secs(age));
        assert_eq!(mailed.sign_in("alice", &code).await.brief(), expected, "{age}");
    }
}

#[tokio::test]
async fn after_five_wrong_tries_the_right_code_is_wrong_too() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    for (wrong_tries, expected) in [(4, "200 -"), (5, INVALID)] {
        let code = mailed.code_to("alice").await;
        for _ in 0..wrong_tries {
            assert_eq!(mailed.sign_in("alice", other_than(&code)).await.brief(), INVALID);
        }
        assert_eq!(
            mailed.sign_in("alice", &code).await.brief(),
            expected,
            "{wrong_tries}"
        );
        mailed.app.advance(PAUSE);
    }
}

#[tokio::test]
async fn a_code_is_for_its_own_address_only() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    mailed.register_verified("bob").await;
    let (of_alice, of_bob) = (mailed.code_to("alice").await, mailed.code_to("bob").await);
    assert_ne!(of_alice, of_bob);
    assert_eq!(mailed.sign_in("bob", &of_alice).await.brief(), INVALID);
    assert_eq!(mailed.sign_in("alice", &of_alice).await.brief(), "200 -");
    assert_eq!(mailed.sign_in("bob", &of_bob).await.brief(), "200 -");
}

#[tokio::test]
async fn a_suspension_shows_only_after_the_right_code() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let suspended = mailed.app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("the user exists");
    let code = mailed.code_to("alice").await;
    assert_eq!(mailed.sign_in("alice", other_than(&code)).await.brief(), INVALID);
    let answer = mailed.sign_in("alice", &code).await;
    assert_eq!(answer.brief(), "403 auth.user_suspended");
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn without_codes_there_is_nothing() {
    let app = TestApp::builder()
        .open()
        .set("OTP__ENABLED", "false")
        .start()
        .await;
    app.register("alice").await;
    for (what, body) in [
        ("send", json!({"email": "alice@example.org"})),
        ("verify", json!({"email": "alice@example.org", "otp": "123456"})),
    ] {
        let path = format!("/v1/auth/email/otp/{what}");
        let answer = app.post(&path).json(&body).send().await;
        assert_eq!(answer.brief(), "404 http.not_found", "{what}");
    }
}

#[tokio::test]
async fn the_operator_may_ask_for_longer_codes() {
    let mut mailed = Mailed::start().await;
    mailed.app.restart_with("OTP__DIGITS", "8").await;
    mailed.register_verified("alice").await;
    let code = mailed.code_to("alice").await;
    assert_eq!(code.len(), 8);
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), "200 -");
}

#[tokio::test]
async fn a_sign_in_by_code_replaces_the_session_of_its_cookie() {
    let mailed = Mailed::start().await;
    let first = mailed.register_verified("alice").await;
    let code = mailed.code_to("alice").await;
    let body = json!({"email": "alice@example.org", "otp": code});
    let request = mailed.app.post("/v1/auth/email/otp/verify").json(&body);
    let answer = request.cookie(&first.cookie()).send().await;
    assert_eq!(answer.brief(), "200 -");
    assert_eq!(
        mailed.app.refresh(&first.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(mailed.app.refresh(&answer.cookie()).await.status, 200);
}

#[tokio::test]
async fn without_mail_every_send_says_so_and_registration_warns() {
    let app = TestApp::builder()
        .open()
        .set("MAIL__TRANSPORT", "off")
        .start()
        .await;
    let alice = app.register("alice").await;
    assert_snapshot!(alice.shown(), @r#"
    201
    {
      "user_id": "[uuid]",
      "access_token": "[jwt]",
      "token_type": "bearer",
      "warning": "No verification mail can be sent, because this server sends no mail."
    }
    "#);
    let verification = app.post("/v1/auth/email/verify/send");
    let verification = verification.bearer(&alice.access_token()).send().await;
    assert_eq!(verification.brief(), "503 mail.unavailable");
    for path in ["/v1/auth/email/otp/send", "/v1/auth/password/reset/send"] {
        for login in ["alice", "nobody"] {
            let body = json!({"email": address(login)});
            let answer = app.post(path).json(&body).send().await;
            assert_eq!(answer.brief(), "503 mail.unavailable", "{path} {login}");
            assert!(answer.header("retry-after").is_some(), "{path} {login}");
        }
    }
    assert_snapshot!(verification.shown(), @r#"
    503
    {
      "code": "mail.unavailable",
      "message": "This server sends no mail.",
      "trace_id": "[trace id]"
    }
    "#);
}
