//! What Arkloop's own web client asks first: which account an identity names. `resolved_codes.rs` has what follows.

use std::time::Duration;

use arkloop::domain::Email;
use arkloop::service::UserRef;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::mailed::{Mailed, address};
use crate::support::address::{HELD, Mover};
use crate::support::{Answer, Behaviour, SECRET_KEY, Siteverify, TestApp, registration};

const INVALID: &str = "401 auth.flow_token_invalid";
const RESOLVE: &str = "/v1/auth/resolve";
const SEND: &str = "/v1/auth/resolve/otp/send";
const VERIFY: &str = "/v1/auth/resolve/otp/verify";

async fn resolve(app: &TestApp, identity: &str) -> Answer {
    app.post(RESOLVE)
        .json(&json!({ "identity": identity }))
        .send()
        .await
}

/// The flow token of an account.
pub(super) async fn flow_token(app: &TestApp, identity: &str) -> String {
    let answer = resolve(app, identity).await.json();
    answer["flow_token"].as_str().expect("it is known").to_owned()
}

pub(super) async fn send(app: &TestApp, flow_token: &str) -> Answer {
    app.post(SEND)
        .json(&json!({ "flow_token": flow_token }))
        .send()
        .await
}

pub(super) async fn verify(app: &TestApp, flow_token: &str, code: &str) -> Answer {
    let body = json!({ "flow_token": flow_token, "code": code });
    app.post(VERIFY).json(&body).send().await
}

/// Asks for a code, and reads it in the mail to `login`.
pub(super) async fn code_of(mailed: &Mailed, flow_token: &str, login: &str) -> String {
    assert_eq!(send(&mailed.app, flow_token).await.brief(), "204 -");
    mailed.smtp.mail_to(&address(login)).await.code()
}

/// An answer to `resolve`, its flow token left out.
fn shown(answer: &Answer) -> String {
    let shown = answer.shown();
    match answer.json()["flow_token"].as_str() {
        Some(flow_token) => shown.replace(flow_token, "[flow token]"),
        None => shown,
    }
}

#[tokio::test]
async fn the_answers_of_resolve_are_these() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let by_name = resolve(&app, " ALICE\u{200b}").await;
    assert_snapshot!(shown(&by_name), @r#"
    200
    {
      "next_step": "password",
      "flow_token": "[flow token]",
      "masked_email": "a***@e***",
      "otp_available": true,
      "invite_required": false,
      "prefill": {
        "login": "ALICE"
      }
    }
    "#);
    let by_address = resolve(&app, "Alice@Example.ORG").await;
    let of_name = shown(&by_name).replace("ALICE", "Alice@Example.ORG");
    assert_eq!(shown(&by_address), of_name);
    assert_snapshot!(shown(&resolve(&app, "Bob").await), @r#"
    200
    {
      "next_step": "register",
      "otp_available": false,
      "invite_required": false,
      "prefill": {
        "login": "Bob"
      }
    }
    "#);
    assert_snapshot!(shown(&resolve(&app, "Bob@Example.org").await), @r#"
    200
    {
      "next_step": "register",
      "otp_available": false,
      "invite_required": false,
      "prefill": {
        "email": "Bob@Example.org"
      }
    }
    "#);
    // What no account can be called is unknown.
    for (entered, member) in [("no name at all", "login"), ("a@b@c", "email")] {
        let expected = json!({ "prefill": { member: entered } });
        let answer = resolve(&app, entered).await.json();
        assert_eq!(answer["prefill"], expected["prefill"]);
        assert_eq!(answer["next_step"], "register");
    }
    let suspended = app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("she is there");
    assert_eq!(shown(&resolve(&app, "ALICE").await), shown(&by_name));
}

#[tokio::test]
async fn what_resolve_tells_follows_the_configuration() {
    let mut app = TestApp::open().await;
    app.register("alice").await;
    for (mode, is_required) in [("open", false), ("invite_only", true), ("disabled", false)] {
        app.restart_with("REGISTRATION__MODE", mode).await;
        let unknown = resolve(&app, "bob").await.json();
        assert_eq!(unknown["invite_required"], is_required, "{mode}");
        let known = resolve(&app, "alice").await.json();
        assert_eq!(known["invite_required"], false, "{mode}");
    }
    for (key, value) in [("OTP__ENABLED", "false"), ("MAIL__TRANSPORT", "off")] {
        let mut app = TestApp::open().await;
        app.register("alice").await;
        app.restart_with(key, value).await;
        let known = resolve(&app, "alice").await.json();
        assert_eq!(known["otp_available"], false, "{key}");
        let unknown = resolve(&app, "bob").await.json();
        assert_eq!(unknown["otp_available"], false, "{key}");
    }
}

#[tokio::test]
async fn resolve_repeats_what_was_entered_and_shows_two_letters_of_the_address() {
    let app = TestApp::open().await;
    let mut body = registration("AliceW");
    body["email"] = json!("Alice.Wonder@Lewis.Example");
    assert_eq!(app.post("/v1/auth/register").json(&body).send().await.status, 201);
    for entered in ["alicew", "alice.wonder@lewis.example"] {
        let answer = resolve(&app, entered).await;
        assert_eq!(answer.json()["masked_email"], "A***@l***");
        assert_eq!(answer.json()["prefill"], json!({ "login": entered }));
        let rest = answer.body.replace(entered, "");
        for stored in ["AliceW", "Wonder", "ewis"] {
            assert!(!rest.contains(stored), "{rest}");
        }
    }
}

#[tokio::test]
async fn a_flow_token_is_opaque_and_good_for_ten_minutes() {
    let mailed = Mailed::start().await;
    let app = &mailed.app;
    let user_id = mailed.register_verified("alice").await.json()["user_id"].clone();
    let user_id = uuid::Uuid::parse_str(user_id.as_str().expect("it has one")).expect("it is an id");
    let tokens = [
        flow_token(app, "alice").await,
        flow_token(app, "alice@example.org").await,
    ];
    assert_ne!(tokens[0], tokens[1]);
    for token in &tokens {
        let bytes = URL_SAFE_NO_PAD.decode(token).expect("it is base64url");
        let is_of_id = |part: &[u8]| user_id.as_bytes().windows(4).any(|known| known == part);
        assert!(!bytes.windows(4).any(is_of_id), "{token}");
    }
    for (age, expected) in [(599, "204 -"), (600, INVALID)] {
        let token = flow_token(app, "alice").await;
        app.advance(Duration::from_secs(age));
        assert_eq!(send(app, &token).await.brief(), expected, "{age}");
    }
    let code = mailed.smtp.mail_to(&address("alice")).await.code();
    let late = verify(app, &tokens[0], &code).await;
    assert_snapshot!(late.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.flow_token_invalid",
      "message": "This sign-in has taken too long or was begun elsewhere: begin again.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn an_altered_flow_token_is_none() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let token = flow_token(&app, "alice").await;
    let (first, rest) = token.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    for wrong in [
        format!("{other}{rest}"),
        rest.to_owned(),
        format!("{token}AAAA"),
        token[..token.len() - 4].to_owned(),
        format!("{token}="),
        token.to_lowercase(),
        alice.access_token(),
        alice.cookie(),
    ] {
        assert_eq!(send(&app, &wrong).await.brief(), INVALID, "{wrong}");
        assert_eq!(verify(&app, &wrong, "123456").await.brief(), INVALID, "{wrong}");
    }
    assert_eq!(send(&app, &format!("\u{feff} {token}\n")).await.brief(), "204 -");
}

#[tokio::test]
async fn a_flow_token_is_void_after_a_change_of_address() {
    let mailed = Mailed::start().await;
    let (app, service) = (&mailed.app, mailed.app.service());
    mailed.register_verified("alice").await;
    let token = flow_token(app, "alice").await;
    let code = code_of(&mailed, &token, "alice").await;
    let moved = Email::parse("alice@elsewhere.example").expect("it is an address");
    let moved = service.set_email(UserRef::parse("alice"), moved).await;
    moved.expect("she is there");
    assert_eq!(verify(app, &token, &code).await.brief(), INVALID);
    assert_eq!(send(app, &token).await.brief(), INVALID);
    // The next one is good until the account is deleted.
    let token = flow_token(app, "alice").await;
    assert_eq!(send(app, &token).await.brief(), "204 -");
    let deleted = service.delete_user(UserRef::parse("alice")).await;
    deleted.expect("she is there");
    assert_eq!(verify(app, &token, &code).await.brief(), INVALID);
    assert_eq!(send(app, &token).await.brief(), INVALID);
}

#[tokio::test]
async fn a_flow_token_is_void_after_an_owner_s_change_of_the_address_and_after_its_undo() {
    let mover = Mover::start().await;
    let (app, alice) = (&mover.app, mover.verified("alice", HELD).await);
    let before = flow_token(app, "alice").await;
    mover.move_to(&alice, "new@example.net").await;
    let undo = mover.undo_token(&address("alice")).await;
    let between = flow_token(app, "alice").await;
    for undone in [false, true] {
        if undone {
            assert_eq!(mover.undo(&undo).await.brief(), "200 -");
        }
        let token = if undone { &between } else { &before };
        assert_eq!(send(app, token).await.brief(), INVALID, "{undone}");
        assert_eq!(verify(app, token, "123456").await.brief(), INVALID, "{undone}");
    }
}

#[tokio::test]
async fn resolve_is_limited_with_check() {
    let app = TestApp::builder().open().limit("check", "3/1m").start().await;
    let check = || app.post("/v1/auth/check").json(&json!({"login": "alice"})).send();
    assert_eq!(check().await.status, 200);
    for left in [1, 0] {
        let answer = resolve(&app, "alice").await;
        let told = format!("\"check\";r={left};t=20");
        assert_eq!(answer.header("ratelimit"), Some(told.as_str()));
    }
    assert_eq!(resolve(&app, "alice").await.brief(), "429 rate_limit.exceeded");
    assert_eq!(check().await.brief(), "429 rate_limit.exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn resolving_and_asking_for_a_code_need_a_captcha_where_there_is_one() {
    let siteverify = Siteverify::start().await;
    let app = TestApp::builder()
        .open()
        .set("TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("TURNSTILE__VERIFY_URL", &siteverify.url())
        .start()
        .await;
    let post = async |path: &str, body: &Value, captcha_token: &str| {
        let mut body = body.clone();
        body["cf_turnstile_token"] = json!(captcha_token);
        app.post(path).json(&body).send().await
    };
    let registered = post("/v1/auth/register", &registration("alice"), "good register").await;
    assert_eq!(registered.status, 201);
    let identity = json!({"identity": "alice"});
    let resolved = post(RESOLVE, &identity, "good resolve").await;
    let flow = json!({"flow_token": resolved.json()["flow_token"]});
    for (path, body, done) in [(RESOLVE, identity, "200 -"), (SEND, flow, "204 -")] {
        for wrong in ["", "bad"] {
            let refused = post(path, &body, wrong).await;
            assert_eq!(refused.brief(), "422 auth.captcha_invalid", "{path} {wrong}");
        }
        siteverify.usually(Behaviour::HangUp);
        let unsure = post(path, &body, &format!("good {path}")).await;
        assert_eq!(unsure.brief(), "503 auth.captcha_unavailable", "{path}");
        siteverify.usually(Behaviour::Judge);
        let solved = post(path, &body, &format!("good {path}")).await;
        assert_eq!(solved.brief(), done, "{path}");
    }
}

#[tokio::test]
async fn without_arkloop_client_none_of_it_is_there() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__ARKLOOP_CLIENT", "false")
        .start()
        .await;
    app.register("alice").await;
    for method in ["GET", "POST"] {
        for path in [RESOLVE, SEND, VERIFY] {
            let request = app.request(method, path).json(&json!({"identity": "alice"}));
            assert_eq!(request.send().await.brief(), "404 http.not_found", "{path}");
        }
    }
}

#[tokio::test]
async fn without_codes_or_mail_there_is_no_code_for_a_flow_token() {
    let mut app = TestApp::open().await;
    app.register("alice").await;
    app.restart_with("MAIL__TRANSPORT", "off").await;
    let token = flow_token(&app, "alice").await;
    assert_eq!(send(&app, &token).await.brief(), "503 mail.unavailable");
    app.restart_with("OTP__ENABLED", "false").await;
    let token = flow_token(&app, "alice").await;
    assert_eq!(send(&app, &token).await.brief(), "404 http.not_found");
    assert_eq!(verify(&app, &token, "123456").await.brief(), "404 http.not_found");
}
