//! Queries over all accounts, sessions and mails, for `check` and the metrics.

use super::value::params;
use super::{Reader, Result};
use crate::domain::{Timestamp, Username};

impl Reader<'_> {
    /// The latest time at which an account was created or a session was used; `None` if there are no accounts and no sessions.
    pub fn find_latest_time(&self) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(at) FROM (SELECT max(last_used_at) AS at FROM sessions UNION ALL SELECT max(created_at) FROM users) AS times";
        self.query_one(sql, params![], |row| row.take())
    }

    /// When the oldest account was created; `None` if there is none.
    pub fn find_first_user_time(&self) -> Result<Option<Timestamp>> {
        self.query_one("SELECT min(created_at) FROM users", params![], |row| row.take())
    }

    /// Usernames of 32 hexadecimal digits, and usernames of only digits and full stops; the oldest account comes first.
    pub fn list_digit_usernames(&self) -> Result<Vec<Username>> {
        let sql = "SELECT username FROM users
             WHERE length(username_key) = 32 AND ltrim(username_key, '0123456789abcdef') = '' OR ltrim(username_key, '0123456789.') = ''
             ORDER BY id";
        self.query(sql, params![], |row| row.get("username"))
    }

    /// The number of accounts and of live sessions. The query reads whole tables, so call it through [`Store::report`](super::Store::report).
    pub fn count_users_and_sessions(&self, now: Timestamp) -> Result<(u64, u64)> {
        // The plus sign keeps SQLite from the index of sessions that have not ended: it would look for each of them alone, which took 16 times as long.
        let sql = "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM sessions WHERE +ended_at IS NULL AND expires_at > ?1) AS live_sessions";
        self.query_one(sql, params![now], |row| Ok((row.take()?, row.take()?)))
    }

    /// The number of queued mails, and of those that the server has tried to send; and when the oldest mail was queued. The query reads the whole queue, so
    /// call it through [`Store::report`](super::Store::report).
    pub fn count_mail(&self) -> Result<(u64, u64, Option<Timestamp>)> {
        let sql = "SELECT count(*) AS waiting, count(nullif(attempts, 0)) AS failing, min(created_at) AS oldest_at FROM outbox";
        self.query_one(sql, params![], |row| Ok((row.take()?, row.take()?, row.take()?)))
    }
}
