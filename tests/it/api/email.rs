//! Proving an address through the link in a mail.

use std::time::Duration;

use arkloop::domain::Email;
use arkloop::service::UserRef;
use insta::assert_snapshot;

use super::mailed::{Mailed, WAITS, registration_with_address_of, waits_between};
use crate::support::PASSWORD;

const INVALID: &str = "422 email.token_invalid";
/// Has the form of a token, but was never issued.
const NO_TOKEN: &str = "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw";

#[tokio::test]
async fn the_link_of_the_registration_verifies_the_address() {
    let mailed = Mailed::start().await;
    let (alice, token) = mailed.register("alice").await;
    assert_eq!(alice.json()["warning"], serde_json::Value::Null);
    let me = async || mailed.app.me(&alice.access_token()).await.json();
    assert_eq!(me().await["email_verified"], false);
    let preview = mailed.verify("preview", &token).await;
    assert_snapshot!(preview.shown_with_headers(), @r#"
    200

    {
      "username": "alice",
      "email_verified": false
    }
    "#);
    // A preview does not use the link up and verifies nothing.
    assert_eq!(mailed.verify("preview", &token).await.brief(), "200 -");
    assert_eq!(me().await["email_verified"], false);
    assert_snapshot!(mailed.verify("confirm", &token).await.shown(), @r#"
    200
    {
      "ok": true
    }
    "#);
    assert_eq!(me().await["email_verified"], true);
    // Confirming again is fine, even after the lifetime of the link; the session and the password stay.
    mailed.app.advance(Duration::from_hours(25));
    assert_eq!(mailed.verify("confirm", &token).await.brief(), "200 -");
    assert_eq!(
        mailed.verify("preview", &token).await.json()["email_verified"],
        true
    );
    assert_eq!(mailed.app.refresh(&alice.cookie()).await.status, 200);
    assert_eq!(mailed.app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_link_that_is_none_is_refused() {
    let mailed = Mailed::start().await;
    mailed.register("alice").await;
    let reset = mailed.reset_token_to("alice").await;
    for what in ["preview", "confirm", "reject"] {
        for wrong in [NO_TOKEN, "x", &"x".repeat(5_000), &reset] {
            assert_eq!(
                mailed.verify(what, wrong).await.brief(),
                INVALID,
                "{what} {wrong}"
            );
        }
    }
    assert_snapshot!(mailed.verify("confirm", NO_TOKEN).await.shown(), @r#"
    422
    {
      "code": "email.token_invalid",
      "message": "This link has been used or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
    // The link to set a password was left alone.
    assert_eq!(mailed.reset(&reset, "a louder harbour").await.brief(), "204 -");
}

#[tokio::test]
async fn a_link_works_for_a_day() {
    let mailed = Mailed::start().await;
    let (_, of_alice) = mailed.register("alice").await;
    // The registration advanced the clock by a minute already.
    mailed.app.advance(Duration::from_secs(24 * 3_600 - 61));
    assert_eq!(mailed.verify("preview", &of_alice).await.brief(), "200 -");
    mailed.app.advance(Duration::from_secs(1));
    for what in ["preview", "confirm", "reject"] {
        assert_eq!(mailed.verify(what, &of_alice).await.brief(), INVALID, "{what}");
    }
}

#[tokio::test]
async fn only_the_newest_link_works() {
    let mailed = Mailed::start().await;
    let (alice, first) = mailed.register("alice").await;
    let sent = mailed.send_verification(&alice.access_token()).await;
    assert_snapshot!(sent.shown(), @"204");
    let second = mailed.token_to("alice").await;
    for what in ["preview", "confirm", "reject"] {
        assert_eq!(mailed.verify(what, &first).await.brief(), INVALID, "{what}");
    }
    assert_eq!(mailed.verify("confirm", &second).await.brief(), "200 -");
    let sent = mailed.send_verification(&alice.access_token()).await;
    assert_snapshot!(sent.shown(), @r#"
    409
    {
      "code": "email.already_verified",
      "message": "This e-mail address is verified already.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn links_are_one_a_minute_five_an_hour_and_ten_a_day() {
    let mailed = Mailed::start().await;
    mailed.app.register("alice").await;
    let send = async || {
        let signed_in = mailed.app.login("alice", PASSWORD).await;
        mailed.send_verification(&signed_in.access_token()).await
    };
    // The registration mailed the first one.
    let waits = waits_between(&mailed.app, WAITS.len() - 1, send).await;
    assert_eq!(waits, WAITS[1..]);
    // Codes have a budget of their own.
    assert_eq!(mailed.send_code("alice").await.brief(), "204 -");
    assert_eq!(mailed.send_reset("alice").await.brief(), "204 -");
}

#[tokio::test]
async fn this_was_not_me_deletes_the_account() {
    let mailed = Mailed::start().await;
    let stranger = mailed
        .post(
            "/v1/auth/register",
            registration_with_address_of("stranger", "alice"),
        )
        .await;
    let token = mailed.token_to("alice").await;
    assert_eq!(
        mailed.verify("preview", &token).await.json()["username"],
        "stranger"
    );
    assert_snapshot!(mailed.verify("reject", &token).await.shown(), @r#"
    200
    {
      "ok": true
    }
    "#);
    mailed.assert_shut_out("stranger", &stranger).await;
    mailed.assert_shut_out("alice@example.org", &stranger).await;
    for what in ["preview", "confirm", "reject"] {
        assert_eq!(mailed.verify(what, &token).await.brief(), INVALID, "{what}");
    }
    // The address is free for its owner.
    mailed.app.register("alice").await;
}

#[tokio::test]
async fn a_verified_account_is_not_deleted() {
    let mailed = Mailed::start().await;
    let (alice, token) = mailed.register("alice").await;
    assert_eq!(mailed.verify("confirm", &token).await.brief(), "200 -");
    assert_eq!(mailed.verify("reject", &token).await.brief(), INVALID);
    // Nor is an account deleted that was verified in another way while the link was unused.
    let (bob, token) = mailed.register("bob").await;
    let code = mailed.code_to("bob").await;
    assert_eq!(mailed.sign_in("bob", &code).await.brief(), "200 -");
    assert_eq!(mailed.verify("reject", &token).await.brief(), INVALID);
    assert_eq!(mailed.app.me(&alice.access_token()).await.status, 200);
    // The sign-in by code signed out the session of the registration, but the account is there.
    assert_eq!(
        mailed.app.me(&bob.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    let code = mailed.post("/v1/auth/check", serde_json::json!({"login": "bob"}));
    assert_eq!(code.await.json()["exists"], true);
}

#[tokio::test]
async fn a_link_is_not_used_up_while_nothing_can_be_committed() {
    let mailed = Mailed::start().await;
    let (_, of_alice) = mailed.register("alice").await;
    let (_, of_bob) = mailed.register("bob").await;
    mailed.app.store_probe().on_commit(|| false);
    for (what, token) in [("confirm", &of_alice), ("reject", &of_bob)] {
        let answer = mailed.verify(what, token).await;
        assert_eq!(answer.brief(), "503 service.unavailable", "{what}");
    }
    mailed.app.store_probe().let_commits_through();
    for (what, token) in [("confirm", &of_alice), ("reject", &of_bob)] {
        assert_eq!(mailed.verify(what, token).await.brief(), "200 -", "{what}");
    }
}

#[tokio::test]
async fn codes_and_links_are_void_once_the_account_has_another_address() {
    let mailed = Mailed::start().await;
    let (_, verification) = mailed.register("alice").await;
    let reset = mailed.reset_token_to("alice").await;
    let code = mailed.code_to("alice").await;
    let service = mailed.app.service();
    let moved = Email::parse("moved@example.org").expect("it is an address");
    let changed = service.set_email(UserRef::parse("alice"), moved).await;
    changed.expect("it is free");
    for what in ["preview", "confirm", "reject"] {
        assert_eq!(
            mailed.verify(what, &verification).await.brief(),
            INVALID,
            "{what}"
        );
    }
    assert_eq!(
        mailed.reset(&reset, "a louder harbour").await.brief(),
        "422 auth.reset_token_invalid"
    );
    for login in ["alice", "moved"] {
        assert_eq!(
            mailed.sign_in(login, &code).await.brief(),
            "422 auth.otp_invalid",
            "{login}"
        );
    }
    assert_eq!(mailed.app.login("alice", PASSWORD).await.status, 200);
}
