//! Changing the account's address, and undoing a change with a mailed link.

use poem::http::header::SET_COOKIE;
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object};

use super::done::{DONE, Done};
use super::email::MAIL_QUEUED;
use super::fields::{CURRENT_PASSWORD, LINK_PASSWORD, NEW_EMAIL, TOKEN};
use super::own_limit::admit;
use crate::domain::{
    AuditEvent, AuditReason, Client, Email, FieldError, LimitClass, LinkToken, PasswordGuess,
};
use crate::http::pipeline::operation::Answer;
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Success, Tag, cookie};
use crate::service::{Caller, Error, PendingChangeKind, Proof};

/// What a link about a change of the address is for.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum ChangePurpose {
    /// To give the account a new address.
    Change,
    /// To give the account its former address back.
    Undo,
}

/// The change that a link would make.
#[derive(Object)]
struct EmailChangePreview {
    /// What the link is for.
    purpose: ChangePurpose,
    /// The name of the account.
    username: String,
    /// The address that the account has after the change.
    email: String,
}

pub(super) const CHANGE_EMAIL: Operation = Operation {
    id: "change_email",
    method: &Method::POST,
    path: "/v1/auth/email/change",
    request: "ChangeEmailRequest",
    fields: &[&NEW_EMAIL, &CURRENT_PASSWORD],
    refusals: &[
        Code::ReauthenticationRequired,
        Code::OtpRateLimited,
        Code::MailUnavailable,
    ],
    tag: Some(Tag::Account),
    summary: "Ask for a change of the account's address",
    description: "Mails a link to the new address, and tells the present one. Nothing changes until the link is confirmed; only the newest link works, for an \
                  hour, and none after the password or the address has changed.\n\n\
                  The answer is the same for an address of another account, whose owner is told if it is verified. At most one a minute, 5 an hour and 10 a \
                  day are mailed to a mailbox (the address without its `+tag`). An account without a password can ask within 10 minutes of signing in. A wrong \
                  current password counts as a wrong password at sign-in. Deletions, exports and changes of the address share one limit for each account, \
                  which counts only requests with the right password.",
    success: Success {
        description: "The mail is on its way, unless the address belongs to another account.",
        ..MAIL_QUEUED
    },
    ..Operation::with_token(|exchange, caller| Box::pin(change_email(exchange, caller)))
};

async fn change_email(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let shared = &exchange.shared;
    let mut fields = exchange.fields;
    let current = fields.optional(&CURRENT_PASSWORD, PasswordGuess::parse);
    let new = fields.required(&NEW_EMAIL, |text| other_than(&caller.user.email, text));
    let new = fields.finish(new)?;
    shared.service.refuse_without_mail()?;
    let event = AuditEvent::EmailChangeRequested;
    let presence = shared.service.prove_presence(&caller, current, event).await?;
    let (class, reason) = (LimitClass::OwnAccount, AuditReason::OwnAccountLimit);
    admit(shared, &caller, class, reason)?;
    let service = &shared.service;
    service.request_email_change(&caller, presence, new).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads a new address. The present one, repeated exactly, is refused; another spelling of it is a change.
fn other_than(present: &Email, text: &str) -> Result<Email, FieldError> {
    let new = Email::parse(text)?;
    if new.as_str() == present.as_str() {
        let form = "another address than the account has";
        return Err(FieldError::Invalid { form });
    }
    Ok(new)
}

/// An operation that takes the token of a link about a change, and nothing else.
const fn with_change_token(handler: fn(Exchange) -> Answer) -> Operation {
    Operation {
        method: &Method::POST,
        request: "EmailChangeTokenRequest",
        fields: &[&TOKEN],
        limit: Some(LimitClass::ConfirmVerification),
        refusals: &[Code::EmailTokenInvalid],
        tag: Some(Tag::Account),
        ..Operation::open(handler)
    }
}

fn change_token(mut fields: Fields) -> Result<Option<LinkToken>, Error> {
    let token = fields.required(&TOKEN, LinkToken::parse);
    fields.finish(token)
}

pub(super) const PREVIEW_EMAIL_CHANGE: Operation = Operation {
    id: "preview_email_change",
    path: "/v1/auth/email/change/preview",
    summary: "Show the change that a link would make",
    description: "For the page that asks whether to confirm or to undo. The link stays usable.",
    success: Success::json::<EmailChangePreview>(
        "",
        r#"{ "purpose": "change", "username": "alice", "email": "alice@example.net" }"#,
    ),
    ..with_change_token(|exchange| Box::pin(preview_email_change(exchange)))
};

async fn preview_email_change(exchange: Exchange) -> Result<Response, Refusal> {
    let token = change_token(exchange.fields)?;
    let pending = exchange.shared.service.find_pending_change(token).await?;
    let preview = EmailChangePreview {
        purpose: match pending.kind {
            PendingChangeKind::Change => ChangePurpose::Change,
            PendingChangeKind::Undo => ChangePurpose::Undo,
        },
        username: pending.username.as_str().to_owned(),
        email: pending.email.as_str().to_owned(),
    };
    Ok(Json(preview).into_response())
}

pub(super) const CONFIRM_EMAIL_CHANGE: Operation = Operation {
    id: "confirm_email_change",
    method: &Method::POST,
    path: "/v1/auth/email/change/confirm",
    request: "ConfirmEmailChangeRequest",
    fields: &[&TOKEN, &LINK_PASSWORD],
    limit: Some(LimitClass::ConfirmVerification),
    refusals: &[Code::EmailTokenInvalid, Code::EmailExists],
    tag: Some(Tag::Account),
    summary: "Confirm a change of the account's address",
    description: "Needs the token of the link, and the access token or the password of the account: the link alone gives the reader of a mistyped address \
                  nothing. A request with both is decided by the access token, and the password is ignored.\n\n\
                  After that the account has the new address, verified. With an access token, every other session ends and the refresh token of this one is \
                  replaced: the new token is in the cookie of the answer. No cookie is set if the request has no refresh cookie of this account, but one of a \
                  live session of another account. With the password, every session ends; a wrong password counts as a wrong password at sign-in. Another \
                  account that has the address without having verified it is deleted. The former address gets a link to undo the change, for 72 hours, if it \
                  was verified, the account had it for 72 hours, and the new address is not one that the account left in the last 30 days.",
    success: Success {
        optional_headers: &[(
            "Set-Cookie",
            "The new refresh token, in the cookie `arkloop_refresh_token`.",
        )],
        ..DONE
    },
    ..Operation::with_token_or_none(|exchange, caller| Box::pin(confirm_email_change(exchange, caller)))
};

async fn confirm_email_change(exchange: Exchange, caller: Option<Caller>) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let shared = &exchange.shared;
    let (token, proof) = read_proof(exchange.fields, caller, exchange.client)?;
    let service = &shared.service;
    let cookie = service.confirm_email_change(token, proof, &cookies).await?;
    let done = Json(Done { ok: true });
    Ok(match cookie.map(|new| cookie::set(&new, &shared.settings)) {
        Some(cookie) => done.with_header(SET_COOKIE, cookie).into_response(),
        None => done.into_response(),
    })
}

/// Reads the token of a link, and what shows that the account of the link is the caller's.
fn read_proof(
    mut fields: Fields,
    caller: Option<Caller>,
    client: Client,
) -> Result<(Option<LinkToken>, Proof), Refusal> {
    let token = fields.required(&TOKEN, LinkToken::parse);
    let password = fields.optional(&LINK_PASSWORD, PasswordGuess::parse);
    let token = fields.finish(token)?;
    let proof = match (caller, password) {
        (Some(caller), _) => Proof::Session(Box::new(caller)),
        (None, Some(password)) => Proof::Password(password, client),
        (None, None) => return Err(Refusal::new(Code::MissingToken)),
    };
    Ok((token, proof))
}

pub(super) const UNDO_EMAIL_CHANGE: Operation = Operation {
    id: "undo_email_change",
    path: "/v1/auth/email/change/undo",
    summary: "Undo a change of the address",
    description: "Gives the account its former address back. It undoes every later change of the address, voids every other link and code, ends every session \
                  and removes the password: a link to set a new one is mailed to the former address. Later changes do not void the link; only an address that \
                  the operator sets, or the deletion of the account, does. While the link works, no other account can have the address.",
    success: DONE,
    ..with_change_token(|exchange| Box::pin(undo_email_change(exchange)))
};

async fn undo_email_change(exchange: Exchange) -> Result<Response, Refusal> {
    let token = change_token(exchange.fields)?;
    let service = &exchange.shared.service;
    service.undo_email_change(token, &exchange.client).await?;
    Ok(Json(Done { ok: true }).into_response())
}
