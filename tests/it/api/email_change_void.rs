//! Changes of an account's address that wait to be confirmed, and what makes them void.

use arkloop::domain::{Email, Password};
use arkloop::service::UserRef;
use serde_json::json;

use super::mailed::NEW_PASSWORD;
use crate::support::address::{HELD, Mover};
use crate::support::{Answer, PASSWORD, TestApp};

const NEW: &str = "new@example.net";
const INVALID: &str = "422 email.token_invalid";

#[tokio::test]
async fn a_pending_change_is_void_after_what_changes_the_account() {
    for cause in [
        "password change",
        "reset",
        "operator's password",
        "suspension",
        "operator's address",
        "owner of the mailbox",
        "undo",
        "deletion",
    ] {
        let mover = Mover::start().await;
        let alice = if cause == "owner of the mailbox" {
            mover.app.register("alice").await
        } else {
            mover.verified("alice", HELD).await
        };
        let mut undo = None;
        if cause == "undo" {
            mover.move_to(&alice, "between@example.net").await;
            undo = Some(mover.undo_token("alice@example.org").await);
        }
        let token = mover.token_to(&alice, NEW).await;
        change_account(&mover, cause, &alice, undo.as_deref()).await;
        let waiting = mover.app.count("SELECT count(*) FROM email_changes");
        assert_eq!(waiting, 0, "{cause}");
        assert_eq!(mover.preview(&token).await.brief(), INVALID, "{cause}");
        let by_password = mover.confirm_with(PASSWORD, &token).await;
        assert_eq!(by_password.brief(), INVALID, "{cause}");
        let signed_in = mover.app.login("alice", NEW_PASSWORD).await;
        if signed_in.status == 200 {
            assert_eq!(
                mover.confirm_by(&signed_in, &token).await.brief(),
                INVALID,
                "{cause}"
            );
        }
        assert_eq!(
            mover
                .app
                .count(&format!("SELECT count(*) FROM users WHERE email = '{NEW}'")),
            0,
            "{cause}"
        );
    }
}

/// Does something to the account of `alice` that makes her pending change void.
async fn change_account(mover: &Mover, cause: &str, alice: &Answer, undo: Option<&str>) {
    let email = "alice@example.org";
    let user = || UserRef::parse("alice");
    let service = mover.app.service();
    match cause {
        "password change" => {
            let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
            let request = mover.app.post("/v1/auth/password/change").json(&body);
            assert_eq!(request.bearer(&alice.access_token()).send().await.status, 204);
        }
        "reset" => {
            assert_eq!(mover.app.send_reset(email).await.status, 204);
            let reset = mover.mail(email, "localhost: Reset your password").await;
            assert_eq!(mover.reset(&reset.token(), NEW_PASSWORD).await.status, 204);
        }
        "operator's password" => {
            let password = Password::parse(NEW_PASSWORD, 8, &[]).expect("it is long enough");
            service.set_password(user(), password).await.expect("it is there");
        }
        "suspension" => {
            service.suspend(user()).await.expect("it is there");
            service.reactivate(user()).await.expect("it is there");
        }
        "operator's address" => {
            let other = Email::parse("other@example.org").expect("it is an address");
            service.set_email(user(), other).await.expect("it is there");
        }
        "owner of the mailbox" => {
            assert_eq!(mover.app.send_code(email).await.status, 204);
            let code = mover.mail(email, "localhost: Your sign-in code").await.code();
            assert_eq!(mover.app.verify_code(email, &code).await.status, 200);
        }
        "undo" => {
            let undo = undo.expect("there is one");
            assert_eq!(mover.undo(undo).await.brief(), "200 -");
        }
        _ => {
            service.delete_user(user()).await.expect("it is there");
        }
    }
}

#[tokio::test]
async fn mail_that_waits_is_dropped_with_a_void_change() {
    // The outbox rests: nothing is sent.
    let app = TestApp::open().await;
    let kinds =
        || app.text("SELECT group_concat(kind) FROM (SELECT kind FROM outbox ORDER BY kind) AS kinds");
    let alice = app.register("alice").await;
    let ask = async |new: &str| {
        let body = json!({"new_email": new, "current_password": PASSWORD});
        let request = app.post("/v1/auth/email/change").json(&body);
        assert_eq!(request.bearer(&alice.access_token()).send().await.status, 204);
    };
    ask(NEW).await;
    assert_eq!(kinds(), "change_email,change_requested,verify_email");
    ask("newer@example.net").await;
    assert_eq!(
        kinds(),
        "change_email,change_requested,change_requested,verify_email"
    );
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = app.post("/v1/auth/password/change").json(&body);
    assert_eq!(request.bearer(&alice.access_token()).send().await.status, 204);
    assert_eq!(
        kinds(),
        "change_requested,change_requested,password_changed,verify_email"
    );
}

#[tokio::test]
async fn reject_on_a_change_s_link_only_cancels_it() {
    for is_verified in [true, false] {
        let mover = Mover::start().await;
        let alice = if is_verified {
            mover.verified("alice", HELD).await
        } else {
            mover.app.register("alice").await
        };
        let token = mover.token_to(&alice, NEW).await;
        let before = mover.app.rows().await;
        let rejected = mover.verify("reject", &token).await;
        assert_eq!((rejected.status, rejected.json()), (200, json!({"ok": true})));
        assert_eq!(mover.app.rows().await, before);
        assert_eq!(mover.confirm_by(&alice, &token).await.brief(), INVALID);
        assert_eq!(mover.verify("reject", &token).await.brief(), INVALID);
        assert_eq!(mover.address_of(&alice).await, "alice@example.org");
        let rows = mover.app.audit().await;
        assert!(
            rows.contains(&"email.change_cancelled @alice".to_owned()),
            "{rows:#?}"
        );
    }
}
