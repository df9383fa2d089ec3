//! Accounts.

use super::engine::Row;
use super::reader::PageQuery;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{
    AccountName, AuditSubject, Email, InviteId, Locale, Page, Paging, PasswordHash, Timestamp, Timezone,
    User, UserId, UserStatus, Username,
};

/// What [`user_of`] takes, in this order.
macro_rules! user_columns {
    () => {
        "users.id, username, email, email_verified_at, password_hash IS NOT NULL, status, locale, timezone, users.created_at, last_sign_in_at"
    };
}
pub(super) use user_columns;

/// An account to add.
pub struct NewUserRow {
    pub id: UserId,
    pub username: Username,
    pub email: Email,
    pub email_verified_at: Option<Timestamp>,
    pub password_hash: Option<PasswordHash>,
    pub locale: Locale,
    /// The invite that was used to register the account.
    pub invite_id: Option<InviteId>,
    pub created_at: Timestamp,
}

/// A filter of accounts. A field that is `None` admits all.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Text in the username or address; the case of ASCII letters is ignored.
    pub search: Option<String>,
    pub status: Option<UserStatus>,
}

/// The columns of an account that a sign-in by password reads.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user_id: UserId,
    pub username: Username,
    /// `None` for an account without a password.
    pub password_hash: Option<PasswordHash>,
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

/// Takes the columns of an account. Rust evaluates the fields in the order in which they are written here.
pub(super) fn user_of(row: &mut Row<'_>) -> Result<User> {
    Ok(User {
        id: row.take()?,
        username: row.take()?,
        email: row.take()?,
        email_verified_at: row.take()?,
        has_password: row.take()?,
        status: row.take()?,
        locale: row.take()?,
        timezone: row.take()?,
        created_at: row.take()?,
        last_sign_in_at: row.take()?,
    })
}

/// The longest text that is searched for. No name or address is as long, and SQLite refuses a pattern of more than 50 000 bytes.
const MAX_SEARCH_CHARS: usize = 1_000;

/// The pattern of LIKE for keys that contain `search`. It is in lower case like every key, because not every engine ignores the case.
fn pattern_of(search: &str) -> String {
    let mut pattern = String::from("%");
    for c in search.to_ascii_lowercase().chars().take(MAX_SEARCH_CHARS) {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern + "%"
}

impl Reader<'_> {
    pub fn count_users(&self) -> Result<u32> {
        self.query_one("SELECT count(*) FROM users", params![], |row| row.take())
    }

    /// The account with this name.
    pub fn find_user_id(&self, name: &AccountName) -> Result<Option<UserId>> {
        let credentials = self.find_credentials(name)?;
        Ok(credentials.map(|credentials| credentials.user_id))
    }

    pub fn find_credentials(&self, name: &AccountName) -> Result<Option<Credentials>> {
        macro_rules! by {
            ($key:literal) => {
                concat!(
                    "SELECT id, username, password_hash, status FROM users WHERE ",
                    $key,
                    " = ?1"
                )
            };
        }
        let (sql, key) = match name {
            AccountName::Email(email) => (by!("email_key"), email.key()),
            AccountName::Username(username) => (by!("username_key"), username.key()),
            AccountName::Unusable(_) => return Ok(None),
        };
        self.query_opt(sql, params![key], |row| {
            Ok(Credentials {
                user_id: row.take()?,
                username: row.take()?,
                password_hash: row.take()?,
                status: row.take()?,
            })
        })
    }

    /// Every hash cost that is in use, as it is written in PHC strings, with the number of accounts that have it. Sorted by the text of the cost.
    pub fn list_password_costs(&self) -> Result<Vec<(String, u32)>> {
        let sql = "SELECT cost, accounts FROM password_costs ORDER BY cost";
        self.query(sql, params![], |row| Ok((row.take()?, row.take()?)))
    }

    /// The account with this address.
    pub fn find_user_by_email(&self, email: &Email) -> Result<Option<User>> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE email_key = ?1");
        self.query_opt(SQL, params![email.key()], user_of)
    }

    /// The account with this id.
    pub fn find_user(&self, id: UserId) -> Result<Option<User>> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?1");
        self.query_opt(SQL, params![id], user_of)
    }

    /// The account with this id, if `hash` is its password hash. In a change the answer holds until its end, because one writer runs all changes in turn.
    pub fn find_user_with_password(&self, id: UserId, hash: &PasswordHash) -> Result<Option<User>> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE id = ?1 AND password_hash = ?2"
        );
        self.query_opt(SQL, params![id, hash], user_of)
    }

    /// The number of live sessions of an account.
    pub fn count_live_sessions(&self, id: UserId, now: Timestamp) -> Result<u32> {
        let sql = "SELECT count(*) FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2";
        self.query_one(sql, params![id, now], |row| row.take())
    }

    /// Accounts in the order of their creation, each with the number of its live sessions.
    pub fn list_users(
        &self,
        filter: &UserFilter,
        paging: Paging<UserId>,
        now: Timestamp,
    ) -> Result<Page<(User, u32)>> {
        const COLUMNS: &str = concat!(
            user_columns!(),
            ", (SELECT count(*) FROM sessions
                WHERE user_id = users.id AND ended_at IS NULL AND expires_at > ?4) AS live_sessions"
        );
        let pattern = filter.search.as_deref().map(pattern_of);
        // The empty blob comes before every id.
        let after = paging.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let query = PageQuery {
            columns: COLUMNS,
            wanted: "FROM users WHERE id > ?1
             AND (CAST(?2 AS TEXT) IS NULL OR username_key LIKE ?2 ESCAPE '!' OR email_key LIKE ?2 ESCAPE '!')
             AND (CAST(?3 AS TEXT) IS NULL OR status = ?3)",
            values: params![after, pattern, filter.status],
            column_values: params![now],
            order: "ORDER BY id",
        };
        self.query_page(&query, paging.limit, |row| Ok((user_of(row)?, row.take()?)))
    }
}

impl Tx<'_> {
    /// Adds an account; returns false if its username or its address is taken, also if an undo reserves the address for another account. This statement and
    /// the unique indexes decide that.
    pub fn insert_user(&self, user: &NewUserRow) -> Result<bool> {
        // A conflict is not an error of SQLite, so the transaction can go on.
        let sql = "INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, password_hash, status, locale,
                                invite_id, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', ?8, ?9, ?10
             WHERE NOT EXISTS (SELECT 1 FROM email_undos WHERE email_key = ?5 AND expires_at > ?10)
             ON CONFLICT DO NOTHING";
        let values = params![
            user.id,
            user.username,
            user.username.key(),
            user.email,
            user.email.key(),
            user.email_verified_at,
            user.password_hash,
            user.locale,
            user.invite_id,
            user.created_at,
        ];
        Ok(self.execute_counted(sql, values)? == 1)
    }

    /// Changes the username of an account; returns false if it is taken.
    pub fn set_username(&self, id: UserId, username: &Username) -> Result<bool> {
        let sql = "UPDATE users SET username = ?2, username_key = ?3 WHERE id = ?1";
        self.update_unique(sql, params![id, username, username.key()])
    }

    /// Changes the address of an account, which it has had since `since`; returns false if the address is taken. Callers check whether an undo reserves it
    /// (see [`Reader::find_reservation`]). The address is unverified if `verified_at` is `None`. Voids every link and code that was mailed before, but no
    /// undo, even if the new address differs only in case. They stay void if the old address is set again.
    pub fn set_email(
        &self,
        id: UserId,
        email: &Email,
        verified_at: Option<Timestamp>,
        since: Timestamp,
    ) -> Result<bool> {
        let sql = "UPDATE users SET email = ?2, email_key = ?3, email_verified_at = ?4, email_since = ?5 WHERE id = ?1";
        let is_free = self.update_unique(sql, params![id, email, email.key(), verified_at, since])?;
        if is_free {
            self.void_links_and_codes(id)?;
        }
        Ok(is_free)
    }

    /// Marks the address of an account as verified; the time of the first proof stays.
    pub fn set_email_verified(&self, id: UserId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE users SET email_verified_at = coalesce(email_verified_at, ?2) WHERE id = ?1";
        self.execute(sql, params![id, now])
    }

    pub fn set_locale(&self, id: UserId, locale: &Locale) -> Result<()> {
        self.execute("UPDATE users SET locale = ?2 WHERE id = ?1", params![id, locale])
    }

    pub fn set_timezone(&self, id: UserId, timezone: Option<&Timezone>) -> Result<()> {
        let sql = "UPDATE users SET timezone = ?2 WHERE id = ?1";
        self.execute(sql, params![id, timezone])
    }

    /// Sets the password of an account; `None` removes it.
    pub fn set_password_hash(&self, id: UserId, hash: Option<&PasswordHash>) -> Result<()> {
        let sql = "UPDATE users SET password_hash = ?2 WHERE id = ?1";
        self.execute(sql, params![id, hash])
    }

    /// Replaces a hash with another of the same password at a different cost, unless the password has changed since.
    pub fn renew_password_hash(&self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<()> {
        let sql = "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";
        self.execute(sql, params![id, old, new])
    }

    /// Suspends or reactivates an account. Either change voids every link and code but undos: those from before the suspension, and those requested during it.
    pub fn set_user_status(&self, id: UserId, status: UserStatus) -> Result<()> {
        self.execute("UPDATE users SET status = ?2 WHERE id = ?1", params![id, status])?;
        self.void_links_and_codes(id)
    }

    pub fn set_last_sign_in(&self, id: UserId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE users SET last_sign_in_at = ?2 WHERE id = ?1";
        self.execute(sql, params![id, now])
    }

    /// Removes an account with its sessions.
    pub fn delete_user(&self, id: UserId) -> Result<()> {
        self.execute("DELETE FROM users WHERE id = ?1", params![id])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_no_pattern() {
        assert_eq!(pattern_of("Ann_5%!"), "%ann!_5!%!!%");
        assert_eq!(pattern_of(""), "%%");
    }
}
