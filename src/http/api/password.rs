//! Changing a password, and setting one through a link.

use poem::http::header::SET_COOKIE;
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::payload::Json;

use super::email::{MAIL_QUEUED, mail_request};
use super::fields::{CAPTCHA_TOKEN, CURRENT_PASSWORD, MAIL_ADDRESS, REPLACING_PASSWORD, TOKEN};
use crate::domain::{FieldErrors, LimitClass, LinkToken, Password, PasswordGuess, User};
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Success, Tag, cookie};
use crate::service::{Caller, Error};

pub(super) const CHANGE_PASSWORD: Operation = Operation {
    id: "change_password",
    method: &Method::POST,
    path: "/v1/auth/password/change",
    request: "ChangePasswordRequest",
    fields: &[&CURRENT_PASSWORD, &REPLACING_PASSWORD],
    refusals: &[Code::ReauthenticationRequired],
    tag: Some(Tag::Account),
    summary: "Change the caller's password",
    description: "Ends every other session, and replaces the refresh token of this one: the new token is in the cookie of the answer. No cookie is set if the \
                  request has no refresh cookie of this account, but one of a live session of another account. An account without a password sets one within \
                  10 minutes of signing in. A wrong current password counts as a wrong password at sign-in.",
    success: Success {
        optional_headers: &[(
            "Set-Cookie",
            "The new refresh token, in the cookie `arkloop_refresh_token`.",
        )],
        ..Success::no_content("The password is changed.")
    },
    ..Operation::with_token(|exchange, caller| Box::pin(change_password(exchange, caller)))
};

async fn change_password(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let service = &exchange.shared.service;
    let mut fields = exchange.fields;
    let current = fields.optional(&CURRENT_PASSWORD, PasswordGuess::parse);
    let parse = |text: &str| Password::parse(text, service.password_min_length(), &names(&caller.user));
    let new = fields.required(&REPLACING_PASSWORD, parse);
    let new = fields.finish(new)?;
    let cookie = service.change_password(&caller, current, new, &cookies).await?;
    let cookie = cookie.map(|new| cookie::set(&new, &exchange.shared.settings));
    let response = StatusCode::NO_CONTENT;
    Ok(match cookie {
        Some(cookie) => response.with_header(SET_COOKIE, cookie).into_response(),
        None => response.into_response(),
    })
}

pub(super) const SEND_RESET: Operation = Operation {
    id: "send_reset",
    method: &Method::POST,
    path: "/v1/auth/password/reset/send",
    request: "SendResetRequest",
    fields: &[&MAIL_ADDRESS, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::SendReset),
    refusals: &[Code::OtpRateLimited, Code::MailUnavailable],
    tag: Some(Tag::Account),
    summary: "Mail a link to set a new password",
    description: "The answer is the same whether or not the address has an account. At most one a minute, 5 an hour and 10 a day are mailed to a mailbox (the \
                  address without its `+tag`). Only the newest link works, for an hour.",
    success: MAIL_QUEUED,
    ..Operation::open(|exchange| Box::pin(send_reset(exchange)))
};

async fn send_reset(exchange: Exchange) -> Result<Response, Refusal> {
    let (email, captcha_token) = mail_request(exchange.fields)?;
    let service = &exchange.shared.service;
    service
        .send_reset(email, captcha_token.as_deref(), &exchange.client)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The account that a link to set a password is about.
#[derive(Object)]
struct ResetPreview {
    /// The name of the account whose password the link sets.
    username: String,
}

pub(super) const PREVIEW_RESET: Operation = Operation {
    id: "preview_reset",
    method: &Method::POST,
    path: "/v1/auth/password/reset/preview",
    request: "PreviewResetRequest",
    fields: &[&TOKEN],
    limit: Some(LimitClass::ConfirmReset),
    refusals: &[Code::ResetTokenInvalid],
    tag: Some(Tag::Account),
    summary: "Show the account of a link to set a password",
    description: "For the page that asks for the new password: a link that has been used or has expired is refused before anything is typed. The link stays \
                  usable.",
    success: Success::json::<ResetPreview>("", r#"{ "username": "alice" }"#),
    ..Operation::open(|exchange| Box::pin(preview_reset(exchange)))
};

async fn preview_reset(exchange: Exchange) -> Result<Response, Refusal> {
    let mut fields = exchange.fields;
    let token = fields.required(&TOKEN, LinkToken::parse);
    let token = fields.finish(token)?;
    let username = exchange.shared.service.find_reset(token).await?;
    let username = username.as_str().to_owned();
    Ok(Json(ResetPreview { username }).into_response())
}

pub(super) const CONFIRM_RESET: Operation = Operation {
    id: "confirm_reset",
    method: &Method::POST,
    path: "/v1/auth/password/reset/confirm",
    request: "ConfirmResetRequest",
    fields: &[&TOKEN, &REPLACING_PASSWORD],
    limit: Some(LimitClass::ConfirmReset),
    refusals: &[Code::ResetTokenInvalid],
    tag: Some(Tag::Account),
    summary: "Set a password through a link",
    description: "Ends every session of the account. A mailed link also verifies the address.",
    success: Success::no_content("The password is set."),
    ..Operation::open(|exchange| Box::pin(confirm_reset(exchange)))
};

async fn confirm_reset(exchange: Exchange) -> Result<Response, Refusal> {
    let service = &exchange.shared.service;
    let min_length = service.password_min_length();
    let mut fields = exchange.fields;
    let token = fields.required(&TOKEN, LinkToken::parse);
    // The password is compared with the names of the account later, when the account of the link is known.
    let new = fields.required(&REPLACING_PASSWORD, |text| {
        Password::parse(text, min_length, &[]).map(|_| text.to_owned())
    });
    let (token, new) = fields.finish(token.zip(new))?;
    let parse = |user: &User| {
        let parsed = Password::parse(&new, min_length, &names(user));
        parsed.map_err(|error| Error::Invalid(FieldErrors::one(REPLACING_PASSWORD.name, error)))
    };
    service.confirm_reset(token, &exchange.client, parse).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The names of an account, which must not be its password.
fn names(user: &User) -> [&str; 2] {
    [user.username.as_str(), user.email.as_str()]
}
