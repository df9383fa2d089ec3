//! The caller's sessions: where the account is signed in.

use std::sync::Arc;

use poem::{Request, RequestBody};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef};
use poem_openapi::types::Example;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};

use crate::domain::{Session, SessionId};
use crate::http::openapi::{EXAMPLE_TIME, EXAMPLE_UUID, Tag};
use crate::http::pipeline::bearer::Authenticated;
use crate::http::pipeline::code::Code;
use crate::http::pipeline::error::Refusal;
use crate::http::pipeline::exchange::{Exchange, Shared};

/// The operations of this noun.
pub(crate) struct SessionApi(pub(crate) Arc<Shared>);

/// The sessions of an account that are alive.
// Not `Sessions`: Python generators name a variable after the schema, which then collides with the member.
#[derive(Object)]
#[oai(example = true)]
struct SessionList {
    /// The sessions, the one used last first.
    sessions: Vec<SessionBody>,
}

/// One place where an account is signed in.
#[derive(Object)]
#[oai(rename = "Session")]
struct SessionBody {
    /// Its id.
    id: String,
    /// Whether it is the session of this request.
    current: bool,
    /// When it began: RFC 3339 in UTC, whole seconds.
    created_at: String,
    /// When it was last used: the present hour for the session of this request, the day of the last refresh for others; never before it began.
    last_used_at: String,
    /// From which address it began; `null` if that is not known.
    #[oai(nullable)]
    ip: Option<String>,
    /// What the client called itself then, at most 200 characters; `null` if it did not.
    #[oai(nullable)]
    user_agent: Option<String>,
}

impl SessionBody {
    fn new(session: &Session, current: SessionId) -> Self {
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

impl Example for SessionList {
    fn example() -> Self {
        let session = SessionBody {
            id: EXAMPLE_UUID.to_owned(),
            current: true,
            created_at: EXAMPLE_TIME.to_owned(),
            last_used_at: EXAMPLE_TIME.to_owned(),
            ip: Some("203.0.113.7".to_owned()),
            user_agent: Some("curl/8.14.1".to_owned()),
        };
        Self {
            sessions: vec![session],
        }
    }
}

#[derive(ApiResponse)]
enum EndResponse {
    /// Ended; their access tokens are refused from now on.
    #[oai(status = 204)]
    Ended,
}

/// The id of a session in the path. One that cannot be an id names no session.
struct SessionPath(SessionId);

impl<'a> ApiExtractor<'a> for SessionPath {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format(
            "string", "uuid",
        ))))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        let parameter = Exchange::of(request)?.path_parameter.as_deref();
        let id = parameter.and_then(|text| text.parse().ok());
        id.map(Self)
            .ok_or_else(|| Refusal::new(Code::SessionNotFound).into())
    }
}

#[OpenApi(tag = "Tag::Sessions")]
impl SessionApi {
    /// List where the account is signed in
    ///
    /// Only sessions that are alive, the one used last first.
    #[oai(path = "/v1/auth/sessions", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(&self, caller: Authenticated) -> poem::Result<Json<SessionList>> {
        let sessions = self.0.service.list_own_sessions(&caller.0).await?;
        let current = caller.0.session_id;
        let sessions = sessions
            .iter()
            .map(|session| SessionBody::new(session, current))
            .collect();
        Ok(Json(SessionList { sessions }))
    }

    /// End one session
    ///
    /// It may be the session of this request.
    #[oai(
        path = "/v1/auth/sessions/:id",
        method = "delete",
        operation_id = "delete_session"
    )]
    async fn delete_session(
        &self,
        caller: Authenticated,
        /// The id of a session of the caller.
        id: SessionPath,
    ) -> poem::Result<EndResponse> {
        self.0.service.end_own_session(&caller.0, id.0).await?;
        Ok(EndResponse::Ended)
    }

    /// End all other sessions
    ///
    /// The session of this request stays.
    #[oai(
        path = "/v1/auth/sessions",
        method = "delete",
        operation_id = "delete_other_sessions"
    )]
    async fn delete_other_sessions(&self, caller: Authenticated) -> poem::Result<EndResponse> {
        self.0.service.end_other_sessions(&caller.0).await?;
        Ok(EndResponse::Ended)
    }
}
