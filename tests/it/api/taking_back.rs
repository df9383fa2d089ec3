//! The owner of an address takes an account back that a stranger registered with it.

use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE};

#[tokio::test]
async fn the_first_sign_in_by_code_shuts_the_stranger_out() {
    let mailed = Mailed::start().await;
    let (stranger, verification) = mailed.register("alice").await;
    let second = mailed.app.login("alice", crate::support::PASSWORD).await;
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
    assert_snapshot!(told.message().subject().unwrap_or_default(), @"Your address is confirmed: set a new password");
    assert_eq!(mailed.reset(&told.token(), NEW_PASSWORD).await.brief(), "204 -");
    let signed_in = mailed.app.login("alice", NEW_PASSWORD).await;
    assert_eq!(signed_in.status, 200);
    // The second time nobody is a stranger.
    mailed.app.advance(PAUSE);
    // The mail that the password was changed comes first.
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(told.message().subject(), Some("Your password was changed"));
    let code = mailed.code_to("alice").await;
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), "200 -");
    assert_eq!(mailed.app.me(&signed_in.access_token()).await.status, 200);
    assert_eq!(mailed.app.login("alice", NEW_PASSWORD).await.status, 200);
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
    // Its cookie was replaced, so its session ended.
    assert_eq!(
        mailed.app.refresh(&stranger.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}
