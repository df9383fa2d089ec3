//! Signing in, staying signed in, and signing out.

use poem::http::Method;
use poem::http::header::SET_COOKIE;
use poem::web::Json;
use poem::{IntoResponse as _, Response};
use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::done::{DONE, Done};
use super::fields::{self, CAPTCHA_TOKEN, PASSWORD};
use crate::domain::{AccountName, LimitClass, PasswordGuess};
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Shared, Success, Tag, cookie};
use crate::service::{Caller, RefreshCookies, SignedIn};

/// How an access token is sent: as `Authorization: Bearer <token>`.
#[derive(Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenType {
    /// RFC 6750.
    Bearer,
}

/// A fresh access token; the refresh token is in the cookie.
// `Serialize` writes what `Object` describes, without building the tree of values first.
#[derive(Object, Serialize)]
struct Tokens {
    /// The access token, a JWT.
    access_token: String,
    /// How the access token is sent.
    token_type: TokenType,
}

/// The response to every way of signing in to an account that exists.
pub(super) const SIGNED_IN: Success = Success {
    headers: &[SETS_REFRESH_TOKEN],
    ..Success::json::<Tokens>(
        "Signed in.",
        r#"{ "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9…", "token_type": "bearer" }"#,
    )
};
pub(super) const SETS_REFRESH_TOKEN: (&str, &str) = (
    "Set-Cookie",
    "The refresh token, in the cookie `arkloop_refresh_token`.",
);

/// Writes the response [`SIGNED_IN`].
pub(super) fn signed_in(shared: &Shared, signed_in: &SignedIn) -> Response {
    let tokens = Tokens {
        access_token: signed_in.access_token.expose_secret().to_owned(),
        token_type: TokenType::Bearer,
    };
    Json(tokens)
        .with_header(SET_COOKIE, cookie::set(&signed_in.refresh, &shared.settings))
        .into_response()
}

/// Whether an account exists.
#[derive(Object, Serialize)]
struct Checked {
    /// Whether an account has this username or address.
    exists: bool,
}

pub(super) const CHECK: Operation = Operation {
    id: "check",
    method: &Method::POST,
    path: "/v1/auth/check",
    request: "CheckRequest",
    fields: &[&fields::LOGIN, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::Check),
    switch: Some(|settings| settings.identity_check),
    tag: Some(Tag::SignIn),
    summary: "Tell whether an account exists",
    description: "For clients that ask for a name first and then show the form for signing in or for registering. The operator can turn it off \
                  (`registration.identity_check`); then it is 404.",
    success: Success::json::<Checked>("", r#"{ "exists": true }"#),
    ..Operation::open(|exchange| Box::pin(check(exchange)))
};

async fn check(exchange: Exchange) -> Result<Response, Refusal> {
    let mut fields = exchange.fields;
    let captcha_token = fields.take(&CAPTCHA_TOKEN);
    let name = fields.required(&fields::LOGIN, AccountName::parse);
    let name = fields.finish(name)?;
    let service = &exchange.shared.service;
    let exists = service
        .account_exists(name, captcha_token.as_deref(), &exchange.client)
        .await?;
    Ok(Json(Checked { exists }).into_response())
}

pub(super) const LOGIN: Operation = Operation {
    id: "login",
    method: &Method::POST,
    path: "/v1/auth/login",
    request: "LoginRequest",
    fields: &[&fields::LOGIN, &PASSWORD, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::Login),
    refusals: &[Code::InvalidCredentials, Code::UserSuspended],
    tag: Some(Tag::SignIn),
    summary: "Sign in with a password",
    description: "The answer does not tell whether the name or the password was wrong. The session of a live refresh cookie in the request ends, because its \
                  cookie is replaced; if the cookies have live sessions of two accounts, none ends.\n\n\
                  By default, after 5 wrong passwords in a row for an account from one address (IPv6: from one /64) the next try waits for 1 s, then 2, 4, up \
                  to 60 s; after 100 in a row from all addresses it waits for 15 minutes. Meanwhile no password is tried: 429 with `details.limit` = \
                  `account`. Names without an account are counted in the same way. A sign-in, also by a mailed code, or a new password ends the wait at once.",
    success: SIGNED_IN,
    ..Operation::open(|exchange| Box::pin(login(exchange)))
};

async fn login(exchange: Exchange) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let mut fields = exchange.fields;
    let captcha = fields.take(&CAPTCHA_TOKEN);
    let name = fields.required(&fields::LOGIN, AccountName::parse);
    let password = fields.required(&PASSWORD, PasswordGuess::parse);
    let (name, password) = fields.finish(name.zip(password))?;
    let service = &exchange.shared.service;
    let answer = service
        .login(name, password, captcha.as_deref(), exchange.client, &cookies)
        .await?;
    Ok(signed_in(&exchange.shared, &answer))
}

pub(super) const REFRESH: Operation = Operation {
    id: "refresh",
    method: &Method::POST,
    path: "/v1/auth/refresh",
    limit: Some(LimitClass::Refresh),
    refusals: &[Code::RefreshTokenMissing, Code::InvalidToken, Code::UserSuspended],
    tag: Some(Tag::SignIn),
    summary: "Get a fresh access token",
    description: "The request carries the cookie `arkloop_refresh_token` and nothing else: browsers send it by themselves (from other origins with \
                  `credentials: \"include\"`), other clients keep it in a cookie jar. It needs no access token.\n\n\
                  The refresh token in the cookie is replaced. For a token that was replaced a moment ago, the answer is the current token, so that tabs that \
                  wake up together all stay signed in. If the answer with the new token was lost, the same client may ask again later. Any other replaced \
                  token ends its session. Of several cookies, the first that can be served is used, and the others have no effect; cookies of live sessions of \
                  two accounts are refused together. A refusal never clears the cookie.",
    success: SIGNED_IN,
    ..Operation::with_cookies(|exchange, cookies| Box::pin(refresh(exchange, cookies)))
};

async fn refresh(exchange: Exchange, cookies: RefreshCookies) -> Result<Response, Refusal> {
    let answer = exchange.shared.service.refresh(cookies, exchange.client).await?;
    Ok(signed_in(&exchange.shared, &answer))
}

pub(super) const LOGOUT: Operation = Operation {
    id: "logout",
    method: &Method::POST,
    path: "/v1/auth/logout",
    tag: Some(Tag::SignIn),
    summary: "Sign out",
    description: "Ends the session of the access token, and the sessions of the same account whose refresh cookies are sent with it.",
    success: Success {
        description: "Signed out.",
        headers: &[("Set-Cookie", "Removes the cookie `arkloop_refresh_token`.")],
        ..DONE
    },
    ..Operation::with_token(|exchange, caller| Box::pin(logout(exchange, caller)))
};

async fn logout(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    exchange.shared.service.logout(&caller, &cookies).await?;
    let cleared = cookie::clear(&exchange.shared.settings);
    Ok(Json(Done { ok: true })
        .with_header(SET_COOKIE, cleared)
        .into_response())
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;

    use super::*;

    #[test]
    fn tokens_are_written_as_they_are_described() {
        let tokens = Tokens {
            access_token: "a.b.c".to_owned(),
            token_type: TokenType::Bearer,
        };
        let written = serde_json::to_string(&tokens).expect("it has text only");
        assert_eq!(written, tokens.to_json_string());
    }
}
