//! The header and the claims of access tokens. (Forged tokens: `forged_tokens.rs`.)

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::forged_tokens::refused;
use crate::support::TestApp;

/// The three parts of a token.
pub(super) fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("a JWT has three parts")
}

/// Decodes a part of a token.
pub(super) fn read(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("it is base64url");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

pub(super) fn header(token: &str) -> Value {
    read(&parts(token)[0])
}

pub(super) fn claims(token: &str) -> Value {
    read(&parts(token)[1])
}

/// A part of a token, with the lengths of values that differ from run to run instead of the values.
fn shown(part: &Value) -> String {
    let mut part = part.clone();
    for name in ["sub", "sid", "jti", "kid"] {
        if let Some(text) = part[name].as_str() {
            part[name] = format!("[{} characters]", text.len()).into();
        }
    }
    part.as_object_mut()
        .expect("it is an object")
        .retain(|_, value| !value.is_null());
    serde_json::to_string_pretty(&part).expect("it is JSON")
}

#[tokio::test]
async fn a_token_says_this_and_no_more() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let token = alice.access_token();
    assert_snapshot!(shown(&header(&token)), @r#"
    {
      "typ": "JWT",
      "alg": "ES256",
      "kid": "[43 characters]"
    }
    "#);
    assert_snapshot!(shown(&claims(&token)), @r#"
    {
      "iss": "http://localhost:8080",
      "aud": "arkloop",
      "sub": "[36 characters]",
      "sid": "[36 characters]",
      "jti": "[22 characters]",
      "iat": 1767225600,
      "exp": 1767226500,
      "auth_time": 1767225600,
      "amr": [
        "pwd"
      ],
      "email_verified": false
    }
    "#);
    assert_eq!(claims(&token)["sub"], alice.json()["user_id"]);
    let jwks = app.get("/.well-known/jwks.json").send().await.json();
    assert_eq!(header(&token)["kid"], jwks["keys"][0]["kid"]);
}

#[tokio::test]
async fn a_refresh_keeps_when_and_how_somebody_signed_in() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.advance(Duration::from_mins(20));
    let name = arkloop::service::UserRef::parse("alice");
    app.service().verify_email(name).await.expect("the user exists");
    let (before, after) = (
        claims(&alice.access_token()),
        claims(&app.refresh(&alice.cookie()).await.access_token()),
    );
    for same in ["iss", "aud", "sub", "sid", "auth_time", "amr"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_ne!(after["jti"], before["jti"]);
    let later = |name: &str| after[name].as_i64().unwrap_or(0) - before[name].as_i64().unwrap_or(0);
    assert_eq!((later("iat"), later("exp")), (1_200, 1_200));
    assert_eq!(after["email_verified"], json!(true));
}

#[tokio::test]
async fn issuer_audience_and_life_follow_the_configuration() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__PUBLIC_URL", "https://auth.example.org")
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("TOKENS__AUDIENCE", "our apps")
        .set("TOKENS__ACCESS_TTL", "1h")
        .start()
        .await;
    let token = app.register("alice").await.access_token();
    let claims = claims(&token);
    assert_eq!(claims["iss"], "https://auth.example.org");
    assert_eq!(claims["aud"], "our apps");
    assert_eq!(
        claims["exp"].as_i64(),
        claims["iat"].as_i64().map(|iat| iat + 3_600)
    );
    app.advance(Duration::from_secs(3_599));
    assert_eq!(app.me(&token).await.status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.me(&token).await.brief(), "401 auth.token_expired");
}

#[tokio::test]
async fn eddsa_works_and_old_tokens_stay_good_after_the_change() {
    let mut app = TestApp::open().await;
    let old = app.register("alice").await.access_token();
    app.restart_with("TOKENS__ALGORITHM", "EdDSA").await;
    let new = app.login("alice", crate::support::PASSWORD).await.access_token();
    assert_snapshot!(shown(&header(&new)), @r#"
    {
      "typ": "JWT",
      "alg": "EdDSA",
      "kid": "[43 characters]"
    }
    "#);
    for token in [&old, &new] {
        assert_eq!(app.me(token).await.status, 200);
    }
    // A signature by one algorithm does not pass under the key id of the other.
    let [_, claims, signature] = parts(&new);
    let mixed = format!("{}.{claims}.{signature}", parts(&old)[0]);
    refused(&app, &mixed, "EdDSA under the key id of ES256").await;
}
