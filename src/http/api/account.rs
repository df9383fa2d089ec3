//! Deleting the own account.

use poem::http::header::SET_COOKIE;
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};

use super::fields::CURRENT_PASSWORD;
use super::own_limit::admit;
use crate::domain::{AuditEvent, AuditReason, LimitClass, PasswordGuess};
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Shared, Success, Tag, cookie};
use crate::service::{Caller, CookieFate, Presence};

pub(super) const DELETE_ACCOUNT: Operation = Operation {
    id: "delete_account",
    method: &Method::POST,
    path: "/v1/auth/account/delete",
    request: "DeleteAccountRequest",
    fields: &[&CURRENT_PASSWORD],
    refusals: &[Code::ReauthenticationRequired],
    tag: Some(Tag::Account),
    summary: "Delete the own account",
    description: "Deletes the account with its sessions, links and codes, and tells its owner by mail. It cannot be brought back; its names are free at once. \
                  An account without a password is deleted within 10 minutes of signing in. A wrong current password counts like one of signing in. \
                  Deletions and exports have a limit of their own for each account, which counts once the password was right.",
    success: Success {
        optional_headers: &[(
            "Set-Cookie",
            "Takes the cookie `arkloop_refresh_token` away, unless it is one of a living session of another account.",
        )],
        ..Success::no_content("The account is deleted.")
    },
    ..Operation::with_token(|exchange, caller| Box::pin(delete_account(exchange, caller)))
};

async fn delete_account(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let cookies = cookie::presented(&exchange.headers);
    let (shared, event) = (&exchange.shared, AuditEvent::AccountDeleted);
    let presence = prove_presence(shared, &caller, exchange.fields, event).await?;
    let deleted = shared
        .service
        .delete_own_account(&caller, presence, &cookies)
        .await?;
    let response = StatusCode::NO_CONTENT;
    Ok(match deleted {
        CookieFate::Clear => response
            .with_header(SET_COOKIE, cookie::clear(&shared.settings))
            .into_response(),
        CookieFate::Keep => response.into_response(),
    })
}

/// Reads the password, checks it, and counts the request for the account.
async fn prove_presence(
    shared: &Shared,
    caller: &Caller,
    mut fields: Fields,
    event: AuditEvent,
) -> Result<Presence, Refusal> {
    let current = fields.optional(&CURRENT_PASSWORD, PasswordGuess::parse);
    let current = fields.finish(Some(current))?;
    let presence = shared.service.prove_presence(caller, current, event).await?;
    admit(
        shared,
        caller,
        LimitClass::OwnAccount,
        AuditReason::OwnAccountLimit,
    )?;
    Ok(presence)
}
