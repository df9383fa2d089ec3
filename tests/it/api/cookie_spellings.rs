//! The refresh cookie as other clients write it: cookie jars of the JDK and of Python, with the attributes of RFC 2965.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, PASSWORD, Request, TestApp, registration};

/// `Cookie` headers that carry a refresh cookie with this value.
fn spellings(value: &str) -> [String; 9] {
    [
        format!("arkloop_refresh_token=\"{value}\""),
        format!("$Version=\"1\"; arkloop_refresh_token=\"{value}\";$Path=\"/v1/auth\";$Domain=\"127.0.0.1\""),
        format!("$Version=1; arkloop_refresh_token={value}; $Path=\"/v1/auth\""),
        format!("$Version=1; arkloop_refresh_token=\"{value}\"; $Path=/v1/auth; $Port"),
        format!("$Version=0;arkloop_refresh_token={value};"),
        format!(
            "$Version=\"1\"; theme=\"dark\"; $Path=\"/\"; arkloop_refresh_token=\"{value}\"; $Path=\"/v1/auth\""
        ),
        format!("arkloop_refresh_token = \"{value}\" ; last = 1"),
        format!("a=b;\tarkloop_refresh_token=\t{value}\t"),
        format!(" ; ;; =;arkloop_refresh_token={value}"),
    ]
}

/// Headers that contain the value, but carry no refresh cookie with it.
fn misspellings(value: &str) -> [String; 11] {
    [
        format!("arkloop_refresh_token=\"{value}"),
        format!("arkloop_refresh_token={value}\""),
        format!("arkloop_refresh_token=\"\"{value}\""),
        format!("arkloop_refresh_token=\"{value}\"\""),
        format!("arkloop_refresh_token='{value}'"),
        format!("arkloop_refresh_token=\" {value}\""),
        format!("arkloop_refresh_token=\\\"{value}\\\""),
        format!("theme=\"dark; arkloop_refresh_token={value}\""),
        format!("$arkloop_refresh_token={value}"),
        format!("$Version=\"1\"; $Path=\"arkloop_refresh_token={value}\""),
        format!("Arkloop_Refresh_Token={value}"),
    ]
}

fn refresh(app: &TestApp, cookies: &str) -> Request {
    app.post("/v1/auth/refresh").header("cookie", cookies)
}

/// Why the session of a cookie was ended; `None` if it was not.
async fn ended(app: &TestApp, cookie: &str) -> Option<String> {
    app.ended_because(cookie).await
}

#[tokio::test]
async fn a_cookie_is_read_with_quotes_and_among_the_attributes_of_rfc_2965() {
    let app = TestApp::open().await;
    let mut cookie = app.register("alice").await.cookie();
    for number in 0..spellings("").len() {
        let line = spellings(&cookie)[number].clone();
        let answer = refresh(&app, &line).send().await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        assert_ne!(answer.cookie(), cookie, "{line}");
        cookie = answer.cookie();
    }
}

/// Requests other than a refresh that read the cookie, each with the answer whose cookie it is to be sent with. Each ends the session of that cookie.
async fn readers(app: &TestApp, number: usize) -> Vec<(Request, Answer)> {
    let new = |role: &str| format!("{role}-{number}");
    let mut readers = Vec::new();
    let login = app.register(&new("login")).await;
    let body = json!({"login": new("login"), "password": PASSWORD});
    readers.push((app.post("/v1/auth/login").json(&body), login));
    let register = app.register(&new("register")).await;
    let body = registration(&new("second"));
    readers.push((app.post("/v1/auth/register").json(&body), register));
    // The bearer token and the cookie belong to different sessions.
    let logout = app.register(&new("logout")).await;
    let other = app.login(&new("logout"), PASSWORD).await;
    readers.push((app.post("/v1/auth/logout").bearer(&other.access_token()), logout));
    readers
}

#[tokio::test]
async fn every_operation_that_looks_at_the_cookie_reads_every_spelling() {
    let app = TestApp::open().await;
    for number in 0..spellings("").len() {
        for (request, owner) in readers(&app, number).await {
            let line = spellings(&owner.cookie())[number].clone();
            let answer = request.header("cookie", &line).send().await;
            assert!(answer.status < 300, "{line}: {answer:?}");
            assert!(ended(&app, &owner.cookie()).await.is_some(), "{line}");
        }
    }
}

#[tokio::test]
async fn half_a_quote_is_no_value_and_revokes_nothing() {
    let app = TestApp::open().await;
    let old = app.register("alice").await.cookie();
    let next = app.refresh(&old).await.cookie();
    let mut current = app.refresh(&next).await.cookie();
    app.advance(Duration::from_mins(1));
    for line in misspellings(&old).into_iter().chain(misspellings(&current)) {
        let answer = refresh(&app, &line).send().await;
        assert_eq!(answer.status, 401, "{line}: {answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{line}");
    }
    for (number, line) in misspellings(&current).into_iter().enumerate() {
        for (request, owner) in readers(&app, number).await {
            let line = line.replace(&current, &owner.cookie());
            let answer = request.header("cookie", &line).send().await;
            assert!(answer.status < 300, "{line}: {answer:?}");
            assert_eq!(ended(&app, &owner.cookie()).await, None, "{line}");
        }
    }
    // A misspelt cookie beside a good one has no effect either.
    for line in misspellings(&old) {
        let answer = refresh(&app, &format!("{line}; arkloop_refresh_token=\"{current}\""))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        current = answer.cookie();
    }
    // In a spelling that is read, the old cookie is reuse.
    assert_eq!(
        refresh(&app, &spellings(&old)[1]).send().await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(ended(&app, &current).await.as_deref(), Some("refresh_reused"));
}
