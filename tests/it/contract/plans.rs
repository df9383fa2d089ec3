//! How SQLite finds the rows of each statement.
//!
//! The statements are recorded from running servers, so that they are not repeated here. `whole_run.rs` checks the statements of all tests.

use std::collections::{BTreeMap, BTreeSet};

use arkloop::domain::Paging;
use arkloop::service::{UserFilter, UserRef};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::smtp::SmtpServer;
use crate::support::{PASSWORD, Planner, Statistics, TestApp, one_line, scans, shortened};

const ALICE: &str = "alice@example.org";

async fn post(app: &TestApp, path: &str, body: &Value) -> u16 {
    app.post(path).json(body).send().await.status
}

/// Registers alice with an invite, and proves her address.
pub(super) async fn join(app: &TestApp, smtp: &SmtpServer) {
    let mut registration = crate::support::registration("alice");
    registration["invite_code"] = json!(app.invite(1).await);
    assert_eq!(post(app, "/v1/auth/register", &registration).await, 201);
    let token = smtp.mail_to(ALICE).await.token();
    let body = json!({ "token": token });
    assert_eq!(post(app, "/v1/auth/email/verify/confirm", &body).await, 200);
}

/// Signs in by every method, first with wrong credentials, and sets the password through a mailed link.
pub(super) async fn sign_in(app: &TestApp, smtp: &SmtpServer) {
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
pub(super) async fn use_sessions(app: &TestApp) {
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
pub(super) async fn list_in_parts(app: &TestApp, user: &UserRef) {
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
    assert_eq!(rest.expect("they are listed").more.rows, 0);
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
    let app = TestApp::builder().of_sqlite().smtp(&smtp).start().await;
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
    let scans: Vec<String> = Statistics::ALL
        .iter()
        .flat_map(|&statistics| scans(&statements, statistics))
        .collect();
    assert!(scans.is_empty(), "these read a whole table: {scans:#?}");
}

/// The statements whose plan has steps, each with its steps.
fn shown(plans: &BTreeMap<String, Vec<String>>) -> String {
    let steps = plans.iter().filter(|(_, steps)| !steps.is_empty());
    let shown: Vec<String> = steps
        .map(|(sql, steps)| format!("{}\n    {}", shortened(sql), steps.join("\n    ")))
        .collect();
    shown.join("\n")
}

/// The statements that registering, signing in, refreshing and reading the own account add to those of a start.
async fn hot_statements() -> BTreeSet<String> {
    let app = TestApp::builder().of_sqlite().open().start().await;
    let of_start = app.store_probe().statements();
    app.register("alice").await;
    let cookie = app.login("alice", PASSWORD).await.cookie();
    let token = app.refresh(&cookie).await.access_token();
    assert_eq!(app.me(&token).await.status, 200);
    let all = app.store_probe().statements();
    all.difference(&of_start).cloned().collect()
}

#[tokio::test]
async fn what_is_asked_all_day_is_planned_like_this() {
    let plans = Planner::new(Statistics::Absent).plans(&hot_statements().await);
    assert_snapshot!(shown(&plans), @r"
    DELETE FROM link_tokens WHERE user_id = ?1 AND purpose = ?2
        SEARCH link_tokens USING COVERING INDEX sqlite_autoindex_link_tokens_2 (user_id=? AND purpose=?)
    DELETE FROM mail_budgets WHERE (address_digest, purpose) IN ( SELECT address_digest, purpose FROM mail_budgets WHERE is_account = 0 AND number <= (SELECT max(number) FROM mail_budgets WHERE is_account = 0) - ?1 ORDER BY number LIMIT ?2)
        SEARCH mail_budgets USING PRIMARY KEY (address_digest=? AND purpose=?)
        LIST SUBQUERY 3
        SEARCH mail_budgets USING COVERING INDEX mail_budgets_of_nobody (number<?)
        SCALAR SUBQUERY 1
        SEARCH mail_budgets USING COVERING INDEX mail_budgets_of_nobody
    DELETE FROM password_failures WHERE guessed = ?1
        SEARCH password_failures USING INDEX sqlite_autoindex_password_failures_2 (guessed=?)
    INSERT INTO mail_budgets
        SCALAR SUBQUERY 1
        SEARCH mail_budgets USING COVERING INDEX mail_budgets_of_nobody
    INSERT INTO users
        SCAN CONSTANT ROW
        SCALAR SUBQUERY 1
        SEARCH email_undos USING COVERING INDEX email_undos_by_address (email_key=? AND expires_at>?)
        SEARCH former_addresses USING PRIMARY KEY (user_id=?)
        SEARCH email_undos USING INDEX email_undos_by_user (user_id=?)
        SEARCH email_changes USING PRIMARY KEY (user_id=?)
        SEARCH one_time_codes USING INDEX one_time_codes_by_user (user_id=?)
        SEARCH link_tokens USING INDEX sqlite_autoindex_link_tokens_2 (user_id=?)
        SEARCH outbox USING INDEX outbox_by_user (user_id=?)
        SEARCH sessions USING INDEX sessions_by_user (user_id=?)
    SELECT … FROM password_costs ORDER BY cost
        SCAN password_costs
    SELECT … FROM users WHERE username_key = ?1
        SEARCH users USING INDEX sqlite_autoindex_users_2 (username_key=?)
    SELECT … FROM password_failures WHERE guessed = ?1 AND network IN (?2, ?3, ?4)
        SEARCH password_failures USING INDEX sqlite_autoindex_password_failures_2 (guessed=? AND network=?)
    SELECT … FROM mail_budgets WHERE address_digest = ?1 AND purpose = ?2
        SEARCH mail_budgets USING PRIMARY KEY (address_digest=? AND purpose=?)
    SELECT … FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1
        SEARCH sessions USING PRIMARY KEY (id=?)
        SEARCH users USING PRIMARY KEY (id=?)
    SELECT … FROM users WHERE id = ?1
        SEARCH users USING PRIMARY KEY (id=?)
    SELECT … FROM users WHERE id = ?1 AND password_hash = ?2
        SEARCH users USING PRIMARY KEY (id=?)
    SELECT … FROM users LEFT JOIN sessions ON sessions.id = ?2 AND sessions.user_id = users.id AND ended_at IS NULL AND expires_at > ?3 WHERE users.id = ?1 AND EXISTS (SELECT 1 FROM signing_keys WHERE kid = ?4)
        SEARCH users USING PRIMARY KEY (id=?)
        SEARCH sessions USING PRIMARY KEY (id=?) LEFT-JOIN
        SEARCH signing_keys EXISTS USING PRIMARY KEY (kid=?)
    UPDATE one_time_codes … WHERE address_digest = ?1
        SEARCH one_time_codes USING PRIMARY KEY (address_digest=?)
    UPDATE sessions … WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL ORDER BY expires_at > ?3 DESC, last_used_at DESC, id DESC LIMIT ?6 OFFSET ?2)
        SEARCH sessions USING PRIMARY KEY (id=?)
        LIST SUBQUERY 1
        SEARCH sessions USING INDEX sessions_by_user (user_id=? AND ended_at=?)
        USE TEMP B-TREE FOR ORDER BY
    UPDATE sessions … WHERE id = ?1 AND generation = ?2 AND presented IS NOT DISTINCT FROM ?3 AND nonce = ?4 AND ended_at IS NULL
        SEARCH sessions USING PRIMARY KEY (id=?)
    UPDATE users … WHERE id = ?1
        SEARCH users USING PRIMARY KEY (id=?)
    ");
}

#[tokio::test]
async fn statistics_and_growth_change_no_plan() {
    let hot = hot_statements().await;
    let [absent, few, many] = Statistics::ALL.map(|statistics| Planner::new(statistics).plans(&hot));
    assert!(!absent.is_empty());
    assert_eq!(few, absent);
    assert_eq!(many, absent);
}
