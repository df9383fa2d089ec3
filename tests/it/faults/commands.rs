//! The first request after a command sees what the command did.

use serde_json::json;

use crate::support::smtp::SmtpServer;
use crate::support::{PASSWORD, TestApp, registration};

async fn app() -> TestApp {
    TestApp::builder().machine_clock().start().await
}

/// Runs the real executable beside the server; it must succeed.
fn run(app: &TestApp, arguments: &[&str]) -> serde_json::Value {
    app.workspace().json(arguments)
}

/// Makes an account by command and signs in over HTTP: access token, refresh cookie.
async fn signed_in(app: &TestApp, login: &str) -> (String, String) {
    let email = format!("{login}@example.org");
    let arguments = ["user", "create", login, "--email", &email, "--password-stdin"];
    app.workspace()
        .json_with_input(&arguments, &format!("{PASSWORD}\n"));
    let answer = app.login(login, PASSWORD).await;
    (answer.access_token(), answer.cookie())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_acts_at_once_and_reactivation_revives_nothing() {
    let app = app().await;
    let (token, cookie) = signed_in(&app, "alice").await;
    assert_eq!(app.me(&token).await.status, 200);
    run(&app, &["user", "suspend", "alice"]);
    assert_eq!(app.me(&token).await.brief(), "403 auth.user_suspended");
    assert_eq!(app.refresh(&cookie).await.brief(), "403 auth.user_suspended");
    assert_eq!(
        app.login("alice", PASSWORD).await.brief(),
        "403 auth.user_suspended"
    );
    assert_eq!(
        app.login("alice", "a wrong password").await.brief(),
        "401 auth.invalid_credentials"
    );
    run(&app, &["user", "reactivate", "alice"]);
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_acts_at_once() {
    let app = app().await;
    let (token, cookie) = signed_in(&app, "alice").await;
    run(&app, &["user", "delete", "alice", "--yes"]);
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    assert_eq!(
        app.login("alice", PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_acts_at_once() {
    let app = app().await;
    let (token, cookie) = signed_in(&app, "alice").await;
    let sessions = run(&app, &["session", "list", "alice"]);
    run(
        &app,
        &[
            "session",
            "revoke",
            sessions[0]["id"].as_str().expect("it has an id"),
        ],
    );
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    let token = app.login("alice", PASSWORD).await.access_token();
    run(&app, &["session", "revoke", "--user", "alice"]);
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    let token = app.login("alice", PASSWORD).await.access_token();
    run(&app, &["session", "revoke", "--all"]);
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_mode_acts_at_once() {
    let app = app().await;
    let register = async |login: &str| {
        app.post("/v1/auth/register")
            .json(&registration(login))
            .send()
            .await
            .brief()
    };
    assert_eq!(register("alice").await, "422 auth.invite_code_required");
    run(&app, &["registration", "set", "open"]);
    assert_eq!(register("alice").await, "201 -");
    run(&app, &["registration", "set", "disabled"]);
    assert_eq!(register("bob").await, "403 auth.registration_disabled");
    assert_eq!(
        app.get("/v1/auth/registration-mode").send().await.json(),
        json!({"mode": "disabled"})
    );
    run(&app, &["registration", "set", "invite_only"]);
    let code = run(&app, &["invite", "create"])["code"]
        .as_str()
        .expect("it has a code")
        .to_owned();
    let mut body = registration("bob");
    body["invite_code"] = json!(code.to_lowercase().replace('-', ""));
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_an_address_set_by_command_act_at_once() {
    let app = app().await;
    let (token, _) = signed_in(&app, "alice").await;
    app.workspace().json_with_input(
        &["user", "set-password", "alice", "--password-stdin"],
        "another harbour\n",
    );
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    assert_eq!(
        app.login("alice", PASSWORD).await.brief(),
        "401 auth.invalid_credentials"
    );
    let token = app.login("alice", "another harbour").await.access_token();
    run(&app, &["user", "set-email", "alice", "new@example.org"]);
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    assert_eq!(
        app.login("alice@example.org", "another harbour").await.brief(),
        "401 auth.invalid_credentials"
    );
    let token = app
        .login("NEW@example.org", "another harbour")
        .await
        .access_token();
    run(&app, &["user", "verify-email", "alice"]);
    assert_eq!(app.me(&token).await.json()["email_verified"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_beside_a_busy_server_are_never_told_that_it_is_locked() {
    let app = TestApp::builder().machine_clock().open().start().await;
    let cookies: Vec<String> = {
        let mut cookies = Vec::new();
        for number in 0..8 {
            cookies.push(app.register(&format!("user-{number}")).await.cookie());
        }
        cookies
    };
    let mut writers = tokio::task::JoinSet::new();
    for mut cookie in cookies {
        let address = app.address();
        writers.spawn(async move {
            loop {
                cookie = crate::support::Request::new(address, "POST", "/v1/auth/refresh")
                    .cookie(&cookie)
                    .send()
                    .await
                    .cookie();
            }
        });
    }
    let workspace = std::sync::Arc::clone(app.workspace());
    let created = tokio::task::spawn_blocking(move || {
        (0..30)
            .map(|_| workspace.json(&["invite", "create"])["code"].to_string())
            .collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(created.await.expect("every command succeeds").len(), 30);
    writers.abort_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_changes_the_address_or_suspends_voids_what_was_mailed_at_once() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder()
        .machine_clock()
        .open()
        .smtp(&smtp)
        .start()
        .await;
    for (login, commands) in [
        (
            "alice",
            &[
                &["user", "set-email", "alice", "other@example.org"] as &[&str],
                &["user", "set-email", "alice", "alice@example.org"],
            ] as &[&[&str]],
        ),
        ("bob", &[&["user", "set-email", "bob", "BOB@example.org"]]),
        (
            "carol",
            &[&["user", "suspend", "carol"], &["user", "reactivate", "carol"]],
        ),
        ("dave", &[&["user", "suspend", "dave"]]),
        ("erin", &[&["user", "delete", "erin", "--yes"]]),
    ] {
        let email = format!("{login}@example.org");
        app.register(login).await;
        let verification = smtp.mail_to(&email).await.token();
        assert_eq!(app.send_reset(&email).await.status, 204);
        let reset = smtp.mail_to(&email).await.token();
        assert_eq!(app.send_code(&email).await.status, 204);
        let code = smtp.mail_to(&email).await.code();
        for command in commands {
            run(&app, command);
        }
        if login == "erin" {
            app.register(login).await;
        }
        let post = async |path: &str, body: serde_json::Value| {
            let answer = app.post(path).json(&body).send().await;
            answer.brief()
        };
        for what in ["confirm", "reject"] {
            let path = format!("/v1/auth/email/verify/{what}");
            let answer = post(&path, json!({"token": verification})).await;
            assert_eq!(answer, "422 email.token_invalid", "{login}");
        }
        let body = json!({"token": reset, "new_password": "a louder harbour"});
        let answer = post("/v1/auth/password/reset/confirm", body).await;
        assert_eq!(answer, "422 auth.reset_token_invalid", "{login}");
        let answer = app.verify_code(&email, &code).await;
        assert_eq!(answer.brief(), "422 auth.otp_invalid", "{login}");
    }
}
