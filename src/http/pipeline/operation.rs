//! Operations as values: each [`Operation`] is a constant beside its handler. The route table, the limits, CORS, the counters and the `OpenAPI` document are
//! derived from these values.
//!
//! poem-openapi describes only the bodies of responses here. Its `#[OpenApi]` has no room for limits, refusals and switches, so each operation would need a
//! second description. A handler takes the results of the checks before it as arguments, because an extractor of poem would have to compute them again.

use std::pin::Pin;

use poem::Response;
use poem::http::{Method, StatusCode};
use poem_openapi::Tags;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;
use strum::VariantArray as _;

use super::code::Code;
use super::error::Refusal;
use super::exchange::Exchange;
use super::request_body::Field;
use crate::domain::LimitClass;
use crate::http::ServerSettings;
use crate::service::{Caller, RefreshCookies};

/// The id of operations that the document does not list, such as pages and their files.
pub(crate) const UNDOCUMENTED: &str = "undocumented";

/// One method of one path.
pub(crate) struct Operation {
    /// The `operationId`, which is also its name in logs and counters.
    pub(crate) id: &'static str,
    pub(crate) method: &'static Method,
    /// A last segment in braces is a parameter.
    pub(crate) path: &'static str,
    pub(crate) handler: Handler,
    /// The name of the schema of the request body.
    pub(crate) request: &'static str,
    /// The fields of the request body, which is a JSON object. An operation without fields takes no body.
    pub(crate) fields: &'static [&'static Field],
    /// `None` if it is not limited. Only content that is the same for every client and costs next to nothing has no limit: a refused health check would take a
    /// working server out of service, refused keys would stop the services that verify tokens, and clients behind one address share the pages.
    pub(crate) limit: Option<LimitClass>,
    /// The codes beyond those that follow from the other members: see [`Operation::codes`].
    pub(crate) refusals: &'static [Code],
    /// Whether the settings turn the operation on; `None` if it is always on.
    pub(crate) switch: Option<fn(&ServerSettings) -> bool>,
    /// Whether pages of every origin may read the answers.
    pub(crate) is_public: bool,
    /// Whether the path exists only for requests that accept HTML.
    pub(crate) is_for_browsers: bool,
    /// Its group in the document, which does not list operations without a group.
    pub(crate) tag: Option<Tag>,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// Describes the parameter of the path, which is a UUID.
    pub(crate) parameter: Option<&'static str>,
    pub(crate) success: Success,
}

/// The function that carries out an operation, by the credential that the operation asks for.
pub(crate) enum Handler {
    /// It asks for no credential.
    Open(fn(Exchange) -> Answer),
    /// It asks for an access token.
    Token(fn(Exchange, Caller) -> Answer),
    /// It takes an access token, which may be missing. One that was sent must be valid.
    EitherToken(fn(Exchange, Option<Caller>) -> Answer),
    /// It asks for refresh cookies, and is counted for one of their sessions.
    Cookies(fn(Exchange, RefreshCookies) -> Answer),
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// The groups of operations.
#[derive(Clone, Copy, Tags)]
pub(crate) enum Tag {
    /// Creating an account.
    Registration,
    /// Signing in, staying signed in, signing out.
    #[oai(rename = "Sign-in")]
    SignIn,
    /// Verifying an address.
    #[oai(rename = "E-mail")]
    Email,
    /// The caller's account.
    Account,
    /// The sessions of the account.
    Sessions,
    /// Public keys for services that verify access tokens.
    Keys,
    /// The server itself.
    Server,
}

/// The response to a request that was carried out.
pub(crate) struct Success {
    pub(crate) status: StatusCode,
    pub(crate) description: &'static str,
    /// The media type and the schema of the body.
    pub(crate) content: Option<(&'static str, Schema)>,
    /// An example of the body, as JSON.
    pub(crate) example: Option<&'static str>,
    /// The headers beyond those of every response, with their descriptions.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The headers that only some of the responses have.
    pub(crate) optional_headers: &'static [(&'static str, &'static str)],
    /// Whether the response has a validator, so that a client that still has the content gets a 304.
    pub(crate) has_etag: bool,
    /// The operations that a client may call next.
    pub(crate) links: Option<fn() -> Value>,
}

/// Registers a schema, and returns a reference to it.
pub(crate) type Schema = fn(&mut Registry) -> MetaSchemaRef;

impl Success {
    /// 200 with a body in JSON.
    pub(crate) const fn json<T: Type>(description: &'static str, example: &'static str) -> Self {
        let schema: Schema = |registry| {
            T::register(registry);
            T::schema_ref()
        };
        Self {
            example: Some(example),
            ..Self::with_schema("application/json", schema, description)
        }
    }

    /// 200 with a body of another media type.
    pub(crate) const fn with_schema(
        media_type: &'static str,
        schema: Schema,
        description: &'static str,
    ) -> Self {
        Self {
            status: StatusCode::OK,
            content: Some((media_type, schema)),
            ..Self::no_content(description)
        }
    }

    /// 204.
    pub(crate) const fn no_content(description: &'static str) -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            description,
            content: None,
            example: None,
            headers: &[],
            optional_headers: &[],
            has_etag: false,
            links: None,
        }
    }
}

impl Operation {
    /// A GET that is not documented and has the common limit.
    const fn new(handler: Handler) -> Self {
        Self {
            id: UNDOCUMENTED,
            method: &Method::GET,
            path: "",
            handler,
            request: "",
            fields: &[],
            limit: Some(LimitClass::Other),
            refusals: &[],
            switch: None,
            is_public: false,
            is_for_browsers: false,
            tag: None,
            summary: "",
            description: "",
            parameter: None,
            success: Success::no_content(""),
        }
    }

    pub(crate) const fn open(handler: fn(Exchange) -> Answer) -> Self {
        Self::new(Handler::Open(handler))
    }

    pub(crate) const fn with_token(handler: fn(Exchange, Caller) -> Answer) -> Self {
        Self::new(Handler::Token(handler))
    }

    pub(crate) const fn with_token_or_none(handler: fn(Exchange, Option<Caller>) -> Answer) -> Self {
        Self::new(Handler::EitherToken(handler))
    }

    pub(crate) const fn with_cookies(handler: fn(Exchange, RefreshCookies) -> Answer) -> Self {
        Self::new(Handler::Cookies(handler))
    }

    /// Whether it looks at an access token, needed or not.
    pub(crate) const fn takes_token(&self) -> bool {
        matches!(self.handler, Handler::Token(_) | Handler::EitherToken(_))
    }

    /// Every code with which the operation can be refused, in the order of [`Code`]. The test suite checks that each of them occurs, and no other.
    pub(crate) fn codes(&self) -> Vec<Code> {
        // Every operation answers 503 to a client whose whole share of connections is busy.
        let mut codes = vec![Code::RequestTooLarge, Code::InternalError, Code::Unavailable];
        codes.extend(self.refusals);
        if *self.method != Method::GET {
            codes.push(Code::OriginForbidden);
        }
        if !self.fields.is_empty() {
            codes.extend(self.fields.iter().flat_map(|field| field.refusals));
            codes.extend([
                Code::RequestMalformed,
                Code::UnsupportedMediaType,
                Code::ValidationError,
            ]);
        }
        if self.takes_token() {
            codes.extend([
                Code::MissingToken,
                Code::InvalidAuthorization,
                Code::TokenExpired,
                Code::InvalidToken,
                Code::UserSuspended,
            ]);
        }
        if self.limit.is_some() {
            codes.push(Code::RateLimited);
        }
        if self.switch.is_some() {
            codes.push(Code::NotFound);
        }
        let in_order = Code::VARIANTS.iter().copied();
        in_order.filter(|code| codes.contains(code)).collect()
    }
}
