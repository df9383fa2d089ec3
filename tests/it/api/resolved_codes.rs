//! Codes that a client asks for with the flow token of `resolve`: they are those that it would ask for by address.

use arkloop::service::UserRef;
use insta::assert_snapshot;

use super::mailed::{Mailed, PAUSE, address, other_than, retry_after};
use super::resolve::{code_of, flow_token, send, verify};

const WRONG: &str = "422 auth.otp_invalid";

#[tokio::test]
async fn a_mailed_code_signs_in_to_the_account_of_a_flow_token() {
    let mailed = Mailed::start().await;
    let app = &mailed.app;
    for login in ["alice", "bob"] {
        mailed.register_verified(login).await;
    }
    let token = flow_token(app, "alice").await;
    assert_snapshot!(send(app, &token).await.shown_with_headers(), @"204");
    let code = mailed.smtp.mail_to(&address("alice")).await.code();
    let wrong = verify(app, &token, other_than(&code)).await;
    assert_eq!(wrong.brief(), WRONG);
    let of_bob = flow_token(app, "bob").await;
    assert_eq!(verify(app, &of_bob, &code).await.brief(), WRONG);
    let spaced = format!(" {} {}. ", &code[..3], &code[3..]);
    let answer = verify(app, &token, &spaced).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:02:00 GMT

    {
      "access_token": "[jwt]",
      "token_type": "bearer"
    }
    "#);
    assert_eq!(app.me(&answer.access_token()).await.json()["username"], "alice");
    assert_eq!(app.refresh(&answer.cookie()).await.status, 200);
    assert_eq!(verify(app, &token, &code).await.brief(), WRONG);
}

#[tokio::test]
async fn both_ways_to_a_code_leave_the_same_rows() {
    let mailed = Mailed::start().await;
    let app = &mailed.app;
    mailed.register_verified("alice").await;
    let before = app.audit().await.len();
    let code = mailed.code_to("alice").await;
    for code in [other_than(&code), &code] {
        mailed.sign_in("alice", code).await;
    }
    let by_address = app.audit().await.split_off(before);
    app.advance(PAUSE);
    let token = flow_token(app, "alice").await;
    let code = code_of(&mailed, &token, "alice").await;
    for code in [other_than(&code), &code] {
        verify(app, &token, code).await;
    }
    let by_token = app.audit().await.split_off(before + by_address.len());
    assert_eq!(by_token, by_address);
    assert_eq!(by_token.len(), 3, "{by_token:?}");
}

#[tokio::test]
async fn a_suspended_account_is_refused_after_the_right_code_of_its_flow_token() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let suspended = mailed.app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("she is there");
    let token = flow_token(&mailed.app, "alice").await;
    let code = code_of(&mailed, &token, "alice").await;
    let wrong = verify(&mailed.app, &token, other_than(&code)).await;
    assert_eq!(wrong.brief(), WRONG);
    let right = verify(&mailed.app, &token, &code).await;
    assert_eq!(right.brief(), "403 auth.user_suspended");
    assert_eq!(right.header("set-cookie"), None);
}

#[tokio::test]
async fn a_code_of_a_flow_token_takes_an_account_back() {
    let mailed = Mailed::start().await;
    let (stranger, _) = mailed.register("alice").await;
    let token = flow_token(&mailed.app, "alice").await;
    let code = code_of(&mailed, &token, "alice").await;
    let owner = verify(&mailed.app, &token, &code).await;
    assert_eq!(owner.brief(), "200 -");
    mailed.assert_shut_out("alice", &stranger).await;
}

#[tokio::test]
async fn both_ways_to_a_code_have_one_budget_and_one_count_of_wrong_codes() {
    let mailed = Mailed::start().await;
    let app = &mailed.app;
    mailed.register_verified("alice").await;
    for round in 0..20 {
        let mut sent = send(app, &flow_token(app, "alice").await).await;
        while sent.status == 429 {
            assert_eq!(sent.brief(), "429 auth.otp_rate_limited");
            assert_eq!(mailed.send_code("alice").await.shown(), sent.shown());
            app.advance(retry_after(&sent));
            sent = send(app, &flow_token(app, "alice").await).await;
        }
        let code = mailed.smtp.mail_to(&address("alice")).await.code();
        let token = flow_token(app, "alice").await;
        for number in 0..5 {
            let wrong = if (round + number) % 2 == 0 {
                verify(app, &token, other_than(&code)).await
            } else {
                mailed.sign_in("alice", other_than(&code)).await
            };
            assert_eq!(wrong.brief(), WRONG);
        }
    }
    let token = flow_token(app, "alice").await;
    assert_eq!(send(app, &token).await.brief(), "429 auth.otp_locked");
    let locked = verify(app, &token, "123456").await;
    assert_eq!(locked.brief(), "429 auth.otp_locked");
    assert_eq!(mailed.sign_in("alice", "123456").await.shown(), locked.shown());
}
