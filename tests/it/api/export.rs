//! Exporting the caller's account. `own_account.rs` tests the password and the limit.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::mailed::Mailed;
use super::own_account::{EXPORT, ask, delete, with_password};
use crate::support::address::Mover;
use crate::support::{Answer, PASSWORD, TestApp};

/// An account with events of each sort, and its export by the session that is the newest.
async fn exported(mailed: &Mailed) -> (Answer, Answer) {
    let app = &mailed.app;
    mailed.register("alice").await;
    app.advance(Duration::from_mins(90));
    app.login("alice", "a wrong password").await;
    app.service()
        .verify_email(UserRef::parse("alice"))
        .await
        .expect("she is there");
    let stolen = app.login("alice", PASSWORD).await.cookie();
    let used = app.refresh(&stolen).await.cookie();
    app.advance(Duration::from_mins(1));
    assert_eq!(app.refresh(&used).await.status, 200);
    app.advance(Duration::from_mins(1));
    assert_eq!(app.refresh(&stolen).await.brief(), "401 auth.invalid_token");
    let body = json!({"login": "alice", "password": PASSWORD});
    let request = app.post("/v1/auth/login").header("user-agent", "a browser");
    let alice = request.json(&body).send().await;
    let exported = ask(app, EXPORT, &alice, &with_password()).send().await;
    (alice, exported)
}

/// Joins each item of a list to one line.
fn compact(json: &str) -> String {
    let text = json.lines().fold(String::new(), |text, line| {
        let is_inside = line.starts_with("      ") || ["    }", "    },"].contains(&line);
        let separator = if is_inside { " " } else { "\n" };
        text + separator + if is_inside { line.trim_start() } else { line }
    });
    text.trim_start().to_owned()
}

#[tokio::test]
async fn an_export_is_what_the_api_tells() {
    let mailed = Mailed::start().await;
    let (alice, exported) = exported(&mailed).await;
    assert_snapshot!(compact(&exported.shown_with_headers()), @r#"
    200
    content-disposition: attachment; filename="account.json"

    {
      "exported_at": "2026-01-01T01:33:00Z",
      "account": {
        "id": "[uuid]",
        "username": "alice",
        "email": "alice@example.org",
        "email_verified": true,
        "has_password": true,
        "locale": "en",
        "timezone": null,
        "created_at": "2026-01-01T00:00:00Z",
        "last_sign_in_at": "2026-01-01T01:33:00Z"
      },
      "sessions": [
        { "id": "[uuid]", "current": true, "created_at": "2026-01-01T01:33:00Z", "last_used_at": "2026-01-01T01:33:00Z", "ip": "127.0.0.1", "user_agent": "a browser" },
        { "id": "[uuid]", "current": false, "created_at": "2026-01-01T00:00:00Z", "last_used_at": "2026-01-01T00:00:00Z", "ip": "127.0.0.1", "user_agent": null }
      ],
      "audit": [
        { "at": "2026-01-01T00:00:00Z", "event": "register", "outcome": "done", "by": "client", "ip": "127.0.0.1", "user_agent": null, "session_id": "[uuid]", "times": 1 },
        { "at": "2026-01-01T00:00:00Z", "event": "refresh.reused", "outcome": "done", "by": "client", "ip": "127.0.0.1", "user_agent": null, "session_id": "[uuid]", "times": 1 },
        { "at": "2026-01-01T01:31:00Z", "event": "sign_in.password", "outcome": "refused", "by": "client", "ip": "127.0.0.1", "user_agent": null, "session_id": null, "times": 1 },
        { "at": "2026-01-01T01:31:00Z", "event": "user.email_verified", "outcome": "done", "by": "operator", "ip": null, "user_agent": null, "session_id": null, "times": 1 },
        { "at": "2026-01-01T01:31:00Z", "event": "sign_in.password", "outcome": "done", "by": "client", "ip": "127.0.0.1", "user_agent": null, "session_id": "[uuid]", "times": 1 },
        { "at": "2026-01-01T01:33:00Z", "event": "sign_in.password", "outcome": "done", "by": "client", "ip": "127.0.0.1", "user_agent": "a browser", "session_id": "[uuid]", "times": 1 }
      ],
      "audit_left_out": 0
    }
    "#);
    // The next one has the row of this one.
    let again = ask(&mailed.app, EXPORT, &alice, &with_password())
        .send()
        .await
        .json();
    let rows = again["audit"].as_array().expect("it is a list");
    assert_eq!(rows.last().expect("there are rows")["event"], "account.exported");
}

#[tokio::test]
async fn an_export_has_nothing_of_another_account() {
    let app = TestApp::open().await;
    let bob = app.register("bob").await;
    assert_eq!(delete(&app, &bob).await.brief(), "204 -");
    // The same names, and another account.
    app.login("bob", "a wrong password").await;
    let bob = app.register("bob").await;
    app.register("alice").await;
    let exported = ask(&app, EXPORT, &bob, &with_password()).send().await.json();
    let rows = exported["audit"].as_array().expect("it is a list");
    assert_eq!(rows.len(), 1, "{exported}");
    assert_eq!(rows[0]["event"], "register");
    assert_eq!(exported["sessions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_export_has_the_newest_rows_and_says_how_many_are_left_out() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.change(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5001)
         INSERT INTO audit_events (at, event, user_id, username)
         SELECT at + n, 'sign_in.password', user_id, username FROM numbers, audit_events WHERE event = 'register'",
    );
    let exported = ask(&app, EXPORT, &alice, &with_password()).send().await.json();
    let rows = exported["audit"].as_array().expect("it is a list");
    assert_eq!((rows.len(), &exported["audit_left_out"]), (5_000, &json!(2)));
    assert!(rows.iter().all(|row| row["event"] == "sign_in.password"));
}

#[tokio::test]
async fn an_export_tells_a_request_for_a_taken_address_as_done() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", Duration::ZERO).await;
    mover.verified("bob", Duration::ZERO).await;
    for wanted in ["bob@example.org", "free@example.org"] {
        assert_eq!(mover.ask(&alice, wanted).await.brief(), "204 -");
    }
    let guess = json!({"new_email": "bob@example.org", "current_password": "a wrong one"});
    assert_eq!(mover.ask_with(&alice, guess).await.status, 422);
    let exported = ask(&mover.app, EXPORT, &alice, &with_password());
    let exported = exported.send().await.json();
    let events = exported["audit"].as_array().expect("it is a list").iter();
    let outcomes = events.filter(|event| event["event"] == "email.change_requested");
    let outcomes: Vec<&Value> = outcomes.map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["done", "done", "refused"]);
}
