//! Queries of `check`.

use super::{Reader, Result};
use crate::domain::{Timestamp, Username};

impl Reader<'_> {
    /// The latest time of a new account or of a use of a session; `None` if there are neither.
    pub fn find_latest_time(&self) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(at) FROM (SELECT max(last_used_at) AS at FROM sessions UNION ALL SELECT max(created_at) FROM users)";
        self.query_one(sql, [], |row| row.get(0))
    }

    /// When the oldest account was created; `None` if there is none.
    pub fn find_first_user_time(&self) -> Result<Option<Timestamp>> {
        self.query_one("SELECT min(created_at) FROM users", [], |row| row.get(0))
    }

    /// Usernames of 32 hexadecimal digits, and those of digits and full stops alone, in the order of the accounts.
    pub fn list_digit_usernames(&self) -> Result<Vec<Username>> {
        let sql = "SELECT username FROM users
             WHERE length(username_key) = 32 AND username_key NOT GLOB '*[^0-9a-f]*' OR username_key NOT GLOB '*[^0-9.]*'
             ORDER BY id";
        self.query(sql, [], |row| row.get("username"))
    }
}
