//! Accounts: what their owners and the operator do with them.

use std::sync::Arc;

use super::password_link::{LinkMail, PasswordLink, new_password_link};
use super::registration::insert_user;
use super::rules::audit::Auditor;
use super::session::Caller;
use super::{Error, Service};
use crate::domain::{
    AccountName, AuditEvent, Email, Letter, LinkOccasion, Locale, Page, Paging, Password, SessionEnd,
    Timestamp, Timezone, User, UserId, UserStatus, Username, trimmed,
};
use crate::store::{AuditFilter, NewUserRow, Reader, Tx, UserFilter};
use crate::system::System;

/// What an operator typed to say which account they mean: its id, username or address.
#[derive(Clone, Debug)]
pub struct UserRef {
    typed: String,
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Id(UserId),
    Name(AccountName),
    Nobody,
}

impl From<&str> for UserRef {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl UserRef {
    /// Reads a reference; what can be no account's id or name refers to nobody.
    pub fn parse(text: &str) -> Self {
        let target = match trimmed(text).parse() {
            Ok(id) => Target::Id(id),
            Err(_) => match AccountName::parse(text) {
                Ok(AccountName::Nobody(_)) | Err(_) => Target::Nobody,
                Ok(name) => Target::Name(name),
            },
        };
        Self {
            typed: text.to_owned(),
            target,
        }
    }

    /// What finds the rows of the audit log about this account, also when it is gone or has another name.
    pub(super) fn audit_filter(&self, reader: &Reader<'_>, auditor: &Auditor) -> Result<AuditFilter, Error> {
        Ok(match &self.target {
            Target::Id(id) => AuditFilter {
                user_id: Some(*id),
                ..AuditFilter::default()
            },
            Target::Nobody => return Err(Error::UserNotFound(self.typed.clone())),
            Target::Name(name) => AuditFilter {
                user_id: reader.find_user_id(name)?,
                username_key: match name {
                    AccountName::Username(username) => Some(username.key()),
                    AccountName::Email(_) | AccountName::Nobody(_) => None,
                },
                name: auditor.keys.name_digest(name),
                ..AuditFilter::default()
            },
        })
    }

    /// The form in which the name is unique that was typed; `None` if it was an id or can be no name.
    pub(super) fn name_key(&self) -> Option<String> {
        match &self.target {
            Target::Name(name) => Some(name.key()),
            Target::Id(_) | Target::Nobody => None,
        }
    }

    pub(super) fn find(&self, reader: &Reader<'_>) -> Result<User, Error> {
        self.find_if_there(reader)?
            .ok_or_else(|| Error::UserNotFound(self.typed.clone()))
    }

    /// The account; `None` if there is none.
    pub(super) fn find_if_there(&self, reader: &Reader<'_>) -> Result<Option<User>, Error> {
        let id = match &self.target {
            Target::Id(id) => Some(*id),
            Target::Name(name) => reader.find_user_id(name)?,
            Target::Nobody => None,
        };
        Ok(id.map(|id| reader.find_user(id)).transpose()?.flatten())
    }
}

impl From<UserId> for UserRef {
    fn from(id: UserId) -> Self {
        Self {
            typed: id.to_string(),
            target: Target::Id(id),
        }
    }
}

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

/// An account that the operator makes.
#[derive(Debug)]
pub struct NewUser {
    /// Its username.
    pub username: Username,
    /// Its address.
    pub email: Email,
    /// Whether the operator vouches for the address.
    pub is_verified: bool,
    /// Its password; without one its owner sets it through a link.
    pub password: Option<Password>,
    /// The language of its mails; `None` for the default one.
    pub locale: Option<Locale>,
    /// Whether its owner gets the link by mail too.
    pub link_mail: LinkMail,
}

/// An account that the operator made. No `Debug`: it may hold a link.
#[derive(Clone)]
pub struct CreatedUser {
    /// The account.
    pub summary: UserSummary,
    /// Where its owner sets a password, if it has none.
    pub link: Option<PasswordLink>,
}

/// An account and how many of its sessions are alive.
#[derive(Clone, Debug)]
pub struct UserSummary {
    /// The account.
    pub user: User,
    /// How many of its sessions are alive.
    pub sessions: u32,
}

impl UserSummary {
    pub(super) fn of(reader: &Reader<'_>, id: UserId, now: Timestamp) -> Result<Self, Error> {
        let user = reader
            .find_user(id)?
            .ok_or_else(|| Error::internal("a user is gone within one transaction"))?;
        Ok(Self {
            user,
            sessions: reader.count_live_sessions(id, now)?,
        })
    }
}

impl Service {
    /// Changes what the caller wants changed about their own account. What the account has already is no change, and a change of nothing leaves no trace.
    ///
    /// # Errors
    /// [`Error::LoginExists`].
    pub async fn update_profile(&self, caller: &Caller, change: ProfileChange) -> Result<User, Error> {
        let change = change.beyond(&caller.user);
        if change == ProfileChange::default() {
            return Ok(caller.user.clone());
        }
        let (id, caller, system) = (caller.user.id, caller.clone(), self.system.clone());
        let mut record = caller.record(AuditEvent::ProfileChanged);
        if let Some(username) = &change.username {
            record = record.saying(format!("username {username}"));
        }
        self.write_audited(record, move |tx, _| {
            caller.find_alive(tx, system.now())?;
            if let Some(username) = &change.username {
                tx.set_username(id, username)?.map_err(Error::from)?;
            }
            if let Some(locale) = &change.locale {
                tx.set_locale(id, locale)?;
            }
            match &change.timezone {
                Change::Keep => {}
                Change::Clear => tx.set_timezone(id, None)?,
                Change::Set(timezone) => tx.set_timezone(id, Some(timezone))?,
            }
            Ok(tx.find_user(id)?.ok_or(Error::InvalidToken)?)
        })
        .await
    }

    /// Makes an account without regard to the registration mode. Without a password it gives a link with which its owner sets one, and mails it if mail is
    /// sent at all.
    ///
    /// # Errors
    /// [`Error::LoginExists`], [`Error::EmailExists`].
    pub async fn create_user(&self, new: NewUser) -> Result<CreatedUser, Error> {
        let password_hash = match new.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let post = Arc::clone(&self.rules);
        let record = self
            .by_operator(AuditEvent::UserCreated)
            .under(self.rules.auditor.digest_of(&new.email));
        self.write_audited_and_mail(record, move |tx, record| {
            let now = post.system.now();
            let row = NewUserRow {
                id: post.system.new_user_id(),
                username: new.username,
                email: new.email,
                email_verified_at: new.is_verified.then_some(now),
                password_hash,
                locale: new.locale.unwrap_or_else(|| post.composer.default_locale()),
                invite_id: None,
                created_at: now,
            };
            let user = insert_user(tx, &row)?;
            record.subject = Some((&user).into());
            let link = if user.has_password {
                None
            } else {
                let occasion = LinkOccasion::NewAccount;
                Some(new_password_link(tx, &post, &user, occasion, new.link_mail)?)
            };
            Ok(CreatedUser {
                summary: UserSummary { user, sessions: 0 },
                link,
            })
        })
        .await
    }

    /// Accounts in the order of their making.
    ///
    /// # Errors
    /// [`Error::NotInList`] if no account has the id behind which to begin.
    pub async fn list_users(
        &self,
        filter: UserFilter,
        paging: Paging<UserId>,
    ) -> Result<Page<UserSummary>, Error> {
        let now = self.system.now();
        let page = self.store.report(move |reader| {
            if let Some(id) = paging.after
                && reader.find_user(id)?.is_none()
            {
                return Err(Error::NotInList(id.to_string()));
            }
            Ok(reader.list_users(&filter, paging, now)?)
        });
        page.await?
            .try_map(|(user, sessions)| Ok(UserSummary { user, sessions }))
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::UserNotFound`], as in every method that takes a [`UserRef`].
    pub async fn find_user(&self, user: UserRef) -> Result<UserSummary, Error> {
        let now = self.system.now();
        self.store
            .report(move |reader| UserSummary::of(reader, user.find(reader)?.id, now))
            .await
    }

    /// Sets a password, and ends every session of the account.
    pub async fn set_password(&self, user: UserRef, password: Password) -> Result<UserSummary, Error> {
        let hash = self.hasher.hash(password).await?;
        let (post, failures) = (Arc::clone(&self.rules), self.failures.clone());
        self.change_user(AuditEvent::UserPasswordSet, user, move |tx, user, now| {
            tx.set_password_hash(user.id, &hash)?;
            tx.end_sessions_of(user.id, None, SessionEnd::PasswordChanged, now)?;
            tx.delete_password_links(user.id)?;
            tx.delete_code_of(user.id)?;
            failures.forgive(tx, user)?;
            let letter = Letter::PasswordChanged {
                username: user.username.as_str().to_owned(),
            };
            post.queue(tx, &letter, user, now)
        })
        .await
    }

    /// Gives the account another address, unverified, and ends every session: whoever held the old address may hold them.
    ///
    /// # Errors
    /// [`Error::EmailExists`].
    pub async fn set_email(&self, user: UserRef, email: Email) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserEmailSet, user, move |tx, user, now| {
            tx.set_email(user.id, &email)??;
            tx.end_sessions_of(user.id, None, SessionEnd::EmailChanged, now)?;
            Ok(())
        })
        .await
    }

    /// Notes that the operator vouches for the address.
    pub async fn verify_email(&self, user: UserRef) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserEmailVerified, user, |tx, user, now| {
            Ok(tx.set_email_verified(user.id, now)?)
        })
        .await
    }

    /// Suspends the account, and ends every session of it.
    pub async fn suspend(&self, user: UserRef) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserSuspended, user, |tx, user, now| {
            tx.set_user_status(user.id, UserStatus::Suspended)?;
            tx.end_sessions_of(user.id, None, SessionEnd::Suspended, now)?;
            Ok(())
        })
        .await
    }

    /// Lets the account be used again, and its passwords and codes compared; its ended sessions stay ended.
    pub async fn reactivate(&self, user: UserRef) -> Result<UserSummary, Error> {
        let failures = self.failures.clone();
        self.change_user(AuditEvent::UserReactivated, user, move |tx, user, _| {
            tx.set_user_status(user.id, UserStatus::Active)?;
            failures.forgive(tx, user)
        })
        .await
    }

    /// Removes the account with its sessions; gives it as it was.
    pub async fn delete_user(&self, user: UserRef) -> Result<User, Error> {
        let auditor = Arc::clone(&self.rules.auditor);
        let record = self.by_operator(AuditEvent::UserDeleted);
        self.write_audited(record, move |tx, record| {
            let user = user.find(tx)?;
            record.subject = Some((&user).into());
            record.name = auditor.digest_of(&user.email);
            tx.delete_user(user.id)?;
            Ok(user)
        })
        .await
    }

    /// Does something to an account; its row says under which address the account can be found afterwards.
    async fn change_user(
        &self,
        event: AuditEvent,
        user: UserRef,
        change: impl FnOnce(&Tx<'_>, &User, Timestamp) -> Result<(), Error> + Send + 'static,
    ) -> Result<UserSummary, Error> {
        let (system, auditor): (System, _) = (self.system.clone(), Arc::clone(&self.rules.auditor));
        let record = self.by_operator(event);
        self.write_audited_and_mail(record, move |tx, record| {
            let (user, now) = (user.find(tx)?, system.now());
            record.subject = Some((&user).into());
            change(tx, &user, now)?;
            let summary = UserSummary::of(tx, user.id, now)?;
            record.name = auditor.digest_of(&summary.user.email);
            Ok(summary)
        })
        .await
    }
}
