//! Accounts.

use rusqlite::types::Type;
use rusqlite::{ErrorCode, OptionalExtension, Row, params};

use super::{Reader, StoreError, Tx};
use crate::domain::{
    AccountName, AuditSubject, Email, InviteId, Locale, Page, Paging, PasswordHash, Timestamp, Timezone,
    User, UserId, UserStatus, Username,
};

const COLUMNS: &str = "users.id AS user_id, username, email, email_verified_at, password_hash IS NOT NULL AS has_password, \
                       status, locale, timezone, users.created_at AS user_created_at, last_sign_in_at";

/// An account to add.
pub struct NewUserRow {
    /// Its id.
    pub id: UserId,
    /// Its username.
    pub username: Username,
    /// Its address.
    pub email: Email,
    /// When the address was proved.
    pub email_verified_at: Option<Timestamp>,
    /// Its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// The language of its mails.
    pub locale: Locale,
    /// Which invite admitted it.
    pub invite_id: Option<InviteId>,
    /// Now.
    pub created_at: Timestamp,
}

/// Which accounts are asked for; `None` asks for all.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Those with this text in their username or address, whatever its case.
    pub search: Option<String>,
    /// Those of this status.
    pub status: Option<UserStatus>,
}

/// What is taken by another account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The username.
    Username,
    /// The address.
    Email,
}

/// What a sign-in by password needs to know.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// How it calls itself.
    pub username: Username,
    /// The hash; `None` for an account that signs in otherwise.
    pub password_hash: Option<PasswordHash>,
    /// Whether the account may be used.
    pub status: UserStatus,
}

impl From<&Credentials> for AuditSubject {
    fn from(credentials: &Credentials) -> Self {
        Self {
            user_id: credentials.user_id,
            username: credentials.username.as_str().to_owned(),
        }
    }
}

/// Reads the [`COLUMNS`].
pub(super) fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::from_bytes(row.get("user_id")?),
        username: Username::from_stored(row.get("username")?),
        email: Email::from_stored(row.get("email")?),
        email_verified_at: row
            .get::<_, Option<i64>>("email_verified_at")?
            .map(Timestamp::from_millis),
        has_password: row.get("has_password")?,
        status: status_of(row)?,
        locale: Locale::from_stored(row.get("locale")?),
        timezone: row
            .get::<_, Option<String>>("timezone")?
            .map(Timezone::from_stored),
        created_at: Timestamp::from_millis(row.get("user_created_at")?),
        last_sign_in_at: row
            .get::<_, Option<i64>>("last_sign_in_at")?
            .map(Timestamp::from_millis),
    })
}

fn status_of(row: &Row<'_>) -> rusqlite::Result<UserStatus> {
    let name: String = row.get("status")?;
    name.parse()
        .map_err(|_| rusqlite::Error::InvalidColumnType(0, name, Type::Text))
}

/// The columns that [`user_of`] reads, for other files of the store.
pub(super) const fn columns() -> &'static str {
    COLUMNS
}

/// The column and the key that find a name; `None` for a name that nobody can have.
fn lookup(name: &AccountName) -> Option<(&'static str, String)> {
    match name {
        AccountName::Email(email) => Some(("email_key", email.key())),
        AccountName::Username(username) => Some(("username_key", username.key())),
        AccountName::Nobody(_) => None,
    }
}

impl Reader<'_> {
    /// How many accounts there are.
    pub fn count_users(&self) -> Result<u32, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM users")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// The account with this name.
    pub fn find_user_id(&self, name: &AccountName) -> Result<Option<UserId>, StoreError> {
        Ok(self
            .find_credentials(name)?
            .map(|credentials| credentials.user_id))
    }

    /// What a sign-in under this name needs to know.
    pub fn find_credentials(&self, name: &AccountName) -> Result<Option<Credentials>, StoreError> {
        let Some((column, key)) = lookup(name) else {
            return Ok(None);
        };
        let sql = format!("SELECT id, username, password_hash, status FROM users WHERE {column} = ?1");
        let credentials = self.connection.prepare_cached(&sql)?.query_row([key], |row| {
            Ok(Credentials {
                user_id: UserId::from_bytes(row.get("id")?),
                username: Username::from_stored(row.get("username")?),
                password_hash: row
                    .get::<_, Option<String>>("password_hash")?
                    .map(PasswordHash::new),
                status: status_of(row)?,
            })
        });
        Ok(credentials.optional()?)
    }

    /// At which costs passwords are stored, as in their PHC strings, and how many accounts have each; in a fixed order.
    pub fn list_password_costs(&self) -> Result<Vec<(String, u32)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT cost, accounts FROM password_costs ORDER BY cost")?;
        let costs = statement.query_map([], |row| Ok((row.get("cost")?, row.get("accounts")?)))?;
        Ok(costs.collect::<Result<_, _>>()?)
    }

    /// The account with this address.
    pub fn find_user_by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE email_key = ?1");
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_row([email.key()], user_of)
            .optional()?)
    }

    /// The account with this id.
    pub fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_row([id.as_bytes()], user_of)
            .optional()?)
    }

    /// How many sessions of an account are alive.
    pub fn count_live_sessions(&self, id: UserId, now: Timestamp) -> Result<u32, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2",
        )?;
        Ok(statement.query_row(params![id.as_bytes(), now.as_millis()], |row| row.get(0))?)
    }

    /// Accounts in the order of their making, each with the number of its living sessions.
    pub fn list_users(
        &self,
        filter: &UserFilter,
        paging: Paging<UserId>,
        now: Timestamp,
    ) -> Result<Page<(User, u32)>, StoreError> {
        // Every id is greater than the empty one.
        const WANTED: &str = "FROM users WHERE id > ?1
             AND (?2 IS NULL OR instr(username_key, ?2) > 0 OR instr(email_key, ?2) > 0) AND (?3 IS NULL OR status = ?3)";
        let search = filter.search.as_deref().map(str::to_ascii_lowercase);
        let status = filter.status.map(<&str>::from);
        let after = |id: Option<&UserId>| id.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = format!(
            "SELECT {COLUMNS}, (SELECT count(*) FROM sessions
                                WHERE user_id = users.id AND ended_at IS NULL AND expires_at > ?4) AS live_sessions
             {WANTED} ORDER BY id LIMIT ?5"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let values = params![
            after(paging.after.as_ref()),
            search,
            status,
            now.as_millis(),
            paging.limit
        ];
        let users = statement.query_map(values, |row| Ok((user_of(row)?, row.get("live_sessions")?)))?;
        let rows: Vec<(User, u32)> = users.collect::<Result<_, _>>()?;
        let last = rows.last().map(|(user, _)| &user.id).or(paging.after.as_ref());
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT count(*) {WANTED}"))?;
        let more = statement.query_row(params![after(last), search, status], |row| row.get(0))?;
        Ok(Page { rows, more })
    }
}

impl Tx<'_> {
    /// Adds an account. The unique indexes decide whether its names are free.
    pub fn insert_user(&self, user: &NewUserRow) -> Result<Result<(), Taken>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, password_hash, status, locale,
                                invite_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', ?8, ?9, ?10)",
        )?;
        let inserted = statement.execute(params![
            user.id.as_bytes(),
            user.username.as_str(),
            user.username.key(),
            user.email.as_str(),
            user.email.key(),
            user.email_verified_at.map(Timestamp::as_millis),
            user.password_hash.as_ref().map(PasswordHash::as_str),
            user.locale.as_str(),
            user.invite_id.as_ref().map(InviteId::as_bytes),
            user.created_at.as_millis(),
        ]);
        self.taken(inserted, &user.username)
    }

    /// Says what is taken when a unique index refused a row; the username is named first if both are.
    fn taken(
        &self,
        changed: rusqlite::Result<usize>,
        username: &Username,
    ) -> Result<Result<(), Taken>, StoreError> {
        match changed {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                match self.find_user_id(&AccountName::Username(username.clone()))? {
                    Some(_) => Ok(Err(Taken::Username)),
                    None => Ok(Err(Taken::Email)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Renames an account.
    pub fn set_username(&self, id: UserId, username: &Username) -> Result<Result<(), Taken>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET username = ?2, username_key = ?3 WHERE id = ?1")?;
        match statement.execute(params![id.as_bytes(), username.as_str(), username.key()]) {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(Err(Taken::Username))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives an account another address, which is unverified until it is proved. Every link and code that was mailed before is void, also where only the
    /// spelling changes, and for good: the old address may come back.
    pub fn set_email(&self, id: UserId, email: &Email) -> Result<Result<(), Taken>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE users SET email = ?2, email_key = ?3, email_verified_at = NULL WHERE id = ?1",
        )?;
        match statement.execute(params![id.as_bytes(), email.as_str(), email.key()]) {
            Ok(_) => Ok(Ok(self.void_links_and_codes(id)?)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(Err(Taken::Email))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes that the address of an account is proved; keeps the first time.
    pub fn set_email_verified(&self, id: UserId, now: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE users SET email_verified_at = coalesce(email_verified_at, ?2) WHERE id = ?1",
            )?
            .execute(params![id.as_bytes(), now.as_millis()])?;
        Ok(())
    }

    /// Sets the language of an account's mails.
    pub fn set_locale(&self, id: UserId, locale: &Locale) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET locale = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_bytes(), locale.as_str()])?;
        Ok(())
    }

    /// Sets the time zone of an account; `None` clears it.
    pub fn set_timezone(&self, id: UserId, timezone: Option<&Timezone>) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET timezone = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_bytes(), timezone.map(Timezone::as_str)])?;
        Ok(())
    }

    /// Sets the password of an account.
    pub fn set_password_hash(&self, id: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET password_hash = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_bytes(), hash.as_str()])?;
        Ok(())
    }

    /// Takes the password of an account away.
    pub fn clear_password_hash(&self, id: UserId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE users SET password_hash = NULL WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        Ok(())
    }

    /// Replaces a hash by one of the same password at another cost, unless the password was changed meanwhile.
    pub fn renew_password_hash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2")?
            .execute(params![id.as_bytes(), old.as_str(), new.as_str()])?;
        Ok(())
    }

    /// Suspends or reactivates an account. Either voids every link and code: those of before the suspension, and those that were asked for during it.
    pub fn set_user_status(&self, id: UserId, status: UserStatus) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET status = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_bytes(), status.into_str()])?;
        self.void_links_and_codes(id)
    }

    /// Notes a sign-in.
    pub fn set_last_sign_in(&self, id: UserId, now: Timestamp) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE users SET last_sign_in_at = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_bytes(), now.as_millis()])?;
        Ok(())
    }

    /// Removes an account with its sessions; says whether there was one.
    pub fn delete_user(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM users WHERE id = ?1")?
            .execute([id.as_bytes()])?
            == 1)
    }
}
