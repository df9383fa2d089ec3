//! Setting a password through a link.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE, WAITS, waits_between};
use crate::support::{PASSWORD, TestApp};

const INVALID: &str = "422 auth.reset_token_invalid";
/// Has the form of a token, but was never issued.
const NO_TOKEN: &str = "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw";

#[tokio::test]
async fn a_reset_ends_every_session_and_works_once() {
    let mailed = Mailed::start().await;
    let first = mailed.register_verified("alice").await;
    let second = mailed.app.login("alice", PASSWORD).await;
    let sent = mailed.send_reset("alice").await;
    assert_snapshot!(sent.shown(), @"204");
    let token = mailed.token_to("alice").await;
    // Asking for a link changes nothing.
    assert_eq!(mailed.app.me(&first.access_token()).await.status, 200);
    let answer = mailed.reset(&token, NEW_PASSWORD).await;
    assert_snapshot!(answer.shown_with_headers(), @r"
    204
    ");
    for signed_in in [&first, &second] {
        mailed.assert_shut_out("alice", signed_in).await;
    }
    assert_eq!(mailed.app.login("alice", NEW_PASSWORD).await.status, 200);
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(
        told.message().subject(),
        Some("localhost: Your password was changed")
    );
    assert_snapshot!(mailed.reset(&token, "a third harbour").await.shown(), @r#"
    422
    {
      "code": "auth.reset_token_invalid",
      "message": "This link has been used or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(mailed.app.login("alice", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_preview_names_the_account_and_uses_nothing_up() {
    let mailed = Mailed::start().await;
    let alice = mailed.register_verified("alice").await;
    let token = mailed.reset_token_to("alice").await;
    let rows = mailed.app.audit().await;
    assert_snapshot!(mailed.preview_reset(&token).await.shown_with_headers(), @r#"
    200

    {
      "username": "alice"
    }
    "#);
    assert_eq!(mailed.preview_reset(&token).await.brief(), "200 -");
    assert_eq!(mailed.app.me(&alice.access_token()).await.status, 200);
    assert_eq!(mailed.app.audit().await, rows);
    assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), "204 -");
}

#[tokio::test]
async fn a_link_that_is_over_is_refused_before_anything_is_typed() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let used = mailed.reset_token_to("alice").await;
    assert_eq!(mailed.reset(&used, NEW_PASSWORD).await.brief(), "204 -");
    mailed.smtp.mail_to("alice@example.org").await;
    mailed.app.advance(PAUSE);
    let expired = mailed.reset_token_to("alice").await;
    mailed.app.advance(Duration::from_secs(3_599));
    assert_eq!(mailed.preview_reset(&expired).await.brief(), "200 -");
    mailed.app.advance(Duration::from_secs(1));
    let (_, verification) = mailed.register("bob").await;
    let bob = UserRef::parse("bob");
    mailed.app.service().suspend(bob).await.expect("he is there");
    // A suspension voids the links from before it, so this one comes after it.
    let suspended = mailed.reset_token_to("bob").await;
    for over in [&used, &expired, &verification, &suspended, NO_TOKEN, "x"] {
        assert_eq!(mailed.preview_reset(over).await.brief(), INVALID, "{over}");
    }
    assert_snapshot!(mailed.preview_reset(&used).await.shown(), @r#"
    422
    {
      "code": "auth.reset_token_invalid",
      "message": "This link has been used or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn a_link_is_used_once_however_many_try() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let token = mailed.reset_token_to("alice").await;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..50 {
        let body = serde_json::json!({"token": token, "new_password": format!("a quiet harbour {number}")});
        let request = mailed.app.post("/v1/auth/password/reset/confirm").json(&body);
        tries.spawn(async move { request.send().await.brief() });
    }
    let mut answers = tries.join_all().await;
    answers.sort();
    assert_eq!(answers[0], "204 -");
    assert!(answers[1..].iter().all(|answer| answer == INVALID), "{answers:?}");
}

#[tokio::test]
async fn a_mailed_reset_proves_the_address() {
    let mailed = Mailed::start().await;
    let (stranger, _) = mailed.register("alice").await;
    let token = mailed.reset_token_to("alice").await;
    assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), "204 -");
    mailed.assert_shut_out("alice", &stranger).await;
    let signed_in = mailed.app.login("alice", NEW_PASSWORD).await;
    let me = mailed.app.me(&signed_in.access_token()).await.json();
    assert_eq!(me["email_verified"], true, "{me}");
}

#[tokio::test]
async fn the_link_of_the_operator_proves_no_address() {
    let app = TestApp::open().await;
    let made = app
        .workspace()
        .json(&["user", "create", "alice", "--email", "alice@example.org"]);
    let made = made.to_string();
    let token = made.split_once("#token=").map(|(_, rest)| &rest[..43]);
    let token = token.unwrap_or_else(|| panic!("no link in {made}"));
    let body = serde_json::json!({"token": token, "new_password": NEW_PASSWORD});
    let answer = app
        .post("/v1/auth/password/reset/confirm")
        .json(&body)
        .send()
        .await;
    assert_eq!(answer.brief(), "204 -");
    let signed_in = app.login("alice", NEW_PASSWORD).await;
    let me = app.me(&signed_in.access_token()).await.json();
    assert_eq!(me["email_verified"], false, "{me}");
}

#[tokio::test]
async fn a_link_works_for_an_hour_and_only_the_newest() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let first = mailed.reset_token_to("alice").await;
    mailed.app.advance(PAUSE);
    let second = mailed.reset_token_to("alice").await;
    assert_eq!(mailed.reset(&first, NEW_PASSWORD).await.brief(), INVALID);
    mailed.app.advance(Duration::from_hours(1));
    assert_eq!(mailed.reset(&second, NEW_PASSWORD).await.brief(), INVALID);
    let third = mailed.reset_token_to("alice").await;
    mailed.app.advance(Duration::from_secs(3_599));
    // A password that is refused leaves the link alone.
    for bad in ["short", "password", "alice@example.org"] {
        let answer = mailed.reset(&third, bad).await;
        assert_eq!(answer.brief(), "422 validation.error", "{bad}");
        assert!(
            answer.json()["details"]["fields"]["new_password"].is_object(),
            "{answer:?}"
        );
    }
    assert_eq!(mailed.reset(&third, NEW_PASSWORD).await.brief(), "204 -");
}

#[tokio::test]
async fn a_link_that_is_none_is_refused() {
    let mailed = Mailed::start().await;
    let (_, verification) = mailed.register("alice").await;
    for wrong in [NO_TOKEN, "x", &"x".repeat(5_000), &verification] {
        assert_eq!(
            mailed.reset(wrong, NEW_PASSWORD).await.brief(),
            INVALID,
            "{wrong}"
        );
    }
    assert_eq!(mailed.verify("confirm", &verification).await.brief(), "200 -");
}

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_known_one() {
    let mailed = Mailed::start().await;
    mailed.register("alice").await;
    // The first request is granted, the second comes too early.
    for status in [204, 429] {
        let (known, unknown) = (
            mailed.send_reset("alice").await,
            mailed.send_reset("nobody").await,
        );
        assert_eq!(known.status, status);
        assert_eq!(known.shown_with_headers(), unknown.shown_with_headers());
    }
    mailed.token_to("alice").await;
    let received = mailed.smtp.received();
    assert!(
        received
            .iter()
            .all(|mail| mail.recipients == ["alice@example.org"])
    );
}

#[tokio::test]
async fn links_are_one_a_minute_five_an_hour_and_ten_a_day_for_every_address() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    for login in ["alice", "nobody"] {
        let waits = waits_between(&mailed.app, WAITS.len(), async || mailed.send_reset(login).await);
        assert_eq!(waits.await, WAITS, "{login}");
    }
}

#[tokio::test]
async fn a_reset_lifts_no_suspension() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let suspended = mailed.app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("the user exists");
    let token = mailed.reset_token_to("alice").await;
    assert_eq!(
        mailed.reset(&token, NEW_PASSWORD).await.brief(),
        "422 auth.reset_token_invalid"
    );
    assert_eq!(
        mailed.app.login("alice", NEW_PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
    assert_eq!(
        mailed.app.login("alice", PASSWORD).await.brief(),
        "403 auth.user_suspended"
    );
}
