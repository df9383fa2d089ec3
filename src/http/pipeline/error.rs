//! Refusals: which refusal an error becomes, and how the response is written. No other file writes refusals.

use std::time::Duration;

use poem::http::StatusCode;
use poem::http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::code::{Code, describe};
use crate::domain::{FieldErrors, Limit};
use crate::fault::with_sources;
use crate::service;

/// The shortest `Retry-After`, and the one to send if no better time is known.
const RETRY_AFTER_SECONDS: u64 = 1;
/// The `Retry-After` while captchas cannot be checked: such outages last minutes, but people wait only seconds.
const CAPTCHA_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The `Retry-After` while mail is off, which only the operator can change.
const MAIL_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The challenge that every 401 needs (RFC 9110 §15.5.2). It has no error code, because that is only for a bad access token (RFC 6750 §3.1). Browsers show no
/// password prompt for `Bearer`.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// Why a request was not carried out, ready to be written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .code.as_str())]
pub(crate) struct Refusal {
    pub(super) code: Code,
    fields: FieldErrors,
    /// The limit that was reached, for `details.limit`.
    limit: Option<Limit>,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Refusal {
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

    /// The server, or something that it needs, cannot serve now.
    fn unavailable(code: Code, retry_after: Duration, cause: service::Error) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::later(code, retry_after)
        }
    }

    /// The client has as many connections as it may have, and all are busy.
    pub(crate) fn too_many_connections() -> Self {
        Self::later(Code::Unavailable, Duration::from_secs(RETRY_AFTER_SECONDS))
    }

    /// A refusal with a `Retry-After`.
    fn later(code: Code, retry_after: Duration) -> Self {
        let seconds = HeaderValue::from(whole_seconds(retry_after));
        Self::new(code).with_header(RETRY_AFTER, seconds)
    }

    fn limited(code: Code, limit: Limit, retry_after: Duration) -> Self {
        Self {
            limit: Some(limit),
            ..Self::later(code, retry_after)
        }
    }

    /// The path has only the methods that `allow` lists.
    pub(super) fn method_not_allowed(allow: HeaderValue) -> Self {
        Self::new(Code::MethodNotAllowed).with_header(ALLOW, allow)
    }

    /// The same refusal with a header of its own. A refusal has at most one such header.
    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// The same refusal without a cause, for causes that are already in the log.
    pub(crate) fn without_cause(self) -> Self {
        Self { cause: None, ..self }
    }

    /// The chain of causes, for the log; `None` if there is nothing to log.
    pub(crate) fn cause(&self) -> Option<String> {
        Some(with_sources(self.cause.as_deref()?))
    }

    pub(crate) fn write(self, trace_id: &str) -> Response {
        let body = self.code.body(trace_id, &self.fields, self.limit).to_string();
        let mut response = body.with_status(self.code.status()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<service::Error> for Refusal {
    fn from(error: service::Error) -> Self {
        use service::Error;
        match error {
            Error::Invalid(fields) => Self {
                fields,
                ..Self::new(Code::ValidationError)
            },
            Error::Unavailable { retry_after, .. } => {
                Self::unavailable(Code::Unavailable, retry_after, error)
            }
            Error::Internal(cause) => Self::internal(cause),
            Error::CodeRateLimited { retry_after } => {
                Self::limited(Code::OtpRateLimited, Limit::Address, retry_after)
            }
            Error::CodeLocked { retry_after } => Self::limited(Code::OtpLocked, Limit::Address, retry_after),
            Error::RateLimited { limit, retry_after } => Self::limited(Code::RateLimited, limit, retry_after),
            Error::CaptchaUnavailable(_) => {
                Self::unavailable(Code::CaptchaUnavailable, CAPTCHA_RETRY_AFTER, error)
            }
            Error::MailUnavailable => Self::later(Code::MailUnavailable, MAIL_RETRY_AFTER),
            // Only the command line gets these errors.
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
            | Error::BackupFailed(_)
            | Error::NoFileToBackUp => Self::internal(error),
            Error::TokenExpired => Self::new(Code::TokenExpired),
            Error::InvalidToken => Self::new(Code::InvalidToken),
            Error::RefreshTokenMissing => Self::new(Code::RefreshTokenMissing),
            Error::InvalidCredentials => Self::new(Code::InvalidCredentials),
            Error::FlowTokenInvalid => Self::new(Code::FlowTokenInvalid),
            Error::UserSuspended => Self::new(Code::UserSuspended),
            Error::RegistrationDisabled => Self::new(Code::RegistrationDisabled),
            Error::InviteCodeRequired => Self::new(Code::InviteCodeRequired),
            Error::InviteCodeInvalid => Self::new(Code::InviteCodeInvalid),
            Error::LoginExists => Self::new(Code::LoginExists),
            Error::EmailExists | Error::EmailReserved { .. } => Self::new(Code::EmailExists),
            Error::SessionNotFound => Self::new(Code::SessionNotFound),
            Error::CaptchaInvalid => Self::new(Code::CaptchaInvalid),
            Error::CodeInvalid => Self::new(Code::OtpInvalid),
            Error::EmailTokenInvalid => Self::new(Code::EmailTokenInvalid),
            Error::ResetTokenInvalid => Self::new(Code::ResetTokenInvalid),
            Error::EmailAlreadyVerified => Self::new(Code::EmailAlreadyVerified),
            Error::ReauthenticationRequired => Self::new(Code::ReauthenticationRequired),
            Error::FeatureOff => Self::new(Code::NotFound),
        }
    }
}

/// A waiting time in whole seconds, rounded up so that a client does not retry too early. At least [`RETRY_AFTER_SECONDS`].
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(RETRY_AFTER_SECONDS)
}

impl Code {
    /// The body of a refusal with this code. The order of its members is part of the contract.
    pub(crate) fn body(self, trace_id: &str, fields: &FieldErrors, limit: Option<Limit>) -> Value {
        let mut body = json!({ "code": self.as_str(), "message": self.message(), "trace_id": trace_id });
        if let Some(limit) = limit {
            body["details"] = json!({ "limit": limit.into_str() });
        } else if !fields.is_empty() {
            let fields = fields
                .iter()
                .map(|(name, error)| (name.to_owned(), describe(error)));
            body["details"] = json!({ "fields": fields.collect::<Map<_, _>>() });
        }
        body
    }
}
