//! An invite never admits more accounts than it may, and only a new account spends it.

use arkloop::domain::Paging;
use arkloop::service::UserFilter;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Gate, PASSWORD, TestApp, registration};

const RIVALS: usize = 200;

/// Lets `RIVALS` registrations hash their passwords and queue their writes, and releases them together after `meanwhile`.
async fn race(app: &TestApp, code: &str, round: usize, meanwhile: impl AsyncFnOnce()) -> Vec<Answer> {
    let gate = Gate::close(app.store_probe());
    // The one write that holds the writer, so that everything behind it queues up.
    let holder = app.occupy_writer();
    gate.wait_until_reached().await;
    let mut rivals = JoinSet::new();
    for number in 0..RIVALS {
        let mut body = registration(&format!("rival-{round}-{number}"));
        body["invite_code"] = json!(code);
        rivals.spawn(app.post("/v1/auth/register").json(&body).send());
    }
    app.wait_for_waiting_writes(RIVALS).await;
    meanwhile().await;
    gate.open();
    holder.await.expect("it did not panic").expect("it is written");
    rivals.join_all().await
}

async fn accounts(app: &TestApp) -> usize {
    let users = app
        .service()
        .list_users(UserFilter::default(), Paging::default())
        .await
        .expect("they are listed")
        .rows;
    // A loser without an account can have no session: every session belongs to an account.
    assert!(users.iter().all(|user| user.sessions == 1), "{users:?}");
    users.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_hundred_gets_in_on_a_single_use_invite() {
    let app = TestApp::start().await;
    let code = app.invite(1).await;
    let answers = race(&app, &code, 0, async || {}).await;
    let count = |brief: &str| answers.iter().filter(|answer| answer.brief() == brief).count();
    assert_eq!(count("201 -"), 1);
    assert_eq!(count("422 auth.invite_code_invalid"), RIVALS - 1);
    assert_eq!(accounts(&app).await, 1);
    assert_eq!(app.uses_of(&code).await, 1);
}

#[tokio::test]
async fn a_registration_that_is_repeated_on_a_spent_invite_learns_that_it_was_carried_out() {
    let app = TestApp::start().await;
    let code = app.invite(1).await;
    let register = async |name: &str, email: &str| {
        let mut body = registration(name);
        body["invite_code"] = json!(code);
        body["email"] = json!(email);
        app.post("/v1/auth/register").json(&body).send().await.brief()
    };
    assert_eq!(register("alice", "alice@example.org").await, "201 -");
    assert_eq!(
        register("alice", "alice@example.org").await,
        "409 auth.login_exists"
    );
    // A holder of the spent code learns nothing about other accounts.
    for (name, email) in [("alice", "bob@example.org"), ("bob", "alice@example.org")] {
        assert_eq!(register(name, email).await, "422 auth.invite_code_invalid");
    }
    assert_eq!(app.uses_of(&code).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_in_the_middle_leaves_as_many_accounts_as_uses() {
    let app = TestApp::builder().machine_clock().start().await;
    let mut before = 0;
    for round in 0..4 {
        let code = app.invite(1).await;
        let (workspace, revoked_code) = (Arc::clone(app.workspace()), code.clone());
        let mut revoking = None;
        let answers = race(&app, &code, round, async || {
            revoking = Some(tokio::task::spawn_blocking(move || {
                workspace.output(&["invite", "revoke", &revoked_code], "")
            }));
            // In every other round the command has time to stand in line before the batch is released.
            tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 0 } else { 200 })).await;
        })
        .await;
        let revoked = revoking.expect("it was started").await.expect("it ran");
        assert_eq!(revoked.status.code(), Some(0), "{revoked:?}");
        let admitted = answers.iter().filter(|answer| answer.status == 201).count();
        let after = accounts(&app).await;
        assert!(admitted <= 1, "{admitted}");
        assert_eq!(
            (after - before, app.uses_of(&code).await as usize),
            (admitted, admitted)
        );
        before = after;
    }
}

#[tokio::test]
async fn a_refused_registration_leaves_the_invite_unspent() {
    let app = TestApp::start().await;
    let code = app.invite(2).await;
    let register = async |login: &str, email: &str, password: &str| {
        let body = json!({"login": login, "email": email, "password": password, "invite_code": code});
        app.post("/v1/auth/register").json(&body).send().await.brief()
    };
    assert_eq!(register("alice", "alice@example.org", PASSWORD).await, "201 -");
    assert_eq!(
        register("ALICE", "other@example.org", PASSWORD).await,
        "409 auth.login_exists"
    );
    assert_eq!(
        register("bob", "Alice@Example.org", PASSWORD).await,
        "409 auth.email_exists"
    );
    assert_eq!(
        register("alice", "alice@example.org", PASSWORD).await,
        "409 auth.login_exists"
    );
    assert_eq!(
        register("bob", "bob@example.org", "password").await,
        "422 validation.error"
    );
    assert_eq!(app.uses_of(&code).await, 1);
    app.service()
        .set_registration_mode(arkloop::domain::RegistrationMode::Disabled)
        .await
        .expect("it is set");
    assert_eq!(
        register("bob", "bob@example.org", PASSWORD).await,
        "403 auth.registration_disabled"
    );
    assert_eq!(app.uses_of(&code).await, 1);
    app.service()
        .set_registration_mode(arkloop::domain::RegistrationMode::InviteOnly)
        .await
        .expect("it is set");
    assert_eq!(register("bob", "bob@example.org", PASSWORD).await, "201 -");
    assert_eq!(
        register("carol", "carol@example.org", PASSWORD).await,
        "422 auth.invite_code_invalid"
    );
    assert_eq!(app.uses_of(&code).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_gets_a_name_or_an_address_whatever_its_case() {
    let app = TestApp::open().await;
    let mut rivals = JoinSet::new();
    for number in 0..40 {
        let login = if number % 2 == 0 { "Same" } else { "sAME" };
        let email = format!("other-{number}@example.org");
        rivals.spawn(
            app.post("/v1/auth/register")
                .json(&json!({"login": login, "email": email, "password": PASSWORD}))
                .send(),
        );
        let email = if number % 2 == 0 {
            "One@Example.org"
        } else {
            "oNE@example.ORG"
        };
        let login = format!("other-{number}");
        rivals.spawn(
            app.post("/v1/auth/register")
                .json(&json!({"login": login, "email": email, "password": PASSWORD}))
                .send(),
        );
    }
    let answers = rivals.join_all().await;
    let count = |brief: &str| answers.iter().filter(|answer| answer.brief() == brief).count();
    assert_eq!(
        (
            count("201 -"),
            count("409 auth.login_exists"),
            count("409 auth.email_exists")
        ),
        (2, 39, 39)
    );
    assert_eq!(accounts(&app).await, 2);
}
