//! Links that were mailed or that the operator handed over.

use super::user::{user_columns, user_of};
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{LinkDigest, LinkPurpose, Timestamp, User, UserId};

/// A stored link.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// The digest of its secret.
    pub digest: LinkDigest,
    pub purpose: LinkPurpose,
    /// `None` for an address without an account.
    pub user_id: Option<UserId>,
    /// The key of the address that the link was made for.
    pub email_key: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

impl Reader<'_> {
    /// The link with this digest, used or not, and its account, which must still have the address.
    pub fn find_link(&self, digest: LinkDigest) -> Result<Option<(LinkRow, User)>> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            ", purpose, links.email_key, links.created_at, expires_at, used_at
             FROM link_tokens AS links JOIN users ON users.id = links.user_id AND users.email_key = links.email_key
             WHERE digest = ?1"
        );
        self.query_opt(SQL, params![digest], |row| {
            let user = user_of(row)?;
            let link = LinkRow {
                digest,
                purpose: row.take()?,
                user_id: Some(user.id),
                email_key: row.take()?,
                created_at: row.take()?,
                expires_at: row.take()?,
                used_at: row.take()?,
            };
            Ok((link, user))
        })
    }
}

impl Tx<'_> {
    /// Removes every link, also those of changes of addresses and of undos, and all queued mail.
    pub fn delete_links_and_mail(&self) -> Result<()> {
        for table in ["link_tokens", "email_changes", "email_undos", "outbox"] {
            self.execute(&format!("DELETE FROM {table}"), params![])?;
        }
        Ok(())
    }

    /// Stores a link in place of the account's earlier one of that purpose. All addresses without an account share one row per purpose: no such link is ever
    /// used.
    pub fn replace_link(&self, link: &LinkRow) -> Result<()> {
        // Two statements, because not every engine finds the rows of IS NOT DISTINCT FROM by an index.
        if let Some(user_id) = link.user_id {
            let sql = "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose = ?2";
            self.execute(sql, params![user_id, link.purpose])?;
        } else {
            let sql = "DELETE FROM link_tokens WHERE user_id IS NULL AND purpose = ?1";
            self.execute(sql, params![link.purpose])?;
        }
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

    /// Marks a link as used; returns whether it was unused and had not expired. One conditional UPDATE decides, so that a link is used once.
    pub fn use_link(&self, digest: LinkDigest, now: Timestamp) -> Result<bool> {
        let sql =
            "UPDATE link_tokens SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL AND expires_at > ?2";
        let used = self.execute_counted(sql, params![digest, now])?;
        Ok(used == 1)
    }

    /// Removes every link with which the account's owner sets a password, and the mails that contain one.
    pub fn delete_password_links(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose <> 'verify_email'",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind NOT IN ('verify_email', 'sign_in_code', 'change_email', 'email_changed')",
        ] {
            self.execute(sql, params![user_id])?;
        }
        Ok(())
    }

    /// Removes every link and code of an account but undos, and the mails that contain one. Expired ones go too: if a clock is wrong for a while, a link that
    /// seems expired now would work again later. The mail with an undo stays, because only a change by the operator voids undos.
    pub(super) fn void_links_and_codes(&self, user_id: UserId) -> Result<()> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1",
            "DELETE FROM one_time_codes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind <> 'email_changed'",
        ] {
            self.execute(sql, params![user_id])?;
        }
        self.delete_email_change_of(user_id)
    }

    /// Removes up to `limit` links that expired before `before`; returns their number.
    pub fn delete_old_links(&self, before: Timestamp, limit: u32) -> Result<usize> {
        let sql = "DELETE FROM link_tokens WHERE digest IN (SELECT digest FROM link_tokens WHERE expires_at < ?1 LIMIT ?2)";
        self.execute_counted(sql, params![before, limit])
    }
}
