//! Creating an account.

use poem::http::header::SET_COOKIE;
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret as _;

use super::fields::{CAPTCHA_TOKEN, EMAIL, INVITE_CODE, LOCALE, NEW_LOGIN, NEW_PASSWORD};
use super::sign_in::{SETS_REFRESH_TOKEN, TokenType};
use crate::domain::{Email, LimitClass, Locale, Password, RegistrationMode, Username, trimmed};
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Success, Tag, cookie};
use crate::service::{Error, PresentedInvite, Registered, Registration};

/// Who may register now.
#[derive(Object)]
struct CurrentRegistrationMode {
    /// Who may register now.
    mode: ModeName,
}

/// Who may register.
#[derive(Enum)]
#[oai(
    remote = "RegistrationMode",
    rename = "RegistrationMode",
    rename_all = "snake_case"
)]
enum ModeName {
    /// Everyone.
    Open,
    /// Everyone with a usable invite.
    InviteOnly,
    /// No one.
    Disabled,
}

/// A new account, signed in.
#[derive(Object)]
#[oai(rename = "Registered")]
struct RegisteredBody {
    /// The id of the account.
    user_id: String,
    /// The access token, a JWT.
    access_token: String,
    /// How the access token is sent.
    token_type: TokenType,
    /// A sentence for a person if not all of the request was carried out: the invite was ignored, or no verification mail was sent because mail is off or the
    /// mailbox was sent too many; `null` otherwise.
    #[oai(nullable)]
    warning: Option<String>,
}

impl From<&Registered> for RegisteredBody {
    fn from(registered: &Registered) -> Self {
        Self {
            user_id: registered.signed_in.user_id.to_string(),
            access_token: registered.signed_in.access_token.expose_secret().to_owned(),
            token_type: TokenType::Bearer,
            warning: registered.warning.clone(),
        }
    }
}

pub(super) const REGISTRATION_MODE: Operation = Operation {
    id: "registration_mode",
    path: "/v1/auth/registration-mode",
    tag: Some(Tag::Registration),
    summary: "Tell who may register",
    description: "The answer is the current mode; the operator may change it at any time.",
    success: Success::json::<CurrentRegistrationMode>("", r#"{ "mode": "invite_only" }"#),
    ..Operation::open(|exchange| Box::pin(registration_mode(exchange)))
};

async fn registration_mode(exchange: Exchange) -> Result<Response, Refusal> {
    let (mode, _) = exchange.shared.service.registration_mode().await?;
    Ok(Json(CurrentRegistrationMode { mode: mode.into() }).into_response())
}

pub(super) const REGISTER: Operation = Operation {
    id: "register",
    method: &Method::POST,
    path: "/v1/auth/register",
    request: "RegisterRequest",
    fields: &[
        &NEW_LOGIN,
        &NEW_PASSWORD,
        &EMAIL,
        &INVITE_CODE,
        &LOCALE,
        &CAPTCHA_TOKEN,
    ],
    limit: Some(LimitClass::Register),
    refusals: &[
        Code::RegistrationDisabled,
        Code::InviteCodeRequired,
        Code::InviteCodeInvalid,
        Code::LoginExists,
        Code::EmailExists,
    ],
    tag: Some(Tag::Registration),
    summary: "Create an account",
    description: "While registration is by invite, `invite_code` is needed and one use of it is spent; a refused registration never spends one. While it is \
                  open, a usable code is spent, and an unusable one only makes a `warning`. The session of a live refresh cookie in the request ends, because \
                  its cookie is replaced.",
    success: Success {
        status: StatusCode::CREATED,
        headers: &[SETS_REFRESH_TOKEN],
        ..Success::json::<RegisteredBody>(
            "The account was created and is signed in.",
            r#"{
                "user_id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17",
                "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9…",
                "token_type": "bearer",
                "warning": null
            }"#,
        )
    },
    ..Operation::open(|exchange| Box::pin(register(exchange)))
};

async fn register(exchange: Exchange) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let service = &exchange.shared.service;
    let registration = read(exchange.fields, service.password_min_length())?;
    let registered = service.register(registration, exchange.client, &cookies).await?;
    let cookie = cookie::set(&registered.signed_in.refresh, &exchange.shared.settings);
    Ok(Json(RegisteredBody::from(&registered))
        .with_status(StatusCode::CREATED)
        .with_header(SET_COOKIE, cookie)
        .into_response())
}

fn read(mut fields: Fields, min_length: usize) -> Result<Registration, Error> {
    let username = fields.required(&NEW_LOGIN, Username::parse);
    let email = fields.required(&EMAIL, Email::parse);
    // The names as typed are included, because a name that is refused must not be the password either.
    let typed = [&NEW_LOGIN, &EMAIL].map(|field| trimmed(fields.text(field).unwrap_or_default()).to_owned());
    let kept = [
        username.as_ref().map(Username::as_str),
        email.as_ref().map(Email::as_str),
    ];
    let typed = typed.iter().map(String::as_str).filter(|name| !name.is_empty());
    let identities: Vec<&str> = typed.chain(kept.into_iter().flatten()).collect();
    let password = fields.required(&NEW_PASSWORD, |text| {
        Password::parse(text, min_length, &identities)
    });
    let invite = PresentedInvite::parse(fields.text(&INVITE_CODE));
    let locale = fields.optional(&LOCALE, Locale::from_hint).flatten();
    let captcha_token = fields.take(&CAPTCHA_TOKEN);
    let required = username.zip(email).zip(password);
    fields.finish(required.map(|((username, email), password)| Registration {
        username,
        email,
        password,
        invite,
        locale,
        captcha_token,
    }))
}
