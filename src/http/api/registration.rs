//! Making an account.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use secrecy::ExposeSecret as _;

use super::fields::{CAPTCHA_TOKEN, EMAIL, INVITE_CODE, LOCALE, NEW_LOGIN, NEW_PASSWORD};
use super::sign_in::TokenType;
use crate::domain::{Email, Locale, Password, PasswordPolicy, RegistrationMode, Username, trimmed};
use crate::http::openapi::{EXAMPLE_TOKEN, EXAMPLE_UUID, Tag};
use crate::http::pipeline::client_address::Visitor;
use crate::http::pipeline::cookie::Presented;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::service::{Error, PresentedInvite, Registered, Registration};

/// The operations of this noun.
pub(crate) struct RegistrationApi(pub(crate) Arc<Shared>);

/// Who may register now.
#[derive(Object)]
#[oai(example = true)]
struct CurrentRegistrationMode {
    /// Who may register now.
    mode: ModeName,
}

/// Who may register.
#[derive(Enum)]
#[oai(rename = "RegistrationMode", rename_all = "snake_case")]
enum ModeName {
    /// Anybody.
    Open,
    /// Whoever has a usable invite.
    InviteOnly,
    /// Nobody.
    Disabled,
}

impl From<RegistrationMode> for ModeName {
    fn from(mode: RegistrationMode) -> Self {
        match mode {
            RegistrationMode::Open => Self::Open,
            RegistrationMode::InviteOnly => Self::InviteOnly,
            RegistrationMode::Disabled => Self::Disabled,
        }
    }
}

impl Example for CurrentRegistrationMode {
    fn example() -> Self {
        Self {
            mode: ModeName::InviteOnly,
        }
    }
}

/// What a new account is made of.
struct Register;

impl Body for Register {
    const NAME: &'static str = "RegisterRequest";
    const FIELDS: &'static [&'static Field] = &[
        &NEW_LOGIN,
        &NEW_PASSWORD,
        &EMAIL,
        &INVITE_CODE,
        &LOCALE,
        &CAPTCHA_TOKEN,
    ];
}

impl Register {
    fn read(mut form: Form<Self>, policy: PasswordPolicy) -> Result<Registration, Error> {
        let username = form.required(&NEW_LOGIN, Username::parse);
        let email = form.required(&EMAIL, Email::parse);
        // As they are kept, and as they were typed: a name that is refused is no password either.
        let typed =
            [&NEW_LOGIN, &EMAIL].map(|field| trimmed(form.text(field).unwrap_or_default()).to_owned());
        let kept = [
            username.as_ref().map(Username::as_str),
            email.as_ref().map(Email::as_str),
        ];
        let identities: Vec<&str> = typed
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .chain(kept.into_iter().flatten())
            .collect();
        let password = form.required(&NEW_PASSWORD, |text| Password::parse(text, policy, &identities));
        let invite = PresentedInvite::parse(form.text(&INVITE_CODE));
        let locale = form.optional(&LOCALE, Locale::from_hint).flatten();
        let captcha_token = form.text(&CAPTCHA_TOKEN).map(str::to_owned);
        let words = username.zip(email).zip(password);
        form.finish(words.map(|((username, email), password)| Registration {
            username,
            email,
            password,
            invite,
            locale,
            captcha_token,
        }))
    }
}

/// A new account, signed in.
#[derive(Object)]
#[oai(rename = "Registered", example = true)]
struct RegisteredBody {
    /// The id of the account.
    user_id: String,
    /// The access token, a JWT.
    access_token: String,
    /// How the access token is sent.
    token_type: TokenType,
    /// A sentence for a person about what went otherwise than asked for: the invite was ignored, or no verification mail was sent because mail is off or
    /// the mailbox was sent too many; `null` if nothing did.
    #[oai(nullable)]
    warning: Option<String>,
}

impl Example for RegisteredBody {
    fn example() -> Self {
        Self {
            user_id: EXAMPLE_UUID.to_owned(),
            access_token: EXAMPLE_TOKEN.to_owned(),
            token_type: TokenType::Bearer,
            warning: None,
        }
    }
}

#[derive(ApiResponse)]
enum RegisterResponse {
    /// The account was made and is signed in.
    #[oai(status = 201)]
    Created(
        Json<RegisteredBody>,
        /// The refresh token, in the cookie `arkloop_refresh_token`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl RegisterResponse {
    fn new(registered: &Registered, shared: &Shared) -> Self {
        let body = RegisteredBody {
            user_id: registered.signed_in.user_id.to_string(),
            access_token: registered.signed_in.access_token.expose_secret().to_owned(),
            token_type: TokenType::Bearer,
            warning: registered.warning.clone(),
        };
        Self::Created(Json(body), shared.cookies.set(&registered.signed_in.refresh))
    }
}

#[OpenApi(tag = "Tag::Registration")]
impl RegistrationApi {
    /// Tell who may register
    ///
    /// The answer is what holds now; the operator may change it at any time.
    #[oai(
        path = "/v1/auth/registration-mode",
        method = "get",
        operation_id = "registration_mode"
    )]
    async fn registration_mode(&self) -> poem::Result<Json<CurrentRegistrationMode>> {
        let (mode, _) = self.0.service.registration_mode().await?;
        Ok(Json(CurrentRegistrationMode { mode: mode.into() }))
    }

    /// Make an account
    ///
    /// While registration is by invite, `invite_code` is needed and one use of it is spent; a refused registration never
    /// spends one. While it is open, a usable code is spent, and an unusable one only makes a `warning`. A live refresh
    /// cookie that comes with the request loses its session, since its cookie is replaced.
    #[oai(path = "/v1/auth/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        form: Form<Register>,
        visitor: Visitor,
        cookies: Presented,
    ) -> poem::Result<RegisterResponse> {
        let registration = Register::read(form, self.0.service.password_policy())?;
        let registered = self
            .0
            .service
            .register(registration, visitor.0, &cookies.0)
            .await?;
        Ok(RegisterResponse::new(&registered, &self.0))
    }
}
