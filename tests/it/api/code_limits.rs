//! Limits on how often codes may be asked for and tried, and that a restart does not reset them.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE, WAITS, address, other_than, retry_after, waits_between};
use crate::support::{Answer, PASSWORD};

const INVALID: &str = "422 auth.otp_invalid";

#[tokio::test]
async fn codes_are_one_a_minute_five_an_hour_and_ten_a_day_for_every_address() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    for login in ["alice", "nobody"] {
        let waits = waits_between(&mailed.app, WAITS.len(), async || mailed.send_code(login).await);
        assert_eq!(waits.await, WAITS, "{login}");
    }
}

#[tokio::test]
async fn what_was_asked_for_is_remembered_across_a_restart() {
    let mut mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let code = mailed.code_to("alice").await;
    for _ in 0..4 {
        assert_eq!(mailed.sign_in("alice", other_than(&code)).await.brief(), INVALID);
    }
    mailed.app.restart().await;
    assert_eq!(
        mailed.send_code("alice").await.brief(),
        "429 auth.otp_rate_limited"
    );
    assert_eq!(mailed.sign_in("alice", other_than(&code)).await.brief(), INVALID);
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), INVALID);
}

/// Tries a hundred wrong codes for the address of `login`, and returns the answer to one more.
async fn lock(mailed: &Mailed, login: &str, is_known: bool) -> Answer {
    for _ in 0..20 {
        send_in_time(mailed, login).await;
        let code = if is_known {
            mailed.smtp.mail_to(&address(login)).await.code()
        } else {
            String::new()
        };
        for _ in 0..5 {
            let answer = mailed.sign_in(login, other_than(&code)).await;
            assert_eq!(answer.brief(), INVALID, "{login}");
        }
    }
    mailed.sign_in(login, "123456").await
}

/// Asks for a code, after waiting as long as the refusals say.
async fn send_in_time(mailed: &Mailed, login: &str) {
    let mut sent = mailed.send_code(login).await;
    while sent.status == 429 {
        assert_eq!(sent.brief(), "429 auth.otp_rate_limited", "{login}");
        mailed.app.advance(retry_after(&sent));
        sent = mailed.send_code(login).await;
    }
    assert_eq!(sent.brief(), "204 -", "{login}");
}

#[tokio::test]
async fn an_address_is_locked_for_a_day_after_a_hundred_wrong_codes() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    let mut shown = Vec::new();
    for (login, is_known) in [("alice", true), ("nobody", false)] {
        let answer = lock(&mailed, login, is_known).await;
        shown.push(answer.shown_with_headers());
        assert_eq!(mailed.send_code(login).await.brief(), "429 auth.otp_locked");
        mailed.app.advance(Duration::from_secs(24 * 3_600 - 1));
        assert_eq!(mailed.send_code(login).await.brief(), "429 auth.otp_locked");
        assert_eq!(
            mailed.sign_in(login, "123456").await.brief(),
            "429 auth.otp_locked"
        );
        mailed.app.advance(Duration::from_secs(1));
        assert_eq!(mailed.send_code(login).await.brief(), "204 -");
    }
    let code = mailed.smtp.mail_to("alice@example.org").await.code();
    mailed.app.advance(PAUSE);
    assert_eq!(mailed.sign_in("nobody", &code).await.brief(), INVALID);
    // The answer does not tell whether the address has an account.
    assert_eq!(shown[0], shown[1]);
    assert_snapshot!(shown[0], @r#"
    429
    retry-after: 86400

    {
      "code": "auth.otp_locked",
      "message": "Too many wrong codes for this address: sign in otherwise, or try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "address"
      }
    }
    "#);
}

#[tokio::test]
async fn another_sign_in_a_reset_and_the_operator_unlock_an_address() {
    let mailed = Mailed::start().await;
    for login in ["alice", "bob", "carol"] {
        mailed.register_verified(login).await;
        assert_eq!(lock(&mailed, login, true).await.brief(), "429 auth.otp_locked");
        match login {
            "alice" => assert_eq!(mailed.app.login(login, PASSWORD).await.status, 200),
            "bob" => {
                let token = mailed.reset_token_to(login).await;
                assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.status, 204);
                // This mail says that the password was changed.
                mailed.smtp.mail_to(&address(login)).await;
            }
            _ => {
                let service = mailed.app.service();
                let set = service.reactivate(UserRef::parse(login)).await;
                set.expect("the user exists");
            }
        }
        send_in_time(&mailed, login).await;
        let code = mailed.smtp.mail_to(&address(login)).await.code();
        assert_eq!(mailed.sign_in(login, &code).await.brief(), "200 -", "{login}");
    }
}
