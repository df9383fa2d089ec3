//! Accounts: what the operator does with them.

use crate::domain::{
    AuditEvent, Email, LinkOccasion, Locale, MailKind, Page, Paging, Password, SessionEnd, Timestamp, User,
    UserId, UserStatus, Username,
};
use crate::service::rules::Unit;
use crate::service::{Error, PasswordLink, Service, UserRef};
use crate::store::{NewUserRow, Reader, UserFilter};

/// An account that the operator creates.
#[derive(Debug)]
pub struct NewUser {
    pub username: Username,
    pub email: Email,
    /// Whether the operator vouches for the address.
    pub is_verified: bool,
    /// `None` if its owner sets it through a link.
    pub password: Option<Password>,
    /// The language of its mails; `None` for the default one.
    pub locale: Option<Locale>,
    /// Whether the link is only shown to the operator, and not mailed to the owner.
    pub no_mail: bool,
}

/// An account and how many of its sessions are alive.
#[derive(Clone, Debug)]
pub struct UserSummary {
    pub user: User,
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
    /// Creates an account in any registration mode. Without a password, the account gets a link with which its owner sets one. The link is also mailed,
    /// unless mail is off or `no_mail` is set.
    ///
    /// # Errors
    /// [`Error::LoginExists`], [`Error::EmailExists`], [`Error::EmailReserved`].
    pub async fn create_user(&self, new: NewUser) -> Result<(UserSummary, Option<PasswordLink>), Error> {
        let password_hash = match new.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let locale = new.locale.unwrap_or_else(|| self.default_locale());
        let record = self.by_operator(AuditEvent::UserCreated);
        let record = record.under(self.rules.email_digest(&new.email));
        self.change_audited(record, move |unit, record| {
            refuse_reserved(unit, &new.email, None, unit.now)?;
            let user = unit.open_account(&NewUserRow {
                id: unit.rules.system.new_id(),
                username: new.username.clone(),
                email: new.email.clone(),
                email_verified_at: new.is_verified.then_some(unit.now),
                password_hash: password_hash.clone(),
                locale: locale.clone(),
                invite_id: None,
                created_at: unit.now,
            })?;
            record.subject = Some((&user).into());
            let link = || unit.new_password_link(&user, LinkOccasion::NewAccount, new.no_mail);
            let link = (!user.has_password).then(link).transpose()?;
            Ok((UserSummary { user, sessions: 0 }, link))
        })
        .await
    }

    /// Creates a new link with which the owner of an account sets a password. The previous link stops working, and a queued mail with it is deleted. The
    /// present password and sessions stay until the new link is used.
    ///
    /// # Errors
    /// [`Error::UserSuspended`], because no link works for a suspended account.
    pub async fn create_password_link(
        &self,
        user: UserRef,
        no_mail: bool,
    ) -> Result<(UserSummary, PasswordLink), Error> {
        let record = self.by_operator(AuditEvent::UserLinkCreated);
        self.change_audited(record, move |unit, record| {
            let user = user.find(unit)?;
            record.subject = Some((&user).into());
            record.name = unit.rules.email_digest(&user.email);
            if user.status == UserStatus::Suspended {
                return Err(Error::UserSuspended.into());
            }
            unit.delete_mail_of(user.id, MailKind::SetPassword.into_str())?;
            let link = unit.new_password_link(&user, LinkOccasion::NewLink, no_mail)?;
            Ok((UserSummary::of(unit, user.id, unit.now)?, link))
        })
        .await
    }

    /// Accounts, the oldest first.
    ///
    /// # Errors
    /// [`Error::NotInList`] if no account has the id `paging.after`.
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

    /// Sets a password and ends every session of the account.
    pub async fn set_password(&self, user: UserRef, password: Password) -> Result<UserSummary, Error> {
        let hash = self.hasher.hash(password).await?;
        self.change_user(AuditEvent::UserPasswordSet, user, move |unit, user| {
            unit.replace_password(user, &hash, None)?;
            Ok(unit.mail_password_changed(user)?)
        })
        .await
    }

    /// Gives the account another address, unverified, and ends every session, because the holder of the old address may have begun one. No former address
    /// can be taken back any more.
    ///
    /// # Errors
    /// [`Error::EmailExists`], [`Error::EmailReserved`].
    pub async fn set_email(&self, user: UserRef, email: Email) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserEmailSet, user, move |unit, user| {
            refuse_reserved(unit, &email, Some(user.id), unit.now)?;
            let since = unit.leave_address(user, &email)?;
            if !unit.set_email(user.id, &email, None, since)? {
                return Err(Error::EmailExists);
            }
            unit.delete_email_undos_of(user.id)?;
            unit.end_sessions_of(user.id, None, SessionEnd::EmailChanged, unit.now)?;
            Ok(())
        })
        .await
    }

    /// Records that the operator vouches for the address.
    pub async fn verify_email(&self, user: UserRef) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserEmailVerified, user, |unit, user| {
            Ok(unit.set_email_verified(user.id, unit.now)?)
        })
        .await
    }

    /// Suspends the account and ends every session of it.
    pub async fn suspend(&self, user: UserRef) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserSuspended, user, |unit, user| {
            unit.set_user_status(user.id, UserStatus::Suspended)?;
            unit.end_sessions_of(user.id, None, SessionEnd::Suspended, unit.now)?;
            Ok(())
        })
        .await
    }

    /// Reactivates the account and forgets its wrong passwords and codes, so that its owner can sign in at once. Ended sessions stay ended.
    pub async fn reactivate(&self, user: UserRef) -> Result<UserSummary, Error> {
        self.change_user(AuditEvent::UserReactivated, user, |unit, user| {
            unit.set_user_status(user.id, UserStatus::Active)?;
            unit.forgive_guesses(user)
        })
        .await
    }

    /// Removes the account with its sessions; returns the account as it was.
    pub async fn delete_user(&self, user: UserRef) -> Result<User, Error> {
        let record = self.by_operator(AuditEvent::UserDeleted);
        self.change_audited(record, move |unit, record| {
            let user = user.find(unit)?;
            record.subject = Some((&user).into());
            record.name = unit.rules.email_digest(&user.email);
            unit.delete_user(user.id)?;
            Ok(user)
        })
        .await
    }

    /// Changes an account. The audit row has the digest of the address that the account has after the change.
    async fn change_user(
        &self,
        event: AuditEvent,
        user: UserRef,
        change: impl Fn(&Unit<'_>, &User) -> Result<(), Error> + Send + 'static,
    ) -> Result<UserSummary, Error> {
        self.change_audited(self.by_operator(event), move |unit, record| {
            let user = user.find(unit)?;
            record.subject = Some((&user).into());
            change(unit, &user)?;
            let summary = UserSummary::of(unit, user.id, unit.now)?;
            record.name = unit.rules.email_digest(&summary.user.email);
            Ok(summary)
        })
        .await
    }
}

/// Refuses an address that an account other than `but_for` can take back.
fn refuse_reserved(
    reader: &Reader<'_>,
    email: &Email,
    but_for: Option<UserId>,
    now: Timestamp,
) -> Result<(), Error> {
    match reader.find_reservation(email, but_for, now)? {
        Some((username, until)) => Err(Error::EmailReserved { username, until }),
        None => Ok(()),
    }
}
