//! The caller's own account.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::fields::{LOCALE, TIMEZONE, USERNAME};
use crate::domain::{AuditReason, LimitClass, Locale, Timezone, User, Username};
use crate::http::openapi::{EXAMPLE_TIME, EXAMPLE_UUID, Tag};
use crate::http::pipeline::bearer::Authenticated;
use crate::http::pipeline::error::Refusal;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::form::{Body, Field, Form};
use crate::limits::Subject;
use crate::service::{Caller, Error, ProfileChange};

/// The operations of this noun.
pub(crate) struct UserApi(pub(crate) Arc<Shared>);

/// An account as its owner sees it.
#[derive(Object)]
#[oai(rename = "User", example = true)]
struct UserBody {
    /// Its id, which stays whatever its names become.
    id: String,
    /// The username as its owner wrote it.
    username: String,
    /// The address as its owner wrote it.
    email: String,
    /// Whether its owner has proved to receive mail there.
    email_verified: bool,
    /// Whether it can sign in by password.
    has_password: bool,
    /// The language of its mails.
    locale: String,
    /// Its time zone; `null` if its owner has set none.
    #[oai(nullable)]
    timezone: Option<String>,
    /// When it was made: RFC 3339 in UTC, whole seconds.
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
            timezone: user
                .timezone
                .as_ref()
                .map(|timezone| timezone.as_str().to_owned()),
            created_at: user.created_at.to_string(),
        }
    }
}

impl Example for UserBody {
    fn example() -> Self {
        Self {
            id: EXAMPLE_UUID.to_owned(),
            username: "alice".to_owned(),
            email: "alice@example.org".to_owned(),
            email_verified: false,
            has_password: true,
            locale: "en".to_owned(),
            timezone: Some("Europe/Berlin".to_owned()),
            created_at: EXAMPLE_TIME.to_owned(),
        }
    }
}

/// What to change of the account.
struct UpdateMe;

impl Body for UpdateMe {
    const NAME: &'static str = "UpdateMeRequest";
    const FIELDS: &'static [&'static Field] = &[&USERNAME, &LOCALE, &TIMEZONE];
}

impl UpdateMe {
    /// `default` is the language in the place of a hint that names none.
    fn read(mut form: Form<Self>, default: Locale) -> Result<ProfileChange, Error> {
        let username = form.optional(&USERNAME, Username::parse);
        let locale = form
            .optional(&LOCALE, Locale::from_hint)
            .map(|named| named.unwrap_or(default));
        let timezone = form.change(&TIMEZONE, Timezone::parse);
        form.finish(Some(ProfileChange {
            username,
            locale,
            timezone,
        }))
    }
}

impl Shared {
    /// Counts a change of the username before anything compares the new name, since the answer says whether it is taken. The present name is no change.
    fn admit_rename(&self, caller: &Caller, username: Option<&Username>) -> Result<(), Refusal> {
        let is_renamed = username.is_some_and(|new| *new != caller.user.username);
        if let (Some(throttle), true) = (&self.throttle, is_renamed) {
            let account = Subject::Account(caller.user.id);
            let (_, outcome) = throttle.count(LimitClass::Rename, account);
            outcome.inspect_err(|_| {
                self.service
                    .note_caller_throttled(caller, AuditReason::RenameLimit);
            })?;
        }
        Ok(())
    }
}

#[OpenApi(tag = "Tag::Account")]
impl UserApi {
    /// Show the own account
    ///
    /// The account as it is now, whatever the access token said when it was issued.
    #[oai(path = "/v1/me", method = "get", operation_id = "get_me")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn get_me(&self, caller: Authenticated) -> Json<UserBody> {
        Json(UserBody::from(&caller.0.user))
    }

    /// Change the own account
    ///
    /// Fields that are absent stay as they are, and `{}` changes nothing. `null` or an empty text clears `timezone`; the other fields, which every account
    /// has, stay as they are then too. Changes of the username have a limit of their own for each account,
    /// and those that are refused because the name is taken count too. The present username, repeated exactly, is no change.
    #[oai(path = "/v1/me", method = "patch", operation_id = "update_me")]
    async fn update_me(&self, caller: Authenticated, form: Form<UpdateMe>) -> poem::Result<Json<UserBody>> {
        let change = UpdateMe::read(form, self.0.service.default_locale())?;
        self.0.admit_rename(&caller.0, change.username.as_ref())?;
        let user = self.0.service.update_profile(&caller.0, change).await?;
        Ok(Json(UserBody::from(&user)))
    }
}
