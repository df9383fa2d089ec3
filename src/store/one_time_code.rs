//! One-time codes, and when mail was asked for.

use rusqlite::{OptionalExtension, params};

use super::password_failures::is_account;
use super::{Reader, StoreError, Tx};
use crate::domain::{
    AddressDigest, CODE_LOCK, CodeMac, FailureKind, MAX_CODE_ATTEMPTS, MAX_CODE_FAILURES, MailBudget,
    MailPurpose, Timestamp, UserId,
};

/// A code that was made.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// For which address.
    pub address: AddressDigest,
    /// For whose account; `None` for an address without one.
    pub user_id: Option<UserId>,
    /// Its MAC.
    pub mac: CodeMac,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// How many rows too many one write removes: more than it adds, and never so many that others wait.
const AT_ONCE: u32 = 16;

/// A mail budget after a mail was asked for.
#[derive(Clone, Debug)]
pub struct SpentBudget {
    /// Whose mailbox.
    pub mailbox: AddressDigest,
    /// What was asked for.
    pub purpose: MailPurpose,
    /// Whether an account has the address.
    pub kind: FailureKind,
    /// What is left.
    pub budget: MailBudget,
}

/// A code that may be compared; the comparison is counted already.
#[derive(Clone, Copy, Debug)]
pub struct CountedCode {
    /// For whose account.
    pub user_id: Option<UserId>,
    /// Its MAC.
    pub mac: CodeMac,
    /// When it was made.
    pub created_at: Timestamp,
    /// The MAC of the code that it replaced, and when that was made.
    pub older: Option<(CodeMac, Timestamp)>,
}

/// Why a code may not be compared.
#[derive(Clone, Copy, Debug)]
pub struct CodeState {
    /// Whether it was used.
    pub is_used: bool,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Reader<'_> {
    /// The state of the address's code, whether or not it may be compared.
    pub fn find_code_state(&self, address: AddressDigest) -> Result<Option<CodeState>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT used_at IS NOT NULL AS is_used, expires_at FROM one_time_codes WHERE address_digest = ?1",
        )?;
        let found = statement.query_row([address.0], |row| {
            Ok(CodeState {
                is_used: row.get("is_used")?,
                expires_at: Timestamp::from_millis(row.get("expires_at")?),
            })
        });
        Ok(found.optional()?)
    }

    /// Until when codes of an address are not compared; `None` if they are.
    pub fn find_code_lock(
        &self,
        address: AddressDigest,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT locked_until FROM one_time_codes WHERE address_digest = ?1 AND locked_until > ?2 AND locked_until <= ?3",
        )?;
        // A later end is of a clock that was set wrong when the lock began.
        let latest = now + CODE_LOCK;
        let until: Option<i64> = statement
            .query_row(params![address.0, now.as_millis(), latest.as_millis()], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(until.map(Timestamp::from_millis))
    }

    /// When mail was asked for last.
    pub fn find_mail_budget(
        &self,
        address: AddressDigest,
        purpose: MailPurpose,
    ) -> Result<MailBudget, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sends FROM mail_budgets WHERE address_digest = ?1 AND purpose = ?2")?;
        let sends: Option<Vec<u8>> = statement
            .query_row(params![address.0, purpose.into_str()], |row| row.get(0))
            .optional()?;
        Ok(MailBudget::new(super::decode_moments(&sends.unwrap_or_default())))
    }
}

impl Tx<'_> {
    /// Removes every code with its counts, those over all accounts too, and every mail budget.
    pub fn delete_all_codes(&self) -> Result<usize, StoreError> {
        let codes =
            self.connection.execute("DELETE FROM one_time_codes", [])? + self.delete_all_failed_codes()?;
        Ok(codes + self.connection.execute("DELETE FROM mail_budgets", [])?)
    }

    /// Adds a code, in the place of the address's earlier one; failures over all codes of the address stay counted. Of the codes for addresses without an
    /// account only the `most` newest stay.
    pub fn replace_code(&self, code: &CodeRow, most: u32) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO one_time_codes (address_digest, user_id, code_mac, created_at, expires_at, number)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1 + (SELECT coalesce(max(number), 0) FROM one_time_codes WHERE user_id IS NULL))
                 ON CONFLICT (address_digest) DO UPDATE SET
                     older_code_mac = code_mac, older_created_at = created_at, user_id = excluded.user_id, code_mac = excluded.code_mac, created_at = excluded.created_at,
                     expires_at = excluded.expires_at, number = excluded.number, attempts = 0, used_at = NULL",
            )?
            .execute(params![
                code.address.0,
                code.user_id.as_ref().map(UserId::as_bytes),
                code.mac.0,
                code.created_at.as_millis(),
                code.expires_at.as_millis(),
            ])?;
        self.connection
            .prepare_cached(
                "DELETE FROM one_time_codes WHERE address_digest IN (
                     SELECT address_digest FROM one_time_codes
                     WHERE user_id IS NULL AND number <= (SELECT max(number) FROM one_time_codes WHERE user_id IS NULL) - ?1
                     ORDER BY number LIMIT ?2)",
            )?
            .execute(params![most, AT_ONCE])?;
        Ok(())
    }

    /// Counts a comparison of the address's code and gives the code; `None` if there is none that may be compared.
    pub fn count_code_attempt(
        &self,
        address: AddressDigest,
        now: Timestamp,
    ) -> Result<Option<CountedCode>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE one_time_codes SET attempts = attempts + 1
             WHERE address_digest = ?1 AND used_at IS NULL AND expires_at > ?2 AND attempts < ?3
             RETURNING user_id, code_mac, created_at, older_code_mac, older_created_at",
        )?;
        let counted = statement.query_row(params![address.0, now.as_millis(), MAX_CODE_ATTEMPTS], |row| {
            Ok(CountedCode {
                user_id: row.get::<_, Option<[u8; 16]>>("user_id")?.map(UserId::from_bytes),
                mac: CodeMac(row.get("code_mac")?),
                created_at: Timestamp::from_millis(row.get("created_at")?),
                older: match (row.get("older_code_mac")?, row.get("older_created_at")?) {
                    (Some(mac), Some(created_at)) => Some((CodeMac(mac), Timestamp::from_millis(created_at))),
                    _ => None,
                },
            })
        });
        Ok(counted.optional()?)
    }

    /// Notes that a comparison failed; after too many in a row the address is locked until `locked_until`.
    pub fn count_code_failure(
        &self,
        address: AddressDigest,
        locked_until: Timestamp,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE one_time_codes
                 SET failures = CASE WHEN failures + 1 >= ?3 THEN 0 ELSE failures + 1 END,
                     locked_until = CASE WHEN failures + 1 >= ?3 THEN ?2 ELSE locked_until END
                 WHERE address_digest = ?1",
            )?
            .execute(params![address.0, locked_until.as_millis(), MAX_CODE_FAILURES])?;
        Ok(())
    }

    /// Uses the address's code; says whether it did. One conditional UPDATE decides, so that a code signs in once.
    pub fn use_code(&self, address: AddressDigest, now: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE one_time_codes SET used_at = ?2 WHERE address_digest = ?1 AND used_at IS NULL",
        )?;
        Ok(statement.execute(params![address.0, now.as_millis()])? == 1)
    }

    /// Removes the code of an account, whatever its term, with the mail in which it waits.
    pub fn delete_code_of(&self, user_id: UserId) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM one_time_codes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind = 'sign_in_code'",
        ] {
            self.connection
                .prepare_cached(sql)?
                .execute([user_id.as_bytes()])?;
        }
        Ok(())
    }

    /// Forgets the failures of an address and unlocks it.
    pub fn forgive_code_failures(&self, address: AddressDigest) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE one_time_codes SET failures = 0, locked_until = NULL WHERE address_digest = ?1",
            )?
            .execute([address.0])?;
        Ok(())
    }

    /// Notes when mail was asked for; `is_account` of a budget stays, whoever else spends of it. Of the budgets of addresses without an account only the
    /// `most` newest stay.
    pub fn put_mail_budget(&self, spent: &SpentBudget, now: Timestamp, most: u32) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO mail_budgets (address_digest, purpose, sends, last_sent_at, is_account, number)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1 + (SELECT coalesce(max(number), 0) FROM mail_budgets WHERE is_account = 0))
                 ON CONFLICT (address_digest, purpose) DO UPDATE SET
                     sends = excluded.sends, last_sent_at = excluded.last_sent_at,
                     is_account = max(is_account, excluded.is_account), number = excluded.number",
            )?
            .execute(params![
                spent.mailbox.0,
                spent.purpose.into_str(),
                super::encode_moments(spent.budget.newest_first()),
                now.as_millis(),
                is_account(spent.kind),
            ])?;
        self.connection
            .prepare_cached(
                "DELETE FROM mail_budgets WHERE (address_digest, purpose) IN (
                     SELECT address_digest, purpose FROM mail_budgets
                     WHERE is_account = 0 AND number <= (SELECT max(number) FROM mail_budgets WHERE is_account = 0) - ?1
                     ORDER BY number LIMIT ?2)",
            )?
            .execute(params![most, AT_ONCE])?;
        Ok(())
    }

    /// Removes up to `limit` codes and as many budgets that say nothing any more at `now`; says how many.
    pub fn delete_old_codes(
        &self,
        day_ago: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let codes = self
            .connection
            .prepare_cached(
                "DELETE FROM one_time_codes WHERE address_digest IN (
                     SELECT address_digest FROM one_time_codes
                     WHERE expires_at < ?1 AND (locked_until IS NULL OR locked_until < ?2) LIMIT ?3)",
            )?
            .execute(params![day_ago.as_millis(), now.as_millis(), limit])?;
        let budgets = self
            .connection
            .prepare_cached(
                "DELETE FROM mail_budgets WHERE (address_digest, purpose) IN (
                     SELECT address_digest, purpose FROM mail_budgets WHERE last_sent_at < ?1 LIMIT ?2)",
            )?
            .execute(params![day_ago.as_millis(), limit])?;
        Ok(codes + budgets)
    }
}
