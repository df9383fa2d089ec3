//! The table of operations and of the codes that each can be refused with. A test of the whole suite holds it: every
//! code listed is seen, and none is seen that is not listed.

use serde_json::Value;

use crate::http::pipeline::code::Code;
use crate::http::pipeline::limit;

/// Operations that the operator can turn off.
const OPTIONAL: [&str; 5] = [
    "check",
    "send_code",
    "sign_in_by_code",
    "openapi_document",
    "docs",
];

/// What an operation can be refused with, in the order of [`Code::ALL`].
pub(super) fn refusals(method: &str, operation: &Value) -> Vec<Code> {
    let id = operation["operationId"].as_str().unwrap_or_default();
    // A client that has its whole share of connections at work gets a 503 everywhere.
    let mut codes = vec![Code::RequestTooLarge, Code::InternalError, Code::Unavailable];
    if method != "get" {
        codes.push(Code::OriginForbidden);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([
            Code::RequestMalformed,
            Code::UnsupportedMediaType,
            Code::ValidationError,
        ]);
    }
    if needs_bearer(operation) {
        codes.extend([
            Code::MissingToken,
            Code::InvalidAuthorization,
            Code::TokenExpired,
            Code::InvalidToken,
            Code::UserSuspended,
        ]);
    }
    if limit::class_of(id).is_some() {
        codes.push(Code::RateLimited);
    }
    if OPTIONAL.contains(&id) {
        codes.push(Code::NotFound);
    }
    codes.extend(own_refusals(id));
    Code::ALL
        .iter()
        .copied()
        .filter(|code| codes.contains(code))
        .collect()
}

/// Whether an operation asks for an access token.
pub(crate) fn needs_bearer(operation: &Value) -> bool {
    let schemes = operation["security"].as_array();
    schemes.is_some_and(|schemes| {
        schemes
            .iter()
            .any(|scheme| scheme.get(crate::http::pipeline::bearer::SCHEME).is_some())
    })
}

/// What only this operation can be refused with.
fn own_refusals(id: &str) -> &'static [Code] {
    match id {
        "register" => &[
            Code::RegistrationDisabled,
            Code::InviteCodeRequired,
            Code::InviteCodeInvalid,
            Code::LoginExists,
            Code::EmailExists,
            Code::CaptchaInvalid,
            Code::CaptchaUnavailable,
        ],
        "login" => &[
            Code::InvalidCredentials,
            Code::UserSuspended,
            Code::CaptchaInvalid,
            Code::CaptchaUnavailable,
            Code::RateLimited,
        ],
        "check" => &[Code::CaptchaInvalid, Code::CaptchaUnavailable],
        "send_code" => &[
            Code::CaptchaInvalid,
            Code::CaptchaUnavailable,
            Code::OtpRateLimited,
            Code::OtpLocked,
            Code::MailUnavailable,
        ],
        "sign_in_by_code" => &[Code::OtpInvalid, Code::OtpLocked, Code::UserSuspended],
        "send_verification" => &[
            Code::EmailAlreadyVerified,
            Code::OtpRateLimited,
            Code::MailUnavailable,
        ],
        "preview_verification" | "confirm_verification" | "reject_verification" => &[Code::EmailTokenInvalid],
        "change_password" => &[Code::ReauthenticationRequired, Code::RateLimited],
        "send_reset" => &[
            Code::CaptchaInvalid,
            Code::CaptchaUnavailable,
            Code::OtpRateLimited,
            Code::MailUnavailable,
        ],
        "confirm_reset" => &[Code::ResetTokenInvalid],
        "refresh" => &[Code::RefreshTokenMissing, Code::InvalidToken, Code::UserSuspended],
        "update_me" => &[Code::LoginExists],
        "delete_session" => &[Code::SessionNotFound],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_name_operations_that_exist() {
        let document: Value = serde_json::from_str(&super::super::document()).expect("it is JSON");
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.filter_map(|(_, path)| path.as_object()).flatten();
        let ids: Vec<&str> = operations
            .filter_map(|(_, operation)| operation["operationId"].as_str())
            .collect();
        assert_eq!(ids.len(), 26);
        for id in &OPTIONAL {
            assert!(ids.contains(id), "{id}");
        }
        assert_eq!(ids.iter().filter(|id| !own_refusals(id).is_empty()).count(), 15);
    }
}
