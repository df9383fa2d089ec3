//! How passwords are compared, and how they are stored.

use arkloop::domain::AccountName;
use arkloop::store::StoreError;
use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{Mailed, PAUSE};
use crate::support::{Answer, PASSWORD, TestApp, registration};

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
async fn both_implementations_open_what_the_other_stored() {
    let mut app = TestApp::open().await;
    app.register("auto").await;
    for (implementation, login) in [("portable", "portable"), ("auto", "auto-again")] {
        app.restart_with("PASSWORD__IMPLEMENTATION", implementation).await;
        app.register(login).await;
        for login in ["auto", login] {
            let stored = stored_hash(&app, login).await;
            assert_eq!(app.login(login, PASSWORD).await.status, 200, "{login}");
            assert_eq!(app.login(login, "a wrong password").await.status, 401, "{login}");
            // The stored hash does not tell which implementation computed it.
            assert_eq!(stored_hash(&app, login).await, stored);
        }
    }
    // A changed password as well.
    let signed_in = app.login("portable", PASSWORD).await;
    let body = json!({"current_password": PASSWORD, "new_password": "a louder harbour"});
    let changed = app
        .post("/v1/auth/password/change")
        .bearer(&signed_in.access_token());
    assert_eq!(changed.json(&body).send().await.brief(), "204 -");
    app.restart_with("PASSWORD__IMPLEMENTATION", "portable").await;
    assert_eq!(app.login("portable", "a louder harbour").await.status, 200);
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

/// Registers with a password; returns the answer.
async fn register_with(app: &TestApp, login: &str, password: &str) -> Answer {
    let mut body = registration(login);
    body["password"] = json!(password);
    app.post("/v1/auth/register").json(&body).send().await
}

#[tokio::test]
async fn a_new_password_has_no_control_characters() {
    let mailed = Mailed::start().await;
    assert_snapshot!(register_with(&mailed.app, "alice", "a quiet\tharbour").await.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "password": {
            "code": "invalid_characters",
            "message": "May hold only printable characters and spaces, no tab, line break or other control character."
          }
        }
      }
    }
    "#);
    let token = mailed.register_verified("alice").await.access_token();
    let reset = mailed.reset_token_to("alice").await;
    for control in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
        let password = format!("a louder{control}harbour");
        let registered = register_with(&mailed.app, "ben", &password).await;
        let body = json!({"current_password": PASSWORD, "new_password": password});
        let changed = mailed.app.post("/v1/auth/password/change").bearer(&token);
        let changed = changed.json(&body).send().await;
        let reset = mailed.reset(&reset, &password).await;
        for (answer, field) in [
            (registered, "password"),
            (changed, "new_password"),
            (reset, "new_password"),
        ] {
            assert_eq!(answer.brief(), "422 validation.error", "{control:?}");
            let said = &answer.json()["details"]["fields"][field]["code"];
            assert_eq!(said, "invalid_characters", "{control:?}");
        }
        // A sign-in accepts any password as a guess.
        assert_eq!(
            mailed.app.login("alice", &password).await.brief(),
            "401 auth.invalid_credentials"
        );
        mailed.app.advance(PAUSE);
    }
    assert_eq!(
        mailed.reset(&reset, "a louder\u{2028}harbour").await.brief(),
        "204 -"
    );
}

/// Every character of the category Zs.
const SPACES: &str = " \u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{202f}\u{205f}\u{3000}";

#[tokio::test]
async fn a_password_is_the_same_whatever_space_was_typed() {
    let app = TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "false")
        .start()
        .await;
    let plain = "four quiet harbour lamps";
    assert_eq!(register_with(&app, "plain", plain).await.status, 201);
    for (number, space) in SPACES.chars().enumerate() {
        let (login, typed) = (format!("user-{number}"), plain.replace(' ', &space.to_string()));
        assert_eq!(register_with(&app, &login, &typed).await.status, 201);
        for (login, password) in [("plain", typed.as_str()), (&login, plain), (&login, &typed)] {
            assert_eq!(app.login(login, password).await.status, 200, "{space:?} {login}");
        }
    }
    // A line separator does not count as a space, nor does the absence of a space.
    assert_eq!(
        app.login("plain", &plain.replace(' ', "\u{2028}")).await.status,
        401
    );
    assert_eq!(app.login("plain", &plain.replace(' ', "")).await.status, 401);
}

/// What 0.1 stored for [`OLD_PASSWORD`], whose spaces it did not map.
const OLD_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$lcpSxGgGOCK6bDlkZO+BUQ$OzFfTooHvzs5CVq9MeTccAxjBX2VV893FnydC5Ecx0Y";
const OLD_PASSWORD: &str = "four\u{a0}quiet\u{3000}harbour lamps";

/// Gives accounts the hash that an older version made of [`OLD_PASSWORD`].
async fn with_old_hash(app: &TestApp, logins: &[&str]) {
    for login in logins {
        app.register(login).await;
        app.change(&format!(
            "UPDATE users SET password_hash = '{OLD_HASH}' WHERE username = '{login}'"
        ));
    }
}

#[tokio::test]
async fn a_password_of_an_older_version_opens_its_account_and_is_stored_anew() {
    let app = TestApp::open().await;
    with_old_hash(&app, &["alice", "ben", "carol"]).await;
    // Until the password is hashed anew, only the spelling that the older version hashed is accepted.
    assert_eq!(app.login("alice", "four quiet harbour lamps").await.status, 401);
    assert_eq!(stored_hash(&app, "alice").await, OLD_HASH);
    for _ in 0..2 {
        assert_eq!(app.login("alice", OLD_PASSWORD).await.status, 200);
    }
    let renewed = stored_hash(&app, "alice").await;
    assert_ne!(renewed, OLD_HASH);
    assert_eq!(app.login("alice", "four quiet harbour lamps").await.status, 200);
    assert_eq!(stored_hash(&app, "alice").await, renewed);
    // A password change also accepts the spelling that the older version hashed.
    let signed_in = app.login("ben", OLD_PASSWORD).await;
    app.change(&format!(
        "UPDATE users SET password_hash = '{OLD_HASH}' WHERE username = 'ben'"
    ));
    let body = json!({"current_password": OLD_PASSWORD, "new_password": "a louder harbour"});
    let changed = app
        .post("/v1/auth/password/change")
        .bearer(&signed_in.access_token());
    assert_eq!(changed.json(&body).send().await.brief(), "204 -");
    assert_eq!(app.login("ben", "a louder harbour").await.status, 200);
}

#[tokio::test]
async fn a_password_that_is_compared_in_two_ways_costs_the_same_for_every_name() {
    let app = TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "false")
        .start()
        .await;
    with_old_hash(&app, &["old"]).await;
    for login in ["new", "bare"] {
        app.register(login).await;
    }
    app.change("UPDATE users SET password_hash = NULL WHERE username = 'bare'");
    let work = async |login: &str, password: &str| {
        let before = app.service().blocks_filled();
        assert_eq!(app.login(login, password).await.status, 401, "{login}");
        app.service().blocks_filled() - before
    };
    let names = ["old", "new", "bare", "nobody", "nobody@example.org", "no name"];
    for (password, hashes) in [
        ("a noisy harbour", 1),
        ("a\u{a0}noisy harbour", 2),
        ("a\tnoisy harbou\u{301}r", 1),
    ] {
        for name in names {
            assert_eq!(work(name, password).await, 8 * hashes, "{name} {password:?}");
        }
    }
}
