//! Changes of addresses that wait to be confirmed, links that undo changes, and the addresses that accounts had before.

use super::engine::Row;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{Email, FORMER_ADDRESS_TTL, LinkDigest, Timestamp, UserId, Username};

/// A change that waits for the link that was mailed to the new address.
#[derive(Clone, Debug)]
pub struct EmailChangeRow {
    pub user_id: UserId,
    /// The digest of the link's secret.
    pub digest: LinkDigest,
    /// The new address.
    pub email: Email,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A link with which a former address becomes the account's address again.
#[derive(Clone, Debug)]
pub struct EmailUndoRow {
    /// The digest of the link's secret.
    pub digest: LinkDigest,
    pub user_id: UserId,
    /// The former address.
    pub email: Email,
    /// Since when it was the address of the account.
    pub email_since: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

const CHANGE_COLUMNS: &str = "user_id, digest, email, created_at, expires_at";
const UNDO_COLUMNS: &str = "digest, user_id, email, email_since, created_at, expires_at";

fn change_of(row: &mut Row<'_>) -> Result<EmailChangeRow> {
    Ok(EmailChangeRow {
        user_id: row.get("user_id")?,
        digest: row.get("digest")?,
        email: row.get("email")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn undo_of(row: &mut Row<'_>) -> Result<EmailUndoRow> {
    Ok(EmailUndoRow {
        digest: row.get("digest")?,
        user_id: row.get("user_id")?,
        email: row.get("email")?,
        email_since: row.get("email_since")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

impl Reader<'_> {
    /// The change with this link, expired or not.
    pub fn find_email_change(&self, digest: LinkDigest) -> Result<Option<EmailChangeRow>> {
        let sql = format!("SELECT {CHANGE_COLUMNS} FROM email_changes WHERE digest = ?1");
        self.query_opt(&sql, params![digest], change_of)
    }

    /// The change of an account, expired or not.
    pub fn find_email_change_of(&self, user_id: UserId) -> Result<Option<EmailChangeRow>> {
        let sql = format!("SELECT {CHANGE_COLUMNS} FROM email_changes WHERE user_id = ?1");
        self.query_opt(&sql, params![user_id], change_of)
    }

    /// The undo with this link, expired or not.
    pub fn find_email_undo(&self, digest: LinkDigest) -> Result<Option<EmailUndoRow>> {
        let sql = format!("SELECT {UNDO_COLUMNS} FROM email_undos WHERE digest = ?1");
        self.query_opt(&sql, params![digest], undo_of)
    }

    /// The undos of an account that have not expired, the oldest first.
    pub fn list_email_undos(&self, user_id: UserId, now: Timestamp) -> Result<Vec<EmailUndoRow>> {
        let sql = format!(
            "SELECT {UNDO_COLUMNS} FROM email_undos WHERE user_id = ?1 AND expires_at > ?2 ORDER BY created_at, digest"
        );
        self.query(&sql, params![user_id, now], undo_of)
    }

    /// The account for which an undo reserves the address, and until when; `None` if no undo does. The undos of the account `but_for` do not count.
    pub fn find_reservation(
        &self,
        email: &Email,
        but_for: Option<UserId>,
        now: Timestamp,
    ) -> Result<Option<(Username, Timestamp)>> {
        let sql = "SELECT username, email_undos.expires_at FROM email_undos JOIN users ON users.id = email_undos.user_id
             WHERE email_undos.email_key = ?1 AND email_undos.expires_at > ?3 AND email_undos.user_id IS DISTINCT FROM ?2
             ORDER BY email_undos.expires_at DESC LIMIT 1";
        self.query_opt(sql, params![email.key(), but_for, now], |row| {
            Ok((row.get("username")?, row.get("expires_at")?))
        })
    }

    /// Since when an account has had its address. It has had the address from its registration on if the address was never changed.
    pub fn find_email_since(&self, user_id: UserId) -> Result<Timestamp> {
        let sql = "SELECT coalesce(email_since, created_at) FROM users WHERE id = ?1";
        self.query_one(sql, params![user_id], |row| row.take())
    }

    /// Whether an account left this address, verified, at `since` or later.
    pub fn was_held_lately(&self, user_id: UserId, email: &Email, since: Timestamp) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM former_addresses WHERE user_id = ?1 AND email_key = ?2 AND left_at >= ?3)";
        self.query_one(sql, params![user_id, email.key(), since], |row| row.take())
    }
}

impl Tx<'_> {
    /// Stores a change in place of the account's earlier one, so that only the newest link works.
    pub fn put_email_change(&self, change: &EmailChangeRow) -> Result<()> {
        let sql = "INSERT INTO email_changes (user_id, digest, email, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (user_id) DO UPDATE SET
                 digest = excluded.digest, email = excluded.email, created_at = excluded.created_at, expires_at = excluded.expires_at";
        let values = params![
            change.user_id,
            change.digest,
            change.email,
            change.created_at,
            change.expires_at,
        ];
        self.execute(sql, values)
    }

    /// Removes the change with this link and returns it; `None` if there is none or it has expired. One conditional DELETE decides, so that a link is used
    /// once.
    pub fn use_email_change(&self, digest: LinkDigest, now: Timestamp) -> Result<Option<EmailChangeRow>> {
        let sql = format!(
            "DELETE FROM email_changes WHERE digest = ?1 AND expires_at > ?2 RETURNING {CHANGE_COLUMNS}"
        );
        self.query_opt(&sql, params![digest, now], change_of)
    }

    /// Removes the change of an account, expired or not, with the mail that carries its link.
    pub fn delete_email_change_of(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM email_changes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind = 'change_email'",
        ] {
            self.execute(sql, params![user_id])?;
        }
        Ok(())
    }

    /// Stores an undo beside the account's earlier ones.
    pub fn insert_email_undo(&self, undo: &EmailUndoRow) -> Result<()> {
        let sql =
            "INSERT INTO email_undos (digest, user_id, email, email_key, email_since, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![
            undo.digest,
            undo.user_id,
            undo.email,
            undo.email.key(),
            undo.email_since,
            undo.created_at,
            undo.expires_at,
        ];
        self.execute(sql, values)
    }

    /// Removes the undo with this link and returns it; `None` if there is none or it has expired. One conditional DELETE decides, so that a link is used
    /// once.
    pub fn use_email_undo(&self, digest: LinkDigest, now: Timestamp) -> Result<Option<EmailUndoRow>> {
        let sql =
            format!("DELETE FROM email_undos WHERE digest = ?1 AND expires_at > ?2 RETURNING {UNDO_COLUMNS}");
        self.query_opt(&sql, params![digest, now], undo_of)
    }

    /// Removes the undos of an account, expired or not, with the mails that carry their links.
    pub fn delete_email_undos_of(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM email_undos WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind = 'email_changed'",
        ] {
            self.execute(sql, params![user_id])?;
        }
        Ok(())
    }

    /// Remembers that an account left a verified address. If it left the address before, the later time counts.
    pub fn put_former_address(&self, user_id: UserId, email: &Email, left_at: Timestamp) -> Result<()> {
        let sql = "INSERT INTO former_addresses (user_id, email_key, left_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (user_id, email_key) DO UPDATE SET left_at = excluded.left_at WHERE excluded.left_at > former_addresses.left_at";
        self.execute(sql, params![user_id, email.key(), left_at])
    }

    /// Forgets the addresses that an account left at `since` or later.
    pub fn delete_former_addresses_from(&self, user_id: UserId, since: Timestamp) -> Result<()> {
        let sql = "DELETE FROM former_addresses WHERE user_id = ?1 AND left_at >= ?2";
        self.execute(sql, params![user_id, since])
    }

    /// Removes up to `limit` each of the changes and undos that expired before `day_ago`, and of the former addresses that need not be remembered since
    /// then. Returns the number of removed rows.
    pub fn delete_old_email_changes(&self, day_ago: Timestamp, limit: u32) -> Result<usize> {
        let sql = "DELETE FROM email_changes WHERE user_id IN (SELECT user_id FROM email_changes WHERE expires_at < ?1 LIMIT ?2)";
        let changes = self.execute_counted(sql, params![day_ago, limit])?;
        let sql = "DELETE FROM email_undos WHERE digest IN (SELECT digest FROM email_undos WHERE expires_at < ?1 LIMIT ?2)";
        let undos = self.execute_counted(sql, params![day_ago, limit])?;
        let sql = "DELETE FROM former_addresses WHERE (user_id, email_key) IN (
                 SELECT user_id, email_key FROM former_addresses WHERE left_at < ?1 LIMIT ?2)";
        let former = self.execute_counted(sql, params![day_ago - FORMER_ADDRESS_TTL, limit])?;
        Ok(changes + undos + former)
    }
}
