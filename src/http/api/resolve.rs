//! The operations of Arkloop's own web client: resolving an identity, and signing in to its account with a mailed code.

use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object};

use super::email::MAIL_QUEUED;
use super::fields::{CAPTCHA_TOKEN, FLOW_TOKEN, IDENTITY, RESOLVED_CODE};
use super::sign_in::{SIGNED_IN, signed_in};
use crate::domain::{AccountName, FlowToken, LimitClass, OneTimeCode, trimmed};
use crate::http::pipeline::operation::Answer;
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Success, Tag, cookie};
use crate::service::Resolved;

/// What the client shows next.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum NextStep {
    /// The form for signing in.
    Password,
    /// The form for registering.
    Register,
}

/// What the client fills into its next form: the text that was entered, and nothing else.
#[derive(Object)]
struct Prefill {
    /// The name to sign in or to register with.
    #[oai(skip_serializing_if_is_none)]
    login: Option<String>,
    /// The address to register with, if the entered text has an `@`.
    #[oai(skip_serializing_if_is_none)]
    email: Option<String>,
}

/// The account that an identity names, if there is one.
#[derive(Object)]
#[oai(rename = "Resolved")]
struct ResolvedBody {
    /// What the client shows next: `password` if there is an account.
    next_step: NextStep,
    /// Identifies the account in requests for a code; present only with `password`.
    #[oai(skip_serializing_if_is_none)]
    flow_token: Option<String>,
    /// The address of the account, masked as in `a***@e***`; present only with `password`.
    #[oai(skip_serializing_if_is_none)]
    masked_email: Option<String>,
    /// Whether the account can sign in with a mailed code.
    otp_available: bool,
    /// Whether registering needs an invite; `false` if there is an account.
    invite_required: bool,
    /// What the client fills into its next form.
    prefill: Prefill,
}

impl ResolvedBody {
    fn new(resolved: Resolved, entered: String) -> Self {
        let (login, email) = match &resolved {
            Resolved::Unknown { .. } if entered.contains('@') => (None, Some(entered)),
            _ => (Some(entered), None),
        };
        let prefill = Prefill { login, email };
        match resolved {
            Resolved::Known {
                flow_token,
                masked_email,
                has_codes,
            } => Self {
                next_step: NextStep::Password,
                flow_token: Some(flow_token.reveal()),
                masked_email: Some(masked_email),
                otp_available: has_codes,
                invite_required: false,
                prefill,
            },
            Resolved::Unknown { needs_invite } => Self {
                next_step: NextStep::Register,
                flow_token: None,
                masked_email: None,
                otp_available: false,
                invite_required: needs_invite,
                prefill,
            },
        }
    }
}

/// An operation that is there for Arkloop's own web client only.
const fn for_arkloop_client(handler: fn(Exchange) -> Answer) -> Operation {
    Operation {
        method: &Method::POST,
        switch: Some(|settings| settings.arkloop_client),
        tag: Some(Tag::SignIn),
        ..Operation::open(handler)
    }
}

pub(super) const RESOLVE: Operation = Operation {
    id: "resolve",
    path: "/v1/auth/resolve",
    request: "ResolveRequest",
    fields: &[&IDENTITY, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::Check),
    summary: "Tell whether to sign in or to register",
    description: "Arkloop's own web client sends this first, to choose between the forms for signing in and for registering. The operation exists only with \
                  `server.arkloop_client = true`, because it tells more than `check`. The `flow_token` works for 10 minutes, unless the address of the account \
                  changes, and may be used more than once.",
    success: Success::json::<ResolvedBody>(
        "",
        r#"{
            "next_step": "password",
            "flow_token": "c2VhbGVkIGFuZCBvcGFxdWUsIDg0IGJ5dGVzIGluIGFsbA",
            "masked_email": "a***@e***",
            "otp_available": true,
            "invite_required": false,
            "prefill": { "login": "alice" }
        }"#,
    ),
    ..for_arkloop_client(|exchange| Box::pin(resolve(exchange)))
};

async fn resolve(exchange: Exchange) -> Result<Response, Refusal> {
    let mut fields = exchange.fields;
    let captcha_token = fields.take(&CAPTCHA_TOKEN);
    let entered = trimmed(fields.text(&IDENTITY).unwrap_or_default()).to_owned();
    let name = fields.required(&IDENTITY, AccountName::parse);
    let name = fields.finish(name)?;
    let service = &exchange.shared.service;
    let resolved = service
        .resolve(name, captcha_token.as_deref(), &exchange.client)
        .await?;
    Ok(Json(ResolvedBody::new(resolved, entered)).into_response())
}

pub(super) const SEND_RESOLVED_CODE: Operation = Operation {
    id: "send_resolved_code",
    path: "/v1/auth/resolve/otp/send",
    request: "SendResolvedCodeRequest",
    fields: &[&FLOW_TOKEN, &CAPTCHA_TOKEN],
    limit: Some(LimitClass::SendCode),
    refusals: &[
        Code::FlowTokenInvalid,
        Code::OtpRateLimited,
        Code::OtpLocked,
        Code::MailUnavailable,
    ],
    summary: "Mail a code to a resolved account",
    description: "Like `send_code`, for the account of a `flow_token`. The operation exists only with `server.arkloop_client = true`.",
    success: MAIL_QUEUED,
    ..for_arkloop_client(|exchange| Box::pin(send_resolved_code(exchange)))
};

async fn send_resolved_code(exchange: Exchange) -> Result<Response, Refusal> {
    let mut fields = exchange.fields;
    let captcha_token = fields.take(&CAPTCHA_TOKEN);
    let token = fields.required(&FLOW_TOKEN, FlowToken::parse);
    let token = fields.finish(token)?;
    let service = &exchange.shared.service;
    service
        .send_resolved_code(token, captcha_token.as_deref(), &exchange.client)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) const SIGN_IN_BY_RESOLVED_CODE: Operation = Operation {
    id: "sign_in_by_resolved_code",
    path: "/v1/auth/resolve/otp/verify",
    request: "VerifyResolvedCodeRequest",
    fields: &[&FLOW_TOKEN, &RESOLVED_CODE],
    limit: Some(LimitClass::VerifyCode),
    refusals: &[
        Code::FlowTokenInvalid,
        Code::OtpInvalid,
        Code::OtpLocked,
        Code::UserSuspended,
    ],
    summary: "Sign in to a resolved account with a mailed code",
    description: "Like `sign_in_by_code`, for the account of a `flow_token`. The operation exists only with `server.arkloop_client = true`.",
    success: SIGNED_IN,
    ..for_arkloop_client(|exchange| Box::pin(sign_in_by_resolved_code(exchange)))
};

async fn sign_in_by_resolved_code(exchange: Exchange) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let mut fields = exchange.fields;
    let token = fields.required(&FLOW_TOKEN, FlowToken::parse);
    let code = fields.required(&RESOLVED_CODE, OneTimeCode::parse);
    let (token, code) = fields.finish(token.zip(code))?;
    let service = &exchange.shared.service;
    let answer = service
        .sign_in_by_resolved_code(token, code, exchange.client, &cookies)
        .await?;
    Ok(signed_in(&exchange.shared, &answer))
}
