//! The caller's own account, and whether an account exists.

use super::rules::Caller;
use super::{Error, Service};
use crate::domain::{AccountName, AuditEvent, Client, Locale, Timezone, User, Username};

/// A change of a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// The account lacks it from now on.
    Clear,
    /// This takes its place.
    Set(T),
}

/// What an owner changes about their account; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Another username.
    pub username: Option<Username>,
    /// Another language.
    pub locale: Option<Locale>,
    /// Another time zone, or none.
    pub timezone: Change<Timezone>,
}

impl ProfileChange {
    /// Only the changes that differ from what `user` has.
    fn beyond(self, user: &User) -> Self {
        let is_repeated = match &self.timezone {
            Change::Keep => true,
            Change::Clear => user.timezone.is_none(),
            Change::Set(timezone) => user.timezone.as_ref() == Some(timezone),
        };
        Self {
            username: self.username.filter(|username| *username != user.username),
            locale: self.locale.filter(|locale| *locale != user.locale),
            timezone: if is_repeated { Change::Keep } else { self.timezone },
        }
    }
}

impl Service {
    /// Changes what the caller asked for about their own account. What the account has already is no change, and a change of nothing leaves no trace.
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
            match &change.timezone {
                Change::Keep => {}
                Change::Clear => unit.set_timezone(id, None)?,
                Change::Set(timezone) => unit.set_timezone(id, Some(timezone))?,
            }
            Ok(unit.find_user(id)?.ok_or(Error::InvalidToken)?)
        })
        .await
    }

    /// Whether there is an account with this name.
    ///
    /// # Errors
    /// The refusals of the captcha, where the operator asks for one here too.
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
