//! What ends a delay after wrong passwords: every way in which the owner proves who they are, and the operator.

use arkloop::domain::{MIN_PASSWORD_CHARS, Password};
use arkloop::service::UserRef;
use serde_json::json;

use crate::support::smtp::SmtpServer;
use crate::support::{Answer, PASSWORD, TestApp};

const ALICE: &str = "alice@example.org";
const WRONG: &str = "a noisy harbour";
const NEW_PASSWORD: &str = "a louder harbour";

/// A server with limits that mails, and alice, whose address is verified.
async fn start(smtp: &SmtpServer) -> (TestApp, Answer) {
    let builder = TestApp::builder()
        .open()
        .smtp(smtp)
        .set("RATE_LIMIT__ENABLED", "true");
    let app = builder.start().await;
    let alice = app.register("alice").await;
    let token = smtp.mail_to(ALICE).await.token();
    let request = app.post("/v1/auth/email/verify/confirm");
    let confirmed = request.json(&json!({ "token": token })).send().await;
    assert_eq!(confirmed.status, 200);
    (app, alice)
}

/// Tries to change alice's password.
async fn change(app: &TestApp, alice: &Answer, current: &str, new: &str) -> Answer {
    let request = app.post("/v1/auth/password/change").bearer(&alice.access_token());
    let body = json!({"current_password": current, "new_password": new});
    request.json(&body).send().await
}

/// Guesses until the next guess has to wait.
async fn exhaust(app: &TestApp) {
    for _ in 0..5 {
        assert_eq!(app.login("alice", WRONG).await.status, 401);
    }
    assert_waits(app).await;
}

async fn assert_waits(app: &TestApp) {
    let answer = app.login("alice", PASSWORD).await;
    assert_eq!(answer.brief(), "429 rate_limit.exceeded");
}

/// Asserts that as many guesses are free as if there had been none.
async fn assert_forgiven(app: &TestApp) {
    exhaust(app).await;
    let length = app.count("SELECT max(length) FROM password_failures");
    assert_eq!(length, 5);
}

#[tokio::test]
async fn a_code_signs_in_while_passwords_wait_and_forgives_them() {
    let smtp = SmtpServer::start();
    let (app, _) = start(&smtp).await;
    exhaust(&app).await;
    assert_eq!(app.send_code(ALICE).await.status, 204);
    let code = smtp.mail_to(ALICE).await.code();
    assert_waits(&app).await;
    assert_eq!(app.verify_code(ALICE, &code).await.status, 200);
    assert_forgiven(&app).await;
}

#[tokio::test]
async fn a_mailed_reset_forgives_wrong_passwords() {
    let smtp = SmtpServer::start();
    let (app, _) = start(&smtp).await;
    exhaust(&app).await;
    assert_eq!(app.send_reset(ALICE).await.status, 204);
    let token = smtp.mail_to(ALICE).await.token();
    assert_waits(&app).await;
    let body = json!({"token": token, "new_password": NEW_PASSWORD});
    let reset = app
        .post("/v1/auth/password/reset/confirm")
        .json(&body)
        .send()
        .await;
    assert_eq!(reset.status, 204);
    assert_eq!(app.login("alice", NEW_PASSWORD).await.status, 200);
    assert_forgiven(&app).await;
}

#[tokio::test]
async fn the_operator_forgives_wrong_passwords() {
    let smtp = SmtpServer::start();
    let (app, _) = start(&smtp).await;
    let alice = || UserRef::parse("alice");
    exhaust(&app).await;
    let password = Password::parse(NEW_PASSWORD, MIN_PASSWORD_CHARS, &[]).expect("it is good");
    app.service()
        .set_password(alice(), password)
        .await
        .expect("the user exists");
    assert_eq!(app.login("alice", NEW_PASSWORD).await.status, 200);
    exhaust(&app).await;
    app.service().reactivate(alice()).await.expect("the user exists");
    assert_forgiven(&app).await;
}

#[tokio::test]
async fn a_wrong_current_password_counts_like_a_wrong_login() {
    let smtp = SmtpServer::start();
    let (app, alice) = start(&smtp).await;
    for _ in 0..3 {
        let wrong = change(&app, &alice, WRONG, NEW_PASSWORD).await;
        assert_eq!(wrong.brief(), "422 validation.error");
        let field = &wrong.json()["details"]["fields"]["current_password"];
        assert_eq!(field["code"], "incorrect");
    }
    for _ in 0..2 {
        assert_eq!(app.login("alice", WRONG).await.status, 401);
    }
    let waiting = change(&app, &alice, PASSWORD, NEW_PASSWORD).await;
    assert_eq!(waiting.brief(), "429 rate_limit.exceeded");
    assert_eq!(waiting.json()["details"]["limit"], "account");
    assert_eq!(waiting.header("retry-after"), Some("1"));
    assert_waits(&app).await;
    // Only passwords have to wait.
    assert_eq!(app.me(&alice.access_token()).await.status, 200);
    assert_eq!(app.refresh(&alice.cookie()).await.status, 200);
    app.advance(std::time::Duration::from_secs(1));
    assert_eq!(change(&app, &alice, PASSWORD, NEW_PASSWORD).await.status, 204);
    // The guesses were at the old password, so a new one clears them.
    assert_forgiven(&app).await;
}
