//! Changing a password, and setting one anew.

use std::sync::Arc;

use poem_openapi::{ApiResponse, OpenApi};

use super::email::MailResponse;
use super::fields::{CAPTCHA_TOKEN, CURRENT_PASSWORD, MAIL_ADDRESS, REPLACING_PASSWORD, TOKEN};
use crate::domain::{Email, FieldErrors, LinkToken, Password, PasswordGuess, PasswordPolicy, User};
use crate::http::openapi::Tag;
use crate::http::pipeline::bearer::Authenticated;
use crate::http::pipeline::client_address::Visitor;
use crate::http::pipeline::cookie::Presented;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::service::Error;

/// The operations of this noun.
pub(crate) struct PasswordApi(pub(crate) Arc<Shared>);

/// The present password and the next one.
struct ChangePassword;

impl Body for ChangePassword {
    const NAME: &'static str = "ChangePasswordRequest";
    const FIELDS: &'static [&'static Field] = &[&CURRENT_PASSWORD, &REPLACING_PASSWORD];
}

impl ChangePassword {
    fn read(
        mut form: Form<Self>,
        policy: PasswordPolicy,
        user: &User,
    ) -> Result<(Option<PasswordGuess>, Password), Error> {
        let current = form.optional(&CURRENT_PASSWORD, PasswordGuess::parse);
        let names = [user.username.as_str(), user.email.as_str()];
        let new = form.required(&REPLACING_PASSWORD, |text| Password::parse(text, policy, &names));
        form.finish(new.map(|new| (current, new)))
    }
}

/// Whose password is to be set anew.
struct SendReset;

impl Body for SendReset {
    const NAME: &'static str = "SendResetRequest";
    const FIELDS: &'static [&'static Field] = &[&MAIL_ADDRESS, &CAPTCHA_TOKEN];
}

impl SendReset {
    fn read(mut form: Form<Self>) -> Result<(Email, Option<String>), Error> {
        let captcha_token = form.text(&CAPTCHA_TOKEN).map(str::to_owned);
        let email = form.required(&MAIL_ADDRESS, Email::parse);
        Ok((form.finish(email)?, captcha_token))
    }
}

/// The token of a link, and the password to set.
struct ConfirmReset;

impl Body for ConfirmReset {
    const NAME: &'static str = "ConfirmResetRequest";
    const FIELDS: &'static [&'static Field] = &[&TOKEN, &REPLACING_PASSWORD];
}

impl ConfirmReset {
    /// What is wrong whoever's link it is; the names of its account are compared once it is known.
    fn read(mut form: Form<Self>, policy: PasswordPolicy) -> Result<(Option<LinkToken>, String), Error> {
        let token = form.required(&TOKEN, LinkToken::parse);
        let new = form.required(&REPLACING_PASSWORD, |text| {
            Password::parse(text, policy, &[]).map(|_| text.to_owned())
        });
        form.finish(token.zip(new))
    }
}

#[derive(ApiResponse)]
enum ChangeResponse {
    /// The password is changed.
    #[oai(status = 204)]
    Changed(
        /// The new refresh token, in the cookie `arkloop_refresh_token`.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum SetResponse {
    /// The password is set.
    #[oai(status = 204)]
    Set,
}

#[OpenApi(tag = "Tag::Account")]
impl PasswordApi {
    /// Change the own password
    ///
    /// Ends every other session, and makes every refresh token of the present one worthless: the new one is in the cookie of the answer. Only if no
    /// refresh cookie of this account came along, but one of a living session of another account, none is set. An account without a password sets one
    /// within 10 minutes of signing in. A wrong current password counts like one of signing in.
    #[oai(
        path = "/v1/auth/password/change",
        method = "post",
        operation_id = "change_password"
    )]
    async fn change_password(
        &self,
        caller: Authenticated,
        form: Form<ChangePassword>,
        cookies: Presented,
    ) -> poem::Result<ChangeResponse> {
        let service = &self.0.service;
        let (current, new) = ChangePassword::read(form, service.password_policy(), &caller.0.user)?;
        let changed = service.change_password(&caller.0, current, new, &cookies.0);
        let cookie = changed.await?.map(|cookie| self.0.cookies.set(&cookie));
        Ok(ChangeResponse::Changed(cookie))
    }

    /// Mail a link to set a password anew
    ///
    /// The answer is the same whether or not the address has an account. At most one a minute, 5 an hour and 10 a day for a mailbox (the address
    /// without its `+tag`); only the newest link works, for an hour.
    #[oai(
        path = "/v1/auth/password/reset/send",
        method = "post",
        operation_id = "send_reset"
    )]
    async fn send_reset(&self, form: Form<SendReset>, visitor: Visitor) -> poem::Result<MailResponse> {
        let (email, captcha_token) = SendReset::read(form)?;
        self.0
            .service
            .send_reset(email, captcha_token.as_deref(), &visitor.0)
            .await?;
        Ok(MailResponse::Queued)
    }

    /// Set a password through a link
    ///
    /// Ends every session of the account. A link that was mailed proves the address too.
    #[oai(
        path = "/v1/auth/password/reset/confirm",
        method = "post",
        operation_id = "confirm_reset"
    )]
    async fn confirm_reset(&self, form: Form<ConfirmReset>, visitor: Visitor) -> poem::Result<SetResponse> {
        let policy = self.0.service.password_policy();
        let (token, new) = ConfirmReset::read(form, policy)?;
        let parse = |user: &User| {
            let names = [user.username.as_str(), user.email.as_str()];
            let parsed = Password::parse(&new, policy, &names);
            parsed.map_err(|error| Error::Invalid(FieldErrors::one(REPLACING_PASSWORD.name, error)))
        };
        self.0.service.confirm_reset(token, &visitor.0, parse).await?;
        Ok(SetResponse::Set)
    }
}
