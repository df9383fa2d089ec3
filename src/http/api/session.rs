//! The caller's sessions: where the account is signed in.

use poem::http::{Method, StatusCode};
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::payload::Json;
use serde_json::json;

use crate::domain::{Session, SessionId};
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Success, Tag};
use crate::service::Caller;

/// The live sessions of an account.
// Not `Sessions`: Python generators name a variable after the schema, which then collides with the member.
#[derive(Object)]
struct SessionList {
    /// The sessions, the most recently used first.
    sessions: Vec<SessionBody>,
}

/// A sign-in of an account that goes on: one for each browser or device.
#[derive(Object)]
#[oai(rename = "Session")]
pub(super) struct SessionBody {
    /// Its id.
    id: String,
    /// Whether it is the session of this request.
    current: bool,
    /// When it began: RFC 3339 in UTC, whole seconds.
    created_at: String,
    /// When it was last used: the present hour for the session of this request, the day of the last refresh for others; never before it began.
    last_used_at: String,
    /// The address of the client at the sign-in; `null` if it is not known.
    #[oai(nullable)]
    ip: Option<String>,
    /// The `User-Agent` of the client at the sign-in, at most 200 characters; `null` if there was none.
    #[oai(nullable)]
    user_agent: Option<String>,
}

impl SessionBody {
    pub(super) fn new(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id.to_string(),
            current: session.id == current,
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            ip: session.client.address.map(|address| address.to_string()),
            user_agent: session.client.user_agent.clone(),
        }
    }
}

const ENDED: Success = Success::no_content("Access tokens of an ended session are refused from now on.");

pub(super) const LIST_SESSIONS: Operation = Operation {
    id: "list_sessions",
    path: "/v1/auth/sessions",
    tag: Some(Tag::Sessions),
    summary: "List the sessions of the account",
    description: "Only live sessions, the most recently used first.",
    success: Success {
        links: Some(|| {
            json!({ "DeleteSession": {
                "description": "Ends a session of the list.",
                "operationId": DELETE_SESSION.id,
                "parameters": { "id": "$response.body#/sessions/0/id" },
            } })
        }),
        ..Success::json::<SessionList>(
            "",
            r#"{ "sessions": [{
                "id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17",
                "current": true,
                "created_at": "2026-11-22T10:00:00Z",
                "last_used_at": "2026-11-22T10:00:00Z",
                "ip": "203.0.113.7",
                "user_agent": "curl/8.14.1"
            }] }"#,
        )
    },
    ..Operation::with_token(|exchange, caller| Box::pin(list_sessions(exchange, caller)))
};

async fn list_sessions(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let sessions = exchange.shared.service.list_own_sessions(&caller).await?;
    let sessions = sessions
        .iter()
        .map(|session| SessionBody::new(session, caller.session_id))
        .collect();
    Ok(Json(SessionList { sessions }).into_response())
}

pub(super) const DELETE_SESSION: Operation = Operation {
    id: "delete_session",
    method: &Method::DELETE,
    path: "/v1/auth/sessions/{id}",
    refusals: &[Code::SessionNotFound],
    tag: Some(Tag::Sessions),
    summary: "End one session",
    description: "It may be the session of this request.",
    parameter: Some("The id of a session of the caller."),
    success: ENDED,
    ..Operation::with_token(|exchange, caller| Box::pin(delete_session(exchange, caller)))
};

async fn delete_session(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    // A text that cannot be an id names no session.
    let id = exchange.path_parameter().parse();
    let id = id.map_err(|()| Refusal::new(Code::SessionNotFound))?;
    exchange.shared.service.end_own_session(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) const DELETE_OTHER_SESSIONS: Operation = Operation {
    id: "delete_other_sessions",
    method: &Method::DELETE,
    path: "/v1/auth/sessions",
    tag: Some(Tag::Sessions),
    summary: "End all other sessions",
    description: "The session of this request stays.",
    success: ENDED,
    ..Operation::with_token(|exchange, caller| Box::pin(delete_other_sessions(exchange, caller)))
};

async fn delete_other_sessions(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    exchange.shared.service.end_other_sessions(&caller).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
