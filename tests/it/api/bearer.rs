//! The access token of a request: how it is sent, and how a request without a good one is refused.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;

use super::operations::{operations, operations_with};
use crate::support::TestApp;

#[tokio::test]
async fn every_operation_with_a_bearer_tells_what_is_wrong_with_it() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let expected = operations_with(401, "auth.missing_token");
    let bearers = operations()
        .iter()
        .filter(|operation| operation.needs_bearer)
        .count();
    assert_eq!((expected.len(), bearers), (12, 12));
    for operation in &expected {
        let send = async |authorization: Option<&str>| {
            let mut request = operation.bare(&app);
            if let Some(body) = operation.body() {
                request = request.json(&body);
            }
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let answer = request.send().await;
            let challenge = answer.header("www-authenticate").unwrap_or("-").to_owned();
            (answer.brief(), challenge)
        };
        let answer = |brief: &str, challenge: &str| (brief.to_owned(), challenge.to_owned());
        assert_eq!(send(None).await, answer("401 auth.missing_token", "Bearer"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "Bearer a b",
            "Bearer ü",
            "Token x",
            "x",
        ] {
            let found = send(Some(wrong)).await;
            assert_eq!(found.0, "401 auth.invalid_authorization", "{wrong:?}");
            assert!(found.1.starts_with("Bearer"), "{found:?}");
        }
        assert_eq!(
            send(Some("Bearer nonsense")).await,
            answer("401 auth.invalid_token", "Bearer error=\"invalid_token\"")
        );
    }
    app.advance(Duration::from_mins(15));
    for operation in &expected {
        let found = operation.whole(&app, &alice).send().await;
        assert_eq!(found.brief(), "401 auth.token_expired", "{operation:?}");
        assert_eq!(
            found.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
    }
}

#[tokio::test]
async fn every_operation_with_a_bearer_tells_a_suspended_user_so() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let suspended = app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("the user exists");
    let mut expected = operations_with(403, "auth.user_suspended");
    // A code tells it only if it is right: see `one_time_code.rs` and `resolved_codes.rs`.
    let by_code = ["sign_in_by_code", "sign_in_by_resolved_code"];
    expected.retain(|operation| !by_code.contains(&operation.id.as_str()));
    // Beside the twelve with a bearer: login and refresh.
    assert_eq!(expected.len(), 14);
    for operation in expected {
        let answer = operation.whole(&app, &alice).send().await;
        assert_eq!(answer.brief(), "403 auth.user_suspended", "{operation:?}");
    }
}

#[tokio::test]
async fn a_missing_token_is_refused_like_this() {
    let app = TestApp::start().await;
    assert_snapshot!(app.get("/v1/me").send().await.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.missing_token",
      "message": "This operation needs an access token.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn what_is_no_bearer_token_is_refused_like_this() {
    let app = TestApp::start().await;
    let me = app.get("/v1/me").header("authorization", "Basic YTpi");
    assert_snapshot!(me.send().await.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.invalid_authorization",
      "message": "The Authorization header must be Bearer and an access token.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused_like_this() {
    let app = TestApp::start().await;
    assert_snapshot!(app.me("nonsense").await.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer error="invalid_token"

    {
      "code": "auth.invalid_token",
      "message": "The token is not valid, or its session has ended.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn an_expired_token_is_refused_like_this() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.advance(Duration::from_mins(15));
    assert_snapshot!(app.me(&alice.access_token()).await.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer error="invalid_token"

    {
      "code": "auth.token_expired",
      "message": "The access token has expired: refresh it.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn a_suspended_user_is_refused_like_this() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let suspended = app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("the user exists");
    assert_snapshot!(app.me(&alice.access_token()).await.shown_with_headers(), @r#"
    403

    {
      "code": "auth.user_suspended",
      "message": "This account is suspended.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_only_once() {
    let app = TestApp::open().await;
    let token = app.register("alice").await.access_token();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let me = app.get("/v1/me");
        let answer = me
            .header("authorization", &format!("{scheme} {token}"))
            .send()
            .await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    let twice = app.get("/v1/me").bearer(&token).bearer(&token).send().await;
    assert_eq!(twice.brief(), "401 auth.invalid_authorization");
}
