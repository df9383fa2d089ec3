//! Creating an account.

use arkloop::domain::Paging;
use arkloop::service::UserFilter;
use std::collections::BTreeSet;
use std::time::Duration;

use arkloop::domain::{InviteCode, RegistrationMode};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, registration};

pub(super) async fn register(app: &TestApp, body: &Value) -> Answer {
    app.post("/v1/auth/register").json(body).send().await
}

/// A valid registration, except that `field` is set to `value`.
pub(super) fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = registration("alice");
    body[field] = value.into();
    body
}

async fn number_of_accounts(app: &TestApp) -> usize {
    let users = app
        .service()
        .list_users(UserFilter::default(), Paging::default())
        .await;
    users.expect("they are listed").rows.len()
}

#[tokio::test]
async fn a_new_account_is_signed_in() {
    let app = TestApp::open().await;
    let answer = app.register("alice").await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    201
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT

    {
      "user_id": "[uuid]",
      "access_token": "[jwt]",
      "token_type": "bearer",
      "warning": null
    }
    "#);
    assert_eq!(
        app.me(&answer.access_token()).await.json()["id"],
        answer.json()["user_id"]
    );
    assert_eq!(app.refresh(&answer.cookie()).await.status, 200);
}

#[tokio::test]
async fn the_mode_is_told_to_everybody() {
    let app = TestApp::start().await;
    let mode = async || app.get("/v1/auth/registration-mode").send().await;
    assert_snapshot!(mode().await.shown_with_headers(), @r#"
    200

    {
      "mode": "invite_only"
    }
    "#);
    for (set, shown) in [
        (RegistrationMode::Open, "open"),
        (RegistrationMode::Disabled, "disabled"),
        (RegistrationMode::InviteOnly, "invite_only"),
    ] {
        let set = app.service().set_registration_mode(set).await;
        set.expect("no configuration pins it");
        assert_eq!(mode().await.json(), json!({ "mode": shown }));
    }
}

#[tokio::test]
async fn while_registration_is_disabled_not_even_an_invite_helps() {
    let app = TestApp::builder()
        .set("REGISTRATION__MODE", "disabled")
        .start()
        .await;
    let code = app.invite(1).await;
    let answer = register(&app, &with("invite_code", code.as_str())).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    403

    {
      "code": "auth.registration_disabled",
      "message": "Registration is disabled.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(
        register(&app, &registration("alice")).await.brief(),
        "403 auth.registration_disabled"
    );
    assert_eq!(app.uses_of(&code).await, 0);
}

#[tokio::test]
async fn an_invite_lets_somebody_in_however_its_code_is_typed() {
    let app = TestApp::start().await;
    let code = app.invite(6).await;
    let spellings = [
        code.clone(),
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', " "),
        format!("  {code}\t"),
        // Codes contain neither letter, but people mistake digits for them.
        code.replace('0', "o").replace('1', "l"),
    ];
    for (number, spelling) in spellings.iter().enumerate() {
        let mut body = registration(&format!("user-{number}"));
        body["invite_code"] = json!(spelling);
        let answer = register(&app, &body).await;
        assert_eq!(answer.status, 201, "{spelling:?}: {answer:?}");
        assert_eq!(answer.json()["warning"], Value::Null);
    }
    assert_eq!(app.uses_of(&code).await, 6);
}

#[tokio::test]
async fn without_an_invite_nobody_gets_in_by_default() {
    let app = TestApp::start().await;
    let answer = register(&app, &registration("alice")).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    422

    {
      "code": "auth.invite_code_required",
      "message": "Registration needs an invite code.",
      "trace_id": "[trace id]"
    }
    "#);
    let mut absent = vec![Value::Null];
    // Texts that are empty without separators and white space count as no code.
    absent.extend(
        [
            "",
            "  ",
            "\u{200b}",
            "-",
            "\u{2014}",
            ".",
            "\u{3002}",
            " - \u{ff0d} .",
        ]
        .map(Value::from),
    );
    for absent in absent {
        let answer = register(&app, &with("invite_code", absent)).await;
        assert_eq!(answer.brief(), "422 auth.invite_code_required");
    }
}

#[tokio::test]
async fn unknown_expired_revoked_and_spent_invites_are_refused_alike() {
    let app = TestApp::start().await;
    let expired = app.invite(1).await;
    app.advance(Duration::from_hours(7 * 24));
    let [spent, revoked] = [app.invite(1).await, app.invite(1).await];
    let mut body = registration("first");
    body["invite_code"] = json!(spent);
    assert_eq!(register(&app, &body).await.status, 201);
    let code = InviteCode::parse(&revoked).expect("it is a code");
    app.service().revoke_invite(&code).await.expect("it is there");
    let unknown = "0123-4567-89AB-CDEF".to_owned();
    let long = "A".repeat(4_000);
    let mut shown = BTreeSet::new();
    for code in [
        expired,
        spent,
        revoked,
        unknown,
        "no code".to_owned(),
        "ü".to_owned(),
        long,
    ] {
        let answer = register(&app, &with("invite_code", code.as_str())).await;
        shown.insert(answer.shown_with_headers());
    }
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert_snapshot!(shown.first().expect("there is one"), @r#"
    422

    {
      "code": "auth.invite_code_invalid",
      "message": "This invite code cannot be used.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(number_of_accounts(&app).await, 1);
}

#[tokio::test]
async fn an_open_server_spends_a_usable_invite() {
    let app = TestApp::open().await;
    let code = app.invite(2).await;
    let answer = register(&app, &with("invite_code", code.as_str())).await;
    assert_eq!((answer.status, &answer.json()["warning"]), (201, &Value::Null));
    assert_eq!(app.uses_of(&code).await, 1);
}

#[tokio::test]
async fn an_open_server_ignores_an_unusable_invite_and_says_so() {
    let app = TestApp::open().await;
    let spent = app.invite(1).await;
    let first = register(&app, &with("invite_code", spent.as_str())).await;
    assert_eq!(first.status, 201);
    let mut shown = BTreeSet::new();
    for (number, code) in [spent.as_str(), "0123-4567-89AB-CDEF", "no code"]
        .into_iter()
        .enumerate()
    {
        let mut body = registration(&format!("user-{number}"));
        body["invite_code"] = json!(code);
        shown.insert(register(&app, &body).await.shown());
    }
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert_snapshot!(shown.first().expect("there is one"), @r#"
    201
    {
      "user_id": "[uuid]",
      "access_token": "[jwt]",
      "token_type": "bearer",
      "warning": "The invite code cannot be used and was ignored; registration is open, so no invite was needed."
    }
    "#);
    assert_eq!(app.uses_of(&spent).await, 1);
}

#[tokio::test]
async fn a_name_and_an_address_are_taken_in_every_case() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let mut name = registration("ALICE");
    name["email"] = json!("other@example.org");
    assert_snapshot!(register(&app, &name).await.shown_with_headers(), @r#"
    409

    {
      "code": "auth.login_exists",
      "message": "This username is taken.",
      "trace_id": "[trace id]"
    }
    "#);
    let mut address = registration("other");
    address["email"] = json!("Alice@EXAMPLE.org");
    assert_snapshot!(register(&app, &address).await.shown(), @r#"
    409
    {
      "code": "auth.email_exists",
      "message": "This e-mail address has an account already.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(
        register(&app, &registration("alice")).await.brief(),
        "409 auth.login_exists"
    );
    assert_eq!(number_of_accounts(&app).await, 1);
}

#[tokio::test]
async fn a_refused_registration_leaves_the_invite_unspent() {
    let app = TestApp::start().await;
    let code = app.invite(2).await;
    let with = |field: &str, value: &str| {
        let mut body = registration("bob");
        body["invite_code"] = json!(code);
        body[field] = json!(value);
        body
    };
    assert_eq!(register(&app, &with("login", "alice")).await.status, 201);
    for (field, value, refusal) in [
        ("login", "Alice", "409 auth.login_exists"),
        ("email", "BOB@example.org", "409 auth.email_exists"),
        ("password", "password", "422 validation.error"),
        ("login", "a", "422 validation.error"),
    ] {
        assert_eq!(register(&app, &with(field, value)).await.brief(), refusal);
        assert_eq!(app.uses_of(&code).await, 1, "{field}={value}");
    }
}

#[tokio::test]
async fn a_registration_replaces_the_session_of_its_cookie() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let request = app.post("/v1/auth/register").cookie(&cookie);
    let answer = request.json(&registration("bob")).send().await;
    assert_eq!(answer.status, 201);
    assert_eq!(app.ended_because(&cookie).await.as_deref(), Some("replaced"));
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&answer.cookie()).await.status, 200);
}

#[tokio::test]
async fn a_refused_registration_leaves_the_session_of_its_cookie_alone() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let request = app.post("/v1/auth/register").cookie(&cookie);
    let answer = request.json(&registration("alice")).send().await;
    assert_eq!(answer.brief(), "409 auth.login_exists");
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(app.refresh(&cookie).await.status, 200);
}
