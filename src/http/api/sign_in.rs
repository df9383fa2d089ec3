//! Signing in, staying signed in, and signing out.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use secrecy::ExposeSecret as _;

use super::fields::{CAPTCHA_TOKEN, LOGIN, PASSWORD};
use crate::domain::{AccountName, PasswordGuess};
use crate::http::openapi::{EXAMPLE_TOKEN, Tag};
use crate::http::pipeline::bearer::Authenticated;
use crate::http::pipeline::client_address::Visitor;
use crate::http::pipeline::cookie::{Presented, RefreshToken};
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::service::{Error, SignedIn};

/// The operations of this noun.
pub(crate) struct SignInApi(pub(crate) Arc<Shared>);

/// Whose account to look for.
struct Check;

impl Body for Check {
    const NAME: &'static str = "CheckRequest";
    const FIELDS: &'static [&'static Field] = &[&LOGIN, &CAPTCHA_TOKEN];
}

impl Check {
    fn read(mut form: Form<Self>) -> Result<(AccountName, Option<String>), Error> {
        let captcha_token = form.text(&CAPTCHA_TOKEN).map(str::to_owned);
        let name = form.required(&LOGIN, AccountName::parse);
        Ok((form.finish(name)?, captcha_token))
    }
}

/// Whether an account exists.
#[derive(Object)]
#[oai(example = true)]
struct Checked {
    /// Whether an account has this username or address.
    exists: bool,
}

impl Example for Checked {
    fn example() -> Self {
        Self { exists: true }
    }
}

/// Who signs in.
struct Login;

impl Body for Login {
    const NAME: &'static str = "LoginRequest";
    const FIELDS: &'static [&'static Field] = &[&LOGIN, &PASSWORD, &CAPTCHA_TOKEN];
}

impl Login {
    fn read(mut form: Form<Self>) -> Result<(AccountName, PasswordGuess, Option<String>), Error> {
        let captcha_token = form.text(&CAPTCHA_TOKEN).map(str::to_owned);
        let name = form.required(&LOGIN, AccountName::parse);
        let password = form.required(&PASSWORD, PasswordGuess::parse);
        form.finish(
            name.zip(password)
                .map(|(name, password)| (name, password, captcha_token)),
        )
    }
}

/// How an access token is sent: as `Authorization: Bearer <token>`.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum TokenType {
    /// RFC 6750.
    Bearer,
}

/// A fresh access token; the refresh token is in the cookie.
#[derive(Object)]
#[oai(example = true)]
pub(super) struct Tokens {
    /// The access token, a JWT.
    access_token: String,
    /// How the access token is sent.
    token_type: TokenType,
}

impl Example for Tokens {
    fn example() -> Self {
        Self {
            access_token: EXAMPLE_TOKEN.to_owned(),
            token_type: TokenType::Bearer,
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum SignInResponse {
    /// Signed in.
    #[oai(status = 200)]
    Ok(
        Json<Tokens>,
        /// The refresh token, in the cookie `arkloop_refresh_token`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl SignInResponse {
    pub(crate) fn new(signed_in: &SignedIn, shared: &Shared) -> Self {
        let access_token = signed_in.access_token.expose_secret().to_owned();
        let body = Tokens {
            access_token,
            token_type: TokenType::Bearer,
        };
        Self::Ok(Json(body), shared.cookies.set(&signed_in.refresh))
    }
}

/// It was done.
#[derive(Object)]
#[oai(example = true)]
pub(crate) struct Done {
    /// Always `true`.
    pub(crate) ok: bool,
}

impl Example for Done {
    fn example() -> Self {
        Self { ok: true }
    }
}

#[derive(ApiResponse)]
enum SignOutResponse {
    /// Signed out.
    #[oai(status = 200)]
    Ok(
        Json<Done>,
        /// Takes the cookie `arkloop_refresh_token` away.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[OpenApi(tag = "Tag::SignIn")]
impl SignInApi {
    /// Tell whether an account exists
    ///
    /// For clients that ask for a name first and then show the form for signing in or for registering. An operator who
    /// does not want to tell turns it off (`registration.identity_check`); then it is 404.
    #[oai(path = "/v1/auth/check", method = "post", operation_id = "check")]
    async fn check(&self, form: Form<Check>, visitor: Visitor) -> poem::Result<Json<Checked>> {
        let (name, captcha_token) = Check::read(form)?;
        let exists = self
            .0
            .service
            .account_exists(name, captcha_token.as_deref(), &visitor.0)
            .await?;
        Ok(Json(Checked { exists }))
    }

    /// Sign in with a password
    ///
    /// Whether the name or the password was wrong is not told. A live refresh cookie that comes with the request loses
    /// its session, since its cookie is replaced; where living sessions of two accounts come, none does.
    ///
    /// By default, after 5 wrong passwords in a row for an account from one address (IPv6: from one /64) the next one waits for 1 s,
    /// then 2, 4, up to 60 s; after 100 in a row from everywhere for 15 minutes. Meanwhile no password is tried: 429 with
    /// `details.limit` = `account`. A name that no account has is counted alike. A sign-in, also by a mailed code, or a
    /// new password ends it at once.
    #[oai(path = "/v1/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        form: Form<Login>,
        visitor: Visitor,
        cookies: Presented,
    ) -> poem::Result<SignInResponse> {
        let (name, password, captcha_token) = Login::read(form)?;
        let service = &self.0.service;
        let signed_in = service
            .login(name, password, captcha_token.as_deref(), visitor.0, &cookies.0)
            .await?;
        Ok(SignInResponse::new(&signed_in, &self.0))
    }

    /// Get a fresh access token
    ///
    /// The request carries the cookie `arkloop_refresh_token` and nothing else: browsers send it by themselves (from other origins with
    /// `credentials: "include"`), other clients keep it in a cookie jar. It needs no access token.
    ///
    /// The refresh token in the cookie is replaced. One that was replaced a moment ago is answered with the current one,
    /// so that tabs that wake up together all stay signed in. If the answer with the successor was lost, the same client
    /// may ask again later. Any other replaced one ends its session. Of several cookies the first that can be served
    /// counts, and the others have no effect; cookies of living sessions of two accounts are refused together. A refusal
    /// never clears the cookie.
    #[oai(path = "/v1/auth/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(&self, token: RefreshToken, visitor: Visitor) -> poem::Result<SignInResponse> {
        let signed_in = self.0.service.refresh(token.0, visitor.0).await?;
        Ok(SignInResponse::new(&signed_in, &self.0))
    }

    /// Sign out
    ///
    /// Ends the session of the access token, and those of refresh cookies sent with it that are the same user's.
    #[oai(path = "/v1/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Authenticated, cookies: Presented) -> poem::Result<SignOutResponse> {
        self.0.service.logout(&caller.0, &cookies.0).await?;
        Ok(SignOutResponse::Ok(
            Json(Done { ok: true }),
            self.0.cookies.clear(),
        ))
    }
}
