//! What is ended on purpose while the clock is set wrong stays ended when it is right again.
//!
//! Forty days ahead every session seems to be past its term, and every invite and link too.

use std::cell::RefCell;
use std::time::Duration;

use arkloop::domain::{Email, MIN_PASSWORD_CHARS, Password, SessionId};
use arkloop::service::UserRef;
use serde_json::json;

use crate::support::address::{HELD, Mover};
use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, TestApp, Workspace};

const FORTY_DAYS: Duration = Duration::from_hours(40 * 24);
const NEW_PASSWORD: &str = "a louder harbour";

fn alice() -> UserRef {
    UserRef::parse("alice")
}

/// Does `end` while the clock is 40 days ahead, and checks that the session of `cookie` has ended for this reason and stays ended.
async fn assert_ends(app: &TestApp, cookie: &str, because: &str, end: impl AsyncFnOnce()) {
    app.advance(FORTY_DAYS);
    end().await;
    app.turn_back(FORTY_DAYS);
    let refreshed = app.refresh(cookie).await;
    assert_eq!(refreshed.brief(), "401 auth.invalid_token", "{because}");
    assert_eq!(app.ended_because(cookie).await.as_deref(), Some(because));
}

fn id_of(app: &TestApp, login: &str) -> SessionId {
    let id = app.text(&format!(
        "SELECT hex(sessions.id) FROM sessions JOIN users ON users.id = user_id WHERE username_key = '{login}' AND ended_at IS NULL"
    ));
    let number = u128::from_str_radix(&id, 16).expect("there is one");
    SessionId::from_bytes(number.to_be_bytes())
}

async fn delete_others(app: &TestApp, caller: &Answer) {
    let request = app.delete("/v1/auth/sessions").bearer(&caller.access_token());
    assert_eq!(request.send().await.status, 204);
}

#[tokio::test]
async fn a_suspension_ends_every_session() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let service = app.service();
    app.advance(FORTY_DAYS);
    service.suspend(alice()).await.expect("the user exists");
    app.turn_back(FORTY_DAYS);
    service.reactivate(alice()).await.expect("the user exists");
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.ended_because(&cookie).await.as_deref(), Some("suspended"));
}

#[tokio::test]
async fn what_the_operator_does_to_an_account_ends_every_session() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let service = app.service();
    assert_ends(&app, &cookie, "password_changed", async || {
        let password = Password::parse(PASSWORD, MIN_PASSWORD_CHARS, &[]).expect("it is good");
        service
            .set_password(alice(), password)
            .await
            .expect("the user exists");
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "email_changed", async || {
        let email = Email::parse("another@example.org").expect("it is an address");
        service.set_email(alice(), email).await.expect("the user exists");
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "revoked", async || {
        service.revoke_sessions_of(alice()).await.expect("alice exists");
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "revoked", async || {
        service.revoke_all_sessions().await.expect("they end");
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "revoked", async || {
        let id = id_of(&app, "alice");
        service.revoke_session(id).await.expect("it has not ended");
        service.revoke_session(id).await.expect_err("it has ended");
    })
    .await;
}

#[tokio::test]
async fn what_the_owner_does_ends_every_session_that_it_should() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    assert_ends(&app, &cookie, "ended_by_owner", async || {
        delete_others(&app, &app.login("alice", PASSWORD).await).await;
    })
    .await;
    app.service().revoke_all_sessions().await.expect("they end");
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "ended_by_owner", async || {
        let id = id_of(&app, "alice");
        let caller = app.login("alice", PASSWORD).await;
        let end = || {
            app.delete(&format!("/v1/auth/sessions/{id}"))
                .bearer(&caller.access_token())
        };
        assert_eq!(end().send().await.status, 204);
        assert_eq!(end().send().await.brief(), "404 session.not_found");
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "password_changed", async || {
        let caller = app.login("alice", PASSWORD).await;
        let request = app
            .post("/v1/auth/password/change")
            .bearer(&caller.access_token());
        let body = json!({"current_password": PASSWORD, "new_password": PASSWORD});
        assert_eq!(request.json(&body).send().await.status, 204);
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "signed_out", async || {
        let caller = app.login("alice", PASSWORD).await;
        let request = app.post("/v1/auth/logout").bearer(&caller.access_token());
        assert_eq!(request.cookie(&cookie).send().await.status, 200);
    })
    .await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "replaced", async || {
        let request = app.post("/v1/auth/login").cookie(&cookie);
        let body = json!({"login": "alice", "password": PASSWORD});
        assert_eq!(request.json(&body).send().await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_reset_and_the_first_proof_of_an_address_end_every_session() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder().open().smtp(&smtp).start().await;
    let cookie = app.register("alice").await.cookie();
    smtp.mail_to("alice@example.org").await;
    assert_ends(&app, &cookie, "taken_back", async || {
        assert_eq!(app.send_code("alice@example.org").await.status, 204);
        let code = smtp.mail_to("alice@example.org").await.code();
        assert_eq!(app.verify_code("alice@example.org", &code).await.status, 200);
        smtp.mail_to("alice@example.org").await;
    })
    .await;
    let password = Password::parse(PASSWORD, MIN_PASSWORD_CHARS, &[]).expect("it is good");
    app.service()
        .set_password(alice(), password)
        .await
        .expect("the user exists");
    smtp.mail_to("alice@example.org").await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    assert_ends(&app, &cookie, "password_changed", async || {
        assert_eq!(app.send_reset("alice@example.org").await.status, 204);
        let token = smtp.mail_to("alice@example.org").await.token();
        let request = app.post("/v1/auth/password/reset/confirm");
        let body = json!({"token": token, "new_password": NEW_PASSWORD});
        assert_eq!(request.json(&body).send().await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_address_and_its_undo_end_every_session() {
    let mover = Mover::start().await;
    let cookie = mover.verified("alice", HELD).await.cookie();
    let undo = RefCell::new(String::new());
    assert_ends(&mover.app, &cookie, "email_changed", async || {
        let alice = mover.signed_in("alice").await;
        mover.move_to(&alice, "new@example.net").await;
        undo.replace(mover.undo_token("alice@example.org").await);
    })
    .await;
    let cookie = mover.signed_in("alice").await.cookie();
    assert_ends(&mover.app, &cookie, "change_undone", async || {
        assert_eq!(mover.undo(&undo.take()).await.brief(), "200 -");
    })
    .await;
}

/// A database with an account, a session and an invite, whose terms are over by the clock of the machine.
fn over(workspace: Workspace) -> Workspace {
    workspace.create_user("ann");
    let server = workspace.serve();
    server.sign_in("ann");
    server.stop();
    workspace.json(&["invite", "create"]);
    workspace
        .database()
        .change("UPDATE sessions SET expires_at = 1; UPDATE invites SET expires_at = 1");
    workspace
}

/// How many sessions and invites would be good again if the clock were set right.
fn left(workspace: &Workspace) -> [i64; 2] {
    ["sessions WHERE ended_at", "invites WHERE revoked_at"].map(|rows| {
        let sql = format!("SELECT count(*) FROM {rows} IS NULL");
        workspace.database().count(&sql)
    })
}

#[test]
fn commands_end_what_seems_to_be_over() {
    for (command, expected) in [
        (&["user", "suspend", "ann"][..], [0, 1]),
        (&["session", "revoke", "--user", "ann"], [0, 1]),
        (&["session", "revoke", "--all"], [0, 1]),
        (&["user", "set-email", "ann", "other@example.org"], [0, 1]),
        (&["key", "rekey"], [0, 1]),
        (&["key", "reset", "--yes"], [0, 0]),
    ] {
        let workspace = match command[0] {
            "key" => over(Workspace::with_database_file()),
            _ => over(Workspace::with_database()),
        };
        if command[1] == "reset" {
            std::fs::remove_file(workspace.path().join("data/arkloop.key")).expect("there is one");
        }
        let output = workspace.output(command, "");
        assert!(output.status.success(), "{command:?}: {output:?}");
        assert_eq!(left(&workspace), expected, "{command:?}");
    }
}

#[test]
fn a_restored_backup_brings_nothing_back_that_seems_to_be_over() {
    let workspace = over(Workspace::with_database_file());
    let backup = workspace.path().join("backup.db");
    let backup = backup.to_str().expect("it is text");
    for command in [&["backup", backup][..], &["restore", "--yes", backup]] {
        let output = workspace.output(command, "");
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    assert_eq!(left(&workspace), [0, 0]);
}

#[test]
fn a_session_whose_term_is_over_can_be_revoked_once() {
    let workspace = over(Workspace::with_database());
    let id = workspace.json(&["session", "list", "ann"])[0]["id"]
        .as_str()
        .map(str::to_owned);
    let id = id.expect("an id is a text");
    assert!(workspace.output(&["session", "revoke", &id], "").status.success());
    assert_eq!(left(&workspace), [0, 1]);
    assert_eq!(
        workspace.output(&["session", "revoke", &id], "").status.code(),
        Some(1)
    );
}
