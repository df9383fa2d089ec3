//! Parsing and printing accounts.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::report::{Row, facts};
use super::times::Times;
use crate::domain::{FieldError, FieldErrors, Locale, Password};
use crate::service::{Error, Service, UserSummary};

/// Parses a language tag in any spelling that devices use. Refuses a text that names no language.
pub(super) fn parse_locale(text: &str) -> Result<Locale, FieldError> {
    Locale::from_hint(text)?.ok_or(FieldError::Invalid {
        form: "a language tag such as en or zh-CN",
    })
}

pub(super) fn parse_password(
    service: &Service,
    text: &SecretString,
    identities: &[&str],
) -> Result<Password, Error> {
    let password = Password::parse(text.expose_secret(), service.password_min_length(), identities);
    password.map_err(|error| Error::Invalid(FieldErrors::one("the password", error)))
}

pub(super) fn to_json(UserSummary { user, sessions }: &UserSummary) -> Value {
    json!({
        "id": user.id,
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "email_verified": user.email_verified_at.is_some(),
        "has_password": user.has_password,
        "status": user.status.into_str(),
        "locale": user.locale.as_str(),
        "created_at": user.created_at,
        "last_sign_in_at": user.last_sign_in_at,
        "sessions": sessions,
    })
}

pub(super) fn to_row(summary: &UserSummary, times: Times) -> Row {
    let user = &summary.user;
    let cells = vec![
        ("USERNAME", user.username.to_string()),
        ("E-MAIL", user.email.to_string()),
        ("STATUS", user.status.into_str().to_owned()),
        ("SESSIONS", summary.sessions.to_string()),
        ("CREATED", times.show(user.created_at)),
        ("ID", user.id.to_string()),
    ];
    (to_json(summary), cells)
}

pub(super) fn facts_of(UserSummary { user, sessions }: &UserSummary, times: Times) -> String {
    let verified = match user.email_verified_at {
        Some(_) => "verified",
        None => "not verified",
    };
    let password = if user.has_password { "set" } else { "none" };
    facts(&[
        ("id", user.id.to_string()),
        ("username", user.username.to_string()),
        ("e-mail", format!("{} ({verified})", user.email)),
        ("password", password.to_owned()),
        ("status", user.status.into_str().to_owned()),
        ("locale", user.locale.as_str().to_owned()),
        ("created", times.show_both(user.created_at)),
        ("last sign-in", times.show_both(user.last_sign_in_at)),
        ("sessions", sessions.to_string()),
    ])
}
