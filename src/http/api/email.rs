//! Verifying an address with a mailed link.

use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::payload::Json;

use super::done::{DONE, Done};
use super::fields::{CAPTCHA_TOKEN, MAIL_ADDRESS, TOKEN};
use crate::domain::{Email, LimitClass, LinkToken};
use crate::http::pipeline::operation::Answer;
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Success, Tag};
use crate::service::{Caller, Error};

/// The account that a verification link is about.
#[derive(Object)]
struct VerificationPreview {
    /// The name of the account that claims the address.
    username: String,
    /// Whether the address is verified already.
    email_verified: bool,
}

/// The response to every request for a mail.
pub(super) const MAIL_QUEUED: Success =
    Success::no_content("The mail is on its way, if there is an account to send it to.");

/// Reads a request for a mail: the address, and the captcha token if there is one.
pub(super) fn mail_request(mut fields: Fields) -> Result<(Email, Option<String>), Error> {
    let captcha_token = fields.take(&CAPTCHA_TOKEN);
    let email = fields.required(&MAIL_ADDRESS, Email::parse);
    Ok((fields.finish(email)?, captcha_token))
}

/// An operation that takes the token of a verification link.
const fn with_verification_token(handler: fn(Exchange) -> Answer) -> Operation {
    Operation {
        method: &Method::POST,
        request: "VerificationTokenRequest",
        fields: &[&TOKEN],
        limit: Some(LimitClass::ConfirmVerification),
        refusals: &[Code::EmailTokenInvalid],
        tag: Some(Tag::Email),
        ..Operation::open(handler)
    }
}

fn verification_token(mut fields: Fields) -> Result<Option<LinkToken>, Error> {
    let token = fields.required(&TOKEN, LinkToken::parse);
    fields.finish(token)
}

pub(super) const SEND_VERIFICATION: Operation = Operation {
    id: "send_verification",
    method: &Method::POST,
    path: "/v1/auth/email/verify/send",
    limit: Some(LimitClass::SendVerification),
    refusals: &[
        Code::EmailAlreadyVerified,
        Code::OtpRateLimited,
        Code::MailUnavailable,
    ],
    tag: Some(Tag::Email),
    summary: "Mail a link to verify the account's address",
    description: "At most one a minute, 5 an hour and 10 a day are mailed. Only the newest link works, for 24 hours.",
    success: MAIL_QUEUED,
    ..Operation::with_token(|exchange, caller| Box::pin(send_verification(exchange, caller)))
};

async fn send_verification(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    exchange.shared.service.send_verification(&caller).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) const PREVIEW_VERIFICATION: Operation = Operation {
    id: "preview_verification",
    path: "/v1/auth/email/verify/preview",
    summary: "Show the account of a verification link",
    description: "For the page that asks whether to confirm. The link stays usable.",
    success: Success::json::<VerificationPreview>("", r#"{ "username": "alice", "email_verified": false }"#),
    ..with_verification_token(|exchange| Box::pin(preview_verification(exchange)))
};

async fn preview_verification(exchange: Exchange) -> Result<Response, Refusal> {
    let token = verification_token(exchange.fields)?;
    let pending = exchange.shared.service.find_verification(token).await?;
    let preview = VerificationPreview {
        username: pending.username.as_str().to_owned(),
        email_verified: pending.is_verified,
    };
    Ok(Json(preview).into_response())
}

pub(super) const CONFIRM_VERIFICATION: Operation = Operation {
    id: "confirm_verification",
    path: "/v1/auth/email/verify/confirm",
    summary: "Verify an address",
    description: "The request may be repeated with the same token: it succeeds while the address is verified.",
    success: DONE,
    ..with_verification_token(|exchange| Box::pin(confirm_verification(exchange)))
};

async fn confirm_verification(exchange: Exchange) -> Result<Response, Refusal> {
    let token = verification_token(exchange.fields)?;
    let service = &exchange.shared.service;
    service.confirm_email(token, &exchange.client).await?;
    Ok(Json(Done { ok: true }).into_response())
}

pub(super) const REJECT_VERIFICATION: Operation = Operation {
    id: "reject_verification",
    path: "/v1/auth/email/verify/reject",
    summary: "Say \"this was not me\"",
    description: "Deletes the account that claims the address, unless the address was verified meanwhile. With a link to confirm a new address it only cancels \
                  that change.",
    success: DONE,
    ..with_verification_token(|exchange| Box::pin(reject_verification(exchange)))
};

async fn reject_verification(exchange: Exchange) -> Result<Response, Refusal> {
    let token = verification_token(exchange.fields)?;
    let service = &exchange.shared.service;
    service.reject_email(token, &exchange.client).await?;
    Ok(Json(Done { ok: true }).into_response())
}
