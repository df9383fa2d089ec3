//! Deleting and exporting the caller's account.

use poem::http::header::{CONTENT_DISPOSITION, SET_COOKIE};
use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object};

use super::fields::CURRENT_PASSWORD;
use super::own_limit::admit;
use super::session::SessionBody;
use super::user::UserBody;
use crate::domain::{AuditEvent, AuditReason, LimitClass, PasswordGuess, SessionId};
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Shared, Success, Tag, cookie};
use crate::service::{AccountExport, Caller, CookieFate, OwnEvent, Presence};

pub(super) const DELETE_ACCOUNT: Operation = Operation {
    id: "delete_account",
    method: &Method::POST,
    path: "/v1/auth/account/delete",
    request: "DeleteAccountRequest",
    fields: &[&CURRENT_PASSWORD],
    refusals: &[Code::ReauthenticationRequired],
    tag: Some(Tag::Account),
    summary: "Delete the caller's account",
    description: "Deletes the account with its sessions, links and codes, and tells its owner by mail. The account cannot be brought back; its username and \
                  its address are free at once. An account without a password can be deleted within 10 minutes of signing in. A wrong current password counts \
                  as a wrong password at sign-in. Deletions, exports and changes of the address share one limit for each account, which counts only requests \
                  with the right password.",
    success: Success {
        optional_headers: &[(
            "Set-Cookie",
            "Removes the cookie `arkloop_refresh_token`, unless it belongs to a live session of another account.",
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

/// An account, its live sessions and its events in the audit log.
#[derive(Object)]
#[oai(rename = "AccountExport")]
struct ExportBody {
    /// When it was exported: RFC 3339 in UTC, whole seconds.
    exported_at: String,
    /// The account.
    account: ExportedAccount,
    /// The live sessions, as `list_sessions` shows them.
    sessions: Vec<SessionBody>,
    /// The events of the audit log about the account, the oldest first. If there are more than 5000, only the newest 5000.
    audit: Vec<EventBody>,
    /// How many older events the audit log has beside these.
    audit_left_out: u32,
}

/// An account in an export.
#[derive(Object)]
struct ExportedAccount {
    #[oai(flatten)]
    user: UserBody,
    /// When its owner last signed in; `null` if never.
    #[oai(nullable)]
    last_sign_in_at: Option<String>,
}

/// An event of the audit log.
#[derive(Object)]
#[oai(rename = "AccountEvent")]
struct EventBody {
    /// When it happened, or happened first if `times` is more than 1: RFC 3339 in UTC, whole seconds. For a refresh it is the start of the day.
    at: String,
    /// The name of the event, such as `sign_in.password`. Later versions may add names.
    event: String,
    /// Whether it was done or refused.
    outcome: Outcome,
    /// Who caused it.
    by: CausedBy,
    /// The address of the client; `null` if it is not known or the operator caused the event.
    #[oai(nullable)]
    ip: Option<String>,
    /// The `User-Agent` of the client, at most 200 characters; `null` if there was none or the operator caused the event.
    #[oai(nullable)]
    user_agent: Option<String>,
    /// The session that the event is about; `null` if there is none.
    #[oai(nullable)]
    session_id: Option<String>,
    /// How often it happened.
    times: u32,
}

/// The outcome of an event.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// Who caused an event.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum CausedBy {
    /// A client of the API.
    Client,
    /// The operator of the server.
    Operator,
}

impl ExportBody {
    /// `current` is the session of the request.
    fn new(export: &AccountExport, current: SessionId) -> Self {
        let sessions = export.sessions.iter();
        Self {
            exported_at: export.exported_at.to_string(),
            account: ExportedAccount {
                user: UserBody::from(&export.user),
                last_sign_in_at: export.user.last_sign_in_at.as_ref().map(ToString::to_string),
            },
            sessions: sessions
                .map(|session| SessionBody::new(session, current))
                .collect(),
            audit: export.events.iter().map(EventBody::from).collect(),
            audit_left_out: export.left_out,
        }
    }
}

impl From<&OwnEvent> for EventBody {
    fn from(event: &OwnEvent) -> Self {
        let client = event.client.as_ref();
        Self {
            at: event.at.to_string(),
            event: event.event.into_str().to_owned(),
            outcome: if event.is_refused {
                Outcome::Refused
            } else {
                Outcome::Done
            },
            by: client.map_or(CausedBy::Operator, |_| CausedBy::Client),
            ip: client.and_then(|client| client.address).map(|ip| ip.to_string()),
            user_agent: client.and_then(|client| client.user_agent.clone()),
            session_id: event.session_id.map(|id| id.to_string()),
            times: u32::try_from(event.times).unwrap_or(u32::MAX),
        }
    }
}

pub(super) const EXPORT_ACCOUNT: Operation = Operation {
    id: "export_account",
    method: &Method::POST,
    path: "/v1/auth/account/export",
    request: "ExportAccountRequest",
    fields: &[&CURRENT_PASSWORD],
    refusals: &[Code::ReauthenticationRequired],
    tag: Some(Tag::Account),
    summary: "Export the caller's account",
    description: "A JSON file with the account, its live sessions and the events of the audit log about it. The reasons of refusals are left out, as \
                  everywhere in this API, and so are the names of operators. It needs the same proof as a deletion, and counts against the same limit.",
    success: Success {
        headers: &[(
            "Content-Disposition",
            "Has a browser save the body as `account.json`.",
        )],
        ..Success::json::<ExportBody>(
            "",
            r#"{
                "exported_at": "2026-11-22T11:30:00Z",
                "account": {
                    "id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17",
                    "username": "alice",
                    "email": "alice@example.org",
                    "email_verified": false,
                    "has_password": true,
                    "locale": "en",
                    "timezone": "Europe/Berlin",
                    "created_at": "2026-11-22T10:00:00Z",
                    "last_sign_in_at": "2026-11-22T10:00:00Z"
                },
                "sessions": [{
                    "id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c18",
                    "current": true,
                    "created_at": "2026-11-22T10:00:00Z",
                    "last_used_at": "2026-11-22T11:00:00Z",
                    "ip": "203.0.113.7",
                    "user_agent": "curl/8.14.1"
                }],
                "audit": [{
                    "at": "2026-11-22T10:00:00Z",
                    "event": "register",
                    "outcome": "done",
                    "by": "client",
                    "ip": "203.0.113.7",
                    "user_agent": "curl/8.14.1",
                    "session_id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c18",
                    "times": 1
                }],
                "audit_left_out": 0
            }"#,
        )
    },
    ..Operation::with_token(|exchange, caller| Box::pin(export_account(exchange, caller)))
};

async fn export_account(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let (shared, event) = (&exchange.shared, AuditEvent::AccountExported);
    let presence = prove_presence(shared, &caller, exchange.fields, event).await?;
    let export = shared.service.export_own_account(&caller, presence).await?;
    let body = ExportBody::new(&export, caller.session_id);
    let disposition = r#"attachment; filename="account.json""#;
    Ok(Json(body)
        .with_header(CONTENT_DISPOSITION, disposition)
        .into_response())
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
