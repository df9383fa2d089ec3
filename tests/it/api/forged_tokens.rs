//! Tokens that this server did not issue, did not issue in this form, or did not issue for this purpose.

use std::time::Duration;

use arkloop::crypto::{Keys, SealedFor, read_key_file};
use arkloop::store::{StoreError, StoredSigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::access_tokens::{claims, header, parts, read};
use crate::support::{Answer, TestApp};

/// Encodes a part of a token.
fn write(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The server's own signing key, for tokens that have a good signature but are wrong otherwise.
pub(super) struct OwnKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    private: EncodingKey,
}

impl OwnKey {
    pub(super) async fn of(app: &TestApp) -> Self {
        let keys: Keys = read_key_file(&app.data_dir().join("arkloop.key")).expect("it is there");
        let stored: Result<Option<StoredSigningKey>, StoreError> = app
            .service()
            .store()
            .read(|reader| Ok(reader.list_signing_keys()?.into_iter().next()))
            .await;
        let stored = stored.expect("they are read").expect("there is one");
        let pkcs8 = keys
            .open(SealedFor::SigningKey(&stored.kid), &stored.sealed_private)
            .expect("it is sealed with this key");
        let (algorithm, private) = match stored.algorithm.into_str() {
            "EdDSA" => (Algorithm::EdDSA, EncodingKey::from_ed_der(&pkcs8)),
            _ => (Algorithm::ES256, EncodingKey::from_ec_der(&pkcs8)),
        };
        Self {
            kid: stored.kid,
            algorithm,
            private,
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(self.algorithm)
        };
        encode(&header, claims, &self.private).expect("it signs")
    }

    /// Signs any two texts as the header and the claims.
    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, self.algorithm);
        format!("{message}.{}", signature.expect("it signs"))
    }
}

/// A server that signs with `EdDSA`.
pub(super) async fn signing_with_eddsa() -> TestApp {
    TestApp::builder()
        .open()
        .set("TOKENS__ALGORITHM", "EdDSA")
        .start()
        .await
}

/// Asserts that a token is refused; `what` describes the token.
pub(super) async fn refused(app: &TestApp, token: &str, what: &str) {
    let answer: Answer = app.me(token).await;
    assert_eq!(answer.brief(), "401 auth.invalid_token", "{what}");
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer error=\"invalid_token\""),
        "{what}"
    );
}

#[tokio::test]
async fn the_algorithm_is_the_key_s_and_never_the_token_s() {
    let app = signing_with_eddsa().await;
    let token = app.register("alice").await.access_token();
    let [head, body, signature] = parts(&token);
    let kid = header(&token)["kid"].clone();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES256", "Ed25519",
    ] {
        let head = write(&json!({"alg": alg, "typ": "JWT", "kid": kid}));
        refused(&app, &format!("{head}.{body}."), alg).await;
        refused(&app, &format!("{head}.{body}.{signature}"), alg).await;
    }
    refused(&app, &format!("{head}.{body}."), "no signature").await;
    // The public key as the secret of an HMAC, in every form that a careless verifier might take.
    let jwks = app.get("/.well-known/jwks.json").send().await;
    let x = jwks.json()["keys"][0]["x"]
        .as_str()
        .expect("it is a text")
        .to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&x).expect("it is base64url");
    let mut spki = vec![
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    spki.extend(&raw);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&spki)
    );
    for secret in [
        raw,
        spki,
        x.into_bytes(),
        pem.into_bytes(),
        jwks.body.into_bytes(),
        Vec::new(),
    ] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let head = Header {
                kid: kid.as_str().map(str::to_owned),
                ..Header::new(algorithm)
            };
            let forged = encode(&head, &read(&body), &EncodingKey::from_secret(&secret));
            refused(&app, &forged.expect("it signs"), "the public key as a secret").await;
        }
    }
    assert_eq!(app.me(&token).await.status, 200);
}

#[tokio::test]
async fn a_foreign_key_is_not_believed_however_it_is_brought() {
    let app = signing_with_eddsa().await;
    let foreign = TestApp::builder()
        .open()
        .set("TOKENS__AUDIENCE", "foreign")
        .start()
        .await;
    let token = app.register("alice").await.access_token();
    foreign.register("alice").await;
    // Both servers use the same seed and so the same keys; the foreign key comes from another seed.
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("it is a seed");
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(public), "kid": "foreign",
    });
    let own_kid = header(&token)["kid"].clone();
    let jku = format!("http://{}/.well-known/jwks.json", foreign.address());
    let heads = [
        json!({"alg": "EdDSA", "typ": "JWT", "kid": own_kid}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "foreign"}),
        json!({"alg": "EdDSA", "typ": "JWT"}),
        json!({"alg": "EdDSA", "typ": "JWT", "jwk": jwk}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": own_kid, "jwk": jwk}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "foreign", "jwk": jwk, "jku": jku}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": own_kid, "jku": jku}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": own_kid, "x5u": jku, "x5c": ["AAAA"]}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "../../../dev/null"}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "' OR 1=1 --"}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": ""}),
    ];
    for head in heads {
        let message = format!("{}.{}", write(&head), parts(&token)[1]);
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
        refused(&app, &format!("{message}.{signature}"), &head.to_string()).await;
    }
}

#[tokio::test]
async fn every_claim_is_checked() {
    let app = TestApp::open().await;
    let own = OwnKey::of(&app).await;
    let alice = app.register("alice").await;
    let bob = app.register("bob").await;
    let good = claims(&alice.access_token());
    // A token that this test signs is accepted if nothing is wrong with it.
    assert_eq!(app.me(&own.sign(&good)).await.status, 200);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let others = claims(&bob.access_token());
    let wrong = [
        with("iss", json!("https://evil.example")),
        with("iss", json!("http://localhost:8080/")),
        with("iss", json!(["http://localhost:8080"])),
        with("aud", json!("other")),
        with("aud", json!([])),
        with("aud", json!("ARKLOOP")),
        with("exp", json!("9999999999")),
        with("exp", json!("never")),
        with("exp", json!(1e300)),
        with("exp", json!(null)),
        with("iat", json!("yesterday")),
        with("auth_time", json!("0")),
        with("sub", json!("x")),
        with("sub", json!("")),
        with("sub", json!(7)),
        with("sub", others["sub"].clone()),
        with("sid", others["sid"].clone()),
        with("sid", json!("019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17")),
        with("sid", json!("")),
        with("amr", json!([])),
        with("amr", json!("pwd")),
    ];
    for claims in wrong {
        refused(&app, &own.sign(&claims), &claims.to_string()).await;
    }
    for name in ["iss", "aud", "exp", "sub", "sid"] {
        let mut claims = good.clone();
        claims.as_object_mut().expect("it is an object").remove(name);
        refused(&app, &own.sign(&claims), &format!("without {name}")).await;
    }
}

#[tokio::test]
async fn only_a_token_of_this_type_is_one() {
    let app = TestApp::open().await;
    let own = OwnKey::of(&app).await;
    let good = claims(&app.register("alice").await.access_token());
    for typ in [None, Some("at+jwt"), Some("jwt"), Some("JWE"), Some("")] {
        let head = Header {
            kid: Some(own.kid.clone()),
            typ: typ.map(str::to_owned),
            ..Header::new(own.algorithm)
        };
        let token = encode(&head, &good, &own.private).expect("it signs");
        refused(&app, &token, &format!("{typ:?}")).await;
    }
}

#[tokio::test]
async fn an_expired_token_says_so_only_if_it_is_authentic() {
    let app = TestApp::open().await;
    let token = app.register("alice").await.access_token();
    app.advance(Duration::from_secs(899));
    assert_eq!(app.me(&token).await.status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.me(&token).await.brief(), "401 auth.token_expired");
    let [head, body, _] = parts(&token);
    refused(
        &app,
        &format!("{head}.{body}.{}", "A".repeat(86)),
        "forged and expired",
    )
    .await;
}

#[tokio::test]
async fn a_token_changed_by_one_bit_or_cut_is_refused() {
    let app = TestApp::open().await;
    let token = app.register("alice").await.access_token();
    let [head, body, signature] = parts(&token);
    let flipped = |part: &str, at: usize, bit: u8| {
        let mut bytes = URL_SAFE_NO_PAD.decode(part).expect("it is base64url");
        bytes[at] ^= 1 << bit;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    for at in 0..64 {
        for bit in [0, 7] {
            let token = format!("{head}.{body}.{}", flipped(&signature, at, bit));
            refused(&app, &token, "a bit of the signature").await;
        }
    }
    for at in (0..body.len() * 3 / 4).step_by(7) {
        let token = format!("{head}.{}.{signature}", flipped(&body, at, 0));
        refused(&app, &token, "a bit of the claims").await;
    }
    for at in 0..head.len() * 3 / 4 {
        let token = format!("{}.{body}.{signature}", flipped(&head, at, 0));
        refused(&app, &token, "a bit of the header").await;
    }
    for cut in [
        "",
        ".",
        "..",
        &head,
        &format!("{head}.{body}"),
        &token[..token.len() - 1],
    ] {
        let brief = app.me(cut).await.brief();
        assert!(
            ["401 auth.invalid_token", "401 auth.invalid_authorization"].contains(&&*brief),
            "{cut}: {brief}"
        );
    }
    for longer in [
        format!("{token}A"),
        format!("{token}."),
        format!("{token}="),
        format!("{token}.{signature}"),
        "a".repeat(2_049),
    ] {
        refused(&app, &longer, &longer).await;
    }
    assert_eq!(app.me(&token).await.status, 200);
}

#[tokio::test]
async fn one_kind_of_token_is_not_taken_for_another() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    refused(&app, &alice.cookie(), "a refresh token as a bearer").await;
    let answer = app.refresh(&alice.access_token()).await;
    assert_eq!(answer.brief(), "401 auth.invalid_token");
    // Neither attempt ended the session.
    assert_eq!(app.refresh(&alice.cookie()).await.status, 200);
}

#[tokio::test]
async fn tokens_of_another_server_are_refused() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let other = TestApp::builder().open().machine_clock().start().await;
    let token = other.register("alice").await.access_token();
    assert_eq!(other.me(&token).await.status, 200);
    refused(&app, &token, "another server's").await;
}
