//! How passwords are compared, and how they are stored.

use arkloop::domain::AccountName;
use arkloop::store::StoreError;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{PASSWORD, TestApp, registration};

/// The password hash of an account as it is stored.
async fn stored_hash(app: &TestApp, login: &str) -> String {
    let name = AccountName::parse(login).expect("it is a name");
    let found: Result<_, StoreError> = app
        .service()
        .store()
        .read(move |reader| reader.find_credentials(&name))
        .await;
    let credentials = found.expect("it is read").expect("it is there");
    credentials
        .password_hash
        .expect("it has a password")
        .as_str()
        .to_owned()
}

#[tokio::test]
async fn a_password_is_compared_whatever_its_length_up_to_1024_bytes() {
    let app = TestApp::open().await;
    app.register("alice").await;
    for password in ["x", "short", &"x".repeat(1024), &"é".repeat(512)] {
        assert_eq!(
            app.login("alice", password).await.brief(),
            "401 auth.invalid_credentials"
        );
    }
    assert_snapshot!(app.login("alice", &"x".repeat(1025)).await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "password": {
            "code": "too_long",
            "message": "Must have at most 1024 bytes in UTF-8.",
            "max": 1024
          }
        }
      }
    }
    "#);
    // Whether the account exists makes no difference.
    assert_eq!(
        app.login("nobody", &"é".repeat(513)).await.brief(),
        "422 validation.error"
    );
}

#[tokio::test]
async fn a_password_is_the_same_however_its_accents_were_typed() {
    let app = TestApp::open().await;
    for (login, set, typed) in [
        ("composed", "caf\u{e9} au lait", "cafe\u{301} au lait"),
        ("decomposed", "cafe\u{301} au lait", "caf\u{e9} au lait"),
    ] {
        let mut body = registration(login);
        body["password"] = json!(set);
        assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
        assert_eq!(app.login(login, set).await.status, 200);
        assert_eq!(app.login(login, typed).await.status, 200);
        assert_eq!(app.login(login, "cafe au lait").await.status, 401);
        assert_eq!(app.login(login, &set.to_uppercase()).await.status, 401);
    }
}

#[tokio::test]
async fn outdated_hash_parameters_are_raised_at_the_next_sign_in() {
    let mut app = TestApp::open().await;
    app.register("alice").await;
    let before = stored_hash(&app, "alice").await;
    assert!(before.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{before}");
    app.restart_with("PASSWORD__ARGON2_ITERATIONS", "2").await;
    assert_eq!(app.login("alice", "a wrong password").await.status, 401);
    assert_eq!(stored_hash(&app, "alice").await, before);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    let after = stored_hash(&app, "alice").await;
    assert!(after.starts_with("$argon2id$v=19$m=8,t=2,p=1$"), "{after}");
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    assert_eq!(stored_hash(&app, "alice").await, after);
}

#[tokio::test]
async fn an_unknown_account_costs_a_hash_too() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let work = async |login: &str| {
        let before = app.service().blocks_filled();
        assert_eq!(app.login(login, "a wrong password").await.status, 401);
        app.service().blocks_filled() - before
    };
    let known = work("alice").await;
    assert!(known > 0);
    assert_eq!([work("nobody").await, work("no name").await], [known, known]);
}
