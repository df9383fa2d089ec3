//! How SQLite finds the rows of each statement.
//!
//! The statements are recorded from running servers, so that they are not repeated here. `whole_run.rs` checks the statements of all tests.

use arkloop::domain::Paging;
use arkloop::service::{UserFilter, UserRef};
use serde_json::{Value, json};

use crate::support::smtp::SmtpServer;
use crate::support::{PASSWORD, TestApp, one_line, scans};

const ALICE: &str = "alice@example.org";

async fn post(app: &TestApp, path: &str, body: &Value) -> u16 {
    app.post(path).json(body).send().await.status
}

/// Registers alice with an invite, and proves her address.
async fn join(app: &TestApp, smtp: &SmtpServer) {
    let mut registration = crate::support::registration("alice");
    registration["invite_code"] = json!(app.invite(1).await);
    assert_eq!(post(app, "/v1/auth/register", &registration).await, 201);
    let token = smtp.mail_to(ALICE).await.token();
    let body = json!({ "token": token });
    assert_eq!(post(app, "/v1/auth/email/verify/confirm", &body).await, 200);
}

/// Signs in by every method, first with wrong credentials, and sets the password through a mailed link.
async fn sign_in(app: &TestApp, smtp: &SmtpServer) {
    for login in ["alice", "nobody"] {
        assert_eq!(app.login(login, "a noisy harbour").await.status, 401);
    }
    for address in ["nobody@example.org", ALICE] {
        assert_eq!(app.send_code(address).await.status, 204);
    }
    let code = smtp.mail_to(ALICE).await.code();
    assert_eq!(app.verify_code(ALICE, "000000").await.status, 422);
    assert_eq!(app.verify_code(ALICE, &code).await.status, 200);
    for address in ["nobody@example.org", ALICE] {
        assert_eq!(app.send_reset(address).await.status, 204);
    }
    let token = smtp.mail_to(ALICE).await.token();
    let body = json!({"token": token, "new_password": PASSWORD});
    assert_eq!(post(app, "/v1/auth/password/reset/confirm", &body).await, 204);
}

/// Refreshes sessions, and ends them.
async fn use_sessions(app: &TestApp) {
    let old = app.login("alice", PASSWORD).await.cookie();
    let refreshed = app.refresh(&old).await;
    let token = refreshed.access_token();
    assert_eq!(app.me(&token).await.status, 200);
    let profile = json!({"username": "alicia", "locale": "zh", "timezone": "Asia/Shanghai"});
    let passwords = json!({"current_password": PASSWORD, "new_password": PASSWORD});
    let presence = json!({"current_password": PASSWORD});
    for (request, status) in [
        (app.patch("/v1/me").json(&profile), 200),
        (app.get("/v1/auth/sessions"), 200),
        (app.post("/v1/auth/account/export").json(&presence), 200),
        (app.post("/v1/auth/password/change").json(&passwords), 204),
        (app.delete("/v1/auth/sessions"), 204),
        (app.post("/v1/auth/logout"), 200),
    ] {
        let answer = request.bearer(&token).send().await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(app.refresh(&old).await.status, 401);
}

/// Lists everything that an operator can list in parts.
async fn list_in_parts(app: &TestApp, user: &UserRef) {
    let service = app.service();
    let users = service.list_users(UserFilter::default(), Paging::default()).await;
    let after = users
        .expect("they are listed")
        .rows
        .first()
        .map(|row| row.user.id);
    let rest = service
        .list_users(UserFilter::default(), Paging { after, limit: 1 })
        .await;
    assert_eq!(rest.expect("they are listed").more, 0);
    let invites = service.list_invites(true, Paging::default()).await;
    assert_eq!(invites.expect("they are listed").rows.len(), 1);
    let sessions = service
        .list_sessions_by_age(user.clone(), Paging::default())
        .await;
    assert!(!sessions.expect("they are listed").rows.is_empty());
}

#[tokio::test]
async fn what_a_server_is_asked_all_day_reads_no_whole_table() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder().smtp(&smtp).start().await;
    join(&app, &smtp).await;
    sign_in(&app, &smtp).await;
    use_sessions(&app).await;
    let service = app.service();
    service.sweep().await.expect("it is swept");
    service.flush_audit().await.expect("it is written");
    let alicia = UserRef::parse("alicia");
    service.find_user(alicia.clone()).await.expect("she is there");
    list_in_parts(&app, &alicia).await;
    service.delete_user(alicia).await.expect("the account exists");
    app.wait_for_empty_outbox().await;
    let statements = app.store_probe().statements();
    // If one of these is missing, the statements are no longer recorded.
    for hot in [
        "UPDATE sessions SET generation",
        "UPDATE one_time_codes SET attempts",
        "UPDATE invites SET uses",
        "FROM outbox WHERE is_urgent",
        "FROM users WHERE id > ?1",
        "FROM invites WHERE id < ?1",
        "FROM audit_events WHERE user_id = ?1 ORDER BY id DESC",
        "ORDER BY sessions.created_at DESC",
    ] {
        let is_seen = statements.iter().any(|sql| one_line(sql).contains(hot));
        assert!(is_seen, "{hot}: {statements:#?}");
    }
    let scans = scans(&statements);
    assert!(scans.is_empty(), "these read a whole table: {scans:#?}");
}
