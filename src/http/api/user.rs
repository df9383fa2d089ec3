//! The caller's own account.

use std::future::ready;

use poem::http::Method;
use poem::web::Json;
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use serde::Serialize;

use super::fields::{LOCALE, TIMEZONE, USERNAME};
use super::own_limit::admit;
use crate::domain::{AuditReason, LimitClass, Locale, Timezone, User, Username};
use crate::http::pipeline::{Code, Exchange, Fields, Operation, Refusal, Shared, Success, Tag};
use crate::service::{Caller, Error, ProfileChange};

/// An account as its owner sees it.
// `Serialize` writes what `Object` describes, without building the tree of values first.
#[derive(Object, Serialize)]
#[oai(rename = "User")]
pub(super) struct UserBody {
    /// The id of the account, which never changes.
    id: String,
    /// The username as its owner wrote it.
    username: String,
    /// The address as its owner wrote it.
    email: String,
    /// Whether the address is verified.
    email_verified: bool,
    /// Whether the account has a password.
    has_password: bool,
    /// The language of mails to the owner.
    locale: String,
    /// The time zone of the owner; `null` if none is set.
    #[oai(nullable)]
    timezone: Option<String>,
    /// When the account was created: RFC 3339 in UTC, whole seconds.
    created_at: String,
}

impl From<&User> for UserBody {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str().to_owned(),
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified_at.is_some(),
            has_password: user.has_password,
            locale: user.locale.as_str().to_owned(),
            timezone: user.timezone.as_ref().map(ToString::to_string),
            created_at: user.created_at.to_string(),
        }
    }
}

const OWN_ACCOUNT: Success = Success::json::<UserBody>(
    "",
    r#"{
        "id": "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17",
        "username": "alice",
        "email": "alice@example.org",
        "email_verified": false,
        "has_password": true,
        "locale": "en",
        "timezone": "Europe/Berlin",
        "created_at": "2026-11-22T10:00:00Z"
    }"#,
);

pub(super) const GET_ME: Operation = Operation {
    id: "get_me",
    path: "/v1/me",
    tag: Some(Tag::Account),
    summary: "Show the caller's account",
    description: "The account as it is now, also if it has changed since the access token was issued.",
    success: OWN_ACCOUNT,
    ..Operation::with_token(|_, caller| Box::pin(ready(Ok(get_me(&caller)))))
};

fn get_me(caller: &Caller) -> Response {
    Json(UserBody::from(&caller.user)).into_response()
}

pub(super) const UPDATE_ME: Operation = Operation {
    id: "update_me",
    method: &Method::PATCH,
    path: "/v1/me",
    request: "UpdateMeRequest",
    fields: &[&USERNAME, &LOCALE, &TIMEZONE],
    refusals: &[Code::LoginExists],
    tag: Some(Tag::Account),
    summary: "Change the caller's account",
    description: "Fields that are absent stay as they are, and `{}` changes nothing. `null` or an empty text clears `timezone` and leaves every other field as \
                  it is. Changes of the username have a limit of their own for each account, which also counts changes that are refused because the name is \
                  taken. Repeating the present username exactly is no change.",
    success: OWN_ACCOUNT,
    ..Operation::with_token(|exchange, caller| Box::pin(update_me(exchange, caller)))
};

async fn update_me(exchange: Exchange, caller: Caller) -> Result<Response, Refusal> {
    let shared = &exchange.shared;
    let change = read(exchange.fields, shared.service.default_locale())?;
    admit_rename(shared, &caller, change.username.as_ref())?;
    let user = shared.service.update_profile(&caller, change).await?;
    Ok(Json(UserBody::from(&user)).into_response())
}

/// `default` is the locale for a hint that names no language.
fn read(mut fields: Fields, default: Locale) -> Result<ProfileChange, Error> {
    let username = fields.optional(&USERNAME, Username::parse);
    let locale = fields
        .optional(&LOCALE, Locale::from_hint)
        .map(|named| named.unwrap_or(default));
    let timezone = fields.change(&TIMEZONE, Timezone::parse);
    fields.finish(Some(ProfileChange {
        username,
        locale,
        timezone,
    }))
}

/// Counts a change of the username against its limit. This comes before the new name is looked up, because the answer tells whether the name is taken. A
/// request that repeats the present name is not counted.
fn admit_rename(shared: &Shared, caller: &Caller, username: Option<&Username>) -> Result<(), Refusal> {
    let is_renamed = username.is_some_and(|new| *new != caller.user.username);
    if is_renamed {
        admit(shared, caller, LimitClass::Rename, AuditReason::RenameLimit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON as _;

    use super::*;

    #[test]
    fn an_account_is_written_as_it_is_described() {
        for timezone in [None, Some("Europe/Berlin".to_owned())] {
            let body = UserBody {
                id: "1".to_owned(),
                username: "\"Ä\"\u{1}".to_owned(),
                email: "2".to_owned(),
                email_verified: true,
                has_password: false,
                locale: "3".to_owned(),
                timezone,
                created_at: "4".to_owned(),
            };
            let written = serde_json::to_string(&body).expect("it has text only");
            assert_eq!(written, body.to_json_string());
        }
    }
}
