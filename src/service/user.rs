//! The caller's own account, and whether an account exists.

use super::rules::Caller;
use super::{Error, Service};
use crate::domain::{AccountName, AuditEvent, Client, Locale, Timezone, User, Username};

/// What an owner changes about their account; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    pub username: Option<Username>,
    pub locale: Option<Locale>,
    /// `Some(None)` removes the time zone.
    pub timezone: Option<Option<Timezone>>,
}

impl ProfileChange {
    /// The changes that differ from what `user` has.
    fn beyond(self, user: &User) -> Self {
        Self {
            username: self.username.filter(|username| *username != user.username),
            locale: self.locale.filter(|locale| *locale != user.locale),
            timezone: self.timezone.filter(|timezone| *timezone != user.timezone),
        }
    }
}

impl Service {
    /// Changes the caller's own account. Values that the account already has are ignored. If no others are left, nothing is written.
    ///
    /// # Errors
    /// [`Error::LoginExists`].
    pub async fn update_profile(&self, caller: &Caller, change: ProfileChange) -> Result<User, Error> {
        let change = change.beyond(&caller.user);
        if change == ProfileChange::default() {
            return Ok(caller.user.clone());
        }
        let (id, caller) = (caller.user.id, caller.clone());
        let mut record = caller.record(AuditEvent::ProfileChanged);
        if let Some(username) = &change.username {
            record = record.saying(format!("username {username}"));
        }
        self.change_audited(record, move |unit, _| {
            unit.find_alive(&caller)?;
            if let Some(username) = &change.username
                && !unit.set_username(id, username)?
            {
                return Err(Error::LoginExists.into());
            }
            if let Some(locale) = &change.locale {
                unit.set_locale(id, locale)?;
            }
            if let Some(timezone) = &change.timezone {
                unit.set_timezone(id, timezone.as_ref())?;
            }
            Ok(unit.find_user(id)?.ok_or(Error::InvalidToken)?)
        })
        .await
    }

    /// Whether there is an account with this name.
    ///
    /// # Errors
    /// The refusals of the captcha, if the operator also requires one here.
    pub async fn account_exists(
        &self,
        name: AccountName,
        captcha_token: Option<&str>,
        client: &Client,
    ) -> Result<bool, Error> {
        if self.captcha_protects_check() {
            self.check_captcha(captcha_token, client).await?;
        }
        let found = self.store.read(move |reader| reader.find_user_id(&name));
        Ok(found.await?.is_some())
    }
}
