//! Access tokens in forms that the server never issues, even under its own key; and secrets that are sent in place of other secrets.

use arkloop::crypto::link_digest;
use arkloop::domain::LinkToken;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::access_tokens::{claims, header, parts, read};
use super::forged_tokens::{OwnKey, refused, signing_with_eddsa};
use super::mailed::{Mailed, NEW_PASSWORD};
use super::resolve::{flow_token, send};
use crate::support::{Answer, PASSWORD, TestApp, literal};

/// The order of the group of Ed25519 (RFC 8032 §5.1), the least byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature of Ed25519 with another S that a careless verifier takes (RFC 8032 §8.4).
fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut carry = 0_u16;
    let added = signature[32..].iter().zip(ORDER).map(|(s, order)| {
        carry += u16::from(*s) + u16::from(order);
        let byte = carry.to_le_bytes()[0];
        carry >>= 8;
        byte
    });
    signature[..32].iter().copied().chain(added).collect()
}

#[tokio::test]
async fn a_header_is_one_that_this_server_writes() {
    let app = TestApp::open().await;
    let own = OwnKey::of(&app).await;
    let token = app.register("alice").await.access_token();
    let claims = claims(&token).to_string();
    let kid = &own.kid;
    let good = format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}"}}"#);
    assert_eq!(app.me(&own.sign_text(&good, &claims)).await.status, 200);
    for head in [
        // Extensions in `crit` must be understood, and this server understands none (RFC 7515 §4.1.11).
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}","crit":["exp"],"exp":1}}"#),
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}","crit":["b64"],"b64":false}}"#),
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}","crit":[]}}"#),
        format!(r#"{{"typ":"JWT","alg":"none","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":["ES256"],"kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":"ES256","kid":["{kid}"]}}"#),
        // The signature is good, but the header does not say whose it is.
        r#"{"typ":"JWT","alg":"ES256"}"#.to_owned(),
        r#"{"typ":"JWT","alg":"ES256","kid":null}"#.to_owned(),
        r#"{"typ":"JWT","alg":"ES256","kid":"unknown"}"#.to_owned(),
        format!("\u{feff}{good}"),
        format!("{good}x"),
        format!("[{good}]"),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        refused(&app, &own.sign_text(&head, &claims), &head).await;
    }
}

/// A server, its key, and the header and the claims of a token.
async fn signed() -> (TestApp, OwnKey, String, Value) {
    let app = TestApp::open().await;
    let own = OwnKey::of(&app).await;
    let token = app.register("alice").await.access_token();
    (app, own, header(&token).to_string(), claims(&token))
}

#[tokio::test]
async fn claims_are_one_json_object_without_doubles() {
    let (app, own, head, claims) = signed().await;
    let good = claims.to_string();
    let inner = good.trim_matches(['{', '}']);
    let auth_time = &claims["auth_time"];
    assert_eq!(app.me(&own.sign_text(&head, &good)).await.status, 200);
    for bad in [
        format!(r#"{{"exp":1,{inner}}}"#),
        format!(r#"{{{inner},"sub":"019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17"}}"#),
        format!(r#"{{{inner},"aud":"other"}}"#),
        format!("\u{feff}{good}"),
        format!("{good}x"),
        format!("{good}{good}"),
        format!("[{good}]"),
        format!("{good:?}"),
        good.replace("false", r#""false""#),
        good.replace("false", "0"),
        // Seconds that are too large in milliseconds.
        good.replace(
            &format!(r#""auth_time":{auth_time}"#),
            &format!(r#""auth_time":{}"#, i64::MAX),
        ),
        "{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        refused(&app, &own.sign_text(&head, &bad), &bad).await;
    }
}

#[tokio::test]
async fn a_token_has_at_most_2048_bytes() {
    let (app, own, head, claims) = signed().await;
    let good = claims.to_string();
    let inner = good.trim_matches(['{', '}']);
    // A claim that this server does not know makes the token longer, and is no fault in itself.
    let padded =
        |length: usize| own.sign_text(&head, &format!(r#"{{"pad":"{}",{inner}}}"#, "x".repeat(length)));
    let room = (2048 - padded(0).len()) / 4 * 3;
    let longest = padded(room);
    assert!((2045..=2048).contains(&longest.len()), "{}", longest.len());
    assert_eq!(app.me(&longest).await.status, 200);
    refused(&app, &padded(room + 4), "too long").await;
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    // With EdDSA, because an ES256 signature has a second valid form, with the negative of s.
    let app = signing_with_eddsa().await;
    let token = app.register("alice").await.access_token();
    let [head, body, signature] = parts(&token);
    let bytes = URL_SAFE_NO_PAD.decode(&signature).expect("it is base64url");
    let with = |signature: &[u8]| format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(signature));
    let swapped = [&bytes[32..], &bytes[..32]].concat();
    for wrong in [
        &malleated(&bytes),
        &swapped,
        &vec![0; 64],
        &vec![0xff; 64],
        &bytes[..63].to_vec(),
        &[&bytes[..], b"\0"].concat(),
    ] {
        refused(&app, &with(wrong), "another signature").await;
    }
    // The last character of 86 has four bits that belong to no byte.
    let (rest, last) = token.split_at(token.len() - 1);
    let others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in others.chars().filter(|other| !last.contains(*other)) {
        refused(&app, &format!("{rest}{other}"), "another last character").await;
    }
    for part in [&head, &body] {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("it is base64url");
        for spelling in [
            URL_SAFE.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            format!("{part}A"),
        ] {
            let other = token.replacen(part.as_str(), &spelling, 1);
            let brief = app.me(&other).await.brief();
            let is_refused =
                ["401 auth.invalid_token", "401 auth.invalid_authorization"].contains(&brief.as_str());
            assert!(other == token || is_refused, "{other}: {brief}");
        }
    }
    for wrong in [
        token.to_uppercase(),
        token.to_lowercase(),
        token.replace('.', "~"),
        format!("{token}.{head}.{body}"),
    ] {
        refused(&app, &wrong, "another spelling").await;
    }
    assert_eq!(app.me(&token).await.status, 200);
}

#[tokio::test]
async fn an_es256_server_takes_nothing_but_es256_of_its_own_key() {
    let app = TestApp::open().await;
    let token = app.register("alice").await.access_token();
    let [head, body, signature] = parts(&token);
    assert_eq!(app.me(&token).await.status, 200);
    let jwks = app.get("/.well-known/jwks.json").send().await;
    let key = jwks.json()["keys"][0].clone();
    let [x, y] = ["x", "y"].map(|name| {
        let text = key[name].as_str().expect("it is a text");
        URL_SAFE_NO_PAD.decode(text).expect("it is base64url")
    });
    let point = [b"\x04".as_slice(), &x, &y].concat();
    let kid = header(&token)["kid"].as_str().map(str::to_owned);
    for secret in [
        point,
        x,
        y,
        key.to_string().into_bytes(),
        jwks.body.clone().into_bytes(),
        Vec::new(),
    ] {
        let head = Header {
            kid: kid.clone(),
            ..Header::new(Algorithm::HS256)
        };
        let forged = encode(&head, &read(&body), &EncodingKey::from_secret(&secret));
        refused(&app, &forged.expect("it signs"), "the public key as a secret").await;
    }
    // r = s = 0 satisfies a verifier that does not check the range of both (CVE-2022-21449).
    let ones = [[0_u8; 31].as_slice(), &[1], &[0; 31], &[1]].concat();
    for wrong in [vec![0; 64], vec![0xff; 64], ones, vec![0x30, 6, 2, 1, 0, 2, 1, 0]] {
        let forged = format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(wrong));
        refused(&app, &forged, "an empty signature").await;
    }
    let foreign = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("it is drawn");
    let foreign = foreign.to_pkcs8v1().expect("it is written");
    let foreign = EncodingKey::from_ec_der(foreign.as_ref());
    let message = format!("{head}.{body}");
    let signed =
        jsonwebtoken::crypto::sign(message.as_bytes(), &foreign, Algorithm::ES256).expect("it signs");
    let forged = format!("{message}.{signed}");
    refused(&app, &forged, "a foreign key").await;
    for alg in ["none", "EdDSA", "HS256", "ES384", "RS256"] {
        let head = json!({"alg": alg, "typ": "JWT", "kid": kid}).to_string();
        let forged = format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(head));
        refused(&app, &forged, alg).await;
    }
}

/// The token of a change of the own address.
async fn change_token(mailed: &Mailed, caller: &Answer) -> String {
    let body = json!({"new_email": "new@example.net", "current_password": PASSWORD});
    let asked = mailed.app.post("/v1/auth/email/change").json(&body);
    assert_eq!(asked.bearer(&caller.access_token()).send().await.status, 204);
    mailed.smtp.mail_to("new@example.net").await.token()
}

/// Does `what` with a text as if it were the token of a change.
async fn as_change(app: &TestApp, what: &str, access: &str, token: &str) -> String {
    let request = app.post(&format!("/v1/auth/email/change/{what}"));
    let request = request.json(&json!({ "token": token })).bearer(access);
    request.send().await.brief()
}

/// The token of an undo. A real one takes an account of three days.
fn undo_token(app: &TestApp) -> String {
    let token = LinkToken::from_random([7; LinkToken::BYTES]);
    app.change(&format!(
        "INSERT INTO email_undos SELECT {}, id, 'old@example.org', 'old@example.org', created_at, created_at,
             created_at + 72 * 3600000 FROM users",
        literal(&link_digest(&token).0)
    ));
    token.reveal()
}

async fn refuse_as_verification(mailed: &Mailed, others: &[&String]) {
    for other in others {
        for what in ["preview", "confirm", "reject"] {
            let answer = mailed.verify(what, other).await;
            assert_eq!(answer.brief(), "422 email.token_invalid", "{other} for {what}");
        }
    }
}

async fn refuse_as_change(app: &TestApp, access: &str, others: &[&String]) {
    for other in others {
        for what in ["preview", "confirm", "undo"] {
            let answer = as_change(app, what, access, other).await;
            assert_eq!(answer, "422 email.token_invalid", "{other} for {what}");
        }
    }
}

fn others<'a>(all: &[&'a String], own: &[&String]) -> Vec<&'a String> {
    let others = all.iter().filter(|secret| !own.contains(secret));
    others.copied().collect()
}

#[tokio::test]
async fn every_secret_is_good_for_its_own_purpose_only() {
    let mailed = Mailed::start().await;
    let app = &mailed.app;
    let (alice, verify) = mailed.register("alice").await;
    let reset = mailed.reset_token_to("alice").await;
    let code = mailed.code_to("alice").await;
    let invite = app.invite(1).await;
    let change = change_token(&mailed, &alice).await;
    let undo = undo_token(app);
    let flow = flow_token(app, "alice").await;
    let (access, refresh) = (alice.access_token(), alice.cookie());
    let all = [
        &access, &refresh, &verify, &reset, &code, &invite, &flow, &change, &undo,
    ];
    let but = |own: &[&String]| others(&all, own);
    for other in but(&[&access]) {
        assert_eq!(app.me(other).await.status, 401, "{other} as a bearer");
    }
    for other in but(&[&refresh]) {
        let answer = app.refresh(other).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token", "{other} as a cookie");
    }
    // Calling a change off is the purpose of its link, too.
    refuse_as_verification(&mailed, &but(&[&verify, &change])).await;
    refuse_as_change(app, &access, &but(&[&change, &undo])).await;
    // The link of an undo makes no change, and that of a change undoes none.
    for (what, other) in [("confirm", &undo), ("undo", &change)] {
        let answer = as_change(app, what, &access, other).await;
        assert_eq!(answer, "422 email.token_invalid", "{what}");
    }
    for other in but(&[&reset]) {
        let answer = mailed.reset(other, NEW_PASSWORD).await;
        assert_eq!(answer.brief(), "422 auth.reset_token_invalid", "{other}");
    }
    // The tokens are too long to be compared with a code at all; the others cost three of its five tries.
    for other in [&access, &refresh, &verify, &reset, &invite, &flow] {
        let answer = mailed.sign_in("alice", other).await;
        assert_eq!(answer.status, 422, "{other} as a code");
    }
    // Only four tries, since a fifth wrong password in a row would have to wait.
    for other in [&refresh, &reset, &code, &invite] {
        let answer = app.login("alice", other).await;
        assert_eq!(answer.brief(), "401 auth.invalid_credentials");
    }
    for other in but(&[&flow]) {
        let answer = send(app, other).await;
        assert_eq!(answer.brief(), "401 auth.flow_token_invalid", "{other}");
    }
    // Each still works at its own door.
    assert_eq!(app.me(&access).await.status, 200);
    assert_eq!(app.refresh(&refresh).await.status, 200);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    assert_eq!(mailed.verify("confirm", &verify).await.status, 200);
    for link in [&change, &undo] {
        assert_eq!(as_change(app, "preview", &access, link).await, "200 -");
    }
    assert_eq!(mailed.sign_in("alice", &code).await.status, 200);
    assert_eq!(mailed.reset(&reset, NEW_PASSWORD).await.status, 204);
}
