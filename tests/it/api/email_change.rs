//! Asking for a change of the account's address.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Map, json};

use crate::support::address::{ASKED, HELD, Mover};
use crate::support::{Answer, PASSWORD};

const NEW: &str = "new@example.net";
const INVALID: &str = "422 email.token_invalid";

/// The code of the present password in a refusal.
pub fn said_of_password(answer: &Answer) -> String {
    assert_eq!(answer.brief(), "422 validation.error", "{answer:?}");
    let fields = answer.json()["details"]["fields"].clone();
    assert_eq!(fields.as_object().map(Map::len), Some(1), "{fields}");
    fields["current_password"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn until_it_is_confirmed_nothing_changes() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let before = mover.app.rows().await;
    let asked = mover.ask(&alice, NEW).await;
    assert_snapshot!(asked.shown_with_headers(), @"204");
    let token = mover.mail(NEW, ASKED).await.token();
    let preview = mover.preview(&token).await;
    assert_snapshot!(preview.shown_with_headers(), @r#"
    200

    {
      "purpose": "change",
      "username": "alice",
      "email": "new@example.net"
    }
    "#);
    assert_eq!(mover.preview(&token).await.brief(), "200 -");
    assert_eq!(mover.app.rows().await, before);
    assert_eq!(mover.app.login(NEW, PASSWORD).await.status, 401);
    assert_eq!(mover.app.login("alice@example.org", PASSWORD).await.status, 200);
    let confirmed = mover.confirm_by(&alice, &token).await;
    assert_snapshot!(confirmed.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Sun, 18 Jan 2026 00:00:00 GMT

    {
      "ok": true
    }
    "#);
    let me = mover.app.me(&alice.access_token()).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(NEW), &json!(true)));
    assert_eq!(mover.app.login("alice@example.org", PASSWORD).await.status, 401);
    assert_eq!(mover.app.login(NEW, PASSWORD).await.status, 200);
    // The link is used.
    let again = mover.confirm_by(&alice, &token).await;
    assert_snapshot!(again.shown(), @r#"
    422
    {
      "code": "email.token_invalid",
      "message": "This link has been used or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(mover.preview(&token).await.brief(), INVALID);
    let told: Vec<String> = mover.app.audit().await;
    let told: Vec<&String> = told
        .iter()
        .filter(|row| row.starts_with("email.change"))
        .collect();
    assert_snapshot!(format!("{told:#?}"), @r#"
    [
        "email.change_requested @alice",
        "email.changed @alice",
        "email.changed refused: unknown_link @alice",
    ]
    "#);
}

#[tokio::test]
async fn a_change_needs_the_password_also_right_after_signing_in() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let before = mover.app.count("SELECT count(*) FROM email_changes");
    for absent in [
        json!({"new_email": NEW}),
        json!({"new_email": NEW, "current_password": null}),
    ] {
        let answer = mover.ask_with(&alice, absent).await;
        assert_eq!(said_of_password(&answer), "missing");
    }
    let wrong = json!({"new_email": NEW, "current_password": "a noisy harbour"});
    assert_snapshot!(mover.ask_with(&alice, wrong).await.shown(), @r#"
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
    let none = mover.app.post("/v1/auth/email/change");
    let none = none.json(&json!({"new_email": NEW, "current_password": PASSWORD}));
    assert_eq!(none.send().await.brief(), "401 auth.missing_token");
    assert_eq!(mover.app.count("SELECT count(*) FROM email_changes"), before);
    assert_eq!(mover.ask(&alice, NEW).await.brief(), "204 -");
}

#[tokio::test]
async fn without_a_password_a_change_needs_a_recent_sign_in() {
    for (age, expected) in [(599, "204 -"), (600, "403 auth.reauthentication_required")] {
        let mover = Mover::start().await;
        mover.app.register("alice").await;
        // The code proves an address that the registration never did, so the password is dropped.
        let email = "alice@example.org";
        mover.smtp.mail_to(email).await;
        assert_eq!(mover.app.send_code(email).await.brief(), "204 -");
        let code = mover.smtp.mail_to(email).await.code();
        let alice = mover.app.verify_code(email, &code).await;
        mover.app.advance(Duration::from_secs(age));
        let answer = mover.ask_with(&alice, json!({"new_email": NEW})).await;
        assert_eq!(answer.brief(), expected, "{age}");
        if answer.status == 403 {
            // A refresh is no signing in.
            let refreshed = mover.app.refresh(&alice.cookie()).await;
            let answer = mover.ask_with(&refreshed, json!({"new_email": NEW})).await;
            assert_eq!(answer.brief(), expected);
        } else {
            // The session confirms, and no password does.
            let token = mover.mail(NEW, ASKED).await.token();
            let guessed = mover.confirm_with(PASSWORD, &token).await;
            assert_eq!(said_of_password(&guessed), "incorrect");
            assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
        }
    }
}

#[tokio::test]
async fn the_present_address_is_refused_and_another_spelling_of_it_is_not() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    assert_snapshot!(mover.ask(&alice, " alice@example.org ").await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "new_email": {
            "code": "invalid",
            "message": "Must be another address than the account has."
          }
        }
      }
    }
    "#);
    mover.move_to(&alice, "Alice@example.org").await;
    assert_eq!(mover.address_of(&alice).await, "Alice@example.org");
    // The mailbox is the same, so that there is nothing to undo, and the account has had it as long as before.
    assert_eq!(mover.undos_to("alice@example.org").await, 0);
    mover.move_to(&mover.signed_in("alice").await, NEW).await;
    assert_eq!(mover.undos_to("Alice@example.org").await, 1);
}

#[tokio::test]
async fn a_wrong_password_counts_like_a_wrong_sign_in_for_change_and_confirm() {
    let mover = Mover::start_with(|builder| builder.limited()).await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    let wrong = json!({"new_email": "other@example.net", "current_password": "a noisy harbour"});
    for _ in 0..2 {
        let answer = mover.ask_with(&alice, wrong.clone()).await;
        assert_eq!(said_of_password(&answer), "incorrect");
        let answer = mover.confirm_with("a noisy harbour", &token).await;
        assert_eq!(said_of_password(&answer), "incorrect");
    }
    let login = mover.app.login("alice", "a noisy harbour").await;
    assert_eq!(login.brief(), "401 auth.invalid_credentials");
    // The five together make the next one wait, and the right password is not tried either.
    for answer in [
        mover.ask(&alice, NEW).await,
        mover.confirm_with(PASSWORD, &token).await,
        mover.app.login("alice", PASSWORD).await,
    ] {
        assert_eq!(answer.brief(), "429 rate_limit.exceeded");
        assert_eq!(answer.json()["details"]["limit"], "account");
    }
    mover.app.advance(Duration::from_secs(2));
    assert_eq!(mover.confirm_with(PASSWORD, &token).await.brief(), "200 -");
    // A confirmation is no sign-in: the five stay counted.
    let login = mover.app.login("alice", "a noisy harbour").await;
    assert_eq!(login.brief(), "401 auth.invalid_credentials");
    let waits = mover.app.login("alice", PASSWORD).await;
    assert_eq!(waits.brief(), "429 rate_limit.exceeded");
}

#[tokio::test]
async fn a_taken_address_is_answered_like_a_free_one() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    mover.app.register("squatter").await;
    let alice = mover.verified("alice", HELD).await;
    let mut answers = Vec::new();
    for address in [
        "bob@example.org",
        "BOB@Example.Org",
        "squatter@example.org",
        "free@example.org",
    ] {
        let answer = mover.ask(&alice, address).await;
        answers.push(answer.shown_with_headers());
        // Too soon for the same mailbox, whoever has it.
        let early = mover.ask(&alice, address).await;
        assert_eq!(early.brief(), "429 auth.otp_rate_limited", "{address}");
        answers.push(early.shown_with_headers());
        let me = mover.app.me(&alice.access_token()).await;
        answers.push(me.shown_with_headers());
        mover.app.advance(Duration::from_mins(1));
    }
    let (first, others) = answers.split_at(3);
    for other in others.chunks(3) {
        assert_eq!(other, first);
    }
    assert_snapshot!(answers[1], @r#"
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
    // The operator sees it.
    let rows = mover.app.audit().await;
    let asked = rows
        .iter()
        .filter(|row| row.starts_with("email.change_requested") && !row.contains("too_many_mails"));
    let asked: Vec<&str> = asked.map(String::as_str).collect();
    assert_eq!(
        asked,
        [
            "email.change_requested refused: email_taken @alice",
            "email.change_requested refused: email_taken @alice",
            "email.change_requested @alice",
            "email.change_requested @alice",
        ]
    );
}

#[tokio::test]
async fn a_request_for_a_taken_address_voids_the_earlier_link_too() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    let alice = mover.verified("alice", HELD).await;
    for later in ["bob@example.org", "free@example.org"] {
        let token = mover.token_to(&alice, NEW).await;
        assert_eq!(mover.ask(&alice, later).await.brief(), "204 -");
        assert_eq!(mover.preview(&token).await.brief(), INVALID, "{later}");
        assert_eq!(mover.confirm_by(&alice, &token).await.brief(), INVALID, "{later}");
        mover.app.advance(Duration::from_mins(1));
    }
    assert_eq!(mover.stored_address("alice"), "alice@example.org");
}

#[tokio::test]
async fn changes_of_the_address_have_a_limit_for_each_account() {
    let mover = Mover::start_with(|builder| builder.limit("other", "1000/1m")).await;
    mover.verified("alice", HELD).await;
    for number in 0..11 {
        // Each from a session of its own.
        let alice = mover.signed_in("alice").await;
        // A wrong password spends none of them.
        let wrong = json!({"new_email": NEW, "current_password": "a noisy harbour"});
        let wrong = mover.ask_with(&alice, wrong).await;
        let answer = mover.ask(&alice, &format!("new-{number}@example.net")).await;
        if number < 10 {
            assert_eq!(said_of_password(&wrong), "incorrect");
            assert_eq!(answer.brief(), "204 -", "{number}");
        } else {
            assert_eq!(answer.brief(), "429 rate_limit.exceeded");
            assert_eq!(answer.json()["details"]["limit"], "account");
        }
    }
    let rows = mover.app.audit().await;
    assert!(
        rows.contains(&"throttled refused: own_account_limit @alice".to_owned()),
        "{rows:#?}"
    );
}
