//! The owner of an address takes an account back that a stranger registered with it: by a code, by a mailed reset, or by "this was not me".

use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE};
use crate::support::PASSWORD;

#[tokio::test]
async fn the_first_sign_in_by_code_shuts_the_stranger_out() {
    let mailed = Mailed::start().await;
    let (stranger, verification) = mailed.register("alice").await;
    let second = mailed.app.login("alice", PASSWORD).await;
    let code = mailed.code_to("alice").await;
    // The stranger planted the cookie of their session in the owner's browser.
    let body = json!({"email": "alice@example.org", "otp": code});
    let request = mailed.app.post("/v1/auth/email/otp/verify").json(&body);
    let owner = request.cookie(&stranger.cookie()).send().await;
    assert_eq!(owner.brief(), "200 -");
    assert_ne!(owner.cookie(), stranger.cookie());
    for signed_in in [&stranger, &second] {
        mailed.assert_shut_out("alice", signed_in).await;
        assert_eq!(
            mailed.app.ended_because(&signed_in.cookie()).await.as_deref(),
            Some("taken_back")
        );
    }
    let me = mailed.app.me(&owner.access_token()).await.json();
    assert_eq!(
        (&me["email_verified"], &me["has_password"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        mailed.verify("reject", &verification).await.brief(),
        "422 email.token_invalid"
    );
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_snapshot!(told.message().subject().unwrap_or_default(), @"localhost: Your address is confirmed: set a new password");
    assert_eq!(mailed.reset(&told.token(), NEW_PASSWORD).await.brief(), "204 -");
    let signed_in = mailed.app.login("alice", NEW_PASSWORD).await;
    assert_eq!(signed_in.status, 200);
    // The address is verified now, so a second code shuts nobody out.
    mailed.app.advance(PAUSE);
    // The mail that the password was changed comes first.
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(
        told.message().subject(),
        Some("localhost: Your password was changed")
    );
    let code = mailed.code_to("alice").await;
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), "200 -");
    assert_eq!(mailed.app.me(&signed_in.access_token()).await.status, 200);
    assert_eq!(mailed.app.login("alice", NEW_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn the_first_mailed_reset_shuts_the_stranger_out_and_tells_the_owner_in_one_mail() {
    let mailed = Mailed::start().await;
    let (stranger, verification) = mailed.register("alice").await;
    let second = mailed.app.login("alice", PASSWORD).await;
    let token = mailed.reset_token_to("alice").await;
    // The stranger planted the cookie of their session in the owner's browser.
    let body = json!({"token": token, "new_password": NEW_PASSWORD});
    let request = mailed.app.post("/v1/auth/password/reset/confirm").json(&body);
    let reset = request.cookie(&stranger.cookie()).send().await;
    assert_eq!(reset.brief(), "204 -");
    for signed_in in [&stranger, &second] {
        mailed.assert_shut_out("alice", signed_in).await;
        assert_eq!(
            mailed.app.ended_because(&signed_in.cookie()).await.as_deref(),
            Some("taken_back")
        );
    }
    assert_eq!(
        mailed.verify("reject", &verification).await.brief(),
        "422 email.token_invalid"
    );
    mailed.app.wait_for_empty_outbox().await;
    let subjects: Vec<_> = mailed
        .smtp
        .received()
        .iter()
        .map(|mail| mail.message().subject().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        subjects,
        [
            "localhost: Confirm your e-mail address",
            "localhost: Reset your password",
            "localhost: Your address is confirmed and your password is set",
        ]
    );
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert!(!told.text().contains("://"), "the password is set already");
    // With the stranger's cookie still in the browser the owner signs in, and gets a session of their own.
    let request = mailed.app.post("/v1/auth/login");
    let request = request.json(&json!({"login": "alice", "password": NEW_PASSWORD}));
    let owner = request.cookie(&stranger.cookie()).send().await;
    assert_ne!(owner.cookie(), stranger.cookie());
    let me = mailed.app.me(&owner.access_token()).await.json();
    assert_eq!(me["email_verified"], true, "{me}");
    // The address is verified now, so a second reset sends the usual mail.
    mailed.app.advance(PAUSE);
    let token = mailed.reset_token_to("alice").await;
    assert_eq!(mailed.reset(&token, PASSWORD).await.brief(), "204 -");
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(
        told.message().subject(),
        Some("localhost: Your password was changed")
    );
}

#[tokio::test]
async fn this_was_not_me_shuts_the_stranger_out_and_tells_the_owner_that_all_is_done() {
    let mailed = Mailed::start().await;
    let (stranger, verification) = mailed.register("alice").await;
    let second = mailed.app.login("alice", PASSWORD).await;
    // The stranger planted the cookie of their session in the owner's browser.
    let request = mailed.app.post("/v1/auth/email/verify/reject");
    let request = request.json(&json!({ "token": verification }));
    let rejected = request.cookie(&stranger.cookie()).send().await;
    assert_eq!(rejected.brief(), "200 -");
    for signed_in in [&stranger, &second] {
        mailed.assert_shut_out("alice", signed_in).await;
    }
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_snapshot!(told.message().subject().unwrap_or_default(), @"localhost: The account with your address was deleted");
    assert_snapshot!(told.text(), @r#"
    localhost

    The account with your address was deleted

    You said that this account is not yours. It was deleted, and the person
    who registered it was signed out.

        Account: alice

    There is nothing more to do: no account uses your address now.

    Did you say so by mistake? Then you need a new account.

    You receive this mail because the account used this address. If you did
    not say that the account is not yours, another person may be able to
    read your mail: change the password of your mailbox.
    "#);
    // With the stranger's cookie still in the browser the owner registers, and gets an account of their own.
    let request = mailed.app.post("/v1/auth/register");
    let request = request.json(&crate::support::registration("alice"));
    let owner = request.cookie(&stranger.cookie()).send().await;
    assert_eq!(owner.brief(), "201 -");
    assert_ne!(owner.json()["user_id"], stranger.json()["user_id"]);
    assert_ne!(owner.cookie(), stranger.cookie());
    mailed.app.wait_for_empty_outbox().await;
    assert_eq!(
        mailed.smtp.received().len(),
        3,
        "two verifications, and that it is gone"
    );
}

#[tokio::test]
async fn without_mail_this_was_not_me_deletes_the_account_all_the_same() {
    let mut mailed = Mailed::start().await;
    let (stranger, verification) = mailed.register("alice").await;
    mailed.app.wait_for_empty_outbox().await;
    mailed.app.restart_with("MAIL__TRANSPORT", "off").await;
    assert_eq!(mailed.verify("reject", &verification).await.brief(), "200 -");
    mailed.assert_shut_out("alice", &stranger).await;
    assert_eq!(mailed.app.count("SELECT count(*) FROM outbox"), 0);
}

#[tokio::test]
async fn a_planted_cookie_of_another_account_changes_nothing() {
    let mailed = Mailed::start().await;
    let stranger = mailed.register_verified("stranger").await;
    mailed.register_verified("alice").await;
    let code = mailed.code_to("alice").await;
    let body = json!({"email": "alice@example.org", "otp": code});
    let request = mailed.app.post("/v1/auth/email/otp/verify").json(&body);
    let owner = request.cookie(&stranger.cookie()).send().await;
    assert_eq!(owner.brief(), "200 -");
    let me = mailed.app.me(&owner.access_token()).await.json();
    assert_eq!(me["username"], "alice");
    assert_ne!(owner.cookie(), stranger.cookie());
    // The stranger's session was replaced, so it has ended.
    assert_eq!(
        mailed.app.refresh(&stranger.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}
