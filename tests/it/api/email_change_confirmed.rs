//! Confirming a change of the account's address: the link of the mail and the account are needed, and what it entails.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use super::email_change::said_of_password;
use super::mailed::NEW_PASSWORD;
use crate::support::address::{HELD, Mover};
use crate::support::{PASSWORD, registration};

const NEW: &str = "new@example.net";
const INVALID: &str = "422 email.token_invalid";
/// Has the form of a token, and is none.
const NO_TOKEN: &str = "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw";

#[tokio::test]
async fn a_mistyped_address_s_stranger_who_clicks_gets_nothing() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let stranger = mover.verified("stranger", Duration::ZERO).await;
    let token = mover.token_to(&alice, NEW).await;
    // The stranger reads the mail, and has an account of their own with the same password.
    let nothing = mover.post("/v1/auth/email/change/confirm", json!({ "token": token }));
    assert_eq!(nothing.await.brief(), "401 auth.missing_token");
    assert_eq!(mover.confirm_by(&stranger, &token).await.brief(), INVALID);
    for password in ["a noisy harbour", "another harbour"] {
        let guessed = mover.confirm_with(password, &token).await;
        assert_eq!(said_of_password(&guessed), "incorrect", "{password}");
    }
    // A bearer decides, whatever password comes with it.
    let request = mover.app.post("/v1/auth/email/change/confirm");
    let request = request.json(&json!({"token": token, "current_password": PASSWORD}));
    let both = request.bearer(&stranger.access_token()).send().await;
    assert_eq!(both.brief(), INVALID);
    assert_eq!(mover.stored_address("alice"), "alice@example.org");
    assert_eq!(mover.address_of(&stranger).await, "stranger@example.org");
    // None of this used the link up.
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    let rows = mover.app.audit().await;
    let foreign = rows
        .iter()
        .filter(|row| *row == "email.changed refused: foreign_link @stranger");
    assert_eq!(foreign.count(), 2, "{rows:#?}");
}

#[tokio::test]
async fn without_bearer_and_password_it_is_401_after_the_fields() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    let post = async |body| mover.post("/v1/auth/email/change/confirm", body).await;
    for bad in [
        json!({}),
        json!({"token": " "}),
        json!({"token": 7}),
        json!({"token": token, "current_password": "x".repeat(1_025)}),
        json!({"token": token, "password": PASSWORD}),
    ] {
        assert_eq!(post(bad.clone()).await.brief(), "422 validation.error", "{bad}");
    }
    for body in [
        json!({"token": token}),
        json!({"token": NO_TOKEN}),
        json!({"token": token, "current_password": ""}),
    ] {
        let answer = post(body).await;
        assert_eq!(answer.brief(), "401 auth.missing_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    // A token that was sent must be valid, also beside the right password.
    let request = |bearer: &str| {
        let request = mover.app.post("/v1/auth/email/change/confirm");
        let body = json!({"token": token, "current_password": PASSWORD});
        request.json(&body).header("authorization", bearer)
    };
    for (bearer, expected) in [
        ("Bearer x", "401 auth.invalid_token"),
        ("Basic x", "401 auth.invalid_authorization"),
    ] {
        assert_eq!(request(bearer).send().await.brief(), expected);
    }
    mover.app.advance(Duration::from_mins(16));
    let expired = format!("Bearer {}", alice.access_token());
    assert_eq!(request(&expired).send().await.brief(), "401 auth.token_expired");
    assert_eq!(mover.confirm_with(PASSWORD, &token).await.brief(), "200 -");
}

#[tokio::test]
async fn a_link_works_for_an_hour_and_only_the_newest() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let first = mover.token_to(&alice, NEW).await;
    let second = mover.token_to(&alice, NEW).await;
    assert_eq!(mover.confirm_by(&alice, &first).await.brief(), INVALID);
    // A minute has passed.
    mover.app.advance(Duration::from_secs(3_600 - 61));
    let alice = mover.signed_in("alice").await;
    assert_eq!(mover.preview(&second).await.brief(), "200 -");
    mover.app.advance(Duration::from_secs(1));
    assert_eq!(mover.preview(&second).await.brief(), INVALID);
    assert_eq!(mover.confirm_by(&alice, &second).await.brief(), INVALID);
    assert_eq!(mover.confirm_with(PASSWORD, &second).await.brief(), INVALID);
    assert_eq!(mover.verify("reject", &second).await.brief(), INVALID);
    let rows = mover.app.audit().await;
    assert!(
        rows.contains(&"email.changed refused: expired_link @alice".to_owned()),
        "{rows:#?}"
    );
    let third = mover.token_to(&alice, NEW).await;
    assert_eq!(mover.confirm_by(&alice, &third).await.brief(), "200 -");
}

#[tokio::test]
async fn a_link_that_is_none_is_refused() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    for wrong in [NO_TOKEN, "x", &"x".repeat(5_000)] {
        assert_eq!(mover.preview(wrong).await.brief(), INVALID);
        assert_eq!(mover.confirm_by(&alice, wrong).await.brief(), INVALID);
        assert_eq!(mover.confirm_with(PASSWORD, wrong).await.brief(), INVALID);
        assert_eq!(mover.undo(wrong).await.brief(), INVALID);
    }
}

#[tokio::test]
async fn a_squatter_on_the_new_address_is_removed_and_nothing_of_it_is_merged() {
    let mover = Mover::start().await;
    let squatter = mover.app.register("squatter").await;
    mover.smtp.mail_to("squatter@example.org").await;
    let alice = mover.verified("alice", HELD).await;
    let before = mover.app.me(&alice.access_token()).await.json();
    // Asking for it removes nothing yet.
    let token = mover.token_to(&alice, "squatter@example.org").await;
    assert_eq!(mover.app.login("squatter", PASSWORD).await.status, 200);
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    assert_eq!(
        mover.app.refresh(&squatter.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        mover.app.login("squatter", PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
    let after = mover.app.me(&alice.access_token()).await.json();
    for kept in ["id", "username", "created_at", "locale", "has_password"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_eq!(mover.app.count("SELECT count(*) FROM users"), 1);
    let rows = mover.app.audit().await;
    assert!(
        rows.contains(&"account.displaced @squatter".to_owned()),
        "{rows:#?}"
    );
    let told = mover.mail(
        "squatter@example.org",
        "localhost: The account with your address was deleted",
    );
    assert_snapshot!(told.await.text(), @r#"
    localhost

    The account with your address was deleted

    You have given this address to another account of yours. This account had
    claimed the address without ever confirming it, so it was deleted, and
    the person who registered it was signed out.

        Account: squatter

    There is nothing more to do.

    You receive this mail because the account used this address. If you did
    not move another account here, another person may be able to read your
    mail: change the password of your mailbox.
    "#);
    // The name is free again.
    let mut body = registration("squatter");
    body["email"] = json!("another@example.org");
    assert_eq!(mover.post("/v1/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn a_confirmation_ends_every_other_session() {
    let mover = Mover::start().await;
    let other = mover.verified("alice", HELD).await;
    let alice = mover.signed_in("alice").await;
    let confirmed = mover.move_to(&alice, NEW).await;
    assert_eq!(mover.app.me(&alice.access_token()).await.status, 200);
    assert_eq!(
        mover.app.me(&other.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        mover.app.ended_because(&other.cookie()).await.as_deref(),
        Some("email_changed")
    );
    let next = mover.app.refresh(&confirmed.cookie()).await;
    assert_eq!(next.status, 200);
    assert_eq!(
        mover
            .app
            .count("SELECT count(*) FROM sessions WHERE ended_at IS NULL"),
        1
    );
}

#[tokio::test]
async fn a_confirmation_cuts_off_every_copy_of_the_session() {
    let mover = Mover::start().await;
    let bob = mover.verified("bob", HELD).await;
    let first = mover.verified("alice", HELD).await;
    let current = mover.app.refresh(&first.cookie()).await;
    let confirmed = mover.move_to(&current, NEW).await;
    // Within the grace, too: a copy is worth nothing, and does no harm either.
    for copy in [&first, &current] {
        let answer = mover.app.refresh(&copy.cookie()).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(mover.app.refresh(&confirmed.cookie()).await.status, 200);
    // A cookie of another account's living session is not taken away.
    let alice = mover.signed_in("alice").await;
    let token = mover.token_to(&alice, "newer@example.net").await;
    let request = mover.app.post("/v1/auth/email/change/confirm");
    let request = request.json(&json!({ "token": token })).cookie(&bob.cookie());
    let confirmed = request.bearer(&alice.access_token()).send().await;
    assert_eq!(confirmed.brief(), "200 -");
    assert_eq!(confirmed.header("set-cookie"), None);
    assert_eq!(mover.app.refresh(&bob.cookie()).await.status, 200);
    assert_eq!(
        mover.app.refresh(&alice.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}

#[tokio::test]
async fn a_confirmation_by_password_ends_every_session() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    // The mail is read on another device.
    let confirmed = mover.confirm_with(PASSWORD, &token).await;
    assert_snapshot!(confirmed.shown_with_headers(), @r#"
    200

    {
      "ok": true
    }
    "#);
    assert_eq!(
        mover.app.me(&alice.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        mover
            .app
            .count("SELECT count(*) FROM sessions WHERE ended_at IS NULL"),
        0
    );
    assert_eq!(mover.app.login(NEW, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn verify_confirm_and_preview_refuse_the_link_of_a_change() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, NEW).await;
    let undo = mover.undo_token("alice@example.org").await;
    let change = mover.token_to(&alice, "newer@example.net").await;
    for token in [&change, &undo] {
        for what in ["preview", "confirm"] {
            assert_eq!(mover.verify(what, token).await.brief(), INVALID, "{what}");
        }
        let reset = mover.reset(token, NEW_PASSWORD).await;
        assert_eq!(reset.brief(), "422 auth.reset_token_invalid");
    }
    // Each is good for its own purpose only.
    assert_eq!(mover.undo(&change).await.brief(), INVALID);
    assert_eq!(mover.confirm_by(&alice, &undo).await.brief(), INVALID);
    assert_eq!(mover.verify("reject", &undo).await.brief(), INVALID);
    assert_eq!(mover.confirm_by(&alice, &change).await.brief(), "200 -");
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
}
