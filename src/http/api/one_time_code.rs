//! Signing in with a mailed code.

use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};

use super::email::{MAIL_QUEUED, mail_request};
use super::fields::{CAPTCHA_TOKEN, CODE, MAIL_ADDRESS, OTP};
use super::sign_in::{SIGNED_IN, signed_in};
use crate::domain::{Email, LimitClass, OneTimeCode};
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Tag, cookie};

pub(super) const SEND_CODE: Operation = Operation {
    id: "send_code",
    method: &Method::POST,
    path: "/v1/auth/email/otp/send",
    request: "SendCodeRequest",
    fields: &[&MAIL_ADDRESS, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::SendCode),
    refusals: &[
        Code::NotFound,
        Code::OtpRateLimited,
        Code::OtpLocked,
        Code::MailUnavailable,
    ],
    tag: Some(Tag::SignIn),
    summary: "Mail a code to sign in with",
    description: "The answer is the same whether or not the address has an account. At most one a minute, 5 an hour and 10 a day are mailed to a mailbox (the \
                  address without its `+tag`). Only the newest code works, for 10 minutes.",
    success: MAIL_QUEUED,
    ..Operation::open(|exchange| Box::pin(send_code(exchange)))
};

async fn send_code(exchange: Exchange) -> Result<Response, Refusal> {
    let (email, captcha_token) = mail_request(exchange.fields)?;
    let service = &exchange.shared.service;
    service
        .send_code(email, captcha_token.as_deref(), &exchange.client)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) const SIGN_IN_BY_CODE: Operation = Operation {
    id: "sign_in_by_code",
    method: &Method::POST,
    path: "/v1/auth/email/otp/verify",
    request: "VerifyCodeRequest",
    fields: &[&MAIL_ADDRESS, &OTP, &CODE],
    limit: Some(LimitClass::VerifyCode),
    refusals: &[
        Code::NotFound,
        Code::OtpInvalid,
        Code::OtpLocked,
        Code::UserSuspended,
    ],
    tag: Some(Tag::SignIn),
    summary: "Sign in with a mailed code",
    description: "A code is compared 5 times at most. The sign-in verifies the address. If the address was not verified before, a password that was set \
                  without this proof is removed, and all other sessions end.",
    success: SIGNED_IN,
    ..Operation::open(|exchange| Box::pin(sign_in_by_code(exchange)))
};

async fn sign_in_by_code(exchange: Exchange) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let mut fields = exchange.fields;
    let email = fields.required(&MAIL_ADDRESS, Email::parse);
    let code = fields.required_as_either(&OTP, &CODE, OneTimeCode::parse);
    let (email, code) = fields.finish(email.zip(code))?;
    let service = &exchange.shared.service;
    let answer = service
        .sign_in_by_code(email, code, exchange.client, &cookies)
        .await?;
    Ok(signed_in(&exchange.shared, &answer))
}
