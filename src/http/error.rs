//! Refusals: the closed list of their codes, and the only place that writes one.

use std::time::Duration;

use poem::error::ResponseError;
use poem::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{StatusCode, header};
use poem::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::catch::Panicked;
use crate::domain::{FieldError, FieldErrors};
use crate::service;

/// How long a client waits before it asks again a server that cannot serve now, where nobody knows better.
const RETRY_AFTER_SECONDS: u64 = 1;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident: $status:ident $code:literal, $message:literal;)*) => {
        /// What a client branches on: stable, documented, and closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of their statuses.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its status, its name on the wire, and its sentence for a person.
            const fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $code, $message),)*
                }
            }
        }
    };
}

codes! {
    /// Not JSON, not UTF-8, nested too deep, no object, or nothing at all.
    RequestMalformed: BAD_REQUEST "request.malformed", "The body is not a JSON object.";
    /// No `Authorization` header.
    MissingToken: UNAUTHORIZED "auth.missing_token", "This operation needs an access token.";
    /// An `Authorization` header that is not `Bearer <token>`.
    InvalidAuthorization: UNAUTHORIZED "auth.invalid_authorization", "The Authorization header must be Bearer and an access token.";
    /// An access token past its end.
    TokenExpired: UNAUTHORIZED "auth.token_expired", "The access token has expired: refresh it.";
    /// Anything else that is wrong with a token.
    InvalidToken: UNAUTHORIZED "auth.invalid_token", "The token is not valid, or its session has ended.";
    /// A refresh without the cookie.
    RefreshTokenMissing: UNAUTHORIZED "auth.refresh_token_missing", "The refresh token cookie is missing: sign in.";
    /// Wrong login or password.
    InvalidCredentials: UNAUTHORIZED "auth.invalid_credentials", "The login or the password is wrong.";
    /// The account is suspended.
    UserSuspended: FORBIDDEN "auth.user_suspended", "This account is suspended.";
    /// Nobody may register.
    RegistrationDisabled: FORBIDDEN "auth.registration_disabled", "Registration is disabled.";
    /// A page of a site that is not listed wanted to act.
    OriginForbidden: FORBIDDEN "request.origin_forbidden", "Pages of this origin may not do this.";
    /// No such path.
    NotFound: NOT_FOUND "http.not_found", "There is nothing here.";
    /// No such session of the caller.
    SessionNotFound: NOT_FOUND "session.not_found", "There is no such session.";
    /// The path has other methods.
    MethodNotAllowed: METHOD_NOT_ALLOWED "http.method_not_allowed", "This path does not have this method; Allow lists those it has.";
    /// The username is taken.
    LoginExists: CONFLICT "auth.login_exists", "This username is taken.";
    /// The address is taken.
    EmailExists: CONFLICT "auth.email_exists", "This e-mail address has an account already.";
    /// More than 16 KiB.
    RequestTooLarge: PAYLOAD_TOO_LARGE "request.too_large", "The body is larger than 16 KiB.";
    /// A body that does not say it is JSON.
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE "request.unsupported_media_type", "The body must be sent as application/json in UTF-8.";
    /// One or more bad fields.
    ValidationError: UNPROCESSABLE_ENTITY "validation.error", "One or more fields are not acceptable; details.fields names them.";
    /// Registration needs an invite.
    InviteCodeRequired: UNPROCESSABLE_ENTITY "auth.invite_code_required", "Registration needs an invite code.";
    /// The invite cannot be used.
    InviteCodeInvalid: UNPROCESSABLE_ENTITY "auth.invite_code_invalid", "This invite code cannot be used.";
    /// A fault of the server.
    InternalError: INTERNAL_SERVER_ERROR "internal.error", "Something went wrong here; the log has the cause under this trace id.";
    /// The server cannot serve now.
    Unavailable: SERVICE_UNAVAILABLE "service.unavailable", "The server cannot do this now: try again after Retry-After.";
}

impl Code {
    /// Its status.
    pub(super) const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Its name on the wire.
    pub(super) const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Its sentence for a person.
    pub(super) const fn message(self) -> &'static str {
        self.row().2
    }
}

/// Why a request was not carried out, ready to be written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
pub(super) struct Refusal {
    code: Code,
    fields: FieldErrors,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Refusal {
    /// A refusal that needs no more than its code.
    pub(super) fn new(code: Code) -> Self {
        Self {
            code,
            fields: FieldErrors::default(),
            header: None,
            cause: None,
        }
    }

    /// A fault of this program.
    pub(super) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(Code::InternalError)
        }
    }

    /// The server cannot serve now.
    pub(super) fn unavailable(
        retry_after: Duration,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        // Rounded up: whoever comes back after so many whole seconds comes late enough.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        let header = (RETRY_AFTER, HeaderValue::from(seconds.max(RETRY_AFTER_SECONDS)));
        Self {
            header: Some(header),
            cause: Some(cause.into()),
            ..Self::new(Code::Unavailable)
        }
    }

    /// The path has only the methods that `allow` lists.
    pub(super) fn method_not_allowed(allow: HeaderValue) -> Self {
        Self {
            header: Some((ALLOW, allow)),
            ..Self::new(Code::MethodNotAllowed)
        }
    }

    /// The same fault, or the same refusal, as a server that cannot serve now.
    pub(super) fn into_unavailable(self) -> Self {
        match self.code {
            Code::Unavailable => self,
            _ => Self::unavailable(Duration::ZERO, self),
        }
    }

    /// The same with a challenge (RFC 6750 §3).
    pub(super) fn with_challenge(self, challenge: &'static str) -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge))),
            ..self
        }
    }

    /// What a handler or an extractor returned.
    pub(super) fn from_poem(error: poem::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(refusal) => return refusal,
            Err(error) => error,
        };
        match error.downcast::<service::Error>() {
            Ok(refused) => refused.into(),
            Err(error) => Self::internal(error.to_string()),
        }
    }

    /// Its code.
    pub(super) const fn code(&self) -> Code {
        self.code
    }

    /// What caused it, down to the last source, for the log; `None` if the client caused it.
    pub(super) fn cause(&self) -> Option<String> {
        let first: &dyn std::error::Error = self.cause.as_deref()?;
        let causes = std::iter::successors(Some(first), |error| error.source());
        Some(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// Writes it.
    pub(super) fn write(self, trace_id: &str) -> Response {
        let body = self.code.body(trace_id, &self.fields);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = body.with_status(self.code.status()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.header);
        response
    }
}

impl ResponseError for Refusal {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

/// So that handlers hand on what the service refuses with `?`; `Refusal::from_poem` takes it back out.
impl ResponseError for service::Error {
    fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl From<Panicked> for Refusal {
    fn from(panicked: Panicked) -> Self {
        Self::internal(panicked)
    }
}

impl From<service::Error> for Refusal {
    fn from(error: service::Error) -> Self {
        use service::Error;
        let code = match error {
            Error::Invalid(fields) => {
                return Self {
                    fields,
                    ..Self::new(Code::ValidationError)
                };
            }
            Error::Unavailable { retry_after, .. } => return Self::unavailable(retry_after, error),
            Error::Internal(cause) => return Self::internal(cause),
            // Only the command line asks for these.
            Error::UserNotFound(_) | Error::InviteNotFound | Error::RegistrationPinned(_) => {
                return Self::internal(error);
            }
            Error::TokenExpired => Code::TokenExpired,
            Error::InvalidToken => Code::InvalidToken,
            Error::RefreshTokenMissing => Code::RefreshTokenMissing,
            Error::InvalidCredentials => Code::InvalidCredentials,
            Error::UserSuspended => Code::UserSuspended,
            Error::RegistrationDisabled => Code::RegistrationDisabled,
            Error::InviteCodeRequired => Code::InviteCodeRequired,
            Error::InviteCodeInvalid => Code::InviteCodeInvalid,
            Error::LoginExists => Code::LoginExists,
            Error::EmailExists => Code::EmailExists,
            Error::SessionNotFound => Code::SessionNotFound,
        };
        Self::new(code)
    }
}

/// The body of every refusal. The order of its members is part of the contract.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    code: &'static str,
    message: &'static str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl Code {
    /// The body of a refusal with this code.
    pub(super) fn body<'a>(self, trace_id: &'a str, fields: &FieldErrors) -> Envelope<'a> {
        let fields: Map<String, Value> = fields
            .iter()
            .map(|(name, error)| (name.to_owned(), field(error)))
            .collect();
        let details = (!fields.is_empty()).then(|| json!({ "fields": fields }));
        Envelope {
            code: self.as_str(),
            message: self.message(),
            trace_id,
            details,
        }
    }
}

/// The codes of fields that a request of today can be refused with, in the order of the documentation.
pub(super) const FIELD_CODES: [&str; 10] = [
    "missing",
    "unknown",
    "duplicate",
    "wrong_type",
    "too_short",
    "too_long",
    "invalid",
    "invalid_characters",
    "common_password",
    "contains_identity",
];

/// What is said about one bad field.
fn field(error: FieldError) -> Value {
    let (code, message) = match error {
        FieldError::Missing => ("missing", "This field is required.".to_owned()),
        FieldError::Unknown => ("unknown", "This operation has no such field.".to_owned()),
        FieldError::Duplicate => (
            "duplicate",
            "This field stands in the body more than once.".to_owned(),
        ),
        FieldError::WrongType { expected } => ("wrong_type", format!("Must be a {expected}.")),
        FieldError::TooShort { min } => ("too_short", format!("Must have at least {min} characters.")),
        FieldError::TooLong { max } => ("too_long", format!("Must have at most {max} characters.")),
        FieldError::TooManyBytes { max } => ("too_long", format!("Must have at most {max} bytes in UTF-8.")),
        FieldError::Invalid { form } => ("invalid", format!("Must be {form}.")),
        FieldError::InvalidCharacters { allowed } => {
            ("invalid_characters", format!("May hold only {allowed}."))
        }
        FieldError::CommonPassword => (
            "common_password",
            "This password is in every list of common ones.".to_owned(),
        ),
        FieldError::ContainsIdentity => (
            "contains_identity",
            "The password must not be the account's own name.".to_owned(),
        ),
        FieldError::Incorrect => ("incorrect", "This is not the current password.".to_owned()),
    };
    let mut said = json!({ "code": code, "message": message });
    match error {
        FieldError::TooShort { min } => said["min"] = json!(min),
        FieldError::TooLong { max } | FieldError::TooManyBytes { max } => said["max"] = json!(max),
        _ => {}
    }
    said
}
