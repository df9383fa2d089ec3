//! One-time codes.

use super::bounded::trim_without_account;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{AddressDigest, CODE_TTL, CodeFailures, CodeMac, MAX_CODE_ATTEMPTS, Timestamp, UserId};

/// A code that may be compared. The comparison has already been counted.
#[derive(Clone, Copy, Debug)]
pub struct CountedCode {
    pub user_id: Option<UserId>,
    pub mac: CodeMac,
    pub created_at: Timestamp,
    /// The MAC of the code that this one replaced, and when the replaced code was created.
    pub older: Option<(CodeMac, Timestamp)>,
}

impl Reader<'_> {
    /// When the code of an address was used, if it was, and when it expires. The code may have been compared too often.
    pub fn find_code_times(&self, address: AddressDigest) -> Result<Option<(Option<Timestamp>, Timestamp)>> {
        let sql = "SELECT used_at, expires_at FROM one_time_codes WHERE address_digest = ?1";
        self.query_opt(sql, params![address], |row| {
            Ok((row.get("used_at")?, row.get("expires_at")?))
        })
    }

    /// The number of wrong codes of an address, and the lock that follows from it.
    pub fn find_code_failures(&self, address: AddressDigest) -> Result<CodeFailures> {
        let sql = "SELECT failures, locked_until FROM one_time_codes WHERE address_digest = ?1";
        let found = self.query_opt(sql, params![address], |row| {
            Ok(CodeFailures {
                in_a_row: row.get("failures")?,
                locked_until: row.get("locked_until")?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Removes every code, the counts of wrong codes and passwords, and every mail budget.
    pub fn delete_codes_and_failures(&self) -> Result<()> {
        for table in [
            "one_time_codes",
            "failed_codes",
            "mail_budgets",
            "password_failures",
        ] {
            self.execute(&format!("DELETE FROM {table}"), params![])?;
        }
        Ok(())
    }

    /// Stores a code created at `now`, which replaces the earlier code of the address. The count of wrong codes stays. `user_id` is `None` for an address
    /// without an account, and only the newest codes of such addresses stay.
    pub fn replace_code(
        &self,
        address: AddressDigest,
        user_id: Option<UserId>,
        mac: CodeMac,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO one_time_codes (address_digest, user_id, code_mac, created_at, expires_at, number)
             VALUES (?1, ?2, ?3, ?4, ?5, 1 + (SELECT coalesce(max(number), 0) FROM one_time_codes WHERE user_id IS NULL))
             ON CONFLICT (address_digest) DO UPDATE SET
                 older_code_mac = one_time_codes.code_mac, older_created_at = one_time_codes.created_at, user_id = excluded.user_id,
                 code_mac = excluded.code_mac, created_at = excluded.created_at, expires_at = excluded.expires_at, number = excluded.number, attempts = 0, used_at = NULL";
        self.execute(sql, params![address, user_id, mac, now, now + CODE_TTL])?;
        trim_without_account(self, "one_time_codes", "address_digest", "user_id IS NULL")
    }

    /// Counts a comparison of the address's code and returns the code; `None` if the address has no code that may be compared.
    pub fn count_code_attempt(&self, address: AddressDigest, now: Timestamp) -> Result<Option<CountedCode>> {
        let sql = "UPDATE one_time_codes SET attempts = attempts + 1
             WHERE address_digest = ?1 AND used_at IS NULL AND expires_at > ?2 AND attempts < ?3
             RETURNING user_id, code_mac, created_at, older_code_mac, older_created_at";
        self.query_opt(sql, params![address, now, MAX_CODE_ATTEMPTS], |row| {
            let older: (Option<_>, Option<_>) = (row.get("older_code_mac")?, row.get("older_created_at")?);
            Ok(CountedCode {
                user_id: row.get("user_id")?,
                mac: row.get("code_mac")?,
                created_at: row.get("created_at")?,
                older: older.0.zip(older.1),
            })
        })
    }

    /// Stores the count of wrong codes of an address.
    pub fn put_code_failures(&self, address: AddressDigest, failures: CodeFailures) -> Result<()> {
        let sql = "UPDATE one_time_codes SET failures = ?2, locked_until = ?3 WHERE address_digest = ?1";
        self.execute(sql, params![address, failures.in_a_row, failures.locked_until])
    }

    /// Marks the address's code as used, so that it signs in once: [`Tx::count_code_attempt`] admits no used code.
    pub fn use_code(&self, address: AddressDigest, now: Timestamp) -> Result<()> {
        let sql = "UPDATE one_time_codes SET used_at = ?2 WHERE address_digest = ?1 AND used_at IS NULL";
        self.execute(sql, params![address, now])
    }

    /// Removes the code of an account, expired or not, with the mail that carries it.
    pub fn delete_code_of(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM one_time_codes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind = 'sign_in_code'",
        ] {
            self.execute(sql, params![user_id])?;
        }
        Ok(())
    }

    /// Removes up to `limit` codes that expired before `day_ago` and whose address is not locked at `now`, and up to `limit` mail budgets that were not
    /// used since `day_ago`. Returns the number of removed rows.
    pub fn delete_old_codes(&self, day_ago: Timestamp, now: Timestamp, limit: u32) -> Result<usize> {
        // The index is named, because with the statistics of a young database SQLite reads the whole table.
        let sql = "DELETE FROM one_time_codes WHERE address_digest IN (
                 SELECT address_digest FROM one_time_codes INDEXED BY one_time_codes_by_end
                 WHERE expires_at < ?1 AND (locked_until IS NULL OR locked_until < ?2) LIMIT ?3)";
        let codes = self.execute_counted(sql, params![day_ago, now, limit])?;
        let sql = "DELETE FROM mail_budgets WHERE (address_digest, purpose) IN (
                 SELECT address_digest, purpose FROM mail_budgets WHERE last_sent_at < ?1 LIMIT ?2)";
        let budgets = self.execute_counted(sql, params![day_ago, limit])?;
        Ok(codes + budgets)
    }
}
