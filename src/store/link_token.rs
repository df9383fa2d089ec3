//! Links that were mailed or handed over.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, params};

use super::{Reader, StoreError, Tx};
use crate::domain::{AuditReason, LinkDigest, LinkPurpose, Timestamp, UserId};

/// A link as it is stored.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// The digest of its secret.
    pub digest: LinkDigest,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// For whose account; `None` for an address without one.
    pub user_id: Option<UserId>,
    /// The key of the address that the account had.
    pub email_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl LinkRow {
    /// Why it can not be used, given that it can not.
    pub fn why_unusable(&self) -> AuditReason {
        match self.used_at {
            Some(_) => AuditReason::UsedLink,
            None => AuditReason::ExpiredLink,
        }
    }
}

impl Reader<'_> {
    /// The link with this digest, used or not.
    pub fn find_link(&self, digest: LinkDigest) -> Result<Option<LinkRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT purpose, user_id, email_key, created_at, expires_at, used_at FROM link_tokens WHERE digest = ?1",
        )?;
        let found = statement.query_row([digest.0], |row| {
            let purpose: String = row.get("purpose")?;
            Ok(LinkRow {
                digest,
                purpose: purpose
                    .parse()
                    .map_err(|_| rusqlite::Error::InvalidColumnType(0, purpose, Type::Text))?,
                user_id: row.get::<_, Option<[u8; 16]>>("user_id")?.map(UserId::from_bytes),
                email_key: row.get("email_key")?,
                created_at: Timestamp::from_millis(row.get("created_at")?),
                expires_at: Timestamp::from_millis(row.get("expires_at")?),
                used_at: row.get::<_, Option<i64>>("used_at")?.map(Timestamp::from_millis),
            })
        });
        Ok(found.optional()?)
    }
}

impl Tx<'_> {
    /// Removes every link.
    pub fn delete_all_links(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM link_tokens", [])?)
    }

    /// Adds a link, in the place of the account's earlier one of that purpose. All links that are nobody's have one place for each purpose: nothing ever
    /// asks for them.
    pub fn replace_link(&self, link: &LinkRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM link_tokens WHERE user_id IS ?1 AND purpose = ?2")?
            .execute(params![
                link.user_id.as_ref().map(UserId::as_bytes),
                link.purpose.into_str()
            ])?;
        self.connection
            .prepare_cached(
                "INSERT INTO link_tokens (digest, purpose, user_id, email_key, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                link.digest.0,
                link.purpose.into_str(),
                link.user_id.as_ref().map(UserId::as_bytes),
                link.email_key,
                link.created_at.as_millis(),
                link.expires_at.as_millis(),
            ])?;
        Ok(())
    }

    /// Uses a link that is unused at `now`; says whether it did. One conditional UPDATE decides, so that a link is used once.
    pub fn use_link(&self, digest: LinkDigest, now: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE link_tokens SET used_at = ?2 WHERE digest = ?1 AND used_at IS NULL AND expires_at > ?2",
        )?;
        Ok(statement.execute(params![digest.0, now.as_millis()])? == 1)
    }

    /// Removes every link of an account that sets a password, with the mails in which one waits.
    pub fn delete_password_links(&self, user_id: UserId) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose <> 'verify_email'",
            "DELETE FROM outbox WHERE user_id = ?1 AND kind NOT IN ('verify_email', 'sign_in_code')",
        ] {
            self.connection
                .prepare_cached(sql)?
                .execute([user_id.as_bytes()])?;
        }
        Ok(())
    }

    /// Removes the mails of one kind that wait for an account.
    pub fn delete_mail_of(&self, user_id: UserId, kind: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM outbox WHERE user_id = ?1 AND kind = ?2")?
            .execute(params![user_id.as_bytes(), kind])?;
        Ok(())
    }

    /// Removes every link and code of an account, expired or not, with the mails in which one waits. (Whether a term is over is not asked: with a clock
    /// that is wrong for a while it would be answered wrongly, and what was skipped would work again afterwards.)
    pub(super) fn void_links_and_codes(&self, user_id: UserId) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM link_tokens WHERE user_id = ?1",
            "DELETE FROM one_time_codes WHERE user_id = ?1",
            "DELETE FROM outbox WHERE user_id = ?1",
        ] {
            self.connection
                .prepare_cached(sql)?
                .execute([user_id.as_bytes()])?;
        }
        Ok(())
    }

    /// Removes up to `limit` links that ended before `before`; says how many.
    pub fn delete_old_links(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM link_tokens WHERE digest IN (SELECT digest FROM link_tokens WHERE expires_at < ?1 LIMIT ?2)",
        )?;
        Ok(statement.execute(params![before.as_millis(), limit])?)
    }
}
