//! Signing in with a mailed code.

use std::sync::Arc;

use poem_openapi::OpenApi;

use super::email::MailResponse;
use super::fields::{CAPTCHA_TOKEN, CODE, MAIL_ADDRESS, OTP};
use super::sign_in::SignInResponse;
use crate::domain::{Email, OneTimeCode};
use crate::http::openapi::Tag;
use crate::http::pipeline::client_address::Visitor;
use crate::http::pipeline::cookie::Presented;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::service::Error;

/// The operations of this noun.
pub(crate) struct OneTimeCodeApi(pub(crate) Arc<Shared>);

/// To whom a code is mailed.
struct SendCode;

impl Body for SendCode {
    const NAME: &'static str = "SendCodeRequest";
    const FIELDS: &'static [&'static Field] = &[&MAIL_ADDRESS, &CAPTCHA_TOKEN];
}

impl SendCode {
    fn read(mut form: Form<Self>) -> Result<(Email, Option<String>), Error> {
        let captcha_token = form.text(&CAPTCHA_TOKEN).map(str::to_owned);
        let email = form.required(&MAIL_ADDRESS, Email::parse);
        Ok((form.finish(email)?, captcha_token))
    }
}

/// A code, and the address it was mailed to.
struct VerifyCode;

impl Body for VerifyCode {
    const NAME: &'static str = "VerifyCodeRequest";
    const FIELDS: &'static [&'static Field] = &[&MAIL_ADDRESS, &OTP, &CODE];
}

impl VerifyCode {
    fn read(mut form: Form<Self>) -> Result<(Email, OneTimeCode), Error> {
        let email = form.required(&MAIL_ADDRESS, Email::parse);
        let code = form.required_as_either(&OTP, &CODE, OneTimeCode::parse);
        form.finish(email.zip(code))
    }
}

#[OpenApi(tag = "Tag::SignIn")]
impl OneTimeCodeApi {
    /// Mail a code to sign in with
    ///
    /// The answer is the same whether or not the address has an account. At most one a minute, 5 an hour and 10 a day for a mailbox (the address
    /// without its `+tag`); only the newest code works, for 10 minutes.
    #[oai(path = "/v1/auth/email/otp/send", method = "post", operation_id = "send_code")]
    async fn send_code(&self, form: Form<SendCode>, visitor: Visitor) -> poem::Result<MailResponse> {
        let (email, captcha_token) = SendCode::read(form)?;
        self.0
            .service
            .send_code(email, captcha_token.as_deref(), &visitor.0)
            .await?;
        Ok(MailResponse::Queued)
    }

    /// Sign in with a mailed code
    ///
    /// A code is compared 5 times at most. It proves the address: if that was never verified, it becomes so, and a password that somebody set without
    /// owning the address is dropped with all other sessions.
    #[oai(
        path = "/v1/auth/email/otp/verify",
        method = "post",
        operation_id = "sign_in_by_code"
    )]
    async fn sign_in_by_code(
        &self,
        form: Form<VerifyCode>,
        visitor: Visitor,
        cookies: Presented,
    ) -> poem::Result<SignInResponse> {
        let (email, code) = VerifyCode::read(form)?;
        let signed_in = self
            .0
            .service
            .sign_in_by_code(email, code, visitor.0, &cookies.0)
            .await?;
        Ok(SignInResponse::new(&signed_in, &self.0))
    }
}
