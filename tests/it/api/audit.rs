//! What the audit log records of requests: a row for each event, with the true cause of a refusal.

use std::time::Duration;

use arkloop::domain::{Actor, InviteCode, UserId};
use arkloop::service::{AuditQuery, UserRef};
use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE};
use crate::support::{EVERYTHING, PASSWORD, TestApp, registration};

#[tokio::test]
async fn registering_and_signing_in_leave_rows() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let signed_in = app.login("alice", PASSWORD).await;
    app.login("alice@example.org", "a wrong password").await;
    app.login("nobody", PASSWORD).await;
    app.login("no name at all", PASSWORD).await;
    app.service()
        .suspend(UserRef::parse("alice"))
        .await
        .expect("it is there");
    app.login("alice", PASSWORD).await;
    assert_eq!(app.me(&signed_in.access_token()).await.status, 403);
    assert_snapshot!(app.audit().await.join("\n"), @"
    register @alice [session]
    sign_in.password @alice [session]
    sign_in.password refused: wrong_password @alice
    sign_in.password refused: unknown_account
    sign_in.password refused: unknown_account
    user.suspended @alice by 0
    sign_in.password refused: suspended @alice
    ");
}

#[tokio::test]
async fn refused_registrations_leave_rows_and_nothing_else() {
    let app = TestApp::start().await;
    let mut body = registration("alice");
    app.post("/v1/auth/register").json(&body).send().await;
    for code in ["no code", "ABCD-EFGH-JKMN-PQRS"] {
        body["invite_code"] = json!(code);
        app.post("/v1/auth/register").json(&body).send().await;
    }
    let code = app.invite(3).await;
    body["invite_code"] = json!(code);
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 409);
    body["login"] = json!("bob");
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 409);
    assert_eq!(app.uses_of(&code).await, 1);
    body["email"] = json!("bob@example.org");
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
    app.post("/v1/auth/register").json(&body).send().await;
    app.advance(Duration::from_hours(8 * 24));
    // Only the account that the invite has admitted learns that it is there.
    body["email"] = json!("robert@example.org");
    app.post("/v1/auth/register").json(&body).send().await;
    let used_up = app.invite(1).await;
    body = registration("carol");
    body["invite_code"] = json!(used_up);
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
    body["email"] = json!("caroline@example.org");
    app.post("/v1/auth/register").json(&body).send().await;
    let revoked = app.invite(1).await;
    let code = InviteCode::parse(&revoked).expect("it is a code");
    app.service().revoke_invite(&code).await.expect("it is there");
    body["invite_code"] = json!(revoked);
    app.post("/v1/auth/register").json(&body).send().await;
    assert_snapshot!(app.audit().await.join("\n"), @"
    register refused: invite_missing
    register refused: unknown_invite
    register refused: unknown_invite
    invite.created (3 uses) by 0
    register @alice [session]
    register refused: username_taken
    register refused: email_taken
    register @bob [session]
    register refused: username_taken
    register refused: expired_invite
    invite.created (1 use) by 0
    register @carol [session]
    register refused: used_up_invite
    invite.created (1 use) by 0
    invite.revoked (1 use) by 0
    register refused: revoked_invite
    ");
}

#[tokio::test]
async fn sessions_and_profiles_leave_rows_and_refreshing_leaves_none() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    let token = first.access_token();
    let refreshed = app.refresh(&first.cookie()).await;
    app.refresh(&refreshed.cookie()).await;
    app.advance(Duration::from_mins(2));
    assert_eq!(app.refresh(&first.cookie()).await.status, 401);
    let second = app.login("alice", PASSWORD).await.access_token();
    let third = app.login("alice", PASSWORD).await.access_token();
    assert_eq!(app.me(&token).await.status, 401);
    app.patch("/v1/me")
        .bearer(&third)
        .json(&json!({"username": "alicia"}))
        .send()
        .await;
    app.patch("/v1/me")
        .bearer(&third)
        .json(&json!({"locale": "zh"}))
        .send()
        .await;
    let unknown = "/v1/auth/sessions/00000000-0000-7000-8000-000000000000";
    assert_eq!(app.delete(unknown).bearer(&third).send().await.status, 404);
    assert_eq!(
        app.delete("/v1/auth/sessions").bearer(&third).send().await.status,
        204
    );
    assert_eq!(app.me(&second).await.status, 401);
    app.post("/v1/auth/logout").bearer(&third).send().await;
    assert_snapshot!(app.audit().await.join("\n"), @"
    register @alice [session]
    refresh.reused @alice [session] (its successor was used)
    sign_in.password @alice [session]
    sign_in.password @alice [session]
    profile.changed @alice (username alicia)
    profile.changed @alicia
    session.ended refused: no_such_session @alicia [session]
    session.ended @alicia (1 others)
    sign_out @alicia [session]
    ");
}

#[tokio::test]
async fn codes_leave_rows_with_the_true_cause() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    assert_eq!(mailed.sign_in("alice", "000000").await.status, 422);
    mailed.send_code("nobody").await;
    mailed.sign_in("nobody", "000000").await;
    let code = mailed.code_to("alice").await;
    assert_eq!(mailed.send_code("alice").await.status, 429);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    mailed.sign_in("alice", wrong).await;
    assert_eq!(mailed.sign_in("alice", &code).await.status, 200);
    assert_eq!(mailed.sign_in("alice", &code).await.status, 422);
    mailed.app.advance(PAUSE);
    let code = mailed.code_to("alice").await;
    mailed.app.advance(Duration::from_mins(10));
    assert_eq!(mailed.sign_in("alice", &code).await.status, 422);
    let code = mailed.code_to("alice").await;
    for _ in 0..5 {
        let wrong = if code == "000000" { "000001" } else { "000000" };
        mailed.sign_in("alice", wrong).await;
    }
    assert_eq!(mailed.sign_in("alice", &code).await.status, 422);
    assert_snapshot!(mailed.app.audit().await.join("\n"), @"
    register @alice [session]
    email.verified @alice
    sign_in.code refused: no_code @alice
    code.sent refused: unknown_account
    sign_in.code refused: unknown_account
    code.sent @alice
    code.sent refused: too_many_mails @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code @alice [session]
    sign_in.code refused: used_code @alice
    code.sent @alice
    sign_in.code refused: expired_code @alice
    code.sent @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code refused: wrong_code @alice
    sign_in.code refused: attempts_used_up @alice
    ");
}

#[tokio::test]
async fn links_and_passwords_leave_rows() {
    let mailed = Mailed::start().await;
    let (alice, token) = mailed.register("alice").await;
    mailed.verify("confirm", &token).await;
    mailed.verify("reject", &token).await;
    mailed.verify("confirm", "no token").await;
    mailed
        .change_password(&alice.access_token(), "a wrong password")
        .await;
    mailed.change_password(&alice.access_token(), PASSWORD).await;
    let _told = mailed.smtp.mail_to("alice@example.org").await;
    let token = mailed.reset_token_to("alice").await;
    mailed.send_reset("nobody").await;
    mailed.reset(&token, "another harbour").await;
    mailed.reset(&token, "another harbour").await;
    let (bob, _) = mailed.register("bob").await;
    mailed.send_verification(&bob.access_token()).await;
    let token = mailed.token_to("bob").await;
    mailed.verify("reject", &token).await;
    assert_snapshot!(mailed.app.audit().await.join("\n"), @"
    register @alice [session]
    email.verified @alice
    email.rejected refused: already_verified @alice
    email.verified refused: unknown_link
    password.changed refused: wrong_password @alice
    password.changed @alice
    password.reset_sent @alice
    password.reset_sent refused: unknown_account
    password.reset @alice
    password.reset refused: unknown_link
    register @bob [session]
    email.verification_sent @bob
    email.rejected @bob
    ");
}

#[tokio::test]
async fn whoever_takes_an_account_back_leaves_a_row() {
    let mailed = Mailed::start().await;
    mailed.register("alice").await;
    let code = mailed.code_to("alice").await;
    mailed.sign_in("alice", &code).await;
    assert_snapshot!(mailed.app.audit().await.join("\n"), @"
    register @alice [session]
    code.sent @alice
    account.taken_back @alice
    sign_in.code @alice [session]
    ");
}

#[tokio::test]
async fn a_row_has_the_address_the_user_agent_and_the_trace_id_of_its_request() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let request = app.post("/v1/auth/login").header("user-agent", &"x".repeat(300));
    let body = json!({"login": "alice", "password": "a wrong password"});
    let refused = request.json(&body).send().await;
    let entries = app.audit_entries(EVERYTHING).await;
    let Actor::Client(client) = &entries[1].record.actor else {
        panic!("it came over HTTP: {entries:?}");
    };
    assert_eq!(
        client.address.map(|address| address.to_string()).as_deref(),
        Some("127.0.0.1")
    );
    assert_eq!(client.user_agent.as_deref(), Some("x".repeat(200).as_str()));
    assert_eq!(
        client.trace_id.map(|id| id.to_string()),
        refused.json()["trace_id"].as_str().map(str::to_owned)
    );
}

#[tokio::test]
async fn an_account_is_found_by_every_name_it_had_also_when_it_is_gone() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.register("bob").await;
    let id: UserId = alice.json()["user_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("it is an id");
    let renamed = json!({"username": "alicia"});
    app.patch("/v1/me")
        .bearer(&alice.access_token())
        .json(&renamed)
        .send()
        .await;
    let moved = arkloop::domain::Email::parse("alicia@example.com").expect("it is an address");
    app.service()
        .set_email(UserRef::from(id), moved)
        .await
        .expect("it is there");
    app.login("alicia", "a wrong password").await;
    app.service()
        .delete_user(UserRef::from(id))
        .await
        .expect("it is there");
    let id = id.to_string();
    for name in [&id, "alice", "Alicia", "alice@example.org", "ALICIA@example.com"] {
        let query = AuditQuery {
            user: Some(UserRef::parse(name)),
            ..EVERYTHING
        };
        assert_eq!(app.audit_entries(query).await.len(), 5, "{name}");
    }
    // An attempt after the deletion is found by the name that it used.
    app.login("alicia", PASSWORD).await;
    let query = AuditQuery {
        user: Some(UserRef::parse("alicia")),
        ..EVERYTHING
    };
    assert_eq!(app.audit_entries(query).await.len(), 6);
}

impl Mailed {
    /// Changes the password to [`NEW_PASSWORD`].
    async fn change_password(&self, access_token: &str, current: &str) {
        let body = json!({"current_password": current, "new_password": NEW_PASSWORD});
        let request = self.app.post("/v1/auth/password/change").bearer(access_token);
        request.json(&body).send().await;
    }
}
