//! A change by a bearer that waits for the writer while the session or the account ends, and a sign-in that waits while the password is changed: neither
//! may be carried out.

use arkloop::service::UserRef;
use serde_json::json;

use crate::support::address::{HELD, Mover};
use crate::support::{Gate, PASSWORD, Request, TestApp};

/// Every change that a bearer can ask for.
const CHANGES: [&str; 10] = [
    "profile",
    "verification",
    "one session",
    "other sessions",
    "password",
    "address",
    "address confirmed",
    "deletion",
    "export",
    "sign-out",
];

fn change(app: &TestApp, name: &str, token: &str, other_session: &str) -> Request {
    let request = match name {
        "profile" => app.patch("/v1/me").json(&json!({"locale": "zh"})),
        "verification" => app.post("/v1/auth/email/verify/send"),
        "one session" => app.delete(&format!("/v1/auth/sessions/{other_session}")),
        "other sessions" => app.delete("/v1/auth/sessions"),
        "password" => {
            let body = json!({"current_password": PASSWORD, "new_password": "another quiet harbour"});
            app.post("/v1/auth/password/change").json(&body)
        }
        "deletion" | "export" => {
            let deed = if name == "export" { "export" } else { "delete" };
            let body = json!({"current_password": PASSWORD});
            app.post(&format!("/v1/auth/account/{deed}")).json(&body)
        }
        "address" => {
            let body = json!({"new_email": "new@example.net", "current_password": PASSWORD});
            app.post("/v1/auth/email/change").json(&body)
        }
        "address confirmed" => {
            let body = json!({"token": "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw"});
            app.post("/v1/auth/email/change/confirm").json(&body)
        }
        _ => app.post("/v1/auth/logout"),
    };
    request.bearer(token)
}

/// Holds the commit of `end` while `change` passes the check of its token and waits; returns the answer to `change`.
async fn overtaken(app: &TestApp, change: Request, end: End) -> String {
    let gate = Gate::close(app.store_probe());
    let service = std::sync::Arc::clone(app.service());
    let ending = tokio::spawn(async move {
        let alice = UserRef::parse("alice");
        match end {
            End::Suspension => service.suspend(alice).await.map(|_| ()),
            End::Revocation => service.revoke_sessions_of(alice).await.map(|_| ()),
            End::Deletion => service.delete_user(alice).await.map(|_| ()),
        }
    });
    gate.wait_until_reached().await;
    let waiting = tokio::spawn(change.send());
    app.wait_for_waiting_writes(1).await;
    gate.open();
    ending.await.expect("it did not panic").expect("it is there");
    app.store_probe().let_commits_through();
    waiting.await.expect("it did not panic").brief()
}

#[derive(Clone, Copy, Debug)]
enum End {
    Suspension,
    Revocation,
    Deletion,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_carried_out_for_a_session_that_ended_meanwhile() {
    for (end, expected) in [
        (End::Suspension, "403 auth.user_suspended"),
        (End::Revocation, "401 auth.invalid_token"),
        (End::Deletion, "401 auth.invalid_token"),
    ] {
        for name in CHANGES {
            let app = TestApp::builder()
                .open()
                .set("MAIL__TRANSPORT", "file")
                .start()
                .await;
            let alice = app.register("alice").await;
            let before = app.count("SELECT count(*) FROM outbox");
            let request = change(
                &app,
                name,
                &alice.access_token(),
                "00000000-0000-7000-8000-000000000000",
            );
            assert_eq!(overtaken(&app, request, end).await, expected, "{name} {end:?}");
            // Waiting mail may be dropped with the account, but none is queued.
            assert!(
                app.count("SELECT count(*) FROM outbox") <= before,
                "{name} {end:?}"
            );
            let changed =
                "SELECT count(*) FROM audit_events WHERE refused_because IS NULL AND operator_uid IS NULL";
            assert_eq!(app.count(changed), 1, "{name} {end:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_of_a_change_works_for_an_account_that_is_suspended_or_deleted_meanwhile() {
    const NEW: &str = "new@example.net";
    for end in [End::Suspension, End::Deletion] {
        for what in ["confirm", "undo"] {
            let mover = Mover::start().await;
            let alice = mover.verified("alice", HELD).await;
            let body = if what == "confirm" {
                json!({"token": mover.token_to(&alice, NEW).await, "current_password": PASSWORD})
            } else {
                mover.move_to(&alice, NEW).await;
                json!({"token": mover.undo_token("alice@example.org").await})
            };
            let addresses = "SELECT group_concat(email) FROM users";
            let (app, before) = (&mover.app, mover.app.text(addresses));
            app.wait_for_empty_outbox().await;
            let request = app.post(&format!("/v1/auth/email/change/{what}")).json(&body);
            let answer = overtaken(app, request, end).await;
            assert_eq!(answer, "422 email.token_invalid", "{what} {end:?}");
            if matches!(end, End::Suspension) {
                assert_eq!(app.text(addresses), before, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_meanwhile_signs_nobody_in() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let gate = Gate::close(app.store_probe());
    let changing = tokio::spawn(change(&app, "password", &alice.access_token(), "").send());
    gate.wait_until_reached().await;
    // The new password is not committed, so that the old one is found and is right.
    let body = json!({"login": "alice", "password": PASSWORD});
    let signing_in = tokio::spawn(app.post("/v1/auth/login").json(&body).send());
    app.wait_for_waiting_writes(1).await;
    gate.open();
    assert_eq!(changing.await.expect("it did not panic").brief(), "204 -");
    let refused = signing_in.await.expect("it did not panic");
    assert_eq!(refused.brief(), "401 auth.invalid_credentials");
    assert!(refused.header("set-cookie").is_none(), "{refused:?}");
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 1);
    app.service().flush_audit().await.expect("it is written");
    let reason = "SELECT refused_because FROM audit_events WHERE refused_because IS NOT NULL";
    assert_eq!(app.text(reason), "password_just_changed");
}
