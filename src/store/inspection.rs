//! Whether the database is whole.

use super::{Reader, StoreError};
use crate::domain::{Timestamp, Username};

impl Reader<'_> {
    /// What is wrong with the file, or if nothing is, with what its rows say of each other; at most ten faults. Reads all of
    /// it, so it is a question for [`Store::report`](super::Store::report).
    pub fn list_faults(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(10)")?;
        let found = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut faults = Vec::new();
        for fault in found {
            match fault {
                Ok(fault) => faults.push(fault),
                // Having told of a broken page, SQLite may fail over it.
                Err(_) if !faults.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        faults.retain(|fault| fault != "ok");
        if !faults.is_empty() {
            // Reading the rows of a broken file fails, and would hide what is wrong with it.
            return Ok(faults);
        }
        let mut statement = self.connection.prepare("PRAGMA foreign_key_check")?;
        let orphans = statement.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!(
                "a row of {table} belongs to one of {parent} that is gone"
            ))
        })?;
        for orphan in orphans.take(10) {
            faults.push(orphan?);
        }
        Ok(faults)
    }

    /// The latest moment at which somebody registered or used a session; `None` if nobody ever did.
    pub fn find_latest_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        let latest: Option<i64> = self.connection.query_row(
            "SELECT max(at) FROM (SELECT max(last_used_at) AS at FROM sessions UNION ALL SELECT max(created_at) FROM users)",
            [],
            |row| row.get(0),
        )?;
        Ok(latest.map(Timestamp::from_millis))
    }

    /// When the oldest account was made; `None` if there is none.
    pub fn find_first_user_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        let first: Option<i64> =
            self.connection
                .query_row("SELECT min(created_at) FROM users", [], |row| row.get(0))?;
        Ok(first.map(Timestamp::from_millis))
    }

    /// Usernames of 32 hexadecimal digits, and those of digits and full stops alone, in the order of the accounts.
    pub fn list_digit_usernames(&self) -> Result<Vec<Username>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT username FROM users
             WHERE length(username_key) = 32 AND username_key NOT GLOB '*[^0-9a-f]*' OR username_key NOT GLOB '*[^0-9.]*'
             ORDER BY id",
        )?;
        let usernames = statement.query_map([], |row| row.get("username").map(Username::from_stored))?;
        Ok(usernames.collect::<Result<_, _>>()?)
    }
}
