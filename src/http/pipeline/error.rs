//! Refusals: the only place that writes one.

use std::time::Duration;

use poem::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use poem::http::{StatusCode, header};
use poem::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::catch::Panicked;
use super::code::{Code, describe};
use crate::domain::{FieldErrors, Limit};
use crate::fault::with_sources;
use crate::service;

/// How long a client waits before it asks again a server that cannot serve now, where nobody knows better.
const RETRY_AFTER_SECONDS: u64 = 1;
/// When to ask for the captcha to be checked again: such outages last minutes, and people wait for seconds.
const CAPTCHA_RETRY_AFTER: Duration = Duration::from_secs(5);
/// When to ask for mail again where it is off: nothing but the operator ends that.
const MAIL_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The challenge that every 401 needs (RFC 9110 §15.5.2), without an error code where no bad access token came (RFC 6750 §3.1). No browser asks people for a
/// password because of it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// Why a request was not carried out, ready to be written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
pub(crate) struct Refusal {
    code: Code,
    fields: FieldErrors,
    /// Which limit was reached.
    limit: Option<Limit>,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Refusal {
    /// A refusal that needs no more than its code.
    pub(crate) fn new(code: Code) -> Self {
        Self {
            code,
            fields: FieldErrors::default(),
            limit: None,
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
        Self {
            cause: Some(cause.into()),
            ..Self::later(Code::Unavailable, retry_after)
        }
    }

    /// All connections that one client may have are busy.
    pub(crate) fn too_many_connections() -> Self {
        Self::later(Code::Unavailable, Duration::from_secs(RETRY_AFTER_SECONDS))
    }

    /// A refusal that time mends.
    fn later(code: Code, retry_after: Duration) -> Self {
        let header = (RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
        Self {
            header: Some(header),
            ..Self::new(code)
        }
    }

    /// A limit was reached.
    fn limited(code: Code, limit: Limit, retry_after: Duration) -> Self {
        Self {
            limit: Some(limit),
            ..Self::later(code, retry_after)
        }
    }

    /// The path has only the methods that `allow` lists.
    pub(super) fn method_not_allowed(allow: HeaderValue) -> Self {
        Self {
            header: Some((ALLOW, allow)),
            ..Self::new(Code::MethodNotAllowed)
        }
    }

    /// The body has a content coding; only plain ones are read (RFC 9110 §15.5.16).
    pub(super) fn encoded() -> Self {
        Self {
            header: Some((ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            ..Self::new(Code::UnsupportedMediaType)
        }
    }

    /// The same fault, or the same refusal, as a server that cannot serve now.
    pub(crate) fn into_unavailable(self) -> Self {
        match self.code {
            Code::Unavailable => self,
            _ => Self::unavailable(Duration::ZERO, self),
        }
    }

    /// The same without a cause, of which the log has been told.
    pub(crate) fn without_cause(self) -> Self {
        Self { cause: None, ..self }
    }

    /// The same with a challenge of its own (RFC 6750 §3).
    pub(super) fn with_challenge(self, challenge: &'static str) -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge))),
            ..self
        }
    }

    /// Its code.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// What caused it, down to the last source, for the log; `None` if the client caused it.
    pub(crate) fn cause(&self) -> Option<String> {
        Some(with_sources(self.cause.as_deref()?))
    }

    /// Writes it.
    pub(crate) fn write(self, trace_id: &str) -> Response {
        let body = self.code.body(trace_id, &self.fields, self.limit);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = body.with_status(self.code.status()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
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
            Error::CodeRateLimited { retry_after } => {
                return Self::limited(Code::OtpRateLimited, Limit::Address, retry_after);
            }
            Error::CodeLocked { retry_after } => {
                return Self::limited(Code::OtpLocked, Limit::Address, retry_after);
            }
            Error::RateLimited { limit, retry_after } => {
                return Self::limited(Code::RateLimited, limit, retry_after);
            }
            Error::CaptchaUnavailable(_) => {
                let cause = Some(error.into());
                return Self {
                    cause,
                    ..Self::later(Code::CaptchaUnavailable, CAPTCHA_RETRY_AFTER)
                };
            }
            // Only a change of the configuration mends it.
            Error::MailUnavailable => return Self::later(Code::MailUnavailable, MAIL_RETRY_AFTER),
            // Only the command line asks for these.
            Error::UserNotFound(_)
            | Error::AddressAndUsername(_)
            | Error::InviteNotFound
            | Error::NotInList(_)
            | Error::RegistrationPinned(_)
            | Error::MailRefused { .. }
            | Error::NoSigningKey
            | Error::NoPlaceForBackup { .. }
            | Error::RotationWaits { .. }
            | Error::DatabaseDamaged(_)
            | Error::BackupFailed(_) => {
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
            Error::CaptchaInvalid => Code::CaptchaInvalid,
            Error::CodeInvalid => Code::OtpInvalid,
            Error::EmailTokenInvalid => Code::EmailTokenInvalid,
            Error::ResetTokenInvalid => Code::ResetTokenInvalid,
            Error::EmailAlreadyVerified => Code::EmailAlreadyVerified,
            Error::ReauthenticationRequired => Code::ReauthenticationRequired,
            Error::FeatureOff => Code::NotFound,
        };
        Self::new(code)
    }
}

/// A time to wait as clients are told it. Rounded up: whoever comes back after so many whole seconds comes late enough.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(RETRY_AFTER_SECONDS)
}

/// The body of every refusal. The order of its members is part of the contract.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    code: &'static str,
    message: &'static str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl Code {
    /// The body of a refusal with this code.
    pub(crate) fn body<'a>(
        self,
        trace_id: &'a str,
        fields: &FieldErrors,
        limit: Option<Limit>,
    ) -> Envelope<'a> {
        let fields: Map<String, Value> = fields
            .iter()
            .map(|(name, error)| (name.to_owned(), describe(error)))
            .collect();
        let details = match limit {
            Some(limit) => Some(json!({ "limit": limit.into_str() })),
            None => (!fields.is_empty()).then(|| json!({ "fields": fields })),
        };
        Envelope {
            code: self.as_str(),
            message: self.message(),
            trace_id,
            details,
        }
    }
}
