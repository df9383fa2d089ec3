//! Links that were mailed or handed over.

use rusqlite::params;

use super::{Reader, Result, Tx};
use crate::domain::{LinkDigest, LinkPurpose, Timestamp, UserId};

/// A link as it is stored.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// The digest of its secret.
    pub digest: LinkDigest,
    pub purpose: LinkPurpose,
    /// `None` for an address without an account.
    pub user_id: Option<UserId>,
    /// The key of the address that the account had.
    pub email_key: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

impl Reader<'_> {
    /// The link with this digest, used or not.
    pub fn find_link(&self, digest: LinkDigest) -> Result<Option<LinkRow>> {
        let sql = "SELECT purpose, user_id, email_key, created_at, expires_at, used_at FROM link_tokens WHERE digest = ?1";
        self.query_opt(sql, [digest], |row| {
            Ok(LinkRow {
                digest,
                purpose: row.get("purpose")?,
                user_id: row.get("user_id")?,
                email_key: row.get("email_key")?,
                created_at: row.get("created_at")?,
                expires_at: row.get("expires_at")?,
                used_at: row.get("used_at")?,
            })
        })
    }
}

impl Tx<'_> {
    pub fn delete_all_links(&self) -> Result<usize> {
        self.execute_counted("DELETE FROM link_tokens", [])
    }

    /// Adds a link in place of the account's earlier one of that purpose. Links for addresses without an account share one place per purpose: they are
    /// never asked for.
    pub fn replace_link(&self, link: &LinkRow) -> Result<()> {
        let sql = "DELETE FROM link_tokens WHERE user_id IS ?1 AND purpose = ?2";
        self.execute(sql, params![link.user_id, link.purpose])?;
        let sql = "INSERT INTO link_tokens (digest, purpose, user_id, email_key, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![
            link.digest,
            link.purpose,
            link.user_id,
            link.email_key,
            link.created_at,
            link.expires_at,
        ];
        self.execute(sql, values)
    }

    /// Uses a link that is unused at `now`; says whether it did. One conditional UPDATE decides, so that a link is used once.
    pub fn use_link(&self, digest: LinkDigest, now: Timestamp) -> Result<bool> {
        let sql =
            "UPDATE link_tokens SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL AND expires_at > ?2";
        let used = self.execute_counted(sql, params![digest, now])?;
        Ok(used == 1)
    }

    /// Removes every link of an account that sets a password, with the mails that carry one.
    pub fn delete_password_links(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose <> 'verify_email'",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind NOT IN ('verify_email', 'sign_in_code')",
        ] {
            self.execute(sql, [user_id])?;
        }
        Ok(())
    }

    /// Removes every link and code of an account, expired or not, with the mails that carry one. (Whether they have expired is not asked: a clock that is
    /// wrong for a while would answer wrongly, and what was skipped would work again afterwards.)
    pub(super) fn void_links_and_codes(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1",
            "DELETE FROM one_time_codes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1",
        ] {
            self.execute(sql, [user_id])?;
        }
        Ok(())
    }

    /// Removes up to `limit` links that expired before `before`; says how many.
    pub fn delete_old_links(&self, before: Timestamp, limit: u32) -> Result<usize> {
        let sql = "DELETE FROM link_tokens WHERE digest IN (SELECT digest FROM link_tokens WHERE expires_at < ?1 LIMIT ?2)";
        self.execute_counted(sql, params![before, limit])
    }
}
