//! The public keys that access tokens are verified with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::Value;

use crate::support::TestApp;

async fn keys(app: &TestApp) -> Vec<Value> {
    let answer = app.get("/.well-known/jwks.json").send().await;
    let set = answer.json();
    set["keys"].as_array().expect("it has keys").clone()
}

/// The key, with the lengths of values that differ from run to run instead of the values.
fn shown(key: &Value) -> String {
    let mut key = key.clone();
    for member in ["kid", "x", "y"] {
        if let Some(text) = key[member].as_str() {
            let bytes = URL_SAFE_NO_PAD.decode(text).expect("it is base64url");
            key[member] = format!("[{} bytes]", bytes.len()).into();
        }
    }
    key.as_object_mut()
        .expect("a key is an object")
        .retain(|_, value| !value.is_null());
    serde_json::to_string_pretty(&key).expect("it is JSON")
}

/// RFC 7638 §3: SHA-256 over the required members in the order of their names, without white space.
fn thumbprint(canonical: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

#[tokio::test]
async fn the_public_keys_are_for_every_page_and_cacheable_for_five_minutes() {
    let app = TestApp::start().await;
    let mut answer = app
        .get("/.well-known/jwks.json")
        .header("origin", "https://unlisted.example")
        .send()
        .await;
    answer.body = String::new();
    assert_snapshot!(answer.shown_with_headers(), @r"
    200
    access-control-allow-origin: *
    access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate
    cache-control: public, max-age=300
    etag: [digest]
    vary: Accept-Encoding
    ");
    let keys = keys(&app).await;
    assert_eq!(keys.len(), 1);
    assert_snapshot!(shown(&keys[0]), @r#"
    {
      "use": "sig",
      "alg": "ES256",
      "kid": "[32 bytes]",
      "kty": "EC",
      "crv": "P-256",
      "x": "[32 bytes]",
      "y": "[32 bytes]"
    }
    "#);
}

#[tokio::test]
async fn the_id_of_a_key_is_its_thumbprint() {
    let app = TestApp::start().await;
    let key = keys(&app).await.remove(0);
    let canonical = format!(
        r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
        key["x"], key["y"]
    );
    assert_eq!(key["kid"], thumbprint(&canonical));
}

#[tokio::test]
async fn another_algorithm_brings_a_new_key_beside_the_old_one() {
    let mut app = TestApp::start().await;
    app.restart_with("TOKENS__ALGORITHM", "EdDSA").await;
    let keys = keys(&app).await;
    assert_eq!(keys.len(), 2);
    assert_snapshot!(shown(&keys[0]), @r#"
    {
      "use": "sig",
      "alg": "EdDSA",
      "kid": "[32 bytes]",
      "kty": "OKP",
      "crv": "Ed25519",
      "x": "[32 bytes]"
    }
    "#);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, keys[0]["x"]);
    assert_eq!(keys[0]["kid"], thumbprint(&canonical));
    assert_eq!(keys[1]["alg"], "ES256");
}

#[tokio::test]
async fn no_private_half_is_ever_shown() {
    let mut app = TestApp::start().await;
    app.restart_with("TOKENS__ALGORITHM", "EdDSA").await;
    for key in keys(&app).await {
        assert_eq!(key.get("d"), None, "{key}");
        assert_eq!(key.get("k"), None, "{key}");
    }
}
